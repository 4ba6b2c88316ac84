"""The door to psycopg: a ledger on PostgreSQL, for as many machines as there are.

A write is one transaction whose statements travel together; many callers that wait at the same time share one.
A connection that breaks is replaced and the write told again: a write knows itself by its hash, so that one whose
commit was thought lost is found to be done.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import lru_cache
from time import monotonic
from typing import Any

import psycopg

from ..secret import Secret
from . import forks, kept, migrate
from .lane import Busy, Job, Lane
from .postgres_lines import Line, Lines
from .row import LedgerError, trouble
from .sql import Ask, Clash, Tell
from .store import SqlLedger

_WIDTH = 4
"""How many transactions of one process are under way at most, and how many questions: more of them share."""
_BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"
# Merchants switch synchronous_commit off for their whole server; a written intent must not vanish by that.
_SET = ("SELECT set_config('synchronous_commit', 'on', true), set_config('lock_timeout', %s, true), "
        "set_config('statement_timeout', %s, true), extract(epoch FROM clock_timestamp())::float8")
_LOST = ("08", "57P01", "57P02", "57P03", "57P05", "25P03", "25006")
"""SQLSTATEs of a connection that is no good any more: gone, told to go, or led to a server that only reads."""
_IN_THE_WAY = ("40001", "40P01")
"""SQLSTATEs of a transaction that was given up for the sake of another: nothing of it was written."""
_FAULTS = (LedgerError, psycopg.Error, UnicodeEncodeError, OverflowError, ValueError)
_CREATED = 4_737_201_553
"""The number of an advisory lock: of several processes that find no tables, one makes them."""


class DatabaseClock:
    """The database's wall clock, so that leases mean the same on every machine; between calls it runs by our own.

    It is read with every write, and never waited for.
    """

    def __init__(self) -> None:
        self._theirs, self._ours, self._blur = 0.0, 0.0, float("inf")

    def seen(self, theirs: float, before: float, after: float) -> None:
        """The database said `theirs` between two readings of the monotonic clock."""
        blur = after - before
        if blur <= 0.02 or blur <= self._blur + (after - self._ours) * 1e-3:
            self._theirs, self._ours, self._blur = theirs, (before + after) / 2, blur

    def now(self) -> datetime:
        return datetime.fromtimestamp(self._theirs + (monotonic() - self._ours), UTC)

    def monotonic(self) -> float:
        return monotonic()


class PostgresLedger(SqlLedger):
    """A ledger in the PostgreSQL database at `url` ("postgresql://user:password@host/database").

    Its tables are made if there are none; those of an older paygate are left alone until `paygate ledger upgrade`,
    which says `upgrades`. `patience_s` bounds how long a call waits for the server. `clock` is the database's.

    Raises: LedgerError when the database cannot be reached, or its tables are not those of this paygate.
    """

    threads = 2 * _WIDTH

    def __init__(self, url: str, *, patience_s: float = 30.0, upgrades: bool | None = None) -> None:
        super().__init__(patience_s)
        self._lines = Lines(Secret(url))
        self.writes = Lane(self._write, _WIDTH)
        self.reads = Lane(self._read, _WIDTH)
        self._clock = DatabaseClock()
        self._let_go = weakref.finalize(self, self._lines.close)
        self._forked = _Lanes(self.writes, self.reads)
        self.applied = self._prepare(upgrades=upgrades)

    @property
    def clock(self) -> DatabaseClock:
        """The database's clock."""
        return self._clock

    def _prepare(self, *, upgrades: bool | None) -> list[migrate.Migration]:
        """Make the tables, or see that they fit.

        Raises: LedgerError.
        """
        with self.session() as session:
            lacking = migrate.lacking(session)
            if lacking and upgrades is False and not session.has("paygate_row"):
                raise LedgerError(f"{self._lines.name} holds no ledger")
            if lacking and not upgrades and session.has("paygate_row"):
                raise LedgerError(f"{self._lines.name} holds an older paygate's ledger; run `paygate ledger upgrade`")
        if not lacking:
            return []
        with self.session() as session:
            session.run("SELECT pg_advisory_xact_lock(?)", (_CREATED,))
            return migrate.upgrade(session)

    def health(self) -> list[str]:
        """What is wrong with the rules that the database keeps."""
        with self.snapshot() as ask:
            return list(kept.in_postgres(ask))

    def close(self) -> None:
        self.shut()
        self._let_go()

    @property
    def place(self) -> str:
        return self._lines.name

    @contextmanager
    def session(self, seconds: float | None = None) -> Iterator[Session]:
        """A transaction on a connection of its own; it may last so long."""
        with self._line(monotonic() + (seconds or self.patience_s)) as line:
            line.execute(_BEGIN)
            self._set(line)
            yield Session(line)
            line.execute("COMMIT")

    @contextmanager
    def snapshot(self) -> Iterator[Callable[[str, Sequence[Any]], list[tuple[Any, ...]]]]:
        """Ask as of one instant, however long it takes; on a connection of its own."""
        with self._line(float("inf")) as line:
            line.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            yield lambda text, values: line.execute(_theirs(text), values).fetchall()
            line.execute("COMMIT")

    @contextmanager
    def _line(self, until: float) -> Iterator[Line]:
        line = self._lines.take(min(until, monotonic() + self.patience_s))
        line.until = until
        try:
            yield line
        except (psycopg.Error, UnicodeEncodeError) as error:
            raise LedgerError(self._told(error)) from None
        finally:
            self._end(line)

    def _end(self, line: Line) -> None:
        if not line.closed and line.pgconn.transaction_status != 0:
            try:
                line.execute("ROLLBACK")
            except psycopg.Error:
                line.close()
        self._lines.give_back(line)

    def _set(self, line: Line) -> None:
        before = monotonic()
        (*_, theirs), = line.execute(_SET, _limits(line)).fetchall()
        self._clock.seen(theirs, before, monotonic())

    def _write(self, jobs: Sequence[Job[Tell]]) -> None:
        """All jobs in one transaction; where that fails for the sake of one of them, each in its own."""
        jobs = sorted(_alive(jobs), key=lambda job: job.work.key)
        error: Exception | None = None
        for again in (True, False):  # After a loss, on a connection that is certainly new.
            try:
                if jobs:
                    self._commit(jobs)
                return
            except _FAULTS as fault:
                error = fault
                if not again or not self._may_repeat(fault):
                    break
        if len(jobs) > 1 and not isinstance(error, LedgerError):
            for job in jobs:
                self._write([job])
            return
        index = error.diag.constraint_name if isinstance(error, psycopg.errors.UniqueViolation) else None
        for job in jobs:
            job.failed(trouble(self._told(error)) if index is None else Clash(index))

    def _commit(self, jobs: Sequence[Job[Tell]]) -> None:
        line = self._lines.take(min(job.until for job in jobs))
        try:
            before = monotonic()
            with line.pipeline():
                line.execute(_BEGIN)
                settings = line.execute(_SET, _limits(line))
                told = [[line.execute(_theirs(text), values) for text, values in job.work.statements] for job in jobs]
                end = line.execute("COMMIT")
            if end.statusmessage != "COMMIT":
                raise psycopg.InternalError("the server did not commit")
            (*_, theirs), = settings.fetchall()
            self._clock.seen(theirs, before, monotonic())
        finally:
            self._end(line)
        for job, cursors in zip(jobs, told, strict=True):
            job.done([cursor.rowcount for cursor in cursors])

    def _read(self, jobs: Sequence[Job[Ask]]) -> None:
        for job in _alive(jobs):
            for again in (True, False):
                try:
                    line = self._lines.take(job.until)
                    try:
                        job.done(line.execute(_theirs(job.work.text), job.work.values).fetchall())
                    finally:
                        self._end(line)
                except _FAULTS as fault:
                    if again and self._may_repeat(fault):
                        continue
                    job.failed(LedgerError(self._told(fault)))
                break

    def _may_repeat(self, fault: Exception) -> bool:
        """Whether to tell it again: a write told twice is one write, and what broke is not used again."""
        state = getattr(fault, "sqlstate", None) or ""
        if state in _IN_THE_WAY:
            return True
        if state.startswith(_LOST) or (not state and isinstance(fault, (psycopg.OperationalError,
                                                                       psycopg.InterfaceError))):
            self._lines.drop()
            return True
        return False

    def _told(self, error: Exception | None) -> str:
        if isinstance(error, LedgerError):
            return str(error)
        said = getattr(getattr(error, "diag", None), "message_primary", None) or " ".join(str(error).split())
        return f"{self._lines.name}: {said}"


