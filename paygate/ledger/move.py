"""A whole ledger taken to another store: rows, trails, hashes, leases, sealed dates, what waits in the inbox.

The old one is closed by its own database before the first row is read, so a worker that is left on it can neither
claim nor send. The new one is closed until it holds everything, and is filled, compared and opened in one transaction.
So each charge can begin in one place only at any time. Killed anywhere, it is begun anew and comes to the same end.

What says how far a move is stands in `paygate_meta`: `moving_to` and then `moved_to` in the old ledger, `moving_from`
and then `moved_from` in the new one; the value is the other one's name.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from attrs import define, field

from . import audit, fence, sql
from .migrate import Session
from .row import LedgerError, State
from .store import SqlLedger

_LONG_S = 86_400.0
_LOOK_S = 0.1
_SKEW_S = 5.0
_TABLES = (("paygate_row", sql.ROW, sql.COLUMNS, 3), ("paygate_line", sql.LINE, sql.LINES, 4))
_EVERY = 10_000
"""After how many rows it is told how far it is."""

Heard = Callable[[str, int], None]
"""Told what was done, and to how many."""


class CannotMove(LedgerError):
    """It cannot be moved there. Nothing was moved."""


@define
class _Sum:
    """A hash over rows in their order."""

    count: int = 0
    _hash: Any = field(factory=hashlib.sha256)

    def over(self, rows: Iterable[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
        for row in rows:
            self.count += 1
            self._hash.update(json.dumps(row).encode("ascii"))
            yield row

    def said(self) -> tuple[int, str]:
        return self.count, self._hash.hexdigest()


def move(source: SqlLedger, target: SqlLedger, heard: Heard = lambda step, count: None) -> audit.Report:
    """Move everything from `source` to `target`, which is new or the one an earlier attempt named; returns its check.

    Raises: CannotMove; LedgerError where a store fails: the same call goes on from there.
    """
    ours, theirs = _name(source), _name(target)
    if ours == theirs:
        raise CannotMove("a ledger is not moved to itself")
    _check_clocks(source, target)
    if _prepared(source, target, ours, theirs):
        heard("closed to new charges", 0)
        _wait(source, heard)
        with source.session() as session:
            _mark(session, "moved_to", theirs, instead="moving_to")
            fence.close(session, f"it was moved to {target.place}, which is the ledger now")
        heard("closed", 0)
    if _marks(target).get("moved_from") != ours:
        _copy(source, target, ours, theirs, heard)
    heard("opened", 0)
    with target.snapshot() as ask:
        return audit.check(ask, time.time())


def undo(source: SqlLedger, target: SqlLedger) -> None:
    """Open `source` again, whose move to `target` was not ended. From then on `target` is an empty ledger.

    Raises: CannotMove where everything is in `target` by now; LedgerError: the same call goes on from there.
    """
    ours, theirs = _name(source), _name(target)
    with target.session() as there:
        marks = _locked(there)
        if marks.get("moved_from") == ours:
            raise CannotMove(f"all of it is in {target.place}, which is the ledger now and may have charged")
        if marks.get("moving_from") == ours:
            _unmark(there, "moving_from")
            fence.reopen(there)
        # While nobody else can go on with the move.
        with source.session() as here:
            marks = _locked(here)
            if (marks.get("moving_to") or marks.get("moved_to")) != theirs:
                raise CannotMove(f"{source.place} is not being moved to {target.place}")
            _unmark(here, "moving_to")
            _unmark(here, "moved_to")
            fence.reopen(here)


def _prepared(source: SqlLedger, target: SqlLedger, ours: str, theirs: str) -> bool:
    """Close the new ledger, then the old one to what is new; False where an earlier attempt came further."""
    with source.session() as session:
        marks = _locked(session)
        to = marks.get("moving_to") or marks.get("moved_to")
        if to not in (None, theirs):
            raise CannotMove(f"{source.place} is closed already: {marks.get('closed')}")
        if "moving_from" in marks:
            raise CannotMove(f"{source.place} is not whole: a move into it was not ended")
    with target.session() as session:
        marks = _locked(session)
        if marks.get("moved_from") == ours:
            return False
        if "moving_from" not in marks and "closed" in marks:
            raise CannotMove(f"{target.place} is closed: {marks['closed']}")
        if marks.get("moving_from") != ours:
            _mark(session, "moving_from", ours)
            fence.close(session, f"it is not whole: a move from {source.place} into it was not ended")
            if "moving_from" in marks or session.run("SELECT 1 FROM paygate_row LIMIT 1"):
                raise CannotMove(f"{target.place} holds a ledger already; name a new file or an empty database")
    if "moved_to" in _marks(source):
        return False
    with source.session() as session:
        _mark(session, "moving_to", theirs)
        fence.close_to_new(session, f"it was moved to {target.place}, which is the ledger now")
    return True


def _wait(source: SqlLedger, heard: Heard) -> None:
    """Until what was being sent is answered, or its worker's time is over."""
    told = 0
    while True:
        with source.snapshot() as ask:
            (count,), = ask("SELECT COUNT(*) FROM paygate_row WHERE state IN ('opened', 'sent', 'unknown') "
                            "AND state = ? AND lease_until > ?", (State.SENT.value, _now(source)))
        if not count:
            return
        if count != told:
            told = count
            heard("under way", count)
        time.sleep(_LOOK_S)


