"""`ProviderContract`: the whole contract as one class of tests that a provider's package inherits.

What is not claimed is skipped with that as its reason. Nothing can be overridden, skipped or deselected silently:
what does not hold is named in `reasons`, with why, and is then expected to fail.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import pytest

from ...provider import ProviderSpec
from ..pytest_plugin import looks_for_something
from .bench import Bench, Face
from .registry import Check, all_checks
from .subject import EmulatorMaker, Subject, subject_of
from .told import NotHere

GUARD = "test_nothing_of_the_contract_is_switched_off_without_a_reason"
SKIPPED = "not here: "
"""How the reason of a skip by the kit itself begins."""
_STATED = frozenset({"provider", "settings", "emulator", "reasons"})


class ProviderContract:
    """Inherit it, say which provider it is about, and every check of the contract is a test of yours.

        class TestAcme(ProviderContract):
            provider = "acme"

    `provider` is the name of an installed provider, or a ProviderSpec. `settings` stand in for the emulator's own;
    `emulator` (called with a VirtualClock) for the one that the spec names. `reasons` says of each test that cannot
    hold why not: {"test_…": "why"}; such a test is expected to fail, and one that holds after all fails the suite.
    Nothing else of the contract can be replaced; tests of your own may stand beside it.
    """

    provider: ClassVar[str | ProviderSpec]
    settings: ClassVar[Mapping[str, Any] | None] = None
    emulator: ClassVar[EmulatorMaker | None] = None
    reasons: ClassVar[Mapping[str, str]] = {}
    paygate_is_contract: ClassVar[bool] = True
    """How the pytest plugin knows such a class."""
    __test__ = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "__test__" not in vars(cls):
            cls.__test__ = hasattr(cls, "provider")

    @classmethod
    def subject(cls) -> Subject:
        """What this class is about.

        Raises: UnknownProvider, Unsupported.
        """
        known: Subject | None = vars(cls).get("_subject")
        if known is None:
            # Through vars(): an emulator that is a plain function must not become a method.
            emulator = next((vars(c)["emulator"] for c in cls.__mro__ if "emulator" in vars(c)), None)
            known = subject_of(cls.provider, settings=cls.settings, emulator=emulator)
            setattr(cls, "_subject", known)  # noqa: B010 (it is no part of the class's own interface)
        return known

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Each test in each of its cases; what does not concern the provider is skipped with the reason."""
        check: Check | None = getattr(metafunc.function, "paygate_check", None)
        if check is None:
            return
        cls: type[ProviderContract] = metafunc.cls or ProviderContract
        runs = [pytest.param(face, case, id=face if case is None else f"{face}-{case}")
                for face, case in check.runs(cls.subject())]
        reason = check.why_not(cls.subject()) or (None if runs else "nothing that is claimed has a case of it")
        if reason is not None:
            marks = pytest.mark.skip(reason=f"{SKIPPED}{reason}")
            runs = [pytest.param(None, None, id="not-here", marks=marks)]
        elif (why := cls.reasons.get(check.test_name)) is not None:
            # All cases in one, so that a reason which nothing needs any more fails.
            runs = [pytest.param(None, None, id="every-case", marks=pytest.mark.xfail(reason=why, strict=True))]
        metafunc.parametrize(("face", "case"), runs)

    def test_nothing_of_the_contract_is_switched_off_without_a_reason(self, request: pytest.FixtureRequest) -> None:
        """Overridden, skipped or deselected: only where `reasons` says why."""
        named = any("::" in str(argument) for argument in request.config.args) or looks_for_something(request.config)
        selected = {item.name.partition("[")[0] for item in request.session.items
                    if getattr(item, "cls", None) is type(self)}
        faults = switched_off(type(self), None if named else selected)
        assert not faults, "\n".join(faults)


def switched_off(cls: type[ProviderContract], selected: set[str] | None) -> list[str]:
    """What a class changes of the contract without saying why; `selected` are the tests of it that are to be run, or
    None where a person named one.
    """
    known = {name for name in vars(ProviderContract) if not name.startswith("__")}
    changed = {name for c in cls.__mro__ if c not in ProviderContract.__mro__ for name in vars(c)} & known
    ours = {name for name in known if name.startswith("test_")}
    faults = [f"{cls.__name__} replaces {name}, which a contract class does not" for name in sorted(
        changed - _STATED)]
    faults += [f"{cls.__name__} gives a reason for {name}, which is no test of the contract" for name in sorted(
        set(cls.reasons) - ours)]
    faults += [f"{cls.__name__} gives no reason for {name}" for name, why in sorted(cls.reasons.items())
               if not isinstance(why, str) or not why.strip()]
    faults += [f"{GUARD} cannot be switched off"] if GUARD in cls.reasons else []
    gone = set() if selected is None else ours - selected - set(cls.reasons)
    faults += [f"{name} was deselected without a reason" for name in sorted(gone)]
    marks = getattr(cls, "pytestmark", [])
    faults += [f"{cls.__name__} is marked {mark.name}: say in `reasons` which test, and why" for mark in marks
               if mark.name in ("skip", "skipif", "xfail")]
    return faults


def _test(check: Check) -> Callable[..., None]:
    def test(self: ProviderContract, face: Face | None, case: str | None) -> None:
        __tracebackhide__ = True
        subject = type(self).subject()
        runs: Sequence[tuple[Face, str | None]] = check.runs(subject) if face is None else [(face, case)]
        for one_face, one_case in runs:
            try:
                with Bench(subject, one_face) as bench:
                    check.run(bench, one_case)
            except NotHere as reason:
                pytest.skip(f"{SKIPPED}{reason}")

    test.__name__, test.__doc__ = check.test_name, check.body.__doc__
    test.__qualname__ = f"ProviderContract.{check.test_name}"
    test.paygate_check = check  # type: ignore[attr-defined]
    return test


for _check in all_checks():
    setattr(ProviderContract, _check.test_name, _test(_check))