class _Lanes:
    """The lanes of a ledger at a fork."""

    def __init__(self, *lanes: Lane[Any]) -> None:
        self._lanes = lanes
        forks.tell(self)

    def before_fork(self) -> None:
        pass

    def after_fork(self, *, is_child: bool) -> None:
        if is_child:
            for lane in self._lanes:
                lane.forget()


class Session:
    """A connection in a transaction, for migrations."""

    dialect = "postgres"

    def __init__(self, line: Line) -> None:
        self._line = line

    def script(self, text: str) -> None:
        self._line.execute(text.encode())

    def run(self, text: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        done = self._line.execute(_theirs(text), values)
        return done.fetchall() if done.description else []

    def has(self, table: str) -> bool:
        # Not to_regclass: it may answer from what this connection remembers.
        return bool(self.run("SELECT 1 FROM pg_catalog.pg_class WHERE relname = ? AND relkind IN ('r', 'p') "
                             "AND pg_catalog.pg_table_is_visible(oid)", (table,)))

    def fill(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        with self._line.cursor() as cursor, cursor.copy(
                f"COPY {table} ({', '.join(columns)}) FROM STDIN".encode()) as copy:
            for row in rows:
                copy.write_row(row)


@lru_cache(500)
def _theirs(text: str) -> bytes:
    return text.replace("?", "%s").encode()


def _limits(line: Line) -> tuple[str, str]:
    """How long a lock, and a whole statement, may be waited for, in milliseconds; the lock gives up first."""
    wait = max(2, int((line.until - monotonic()) * 1000))
    return str(max(1, wait * 9 // 10)), str(wait)


def _alive(jobs: Sequence[Job[Any]]) -> list[Job[Any]]:
    """Those that somebody still has the time to wait for; the others are told so."""
    now = monotonic()
    for job in jobs:
        if job.until <= now:
            job.failed(Busy("the database was busy for too long"))
    return [job for job in jobs if not job.is_done]
