"""pytest fixtures for merchants, and the guard of contract classes; pytest finds them where paygate-core is installed.

Nothing of paygate is loaded until a fixture is used.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from ..gateway import Gateway
    from ..provider import ProviderSpec
    from ..sandbox import Sandbox
    from .emulator import Emulator, VirtualClock
    from .transport import EmulatorTransport


@pytest.fixture
def paygate_clock() -> VirtualClock:
    """A clock that only the test turns; every emulator of the test is on it."""
    from .emulator import VirtualClock

    return VirtualClock()


def _spec(name: str) -> ProviderSpec:
    """An installed provider, or FakePG, which is never installed."""
    from .contract.subject import named

    return named(name)[0]


@pytest.fixture
def paygate_emulator(paygate_clock: VirtualClock) -> Callable[[str], Emulator]:
    """`paygate_emulator("acme")`: the emulator of an installed provider or of "fakepg", the same one within a test.

    Raises: UnknownProvider; Unsupported where the provider ships none.
    """
    made: dict[str, Emulator] = {}

    def emulator(name: str) -> Emulator:
        if name not in made:
            made[name] = _spec(name).load_emulator()(paygate_clock)
        return made[name]

    return emulator


@pytest.fixture
def paygate_transport(paygate_emulator: Callable[[str], Emulator]) -> Callable[[str | Emulator], EmulatorTransport]:
    """`connect("acme", settings, ledger=…, http=paygate_transport("acme"))`: no socket, no sleeping."""
    from .transport import EmulatorTransport

    def transport(emulator: str | Emulator) -> EmulatorTransport:
        return EmulatorTransport(paygate_emulator(emulator) if isinstance(emulator, str) else emulator)

    return transport


@pytest.fixture
def paygate_gateway(paygate_emulator: Callable[[str], Emulator],
                    paygate_clock: VirtualClock) -> Callable[[str], Gateway]:
    """`paygate_gateway("acme")`: a gateway connected to that provider's emulator, with a ledger in memory."""
    from ..assemble import connect
    from ..ledger import MemoryLedger
    from .transport import EmulatorTransport

    def gateway(name: str) -> Gateway:
        emulator = paygate_emulator(name)
        return connect(_spec(name), emulator.settings(), ledger=MemoryLedger(), http=EmulatorTransport(emulator),
                       clock=paygate_clock)

    return gateway


@pytest.fixture
def paygate_hooks(paygate_emulator: Callable[[str], Emulator]) -> Callable[..., list[Any]]:
    """`paygate_hooks("acme", gate.receive)`: hand over each webhook that the emulator sent since the last time.

    Returns what came back, in order; any function of headers and body will do, a view of your own too.
    """
    seen: dict[str, int] = {}

    def hooks(name: str, receive: Callable[..., Any]) -> list[Any]:
        sent = paygate_emulator(name).hooks[seen.get(name, 0):]
        seen[name] = seen.get(name, 0) + len(sent)
        return [receive(dict(hook.headers), hook.body) for hook in sent]

    return hooks


@pytest.fixture
def paygate_sandbox() -> Iterator[Callable[..., Sandbox]]:
    """`paygate_sandbox("acme", "fakepg")`: those emulators over HTTP on this machine, until the test ends.

    `box.url(name)`, `box.settings(name)`, `box.browse(...)`, `box.advance(...)`: see `paygate.sandbox.Sandbox`.
    """
    from contextlib import ExitStack

    with ExitStack() as open_boxes:
        def sandbox(*names: str, **options: Any) -> Sandbox:
            from ..sandbox import Sandbox

            return open_boxes.enter_context(Sandbox(names, **options))

        yield sandbox


# What guards contract classes. They are known by a mark on the class, so that nothing is imported for it.

def _is_contract(item: object) -> bool:
    return getattr(getattr(item, "cls", None), "paygate_is_contract", False) is True


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Generator[None]:
    """Whoever deselects part of a contract keeps its guard, which then says so.

    Not where a person looks for something: -k, -m, --lf and the like on the command line, but not in the settings.
    """
    guards = [item for item in items if _is_contract(item) and "switched_off" in item.name]
    result = yield
    if not looks_for_something(config):
        kept = set(map(id, items))
        items.extend(guard for guard in guards if id(guard) not in kept)
    return result


def looks_for_something(config: pytest.Config) -> bool:
    """Whether a person asked for some tests only, by an option; what pytest's settings always say is no such thing."""
    always = " ".join(config.getini("addopts"))
    asked = {"-k": "keyword", "-m": "markexpr", "--lf": "lf", "--sw": "stepwise"}
    return any(config.getoption(name, default=None) and option not in always.split() for option, name in asked.items())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport,
                                                                                          pytest.TestReport]:
    """A test of a contract is skipped by the kit, with the kit's reason, or it fails."""
    report = yield
    if report.skipped and _is_contract(item) and not hasattr(report, "wasxfail"):
        said = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if "not here: " not in said:
            report.outcome = "failed"
            report.longrepr = f"skipped without a reason in `reasons`: {said}"
    return report