def _copy(source: SqlLedger, target: SqlLedger, ours: str, theirs: str, heard: Heard) -> None:
    """Fill the new ledger, compare it and open it, all in one transaction."""
    with target.session(_LONG_S) as there:
        marks = _locked(there)  # From here on nobody can undo it.
        with source.snapshot() as ask:
            if marks.get("moving_from") != ours or _meta(ask).get("moved_to") != theirs:
                raise CannotMove("somebody else has ended this move, or undone it, or begun another")
            fence.reopen(there)
            for table, select, columns, width in _TABLES:
                read, written = _Sum(), _Sum()
                there.fill(table, columns, _told(read.over(audit.pages(ask, select, table, width)), heard))
                for _ in written.over(audit.pages(there.run, select, table, width)):
                    pass
                if read.said() != written.said():
                    raise LedgerError(f"{table} of {target.place} is not the same; it was left empty")
                heard("compared", read.count)
        _mark(there, "moved_from", ours, instead="moving_from")


def _told(rows: Iterable[tuple[Any, ...]], heard: Heard) -> Iterator[tuple[Any, ...]]:
    for count, row in enumerate(rows):
        if count % _EVERY == 0:
            heard("copying", count)
        yield row


def _now(store: SqlLedger) -> float:
    clock = getattr(store, "clock", None)
    return time.time() if clock is None else clock.now().timestamp()


def _check_clocks(source: SqlLedger, target: SqlLedger) -> None:
    """Leases and instants are carried over as they stand, so both must mean the same by them."""
    apart = abs(_now(source) - _now(target))
    if apart > _SKEW_S:
        raise CannotMove(f"the clocks of {source.place} and {target.place} are {apart:.0f} s apart; set them right "
                         "first")


def _name(store: SqlLedger) -> str:
    return _marks(store)["ledger"]


def _marks(store: SqlLedger) -> dict[str, str]:
    with store.snapshot() as ask:
        return _meta(ask)


def _meta(ask: audit.Asks) -> dict[str, str]:
    return dict(ask("SELECT name, value FROM paygate_meta", ()))


def _locked(session: Session) -> dict[str, str]:
    """What is noted; nobody else notes anything before this transaction ends."""
    session.run("UPDATE paygate_meta SET value = value WHERE name = ?", ("ledger",))
    return _meta(session.run)


def _mark(session: Session, name: str, value: str, *, instead: str = "") -> None:
    _unmark(session, name)
    _unmark(session, instead)
    session.run("INSERT INTO paygate_meta (name, value) VALUES (?, ?)", (name, value))


def _unmark(session: Session, name: str) -> None:
    session.run("DELETE FROM paygate_meta WHERE name = ?", (name,))
