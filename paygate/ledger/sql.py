"""The ledger in SQL: one text for SQLite and PostgreSQL. Nothing here opens a file or a connection.

A verb is a plan: a generator that yields `Tell` (statements that become durable together or not at all; answered with
how many rows each touched) and `Ask` (one SELECT; answered with its rows). store.py carries plans out, for threads,
for asyncio and inside a merchant's own transaction. `?` stands for a value, and no text holds one otherwise.

To add a table: a file in migrations/, plans like those below, and their names in VERBS.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from itertools import accumulate
from math import ceil
from operator import attrgetter
from typing import Any, TypeVar

from attrs import frozen

from ..money import Money
from . import chain
from .row import CLOSED, Book, Closed, Damaged, Kind, LedgerError, Line, Note, Row, State, Taken
from .rules import FOLLOWS

T = TypeVar("T")


@frozen
class Tell:
    """Write: `statements` in one transaction. `key` orders the writers of several, so that none waits for another."""

    statements: tuple[tuple[str, tuple[Any, ...]], ...]
    key: tuple[str, ...] = ()


@frozen
class Ask:
    """Read: one SELECT."""

    text: str
    values: tuple[Any, ...]


class Clash(Exception):
    """A statement broke the unique index that is its argument. Nothing of its `Tell` was written."""


Plan = Generator[Tell | Ask, Any, T]

COLUMNS = ("book", *chain.PLAIN, "amount", "currency", "hash")
_KEY = ("gateway", "book", "id")
_UNRESOLVED = "state IN ('opened', 'sent', 'unknown')"
ROW = f"SELECT {', '.join(COLUMNS)} FROM paygate_row"
_INSERT = (f"INSERT INTO paygate_row ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))}) "
           "ON CONFLICT DO NOTHING")
_CHANGED = tuple(c for c in COLUMNS if c not in _KEY)
_UPDATE = {to: f"UPDATE paygate_row SET {', '.join(f'{c} = ?' for c in _CHANGED)} "
               "WHERE gateway = ? AND book = ? AND id = ? AND fence = ? AND hash = ? AND state IN "
               f"({', '.join(repr(state.value) for state, after in FOLLOWS.items() if to in after) or 'NULL'})"
           for to in State}
LINES = ("gateway", "book", "id", "fence", "at", "actor", "state", "note", "content", "salt", "hash")
LINE = f"SELECT {', '.join(LINES)} FROM paygate_line"
INSERT_LINE = f"INSERT INTO paygate_line ({', '.join(LINES)}) VALUES ({', '.join('?' * len(LINES))})"
# The line goes in only where the row has just become what the line tells: so nobody waits between the two statements.
_APPEND = (f"INSERT INTO paygate_line ({', '.join(LINES)}) SELECT {', '.join('?' * len(LINES))} FROM paygate_row "
           "WHERE gateway = ? AND book = ? AND id = ? AND hash = ?")
_GET = f"{ROW} WHERE gateway = ? AND book = ? AND id = ?"
_OPEN_REFUND = f"{ROW} WHERE gateway = ? AND book = 'cancel' AND order_id = ? AND {_UNRESOLVED}"
_OWNER = f"{ROW} WHERE gateway = ? AND book = 'payment' AND provider_id = ?"
_REFUNDS = f"{ROW} WHERE gateway = ? AND book = 'cancel' AND order_id = ? ORDER BY opened_at, book, id"
_DUE = f"{ROW} WHERE gateway = ? AND check_at IS NOT NULL AND check_at <= ? ORDER BY check_at, book, id LIMIT ?"
_WAITS = "sealed IS NOT NULL AND state IN ('scheduled', 'not_sent') AND due_at <= ?"
_PLANNED = f"{ROW} WHERE gateway = ? AND {_WAITS} ORDER BY due_at, book, id LIMIT ?"
_CLAIMABLE = (f"{ROW} WHERE gateway = ? AND {_WAITS} AND (lease_until IS NULL OR lease_until <= ?) "
              "ORDER BY due_at, book, id LIMIT ?")
_OF_KEY = f"{ROW} WHERE gateway = ? AND key_digest = ? ORDER BY opened_at, book, id"
_OPEN = f"{ROW} WHERE gateway = ? AND {_UNRESOLVED} ORDER BY opened_at, book, id LIMIT ?"
_FLAGGED = f"{ROW} WHERE gateway = ? AND attention IS NOT NULL ORDER BY opened_at, book, id LIMIT ?"
_TRAIL = (f"{LINE} WHERE gateway = ? AND book IN ({', '.join(repr(book.value) for book in Book)}) AND id = ? "
          "ORDER BY book, fence")

_META = "SELECT value FROM paygate_meta WHERE name = ?"
_NEW_META = "INSERT INTO paygate_meta (name, value) VALUES (?, ?) ON CONFLICT DO NOTHING"
_NEXT_META = "UPDATE paygate_meta SET value = ? WHERE name = ? AND value = ?"

_TAKEN = "a PG's payment id belongs to another order already"


def open_rows(rows: Sequence[Row], note: Note) -> Plan[list[tuple[Row, bool]]]:
    """See `Ledger.open`."""
    made = [chain.begun(row, note) for row in rows]
    # In one order everywhere, so that two calls that open the same rows never wait for each other.
    order = sorted(range(len(made)), key=lambda n: _key(made[n][0]))
    try:
        told = yield Tell(tuple(s for n in order for s in ((_INSERT, values_of(made[n][0])), _append(*made[n]))),
                          () if not order else _key(made[order[0]][0]))
    except Clash:
        told = [0] * 2 * len(made)  # Their lines are there: all of this was written before.
    is_new = {n: told[2 * place] == 1 for place, n in enumerate(order)}
    found: list[tuple[Row, bool]] = []
    for n, (row, _) in enumerate(made):
        found.append((row, True) if is_new[n] else (yield from _known(row, rows[n], note)))
    return found


def _known(row: Row, wanted: Row, note: Note, tries: int = 5) -> Plan[tuple[Row, bool]]:
    """The row that stands in the way of `row`."""
    stored = yield from get(row.gateway, row.book, row.id)
    if stored is not None:
        return stored, stored.hash == row.hash  # By its hash it is this very write, which was thought lost.
    if row.book is Book.CANCEL:
        stored = _one((yield Ask(_OPEN_REFUND, (row.gateway, row.order_id))))
        if stored is not None:
            return stored, False
    elif (yield from by_provider_id(row.gateway, row.provider_id or "")) is not None:
        raise Taken(_TAKEN)
    if not tries:
        raise LedgerError("the rows in the way come and go")
    made = chain.begun(wanted, note)  # What stood in the way is settled by now.
    try:
        told = yield Tell(((_INSERT, values_of(made[0])), _append(*made)), _key(row))
    except Clash:
        told = [0]
    return (made[0], True) if told[0] == 1 else (yield from _known(row, wanted, note, tries - 1))


def change(row: Row, note: Note) -> Plan[Row | None]:
    """See `Ledger.change`."""
    changed, line = chain.moved(row, note)
    try:
        told = yield Tell((_moved(changed, row), _append(changed, line)), _key(row))
    except Clash as clash:
        if "provider" in str(clash):
            raise Taken(_TAKEN) from None
        if "paygate_line" not in str(clash):
            return None  # Another refund of the order is open.
        told = [0]
    if told[0] == 1:
        return changed
    stored = yield from get(row.gateway, row.book, row.id)
    if stored is None or stored.hash == changed.hash:  # By its hash it is this very write, which was thought lost.
        return stored
    if (stored.fence, stored.hash) == (row.fence, row.hash):
        raise LedgerError(f"a row does not go from {stored.state.value} to {row.state.value}"
                          if row.state not in FOLLOWS[stored.state] else "its trail has a line that is not its own")
    return None


def get(gateway: str, book: Book, id: str) -> Plan[Row | None]:
    """See `Ledger.get`."""
    return _one((yield Ask(_GET, (gateway, book.value, id))))


def by_provider_id(gateway: str, provider_id: str) -> Plan[Row | None]:
    """See `Ledger.by_provider_id`."""
    return _one((yield Ask(_OWNER, (gateway, provider_id))))


def refunds(gateway: str, order_id: str) -> Plan[list[Row]]:
    """See `Ledger.refunds`."""
    return _many((yield Ask(_REFUNDS, (gateway, order_id))))


def due(gateway: str, now: float, limit: int) -> Plan[list[Row]]:
    """See `Ledger.due`."""
    return _readable((yield Ask(_DUE, (gateway, now, limit))))


def planned(gateway: str, until: float, limit: int) -> Plan[list[Row]]:
    """See `Ledger.planned`."""
    return _readable((yield Ask(_PLANNED, (gateway, until, limit))))


def claim(gateway: str, now: float, limit: int, until: float, note: Note) -> Plan[list[Row]]:
    """See `Ledger.claim`."""
    free = _readable((yield Ask(_CLAIMABLE, (gateway, now, now, limit))))
    if not free and (why := (yield from closed())) is not None:
        raise Closed(f"{CLOSED}: {why}")  # It writes nothing, so nothing else would tell a worker that it is left.
    moved = [chain.moved(chain.altered(row, lease_until=until), note) for row in free]
    # In one order everywhere, so that two workers that claim the same rows never wait for each other.
    statements = [(row, line, before) for (row, line), before in zip(moved, free, strict=True)]
    statements.sort(key=lambda one: _key(one[0]))
    told = (yield Tell(tuple(s for row, line, before in statements for s in (_moved(row, before), _append(row, line))),
                       (gateway, "claim"))) if statements else []
    taken = {_key(row) for n, (row, _, _) in enumerate(statements) if told[2 * n] == 1}
    return [row for row, _ in moved if _key(row) in taken]


def gateways() -> Plan[list[str]]:
    """The names under which rows stand, one look-up in the key for each."""
    names: list[str] = []
    while found := (yield Ask("SELECT gateway FROM paygate_row WHERE gateway > ? ORDER BY gateway LIMIT 1",
                              (names[-1] if names else "",))):
        names.append(found[0][0])
    return names


def closed() -> Plan[str | None]:
    """Why nothing is written any more; None where it is."""
    return (yield from _meta("closed"))


def _meta(name: str) -> Plan[str | None]:
    found = yield Ask(_META, (name,))
    return found[0][0] if found else None


def of_key(gateway: str, key_digest: str) -> Plan[list[Row]]:
    """See `Ledger.of_key`."""
    return _many((yield Ask(_OF_KEY, (gateway, key_digest))))


def unresolved(gateway: str, limit: int) -> Plan[list[Row]]:
    """See `Ledger.unresolved`."""
    return _many((yield Ask(_OPEN, (gateway, limit))))


def flagged(gateway: str, limit: int) -> Plan[list[Row]]:
    """See `Ledger.flagged`."""
    return _many((yield Ask(_FLAGGED, (gateway, limit))))


def trail(gateway: str, id: str) -> Plan[list[Line]]:
    """See `Ledger.trail`."""
    return in_order([line_of(found) for found in (yield Ask(_TRAIL, (gateway, id)))])


def turns(name: str, now: float, most: int, per_s: float, until: float) -> Plan[tuple[float, int]]:
    """Take up to `most` turns before `until`, `per_s` a second for all who name them so: the first one's instant, and
    how many.

    A turn that nobody uses is lost. What was taken more than a thousand turns ahead was taken by a clock that is wrong.
    """
    for _ in range(100):
        said = yield from _meta(name)
        free = now if said is None else float(said)
        first = max(now, free) if free - now <= 1000 / per_s + 60 else now
        count = max(0, min(most, ceil((until - first) * per_s)))
        if not count:
            return first, 0
        then = repr(first + count / per_s)
        told = yield Tell(((_NEW_META, (name, then)) if said is None else (_NEXT_META, (then, name, said)),), (name,))
        if told[0] == 1:
            return first, count
    raise LedgerError("others take every turn")


VERBS: dict[str, Callable[..., Plan[Any]]] = {
    "open": open_rows, "change": change, "get": get, "by_provider_id": by_provider_id, "refunds": refunds, "due": due,
    "of_key": of_key, "planned": planned, "claim": claim, "unresolved": unresolved, "flagged": flagged, "trail": trail,
    "turns": turns,
}


def _moved(changed: Row, row: Row) -> tuple[str, tuple[Any, ...]]:
    """Make the row `changed`, if it still is `row`."""
    values = list(values_of(changed))
    for place in _KEYS:
        del values[place]
    return _UPDATE[changed.state], (*values, *_key(row), row.fence, row.hash)


def _key(row: Row) -> tuple[str, str, str]:
    return row.gateway, row.book.value, row.id


_PLAIN = attrgetter(*chain.PLAIN)
_KIND, _STATE = chain.PLAIN.index("kind"), chain.PLAIN.index("state")
_KEYS = sorted((COLUMNS.index(column) for column in _KEY), reverse=True)


def values_of(row: Row) -> tuple[Any, ...]:
    """A row as COLUMNS."""
    money = (None, None) if row.money is None else (row.money.amount, row.money.currency)
    plain = list(_PLAIN(row))
    plain[_KIND], plain[_STATE] = row.kind.value, row.state.value
    return (row.book.value, *plain, *money, row.hash)


_READ: dict[str, Callable[[Any], Any]] = {"kind": Kind, "state": State}


def row_of(values: Sequence[Any]) -> Row:
    """A row from COLUMNS.

    Raises: Damaged.
    """
    named = dict(zip(COLUMNS, values, strict=True))
    amount, currency, book = named.pop("amount"), named.pop("currency"), named.pop("book")
    try:
        return Row(money=None if amount is None else Money(amount, currency),
                   **{k: _READ[k](v) if k in _READ else v for k, v in named.items()})
    except (ValueError, TypeError) as error:
        raise Damaged(f"{book} {named['id']} of {named['gateway']} cannot be read, as somebody has changed its row "
                      f"({error}); `paygate ledger check` names every such row", str(error)) from None


def line_of(values: Sequence[Any]) -> Line:
    """A line from the columns of LINE.

    Raises: Damaged.
    """
    gateway, book, id, fence, at, by, state, note, content, salt, hash = values
    try:
        return Line(gateway=gateway, book=Book(book), id=id, fence=fence, at=at, by=by, state=State(state), note=note,
                    content=content, salt=salt, hash=hash)
    except ValueError as error:
        raise Damaged(f"line {fence} of {book} {id} of {gateway} cannot be read, as somebody has changed it "
                      f"({error})") from None


def in_order(lines: Sequence[Line]) -> list[Line]:
    """Lines of one id, by when they were written; those of one row by their fence, whatever a clock did meanwhile."""
    placed: list[tuple[float, Line]] = []
    for book in dict.fromkeys(line.book for line in lines):
        of_book = sorted((line for line in lines if line.book is book), key=lambda line: line.fence)
        placed += zip(accumulate((line.at for line in of_book), max), of_book, strict=True)
    return [line for _, line in sorted(placed, key=lambda item: item[0])]


def values_of_line(line: Line) -> tuple[Any, ...]:
    """A line as the columns of LINE."""
    return (line.gateway, line.book.value, line.id, line.fence, line.at, line.by, line.state.value, line.note,
            line.content, line.salt, line.hash)


def _append(row: Row, line: Line) -> tuple[str, tuple[Any, ...]]:
    return _APPEND, (*values_of_line(line), *_key(row), row.hash)


def _one(found: Sequence[Sequence[Any]]) -> Row | None:
    return row_of(found[0]) if found else None


def _many(found: Sequence[Sequence[Any]]) -> list[Row]:
    return [row_of(values) for values in found]


def _readable(found: Sequence[Sequence[Any]]) -> list[Row]:
    """Those that can be read: one that was damaged does not keep the others from being looked at or charged."""
    rows = []
    for values in found:
        with suppress(Damaged):
            rows.append(row_of(values))
    return rows
