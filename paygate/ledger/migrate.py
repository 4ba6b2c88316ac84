"""The ledger's tables, brought up to date: numbered files, each carried out once, in order, never backwards.

A file of migrations/ is SQL for both stores, in one transaction with all the others that are due. After a line
`-- only sqlite` or `-- only postgres` the rest, up to the next such line or `-- both`, is for that store alone.
For PostgreSQL, `TEXT` is read as `TEXT COLLATE "C"` (bytes in their order, whatever a system's locale becomes), and
`WITHOUT ROWID` is left out. A file that was released is never edited: its hash stands in every ledger.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from importlib import resources
from time import time
from typing import Any, Protocol
from uuid import uuid4

from attrs import evolve, frozen

from . import chain, sql
from .row import Book, LedgerError, Line, State


class Session(Protocol):
    """One transaction on a store, in which nobody else changes tables. `?` stands for a value."""

    dialect: str
    """sqlite or postgres."""

    def script(self, text: str) -> None:
        """Carry out SQL statements that take no values."""
        ...

    def run(self, text: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Carry out one statement; its rows, if it has any."""
        ...

    def has(self, table: str) -> bool:
        """Whether there is such a table."""
        ...

    def fill(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Insert many rows."""
        ...


@frozen
class Migration:
    """One file."""

    number: int
    name: str
    text: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()

    def for_(self, dialect: str) -> str:
        """The SQL of it that a store is to carry out."""
        kept, wanted = [], True
        for line in self.text.splitlines():
            if found := re.fullmatch(r"-- (?:only (sqlite|postgres)|both)", line):
                wanted = found[1] in (None, dialect)
            elif wanted:
                kept.append(line)
        text = "\n".join(kept)
        if dialect == "postgres":
            text = re.sub(r"\bTEXT\b", 'TEXT COLLATE "C"', text).replace(") WITHOUT ROWID", ")")
        return text


_ITSELF = Migration(0, "migrations", "CREATE TABLE paygate_migration (number BIGINT PRIMARY KEY, name TEXT NOT NULL, "
                                     "checksum TEXT NOT NULL, applied_at DOUBLE PRECISION NOT NULL);")


@cache
def migrations() -> tuple[Migration, ...]:
    """Every migration there is, in order."""
    found = []
    for file in resources.files("paygate.ledger").joinpath("migrations").iterdir():
        if named := re.fullmatch(r"(\d{4})_(\w+)\.sql", file.name):
            found.append(Migration(int(named[1]), named[2], file.read_text("utf-8").replace("\r\n", "\n")))
    found.sort(key=lambda m: m.number)
    assert [m.number for m in found] == list(range(1, len(found) + 1))
    return tuple(found)


def lacking(session: Session) -> list[Migration]:
    """The migrations that a ledger has not seen yet.

    Raises: LedgerError for a ledger of a newer paygate, or one whose migrations were other files than ours.
    """
    done = _done(session)
    known = {m.number: m for m in migrations()}
    for number, checksum in done.items():
        if number not in known:
            raise LedgerError("it was written by a newer paygate")
        if checksum != known[number].checksum:
            raise LedgerError(f"its migration {number} was another than this paygate's")
    return [m for m in migrations() if m.number not in done]


def _done(session: Session) -> dict[int, str]:
    if session.has("paygate_migration"):
        return dict(session.run("SELECT number, checksum FROM paygate_migration"))
    if session.has("paygate_row"):  # Made before migrations were numbered: it is what the first one makes.
        return {1: migrations()[0].checksum}
    return {}


def upgrade(session: Session) -> list[Migration]:
    """Carry out what is lacking; returns it.

    Raises: LedgerError.
    """
    wanted, done = lacking(session), _done(session)
    if not wanted:
        return []
    if not session.has("paygate_migration"):
        session.script(_ITSELF.for_(session.dialect))
        for migration in migrations():
            if migration.number in done:
                _note(session, migration)
    for migration in wanted:
        session.script(migration.for_(session.dialect))
        _note(session, migration)
    for migration in wanted:  # What is done in Python knows the newest tables only.
        if migration.number in _AFTER:
            _AFTER[migration.number](session)
    return wanted


def _note(session: Session, migration: Migration) -> None:
    session.run("INSERT INTO paygate_migration (number, name, checksum, applied_at) VALUES (?, ?, ?, ?)",
                (migration.number, migration.name, migration.checksum, time()))


def _chain_what_is_there(session: Session) -> None:
    """After 0002: hash every line that stands in the trail already, and give the ledger its name."""
    session.run("INSERT INTO paygate_meta (name, value) VALUES ('ledger', ?)", (uuid4().hex,))
    rows = {(r.gateway, r.book, r.id): r for r in map(sql.row_of, session.run(sql.ROW))}
    heads: dict[tuple[str, Book, str], str] = {}
    before = session.run("SELECT gateway, book, id, fence, at, state, note FROM paygate_line_before ORDER BY seq")
    for gateway, book, id, fence, at, state, note in before:
        key = (gateway, Book(book), id)
        row = rows[key]
        line = Line(gateway=gateway, book=Book(book), id=id, fence=fence, at=at, state=State(state), note=note, by="",
                    content=chain.content(row) if fence == row.fence else "", salt="", hash="")
        line = evolve(line, hash=chain.link(heads.get(key, ""), line))
        heads[key] = line.hash
        session.run(sql.INSERT_LINE, sql.values_of_line(line))
    for (gateway, book, id), head in heads.items():
        session.run("UPDATE paygate_row SET hash = ? WHERE gateway = ? AND book = ? AND id = ?",
                    (head, gateway, book.value, id))
    session.run("DROP TABLE paygate_line_before")


_AFTER: dict[int, Callable[[Session], None]] = {2: _chain_what_is_there}
