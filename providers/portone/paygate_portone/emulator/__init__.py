"""The PG as values: `PortOneEmulator` answers calls to PortOne V1 on a clock turned by hand."""

from __future__ import annotations

from .server import PortOneEmulator
from .switches import Switches

__all__ = ["PortOneEmulator", "Switches"]
