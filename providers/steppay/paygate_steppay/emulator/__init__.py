"""StepPay as values, for tests and the sandbox: `ManagedEmulator`, `UnmanagedEmulator` and their `Switches`."""

from __future__ import annotations

from .service import ManagedEmulator, UnmanagedEmulator
from .switches import Switches

__all__ = ["ManagedEmulator", "Switches", "UnmanagedEmulator"]
