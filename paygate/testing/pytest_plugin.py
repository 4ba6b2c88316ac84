"""pytest fixtures for merchants; pytest finds them by itself where paygate-core is installed.

Nothing of paygate is loaded until a fixture is used.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from ..gateway import Gateway
    from .emulator import Emulator, VirtualClock
    from .transport import EmulatorTransport


@pytest.fixture
def paygate_clock() -> VirtualClock:
    """A clock that only the test turns; every emulator of the test is on it."""
    from .emulator import VirtualClock

    return VirtualClock()


@pytest.fixture
def paygate_emulator(paygate_clock: VirtualClock) -> Callable[[str], Emulator]:
    """`paygate_emulator("acme")`: the emulator of an installed provider, the same one each time within a test.

    Raises: UnknownProvider; Unsupported where the provider ships none.
    """
    from ..plugins import load

    made: dict[str, Emulator] = {}

    def emulator(name: str) -> Emulator:
        if name not in made:
            made[name] = load(name).load_emulator()(paygate_clock)
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
        return connect(name, emulator.settings(), ledger=MemoryLedger(), http=EmulatorTransport(emulator),
                       clock=paygate_clock)

    return gateway
