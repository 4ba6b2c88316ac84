"""The door to sqlite3: a ledger in one file, durable before a byte leaves.

WAL, `synchronous=FULL` and `BEGIN IMMEDIATE` are not options: with less, a written intent could vanish at power loss.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attrs import evolve, fields

from ..money import Money
from .row import Book, Kind, LedgerError, Line, Row, State, Taken

_SCHEMA = """
CREATE TABLE IF NOT EXISTS paygate_row (
    gateway TEXT NOT NULL, book TEXT NOT NULL, id TEXT NOT NULL, kind TEXT NOT NULL, order_id TEXT NOT NULL,
    digest TEXT NOT NULL, state TEXT NOT NULL, opened_at REAL NOT NULL, amount INTEGER, currency TEXT,
    fence INTEGER NOT NULL, lease_until REAL, sent_at REAL, check_at REAL, checks INTEGER NOT NULL, missed_at REAL,
    attention TEXT, provider_id TEXT, due_at REAL, before INTEGER, key_digest TEXT,
    payer_digest TEXT, result TEXT, refusal TEXT,
    PRIMARY KEY (gateway, book, id)
) WITHOUT ROWID;
CREATE UNIQUE INDEX IF NOT EXISTS paygate_row_provider ON paygate_row (gateway, provider_id)
    WHERE book = 'payment' AND provider_id IS NOT NULL;
CREATE UNIQUE INDEX IF NOT EXISTS paygate_row_one_cancel ON paygate_row (gateway, order_id)
    WHERE book = 'cancel' AND state IN ('opened', 'sent', 'unknown');
CREATE INDEX IF NOT EXISTS paygate_row_refunds ON paygate_row (gateway, order_id) WHERE book = 'cancel';
CREATE INDEX IF NOT EXISTS paygate_row_check ON paygate_row (gateway, check_at) WHERE check_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS paygate_row_attention ON paygate_row (gateway, opened_at) WHERE attention IS NOT NULL;
CREATE INDEX IF NOT EXISTS paygate_row_key ON paygate_row (gateway, key_digest) WHERE key_digest IS NOT NULL;
CREATE INDEX IF NOT EXISTS paygate_row_unresolved ON paygate_row (gateway, opened_at)
    WHERE state IN ('opened', 'sent', 'unknown');
