"""Reading a ledger from end to end: is it whole, does it add up, what does it hold. Nothing here changes anything."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby, pairwise
from typing import Any

from attrs import asdict, define, field, frozen

from . import chain, sql
from .row import Book, Damaged, Line, Row, State
from .rules import FOLLOWS, UNRESOLVED

Asks = Callable[[str, Sequence[Any]], list[tuple[Any, ...]]]
"""Asks a store as of one instant."""
Key = tuple[str, str, str]

SEALED_AFTER_S = 600.0
"""A seal covers what was written up to so long before it: what is under way while it is made is left to the next."""
_PAGE = 500
_BEGINNINGS = frozenset({State.SCHEDULED, State.OPENED, State.SENT, State.ANSWERED})
_SEAL = "paygate1"


@frozen
class Finding:
    """Something that is not as it should be."""

    gateway: str
    book: str
    id: str
    what: str

    def __str__(self) -> str:
        return f"{self.book} {self.id} of {self.gateway}: {self.what}" if self.id else self.what


@define
class Report:
    """What a check found; `seal` is one hash over every chain, as far as it is old enough to be sealed."""

    rows: int = 0
    lines: int = 0
    seal: str = ""
    sealed_rows: int = 0
    sealed_lines: int = 0
    """How much the seal covers: 0 where all is too young, and then the seal shows nothing."""
    sealed_until: int = 0
    """Up to when, in seconds since 1970; what is younger stands in a later seal."""
    is_as_sealed: bool | None = None
    """Whether all that an earlier seal covers still stands; None where none was handed in."""
    findings: list[Finding] = field(factory=list)

    @property
    def is_whole(self) -> bool:
        return not self.findings


class BadSeal(ValueError):
    """A text that is no seal."""


@frozen
class Seal:
    """One hash over the heads of all chains as they stood at `until`, and how many there were.

    Kept outside of the ledger, it shows that a row was taken away or rewritten together with all its lines.
    """

    until: int
    rows: int
    hash: str

    def __str__(self) -> str:
        return f"{_SEAL}:{self.until}:{self.rows}:{self.hash}"

    @classmethod
    def read(cls, text: str) -> Seal:
        """Raises: BadSeal."""
        mark, _, rest = text.strip().partition(":")
        parts = rest.split(":")
        if mark != _SEAL or len(parts) != 3 or not (parts[0].isdigit() and parts[1].isdigit()) or len(parts[2]) != 64:
            raise BadSeal("this is no seal of a ledger; `paygate ledger check` prints one")
        return cls(int(parts[0]), int(parts[1]), parts[2])


class _Sealing:
    """A seal in the making: takes each chain in its order."""

    def __init__(self, until: int) -> None:
        self.until, self.rows, self.lines, self._hash = until, 0, 0, hashlib.sha256()

    def take(self, key: Key, lines: Sequence[Line]) -> None:
        head = None
        for line in lines:
            if line.at > self.until:
                break
            head = line
            self.lines += 1
        if head is not None:
            self.rows += 1
            self._hash.update(json.dumps([*key, head.fence, head.hash]).encode("ascii"))

    def done(self) -> Seal:
        return Seal(self.until, self.rows, self._hash.hexdigest())


def check(ask: Asks, now: float, *, sealed: Seal | None = None) -> Report:
    """Verify every chain, every row against its last line, the order of states and the sums of refunds.

    `sealed` is an earlier seal: what stood then must still stand.
    """
    report, ours = Report(), _Sealing(int(now - SEALED_AFTER_S))
    theirs = None if sealed is None else _Sealing(sealed.until)
    books = _Books()
    unread: dict[Key, str] = {}
    for key, row, lines in stories(ask, unread):
        report.rows += row is not None or key in unread
        report.lines += len(lines)
        found = [unread.pop(key)] if key in unread else [*_of_row(row, lines), *(books.take(row) if row else ())]
        report.findings += [Finding(*key, what) for what in found]
        for sealing in filter(None, (ours, theirs)):
            sealing.take(key, lines)
    report.rows += len(unread)  # Those whose trail is gone as well.
    report.findings += [Finding(*key, why) for key, why in unread.items()]
    report.seal = str(ours.done())
    report.sealed_rows, report.sealed_lines, report.sealed_until = ours.rows, ours.lines, ours.until
    if sealed is not None and theirs is not None:
        now_is = theirs.done()
        report.is_as_sealed = now_is == sealed
        if not report.is_as_sealed:
            report.findings.append(Finding("", "", "", _broken(sealed, now_is)))
    return report


def _broken(sealed: Seal, now_is: Seal) -> str:
    if now_is.rows < sealed.rows:
        return f"the seal is broken: {sealed.rows} rows were sealed, and {now_is.rows} are left"
    if now_is.rows > sealed.rows:
        return (f"the seal does not fit: {sealed.rows} rows were sealed, and {now_is.rows} say that they are as old; "
                "either rows were put in, or a clock went back by more than ten minutes after it was made: then a seal "
                "made from now on holds again")
    return ("the seal is broken: what was sealed has been written anew, unless a clock went back by more than ten "
            "minutes after it was made")


def stories(ask: Asks, unread: dict[Key, str] | None = None) -> Iterator[tuple[Key, Row | None, list[Line]]]:
    """Every row with the lines of its trail, by gateway, book and id; None for lines whose row is not there.

    A row that cannot be read is left out, and stands in `unread` with the reason.

    Raises: Damaged for a line that cannot be read, and without `unread` for a row.
    """
    rows = _rows(ask, unread)
    lines = map(sql.line_of, pages(ask, sql.LINE, "paygate_line", 4))
    trails = ((key, list(group)) for key, group in groupby(lines, lambda li: (li.gateway, li.book.value, li.id)))
    trail = next(trails, None)
    for row in rows:
        key = (row.gateway, row.book.value, row.id)
        while trail is not None and trail[0] < key:
            yield trail[0], None, trail[1]
            trail = next(trails, None)
        if trail is not None and trail[0] == key:
            yield key, row, trail[1]
            trail = next(trails, None)
        else:
            yield key, row, []
    while trail is not None:
        yield trail[0], None, trail[1]
        trail = next(trails, None)


def _rows(ask: Asks, unread: dict[Key, str] | None) -> Iterator[Row]:
    for values in pages(ask, sql.ROW, "paygate_row", 3):
        try:
            yield sql.row_of(values)
        except Damaged as error:
            if unread is None:
                raise
            named = dict(zip(sql.COLUMNS, values, strict=True))
            unread[named["gateway"], named["book"], named["id"]] = f"its row cannot be read: {error.why}"


def pages(ask: Asks, select: str, table: str, width: int) -> Iterator[tuple[Any, ...]]:
    """Every row of a table in the order of its primary key, which is `width` columns, a page at a time."""
    key = ("gateway", "book", "id", "fence")[:width]
    named = select.partition(" FROM ")[0].removeprefix("SELECT ").split(", ")
    places = [named.index(name) for name in key]
    last: tuple[Any, ...] = ("", "", "", -1)[:width]
    while True:
        found = ask(f"{select} WHERE ({', '.join(key)}) > ({', '.join('?' * width)}) ORDER BY {', '.join(key)} LIMIT ?",
                    (*last, _PAGE))
        yield from found
        if len(found) < _PAGE:
            return
        last = tuple(found[-1][place] for place in places)


def _of_row(row: Row | None, lines: Sequence[Line]) -> Iterator[str]:
    """What is wrong with one row and its trail."""
    if row is None:
        yield "its row is gone, its trail is not"
        return
    if not lines:
        yield "it has no trail"
        return
    if [line.fence for line in lines] != list(range(row.fence + 1)):
        yield f"its trail is not {row.fence + 1} lines without a gap"
        return
    previous = ""
    for line in lines:
        if chain.link(previous, line) != line.hash:
            yield f"line {line.fence} of its trail was changed, or one before it"
            return
        previous = line.hash
    last = lines[-1]
    if (last.hash, last.state) != (row.hash, row.state) or last.content != chain.content(row):
        yield "the row is not what the last line of its trail says"
    if lines[0].state not in _BEGINNINGS:
        yield f"it began as {lines[0].state.value}"
    for before, after in pairwise(lines):
        if after.state not in FOLLOWS[before.state]:
            yield f"it went from {before.state.value} to {after.state.value} (line {after.fence})"


class _Books:
    """The sums of refunds. Refunds come before payments, as books are in the order of their names."""

    def __init__(self) -> None:
        self._given: dict[tuple[str, str], dict[str, int]] = {}
        self._open: dict[tuple[str, str], int] = {}

    def take(self, row: Row) -> Iterator[str]:
        """What is wrong with a row beside others."""
        order = (row.gateway, row.order_id)
        if row.book is Book.CANCEL:
            if row.state in UNRESOLVED:
                self._open[order] = self._open.get(order, 0) + 1
                if self._open[order] > 1:
                    yield "another refund of its order is open as well"
            if row.state is State.ANSWERED and row.money is not None:
                given = self._given.setdefault(order, {})
                given[row.money.currency] = given.get(row.money.currency, 0) + row.money.amount
        elif row.book is Book.PAYMENT and row.money is not None:
            for currency, amount in self._given.pop(order, {}).items():
                if currency != row.money.currency or amount > row.money.amount:
                    yield f"{amount} {currency} of it were given back, and it was {row.money}"


_LEFT_OUT = ("hash", "digest", "key_digest", "payer_digest", "sealed")
_TEXTS = ("result", "refusal")


def export(ask: Asks) -> Iterator[dict[str, Any]]:
    """Every row with its trail, as plain data: no secret, sealed or hashed personal data; enough to verify the chains.

    What a PG said of a payer, in its own words, stands in results and notes as it was written.
    """
    for key, row, lines in stories(ask):
        said: dict[str, Any] = dict(zip(("gateway", "book", "id"), key, strict=True))
        if row is not None:
            plain = asdict(row, recurse=False, filter=lambda a, _: a.name not in (*_LEFT_OUT, *_TEXTS, "money"))
            said |= plain | {"amount": None if row.money is None else row.money.amount,
                             "currency": None if row.money is None else row.money.currency}
            said |= {name: _read(getattr(row, name)) for name in _TEXTS}
        yield said | {"trail": [asdict(line, filter=lambda a, _: a.name not in ("gateway", "book", "id"))
                                for line in lines]}


def _read(text: str | None) -> Any:
    try:
        return None if text is None else json.loads(text)
    except ValueError:
        return text
