"""The door to sqlite3: a ledger in one file, durable before a byte leaves.

WAL, `synchronous=FULL` and `BEGIN IMMEDIATE` are not options: with less, a written intent could vanish at power loss.
"""

from __future__ import annotations

import os
import sqlite3
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from time import monotonic
from typing import Any

from . import kept, migrate
from .row import LedgerError
from .sqlite_file import File, Session
from .store import SqlLedger


class SqliteLedger(SqlLedger):
    """A ledger in the SQLite file `path` (made with mode 0600), for one machine with a local disk.

    `patience_s` bounds how long a call waits while another process writes. The tables of an older paygate are brought
    up to date unless `upgrades` is False; `applied` says which migrations that took.

    Raises: LedgerError when the file cannot be opened, lies on a network file system, or was written by a newer
    paygate.
    """

    def __init__(self, path: str | os.PathLike[str], *, patience_s: float = 30.0, upgrades: bool = True) -> None:
        super().__init__(patience_s)
        self.path = Path(path)
        if str(self.path) == ":memory:":  # SQLite's word for no file at all; a file of that name would be left behind
            raise LedgerError(":memory: cannot be kept durable; for tests there is MemoryLedger()")
        self._file = File.of(self.path, patience_s, upgrades=upgrades)
        self.applied = self._file.applied
        self._let_go = weakref.finalize(self, self._file.let_go)
        self.writes, self.reads = self._file.writes, self._file.reads

    def close(self) -> None:
        self.shut()
        self._let_go()

    def health(self) -> list[str]:
        """What is wrong with the file itself, or with the rules it keeps."""
        with self.snapshot() as ask:
            found = [said for said, in ask("PRAGMA quick_check", ()) if said != "ok"]
            with closing(sqlite3.connect(":memory:", isolation_level=None)) as new:
                migrate.upgrade(Session(new))
                found += kept.in_sqlite(ask, lambda text, values: new.execute(text, values).fetchall())
        return found

    @property
    def place(self) -> str:
        return self.path.name

    @contextmanager
    def session(self, seconds: float | None = None) -> Iterator[Session]:
        """A transaction on a connection of its own, which no other writer comes between; it may last so long."""
        try:
            db = self._file.connect(monotonic() + self.patience_s)
            try:
                db.execute("BEGIN IMMEDIATE")
                yield Session(db)
                db.execute("COMMIT")
            finally:
                db.close()
        except (OSError, sqlite3.Error) as error:
            raise LedgerError(f"{self.path.name}: {error}") from None

    @contextmanager
    def snapshot(self) -> Iterator[Callable[[str, Sequence[Any]], list[tuple[Any, ...]]]]:
        """Ask as of one instant, however long it takes; on a connection of its own."""
        if not self._let_go.alive:
            raise LedgerError("the ledger is closed")
        try:
            db = self._file.connect(monotonic() + self.patience_s)
            try:
                db.execute("PRAGMA query_only=ON")
                db.execute("BEGIN")
                yield lambda text, values: db.execute(text, values).fetchall()
            finally:
                db.close()
        except (OSError, sqlite3.Error) as error:
            raise LedgerError(f"{self.path.name}: {error}") from None