CREATE TABLE IF NOT EXISTS paygate_line (
    seq INTEGER PRIMARY KEY, at REAL NOT NULL, gateway TEXT NOT NULL, book TEXT NOT NULL, id TEXT NOT NULL,
    fence INTEGER NOT NULL, state TEXT NOT NULL, note TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS paygate_line_id ON paygate_line (gateway, id, seq);
"""
_VERSION = 1
_PLAIN = tuple(f.name for f in fields(Row) if f.name != "money")
_COLUMNS = ("book", *_PLAIN, "amount", "currency")
_SELECT = f"SELECT {', '.join(_COLUMNS)} FROM paygate_row"
_INSERT = (f"INSERT INTO paygate_row ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))}) "
           "ON CONFLICT DO NOTHING")
_UPDATE = (f"UPDATE OR ABORT paygate_row SET {', '.join(f'{c} = ?' for c in _COLUMNS)} "
           "WHERE gateway = ? AND book = ? AND id = ? AND fence = ?")

_PARENTS: list[sqlite3.Connection] = []


class SqliteLedger:
    """A ledger in the SQLite file `path` (made with mode 0600), for one machine with a local disk.

    Raises: LedgerError when the file cannot be opened, or was written by a newer paygate.
    """

    blocking = True

    def __init__(self, path: str | os.PathLike[str], *, busy_timeout_s: float = 30.0) -> None:
        self.path = Path(path)
        self._busy_timeout_s = busy_timeout_s
        self._lock = threading.RLock()
        self._pid = os.getpid()
        self._connection = self._connect()

    def _connect(self) -> sqlite3.Connection:
        if str(self.path) == ":memory:":  # SQLite's word for no file at all; a file of that name would be left behind
            raise LedgerError(":memory: cannot be kept durable; for tests there is MemoryLedger()")
        try:
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
            connection = sqlite3.connect(self.path, timeout=self._busy_timeout_s, isolation_level=None,
                                         check_same_thread=False)
            try:
                self._prepare(connection)
            except BaseException:
                connection.close()
                raise
        except (OSError, sqlite3.Error) as error:
            raise LedgerError(f"{self.path.name} cannot be opened: {error}") from None
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
        connection.execute("PRAGMA synchronous=FULL")
        if mode != "wal" or connection.execute("PRAGMA synchronous").fetchone()[0] != 2:
            raise LedgerError(f"{self.path.name} cannot be kept durable (no write-ahead log here)")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > _VERSION:
            raise LedgerError(f"{self.path.name} was written by a newer paygate")
        if version < _VERSION:
            connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = {_VERSION}; COMMIT;")

    @contextmanager
    def _use(self, *, write: bool) -> Iterator[sqlite3.Connection]:
        with self._lock:
            if self._pid != os.getpid():
                # A forked child never touches its parent's connection, not even to close it: so it is kept.
                _PARENTS.append(self._connection)
                self._pid, self._connection = os.getpid(), self._connect()
            db = self._connection
            try:
                if not write:
                    yield db
                    return
                db.execute("BEGIN IMMEDIATE")
                yield db
                db.execute("COMMIT")
            except BaseException as error:
                with _quietly():
                    if db.in_transaction:
                        db.execute("ROLLBACK")
                if isinstance(error, (sqlite3.Error, UnicodeEncodeError, OverflowError)):
                    raise LedgerError(f"{self.path.name}: {error}") from None
                raise

    def open(self, rows: Sequence[Row], note: str) -> list[tuple[Row, bool]]:
        with self._use(write=True) as db:
            return [self._open(db, row, note) for row in rows]

    def _open(self, db: sqlite3.Connection, row: Row, note: str) -> tuple[Row, bool]:
        if db.execute(_INSERT, _values(row)).rowcount == 1:
            _write_line(db, row, note)
            return row, True
        stored = _one(db, " WHERE gateway = ? AND book = ? AND id = ?", row.gateway, row.book, row.id)
        if stored is None:
            stored = _one(db, " WHERE gateway = ? AND book = 'cancel' AND order_id = ?"
                              " AND state IN ('opened', 'sent', 'unknown')", row.gateway, row.order_id)
        if stored is None:
            raise Taken("a PG's payment id belongs to another order already")
        return stored, False

    def get(self, gateway: str, book: Book, id: str) -> Row | None:
        with self._use(write=False) as db:
            return _one(db, " WHERE gateway = ? AND book = ? AND id = ?", gateway, book, id)

    def change(self, row: Row, note: str) -> Row | None:
        changed = evolve(row, fence=row.fence + 1)
        try:
            with self._use(write=True) as db:
                done = db.execute(_UPDATE, (*_values(changed), row.gateway, row.book, row.id, row.fence))
                if done.rowcount != 1:
                    return None
                _write_line(db, changed, note)
        except LedgerError as error:
            if "paygate_row.gateway, paygate_row.provider_id" in str(error):
                raise Taken("a PG's payment id belongs to another order already") from None
            if "paygate_row.gateway, paygate_row.order_id" in str(error):
                return None
            raise
        return changed

    def by_provider_id(self, gateway: str, provider_id: str) -> Row | None:
        with self._use(write=False) as db:
            return _one(db, " WHERE gateway = ? AND book = 'payment' AND provider_id = ?", gateway, provider_id)

    def refunds(self, gateway: str, order_id: str) -> list[Row]:
        with self._use(write=False) as db:
            return _many(db, " WHERE gateway = ? AND book = 'cancel' AND order_id = ? ORDER BY opened_at",
                         gateway, order_id)

    def due(self, gateway: str, now: float, limit: int) -> list[Row]:
        with self._use(write=False) as db:
            return _many(db, " WHERE gateway = ? AND check_at IS NOT NULL AND check_at <= ? ORDER BY check_at LIMIT ?",
                         gateway, now, limit)

    def of_key(self, gateway: str, key_digest: str) -> list[Row]:
        with self._use(write=False) as db:
            return _many(db, " WHERE gateway = ? AND key_digest = ? ORDER BY opened_at", gateway, key_digest)

    def unresolved(self, gateway: str, limit: int) -> list[Row]:
        with self._use(write=False) as db:
            return _many(db, " WHERE gateway = ? AND state IN ('opened', 'sent', 'unknown') ORDER BY opened_at LIMIT ?",
                         gateway, limit)

    def flagged(self, gateway: str, limit: int) -> list[Row]:
        with self._use(write=False) as db:
            return _many(db, " WHERE gateway = ? AND attention IS NOT NULL ORDER BY opened_at LIMIT ?", gateway, limit)

    def trail(self, gateway: str, id: str) -> list[Line]:
        with self._use(write=False) as db:
            found = db.execute("SELECT at, gateway, book, id, fence, state, note FROM paygate_line"
                               " WHERE gateway = ? AND id = ? ORDER BY seq", (gateway, id)).fetchall()
        return [Line(at=r[0], gateway=r[1], book=Book(r[2]), id=r[3], fence=r[4], state=State(r[5]), note=r[6])
                for r in found]

    def close(self) -> None:
        with self._lock:
            if self._pid == os.getpid():
                self._connection.close()


@contextmanager
def _quietly() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error:
        pass  # The transaction is gone with the connection; the first error is the one to tell.


def _values(row: Row) -> tuple[Any, ...]:
    money = (None, None) if row.money is None else (row.money.amount, row.money.currency)
    return (row.book, *(getattr(row, name) for name in _PLAIN), *money)


_READ: dict[str, Callable[[Any], Any]] = {"kind": Kind, "state": State}


def _row(values: tuple[Any, ...]) -> Row:
    named = dict(zip(_COLUMNS, values, strict=True))
    amount, currency = named.pop("amount"), named.pop("currency")
    named.pop("book")
    return Row(money=None if amount is None else Money(amount, currency),
               **{k: _READ[k](v) if k in _READ else v for k, v in named.items()})


def _one(db: sqlite3.Connection, where: str, *values: object) -> Row | None:
    found = db.execute(_SELECT + where, values).fetchone()
    return None if found is None else _row(found)


def _many(db: sqlite3.Connection, where: str, *values: object) -> list[Row]:
    return [_row(r) for r in db.execute(_SELECT + where, values).fetchall()]


def _write_line(db: sqlite3.Connection, row: Row, note: str) -> None:
    db.execute("INSERT INTO paygate_line (at, gateway, book, id, fence, state, note) VALUES (?, ?, ?, ?, ?, ?, ?)",
               (time.time(), row.gateway, row.book, row.id, row.fence, row.state, note))
