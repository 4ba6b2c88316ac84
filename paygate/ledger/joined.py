"""A ledger inside a transaction of the merchant's own: its rows become durable with the merchant's, or not at all.

What is handed in is taken down to the DB-API connection below it (sqlite3 or psycopg), by what it can do and without
importing the library it comes from: Django's `connection`, SQLAlchemy's Connection and Session, and their asynchronous
twins. Every write is a savepoint: a statement that fails does not break the merchant's transaction.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from concurrent.futures import Executor
from contextlib import closing
from typing import Any, Protocol, TypeVar

from ..errors import SetupError
from . import sql
from .row import LedgerError
from .sql import Ask, Plan, Tell
from .store import SqlLedger

T = TypeVar("T")
Statement = tuple[str, Sequence[Any]]
Answer = list[tuple[Any, ...]] | int
_WHICH = Ask("SELECT value FROM paygate_meta WHERE name = ?", ("ledger",))


class Dialect(Protocol):
    """What one kind of DB-API connection needs."""

    def begin(self, connection: Any) -> str | None:
        """The statement that opens a transaction as the merchant's next write would; None where one is open.

        Raises: SetupError where none is open and none would be.
        """
        ...

    def cursor(self, connection: Any) -> Any:
        """A cursor whose rows are tuples."""
        ...

    def text(self, text: str) -> str:
        """SQL with this kind's sign for a value."""
        ...

    def fault(self, error: Exception) -> Exception:
        """The ledger's word for an error of the database; any other error as it is."""
        ...


def dialect_of(connection: object) -> Dialect:
    """Raises: SetupError for what is no connection that can be joined."""
    packages = {base.__module__.partition(".")[0] for base in type(connection).__mro__}
    if packages & {"sqlite3", "_sqlite3"}:
        from .sqlite_joined import Sqlite

        return Sqlite()
    if "psycopg" in packages:
        from .postgres_joined import Postgres

        return Postgres()
    raise SetupError(f"a {type(connection).__module__}.{type(connection).__qualname__} cannot be joined: hand in a "
                     "connection of sqlite3 or psycopg, or of SQLAlchemy or Django on one of these; nothing was "
                     "recorded")


def below(connection: Any) -> Any:
    """The DB-API connection under what a framework hands out.

    Raises: SetupError where no transaction is open.
    """
    if hasattr(connection, "in_atomic_block"):  # Django's
        if not connection.in_atomic_block:
            raise no_transaction()
        return connection.connection
    if hasattr(connection, "get_bind") and callable(getattr(connection, "connection", None)):  # SQLAlchemy's Session
        connection = connection.connection()
    if hasattr(connection, "exec_driver_sql"):  # SQLAlchemy's Connection
        if not connection.in_transaction():
            raise no_transaction()
        return connection.connection.driver_connection
    return connection


async def abelow(connection: Any) -> Any:
    """The same for what is awaited."""
    if hasattr(connection, "sync_session"):  # SQLAlchemy's AsyncSession
        connection = await connection.connection()
    if hasattr(connection, "sync_connection"):  # SQLAlchemy's AsyncConnection
        if not connection.in_transaction():
            raise no_transaction()
        return (await connection.get_raw_connection()).driver_connection
    return below(connection)


def no_transaction() -> SetupError:
    """The error for a connection on which nothing is open."""
    return SetupError("no transaction is open on this connection, so there is nothing to join; nothing was recorded; "
                      "begin one first")


def statements(plan: Plan[T], dialect: Dialect) -> Generator[Statement, Answer, T]:
    """A plan as single statements, each write and each question in a savepoint."""
    come: Any = None
    fault: Exception | None = None
    while True:
        try:
            step = plan.send(come) if fault is None else plan.throw(fault)
        except StopIteration as stop:
            value: T = stop.value
            return value
        come = fault = None
        yield "SAVEPOINT paygate_step", ()
        try:
            if isinstance(step, Tell):
                come = []
                for text, values in step.statements:
                    come.append((yield dialect.text(text), values))  # noqa: PERF401 (a comprehension cannot yield)
            else:
                come = yield dialect.text(step.text), step.values
        except Exception as error:
            yield "ROLLBACK TO SAVEPOINT paygate_step", ()
            fault = dialect.fault(error)
        yield "RELEASE SAVEPOINT paygate_step", ()


