"""What tests are made of: emulators of PGs on a clock that is turned by hand. The modules load when they are used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .emulator import Emulator, Fault, FaultKind, Journal, VirtualClock
    from .transport import EmulatorTransport

__all__ = ["Emulator", "EmulatorTransport", "Fault", "FaultKind", "Journal", "VirtualClock"]


def __getattr__(name: str) -> Any:
    # pytest imports this package with its plugins, before a merchant's coverage starts counting.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(f"{__name__}.{'transport' if name == 'EmulatorTransport' else 'emulator'}")
    return getattr(module, name)
