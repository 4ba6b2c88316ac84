"""What a contract run is about: one provider, its emulator, the settings that fit both."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from attrs import evolve, field, frozen

from ...capability import Capability
from ...provider import Provider, ProviderSpec
from ..emulator import Emulator, VirtualClock
from ..story import Story

EmulatorMaker: TypeAlias = Callable[[VirtualClock], Emulator]


@frozen(kw_only=True)
class Subject:
    """A provider under contract. `stated` are settings that stand in for the emulator's own of the same name."""

    spec: ProviderSpec
    make: EmulatorMaker = field(repr=False)
    stated: Mapping[str, Any] = field(factory=dict, repr=False)
    origin: str = "a ProviderSpec"
    """Where it comes from: distribution and version, where it was installed."""
    kept: dict[str, Any] = field(factory=dict, init=False, repr=False, eq=False)
    """What several checks look at and none changes."""

    @property
    def name(self) -> str:
        return self.spec.name

    def claims(self, *capabilities: Capability) -> bool:
        """Whether every one of `capabilities` is declared."""
        return set(capabilities) <= self.spec.capabilities

    def emulator(self) -> Emulator:
        """A PG of its own, its clock at the start of its story."""
        return self.make(VirtualClock(self.story().start))

    def story(self) -> Story:
        """The PG's example commands."""
        if "story" not in self.kept:
            self.kept["story"] = self.make(VirtualClock()).story()
        story: Story = self.kept["story"]
        return story

    def settings(self, emulator: Emulator) -> dict[str, Any]:
        """The settings with which a merchant reaches `emulator`."""
        return {**emulator.settings(), **self.stated}

    def built_by(self, build: Callable[[Any], Provider]) -> Subject:
        """The same subject with another provider behind it."""
        return evolve(self, spec=evolve(self.spec, build=build))


def subject_of(provider: str | ProviderSpec, *, settings: Mapping[str, Any] | None = None,
               emulator: EmulatorMaker | None = None) -> Subject:
    """The subject that a name (or a spec), settings and an emulator make.

    Raises: UnknownProvider; Unsupported where there is no emulator.
    """
    spec, origin = named(provider) if isinstance(provider, str) else (provider, "a ProviderSpec")
    return Subject(spec=spec, make=emulator or spec.load_emulator(), stated=dict(settings or {}), origin=origin)


def named(name: str) -> tuple[ProviderSpec, str]:
    """The provider of that name and where it comes from: an installed one, or FakePG, which never is installed.

    Raises: UnknownProvider.
    """
    from ...plugins import find_providers, load

    found = [f for f in find_providers() if f.name == name]
    if not found and name == "fakepg":
        from importlib.metadata import PackageNotFoundError, version

        from ..fakepg import FAKEPG

        try:
            return FAKEPG, f"paygate-core {version('paygate-core')}"
        except PackageNotFoundError:
            return FAKEPG, "paygate-core"
    spec = load(name)
    return spec, found[0].origin


def why_not(subject: Subject, needs: tuple[Capability, ...]) -> str | None:
    """Why something that needs these capabilities does not concern `subject`; None where it does."""
    lacking = [c.value for c in needs if not subject.claims(c)]
    return f"not claimed: {', '.join(lacking)}" if lacking else None
