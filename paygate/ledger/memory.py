"""A ledger in memory, for tests: it keeps every rule and survives nothing."""

from __future__ import annotations

import threading
from bisect import bisect_left, insort
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from . import chain
from .row import Book, LedgerError, Line, Note, Row, State, Taken
from .rules import FOLLOWS, UNRESOLVED

_Date = tuple[float, str, str, str]


def _date_of(row: Row) -> _Date:
    return row.due_at or 0.0, row.book.value, row.id, row.gateway


class MemoryLedger:
    """Rows in a dict. Never use it for real money: it is gone with the process."""

    blocking = False

    def __init__(self) -> None:
        self._rows: dict[tuple[str, Book, str], Row] = {}
        self._owners: dict[tuple[str, str], Row] = {}
        """Payment rows by (gateway, the PG's id)."""
        self._waiting: dict[tuple[str, Book, str], Row] = {}
        """Rows that are to be carried out at a date."""
        self._dates: list[_Date] = []
        """When each of them is due, and its key, in the order in which they are carried out."""
        self._lines: list[Line] = []
        self._lock = threading.Lock()

    def open(self, rows: Sequence[Row], note: Note) -> list[tuple[Row, bool]]:
        with self._lock:
            return [self._open(row, note) for row in rows]

    def _open(self, row: Row, note: Note) -> tuple[Row, bool]:
        made, line = chain.begun(row, note)
        known = self._rows.get((row.gateway, row.book, row.id)) or self._blocking(row)
        if known is not None:
            return known, known.hash == made.hash
        self._check_owner(row)
        self._store(made, line)
        return made, True

    def _blocking(self, row: Row) -> Row | None:
        if row.book is not Book.CANCEL:
            return None
        return next((r for r in self._rows.values() if r.book is Book.CANCEL and r.gateway == row.gateway
                     and r.order_id == row.order_id and r.id != row.id and r.state in UNRESOLVED), None)

    def get(self, gateway: str, book: Book, id: str) -> Row | None:
        return self._rows.get((gateway, book, id))

    def change(self, row: Row, note: Note) -> Row | None:
        changed, line = chain.moved(row, note)
        with self._lock:
            stored = self._rows.get((row.gateway, row.book, row.id))
            if stored is not None and stored.hash == changed.hash:
                return stored
            if stored is None or (stored.fence, stored.hash) != (row.fence, row.hash):
                return None
            if row.state not in FOLLOWS[stored.state]:
                raise LedgerError(f"a row does not go from {stored.state.value} to {row.state.value}")
            self._check_owner(row)
            if row.state in UNRESOLVED and self._blocking(row) is not None:
                return None
            self._store(changed, line)
            return changed

    def _check_owner(self, row: Row) -> None:
        if row.book is Book.PAYMENT and row.provider_id is not None:
            holder = self.by_provider_id(row.gateway, row.provider_id)
            if holder is not None and holder.id != row.id:
                raise Taken("a PG's payment id belongs to another order already")

    def _store(self, row: Row, line: Line) -> None:
        key = row.gateway, row.book, row.id
        self._rows[key] = row
        before = self._waiting.pop(key, None)
        if row.sealed is not None and row.due_at is not None and row.state in (State.SCHEDULED, State.NOT_SENT):
            self._waiting[key] = row
        self._date(before, self._waiting.get(key))
        if row.book is Book.PAYMENT and row.provider_id is not None:
            self._owners[row.gateway, row.provider_id] = row
        self._lines.append(line)

    def _date(self, before: Row | None, after: Row | None) -> None:
        old, new = (None if row is None else _date_of(row) for row in (before, after))
        if old != new:
            if old is not None:
                del self._dates[bisect_left(self._dates, old)]
            if new is not None:
                insort(self._dates, new)

    def by_provider_id(self, gateway: str, provider_id: str) -> Row | None:
        return self._owners.get((gateway, provider_id))

    def refunds(self, gateway: str, order_id: str) -> list[Row]:
        return self._where(lambda r: r.gateway == gateway and r.book is Book.CANCEL and r.order_id == order_id)

    def due(self, gateway: str, now: float, limit: int) -> list[Row]:
        found = self._where(lambda r: r.gateway == gateway and r.check_at is not None and r.check_at <= now)
        return sorted(found, key=lambda r: (r.check_at or 0.0, r.book.value, r.id))[:limit]

    def claim(self, gateway: str, now: float, limit: int, until: float, note: Note) -> list[Row]:
        with self._lock:
            waits = (r for r in self._planned(gateway, now) if r.lease_until is None or r.lease_until <= now)
            free = list(islice(waits, limit))
            claimed = [chain.moved(chain.altered(r, lease_until=until), note) for r in free]
            for row, line in claimed:
                self._store(row, line)
            return [row for row, _ in claimed]

    def planned(self, gateway: str, until: float, limit: int) -> list[Row]:
        with self._lock:
            return list(islice(self._planned(gateway, until), limit))

    def _planned(self, gateway: str, until: float) -> Iterator[Row]:
        for due_at, book, id, whose in self._dates:
            if due_at > until:
                return
            if whose == gateway:
                yield self._waiting[gateway, Book(book), id]

    def of_key(self, gateway: str, key_digest: str) -> list[Row]:
        return self._where(lambda r: r.gateway == gateway and r.key_digest == key_digest)

    def unresolved(self, gateway: str, limit: int) -> list[Row]:
        return self._where(lambda r: r.gateway == gateway and r.state in UNRESOLVED)[:limit]

    def flagged(self, gateway: str, limit: int) -> list[Row]:
        return self._where(lambda r: r.gateway == gateway and r.attention is not None)[:limit]

    def _where(self, fits: Callable[[Row], bool]) -> list[Row]:
        with self._lock:
            return sorted(filter(fits, self._rows.values()), key=lambda r: (r.opened_at, r.book.value, r.id))

    def trail(self, gateway: str, id: str) -> list[Line]:
        with self._lock:
            return [line for line in self._lines if line.gateway == gateway and line.id == id]

    def close(self) -> None:
        pass