class JoinedLedger:
    """A ledger on the merchant's connection: it carries out verbs, commits nothing and closes nothing."""

    blocking = True

    def __init__(self, connection: Any, ledger: SqlLedger) -> None:
        self._connection = connection
        self._ledger = ledger
        self._dialect = dialect_of(connection)

    def perform(self, verb: str, args: tuple[Any, ...], until: float | None = None) -> Any:
        """Carry out a verb of sql.VERBS.

        Raises: LedgerError, and what the verb raises.
        """
        return self._run(statements(sql.VERBS[verb](*args), self._dialect))

    async def aperform(self, verb: str, args: tuple[Any, ...], until: float | None, threads: Executor) -> Any:
        """The same on a connection that is awaited."""
        return await self._arun(statements(sql.VERBS[verb](*args), self._dialect))

    def begin(self) -> None:
        """Begin something that is recorded whole or not at all.

        Raises: SetupError where no transaction is open, or this connection does not lead to the gateway's ledger;
        LedgerError.
        """
        self._run(self._beginning())

    async def abegin(self) -> None:
        """The same, awaited."""
        await self._arun(self._beginning())

    def end(self, *, is_whole: bool) -> None:
        """End it."""
        self._run(self._ending(is_whole))

    async def aend(self, *, is_whole: bool) -> None:
        """The same, awaited."""
        await self._arun(self._ending(is_whole))

    def _beginning(self) -> Generator[Statement, Answer, None]:
        try:
            opening = self._dialect.begin(self._connection)
            if opening is not None:
                yield opening, ()
            yield "SAVEPOINT paygate_record", ()
        except Exception as error:
            raise self._dialect.fault(error) from None
        try:
            found = yield from statements(_which(), self._dialect)
        except LedgerError:
            found = None
        if found is None or found != self._ledger.run(_which()):
            yield from self._ending(False)
            raise SetupError("this connection does not lead to the gateway's ledger: both must be in one database; "
                             "nothing was recorded")

    def _ending(self, is_whole: bool) -> Generator[Statement, Answer, None]:
        try:
            if not is_whole:
                yield "ROLLBACK TO SAVEPOINT paygate_record", ()
            yield "RELEASE SAVEPOINT paygate_record", ()
        except Exception as error:
            raise self._dialect.fault(error) from None

    def _run(self, steps: Generator[Statement, Answer, T]) -> T:
        come: Any = None
        fault: Exception | None = None
        while True:
            try:
                text, values = steps.send(come) if fault is None else steps.throw(fault)
            except StopIteration as stop:
                value: T = stop.value
                return value
            come = fault = None
            try:
                with closing(self._dialect.cursor(self._connection)) as cursor:
                    cursor.execute(text, values)
                    come = cursor.fetchall() if cursor.description else cursor.rowcount
            except Exception as error:
                fault = error

    async def _arun(self, steps: Generator[Statement, Answer, T]) -> T:
        come: Any = None
        fault: Exception | None = None
        while True:
            try:
                text, values = steps.send(come) if fault is None else steps.throw(fault)
            except StopIteration as stop:
                value: T = stop.value
                return value
            come = fault = None
            try:
                async with self._dialect.cursor(self._connection) as cursor:
                    await cursor.execute(text, values)
                    come = await cursor.fetchall() if cursor.description else cursor.rowcount
            except Exception as error:
                fault = error


def _which() -> Plan[str | None]:
    """The name of a ledger."""
    found = yield _WHICH
    return found[0][0] if found else None
