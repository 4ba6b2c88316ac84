"""One SQLite file as this process holds it: a connection that writes, one that reads, and what a fork does to both.

However many ledgers are opened on a file, its connections are shared: one writer for each process, with all its
callers in one commit. They are closed before the process forks and opened again afterwards, on both sides: a child
that opened the file while an inherited connection stands would take the parent's locks for its own, hold none, and
lose what it commits as soon as the parent closes the file.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from time import monotonic, sleep
from typing import Any, ClassVar

from . import forks, migrate
from .lane import Busy, Job, Lane
from .row import LedgerError, trouble
from .sql import Ask, Clash, Tell
from .sqlite_place import check_local, shared_locks, warn_of_the_log

_FORK_PATIENCE_S = 30.0
_STARTED = os.getpid()


class File:
    """A database file. `writes` and `reads` are its lanes."""

    _files: ClassVar[dict[tuple[int, int], File]] = {}
    _guard: ClassVar[threading.RLock] = threading.RLock()

    @classmethod
    def of(cls, path: Path, patience_s: float, *, upgrades: bool) -> File:
        """The file at `path`, made (mode 0600) and brought up to date if need be, and if it may.

        Raises: LedgerError.
        """
        with cls._guard:
            try:
                key = _made(path)
                file = cls._files.get(key) or cls(path)
                file.check()
                if file._writer is None:
                    file._writer = file.connect(monotonic() + patience_s, upgrades=upgrades)
                    # Only now: on layered file systems, opening a file to write makes another one of it.
                    file._opened = key = _which(path)
            except (OSError, sqlite3.Error) as error:
                raise LedgerError(f"{path.name} cannot be opened: {error}") from None
            cls._files[key] = file
            file.users += 1
            return file

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.users = 0
        self.writes: Lane[Tell] = Lane(self._write)
        self.reads: Lane[Ask] = Lane(self._read)
        self._writer: sqlite3.Connection | None = None
        self._reader: sqlite3.Connection | None = None
        self._pid = os.getpid()
        self._held: list[Lane[Any]] = []
        self.applied: Sequence[migrate.Migration] = ()
        self._opened: tuple[int, int] | None = None
        """Which file was opened."""
        self._lost = False
        """Whether this process was forked while a connection was in use."""
        forks.tell(self)

    def check(self) -> None:
        """Raises: LedgerError where this process inherited a connection, or its path leads to this file no longer."""
        if self._lost or self._pid != os.getpid():
            raise LedgerError(f"{self.path.name}: this process was forked while the ledger was open, so it cannot use "
                              "it safely; fork before connecting, or start the process anew")
        # What is written to a file that nobody else finds is not known to the next process: it would charge again.
        try:
            if self._opened in (None, _which(self.path)):
                return
        except OSError:
            pass
        raise LedgerError(f"{self.path.name} was moved, deleted or replaced while this process had it open, so nothing "
                          "is written any more; put the file back, or start the process anew")

    def connect(self, until: float, *, upgrades: bool = False) -> sqlite3.Connection:
        """A new connection that is durable; its tables are those of this paygate.

        Raises: LedgerError, sqlite3.Error.
        """
        self.check()  # Opened where it is gone, it would be made.
        before = None if os.getpid() == _STARTED else shared_locks()
        db = sqlite3.connect(self.path, timeout=_left(until), isolation_level=None, check_same_thread=False)
        try:
            mode = db.execute("PRAGMA journal_mode=WAL").fetchone()[0]
            for pragma in ("synchronous=FULL", "foreign_keys=ON", "mmap_size=0", "fullfsync=ON",
                           "checkpoint_fullfsync=ON"):
                db.execute(f"PRAGMA {pragma}")
            if mode != "wal" or db.execute("PRAGMA synchronous").fetchone()[0] != 2:
                raise LedgerError(f"{self.path.name} cannot be kept durable (no write-ahead log here)")
            self._check_tables(db, upgrades=upgrades)
            _check_own_lock(self.path, before)
            warn_of_the_log(self.path)
        except BaseException:
            db.close()
            raise
        return db

    def _check_tables(self, db: sqlite3.Connection, *, upgrades: bool) -> None:
        try:
            if migrate.lacking(Session(db)):
                if not upgrades:
                    raise LedgerError("it holds an older paygate's ledger; run `paygate ledger upgrade`"
                                      if Session(db).has("paygate_row") else "it holds no ledger")
                db.execute("BEGIN IMMEDIATE")
                applied = migrate.upgrade(Session(db))
                db.execute("COMMIT")
                self.applied = applied
        except LedgerError as error:
            raise LedgerError(f"{self.path.name} cannot be opened: {error}") from None

    def let_go(self) -> None:
        """One ledger less uses it; the last one closes its connections."""
        with self._guard:
            self.users -= 1
            if self.users or self._pid != os.getpid():
                return
            for key in [k for k, file in self._files.items() if file is self]:
                del self._files[key]
            for lane in (self.writes, self.reads):
                lane.hold(_FORK_PATIENCE_S)
            self._close()
            for lane in (self.reads, self.writes):
                lane.let_go()

    def _close(self) -> None:
        reader, writer, self._reader, self._writer = self._reader, self._writer, None, None
        for db in (reader, writer):
            if db is not None:
                db.close()

    def before_fork(self) -> None:
        self._guard.acquire()
        for lane in (self.writes, self.reads):
            if lane.hold(_FORK_PATIENCE_S):
                self._held.append(lane)
        if len(self._held) == 2:
            self._close()

    def after_fork(self, *, is_child: bool) -> None:
        held, self._held = self._held, []
        if is_child:
            self._pid = os.getpid()
            self._lost = len(held) < 2
            _INHERITED.extend(filter(None, (self._reader, self._writer)))
            self._reader = self._writer = None
            self.writes.forget()
            self.reads.forget()
        else:
            for lane in held:
                lane.let_go()
        self._guard.release()

    def _write(self, jobs: Sequence[Job[Tell]]) -> None:
        """Carry out all jobs in one transaction, each in a savepoint; all are durable before one of them is told."""
        try:
            self.check()
            if self._writer is None:
                self._writer = self.connect(min(job.until for job in jobs))
            db = self._writer
            live = _begin(db, jobs)
        except (LedgerError, OSError, sqlite3.Error) as error:
            self._fail(jobs, error)
            return
        answers: list[tuple[Job[Tell], list[int] | BaseException]] = []
        try:
            for job in live:
                answers.append((job, _told(db, job.work, shared=len(live) > 1)))
            if live:
                db.execute("COMMIT")
                self.check()
        except (LedgerError, sqlite3.Error) as error:
            _roll_back(db)
            self._fail(live, error)
        except BaseException:
            _roll_back(db)
            raise
        for job, answer in answers:
            if isinstance(answer, Clash):
                job.failed(answer)
            elif isinstance(answer, BaseException):
                self._fail([job], answer)
            elif not job.is_done:
                job.done(answer)

    def _read(self, jobs: Sequence[Job[Ask]]) -> None:
        for job in jobs:
            try:
                self.check()
                if self._reader is None:
                    self._reader = self.connect(job.until)
                    self._reader.execute("PRAGMA query_only=ON")
                self._reader.execute(f"PRAGMA busy_timeout = {int(_left(job.until) * 1000)}")
                job.done(self._reader.execute(job.work.text, job.work.values).fetchall())
            except (LedgerError, OSError, sqlite3.Error, UnicodeEncodeError, OverflowError) as error:
                self._fail([job], error)

    def _fail(self, jobs: Sequence[Job[Any]], error: BaseException) -> None:
        for job in jobs:
            if not job.is_done:
                job.failed(trouble(str(error) if isinstance(error, LedgerError) else f"{self.path.name}: {error}"))


_INHERITED: list[sqlite3.Connection] = []
"""A forked child never touches its parent's connections, not even to close them: so they are kept."""


