"""The ledger: written down before the PG is spoken to, and again after. `MemoryLedger` is for tests."""

from .memory import MemoryLedger
from .row import Book, Kind, Ledger, LedgerError, Line, Note, Row, State

__all__ = ["Book", "Kind", "Ledger", "LedgerError", "Line", "MemoryLedger", "Note", "Row", "State"]
