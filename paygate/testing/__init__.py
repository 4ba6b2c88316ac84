"""What tests are made of: emulators of PGs on a clock turned by hand, and the contracts of providers and ledgers.

The modules load when they are used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .contract import ProviderContract
    from .emulator import Emulator, Fault, FaultKind, Journal, VirtualClock
    from .ledger_contract import LedgerContract
    from .state_machine import shop_machine
    from .transport import EmulatorTransport

__all__ = ["Emulator", "EmulatorTransport", "Fault", "FaultKind", "Journal", "LedgerContract", "ProviderContract",
           "VirtualClock", "shop_machine"]
_ELSEWHERE = {"EmulatorTransport": "transport", "LedgerContract": "ledger_contract", "ProviderContract": "contract",
              "shop_machine": "state_machine"}


def __getattr__(name: str) -> Any:
    # pytest imports this package with its plugins, before a merchant's coverage starts counting.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_ELSEWHERE.get(name, 'emulator')}"), name)