class Session:
    """A connection in a transaction, for migrations."""

    dialect = "sqlite"

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def script(self, text: str) -> None:
        statement = ""
        for line in text.splitlines(keepends=True):
            statement += line
            if sqlite3.complete_statement(statement):  # It knows where a trigger ends.
                self._db.execute(statement)
                statement = ""

    def run(self, text: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return self._db.execute(text, values).fetchall()

    def has(self, table: str) -> bool:
        return bool(self.run("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (table,)))

    def fill(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        self._db.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})",
                             rows)


def _made(path: Path) -> tuple[int, int]:
    """Make the file unless it is there; which file it is. One that is there is not opened, not even for a moment."""
    check_local(path)
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        pass
    if path.is_dir():
        raise LedgerError(f"{path.name} cannot be opened: it is a directory")
    return _which(path)


def _which(path: Path) -> tuple[int, int]:
    about = os.stat(path)
    return about.st_dev, about.st_ino


def _check_own_lock(path: Path, before: Sequence[int] | None) -> None:
    """In a forked process: see that the kernel knows of our lock on the file.

    It does not where a connection to the same file was inherited, by whoever opened it: SQLite then counts on the
    parent's lock, which is not ours.
    """
    if before is None or os.getpid() in before:
        return  # Not forked, or this process had such a lock before: one more does not show.
    if os.getpid() not in (shared_locks() or [os.getpid()]):
        raise LedgerError(f"{path.name} was open in this process's parent when it forked, so it cannot be used safely; "
                          "close it before forking, or start the process anew")


def _begin(db: sqlite3.Connection, jobs: Sequence[Job[Tell]]) -> list[Job[Tell]]:
    """Begin to write as soon as no other process does; jobs that cannot wait any longer are told so."""
    live = list(jobs)
    while live:
        wait = _left(min(job.until for job in live))
        try:
            db.execute(f"PRAGMA busy_timeout = {int(wait * 1000)}")
            db.execute("BEGIN IMMEDIATE")
            break
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise
            late = [job for job in live if _left(job.until) < 0.002]
            for job in late:
                job.failed(Busy("the file is locked by another process"))
            live = [job for job in live if job not in late]
            if not late:
                sleep(0.002)
    return live


def _told(db: sqlite3.Connection, tell: Tell, *, shared: bool) -> list[int] | BaseException:
    """How many rows each statement touched, or why the job could not be done. An error of the store is raised."""
    try:
        if shared:
            db.execute("SAVEPOINT caller")
        counts = [db.execute(text, values).rowcount for text, values in tell.statements]
        if shared:
            db.execute("RELEASE caller")
    except (sqlite3.IntegrityError, UnicodeEncodeError, OverflowError) as error:
        db.execute("ROLLBACK TO caller" if shared else "ROLLBACK")
        if shared:
            db.execute("RELEASE caller")
        else:
            db.execute("BEGIN")  # Nothing is left of it to commit.
        return Clash(str(error)) if "UNIQUE constraint failed" in str(error) else error
    return counts


def _roll_back(db: sqlite3.Connection) -> None:
    try:
        if db.in_transaction:
            db.execute("ROLLBACK")
    except sqlite3.Error:
        pass  # The transaction is gone with the connection; the first error is the one to tell.


def _left(until: float) -> float:
    return max(0.0, until - monotonic())
