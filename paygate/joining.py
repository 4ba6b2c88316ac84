"""Joining a merchant's open transaction: an intent is recorded with the merchant's own rows, and sent afterwards.

Nothing is sent inside: a rollback would undo what is known of a charge that was made. So while a transaction is joined,
every other call in the same thread or task is refused, at every gateway.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from inspect import iscoroutinefunction
from types import TracebackType
from typing import Any, NoReturn, Self, TypeVar

from .clock import Deadline
from .commands import Cancel, CancelWhole, Charge, Pay, Register, Schedule
from .drive import AsyncDriver, Driver, Signs
from .errors import BadCommand, NotSent, SetupError
from .ledger.joined import JoinedLedger, abelow, below
from .ledger.row import LedgerError, Row
from .ledger.store import SqlLedger
from .procedures import cancel as _cancel
from .procedures import charge as _charge
from .procedures import checkout as _checkout
from .procedures import dated as _dated
from .procedures import due as _due
from .procedures.account import Account
from .procedures.record import record
from .procedures.steps import Steps
from .wire import Request, Token

T = TypeVar("T")
Recordable = Charge | Cancel | CancelWhole | Pay | Register | Schedule
_STEPS: dict[type, Callable[[Account, Any], Steps[Any]]] = {
    Charge: _charge.charge, Cancel: _cancel.cancel, CancelWhole: _cancel.cancel, Pay: _checkout.pay,
    Register: _checkout.register, Schedule: _dated.schedule,
}
_current: ContextVar[_Joining | None] = ContextVar("paygate_joined", default=None)


def refusal_inside() -> SetupError | None:
    """Why nothing may be asked here, where this thread or task is inside a joined transaction."""
    joined = _current.get()
    while joined is not None and not joined.is_open:
        joined = joined.outer
    return None if joined is None else SetupError(
        "a transaction of yours is joined here, and nothing is asked of a PG inside it; nothing was sent; "
        "record(...) the command, commit, and then give it")


class _Joining:
    """What both faces share."""

    def __init__(self, account: Account, driver: Signs, connection: Any) -> None:
        if not isinstance(driver.ledger, SqlLedger):
            raise SetupError(f"a {type(driver.ledger).__name__} knows no transaction that could be joined")
        self._account = account
        self._ledger: SqlLedger = driver.ledger
        self._connection = connection
        self.is_open = False
        self.outer: _Joining | None = None

    def _enter(self) -> None:
        self.is_open, self.outer = True, _current.get()
        _current.set(self)

    def _leave(self) -> None:
        # The flag counts: a task that was begun inside has a context of its own, and is inside no longer.
        self.is_open = False
        if _current.get() is self:
            _current.set(self.outer)

    def _steps(self, command: Recordable) -> Steps[tuple[Row, ...]]:
        if not self.is_open:
            raise SetupError("record(...) belongs inside the `with` block; nothing was recorded")
        begins = _STEPS.get(type(command))
        if begins is None:
            raise BadCommand(f"a {type(command).__name__} cannot be recorded, only one of "
                             f"{', '.join(kind.__name__ for kind in _STEPS)}; nothing was recorded")
        return record(self._account, begins(self._account, command))

    def _claiming(self, limit: int) -> Steps[list[Row]]:
        if not self.is_open:
            raise SetupError("claim(...) belongs inside the `with` block; nothing was claimed")
        return _due.claim(self._account, limit)

    def _carried_out(self, connection: Any, steps: Steps[T]) -> T:
        ledger: Any = JoinedLedger(connection, self._ledger)
        driver = Driver(_Silent(), ledger, _no_pause, self._account.clock, self._account.deadline_s)
        try:
            ledger.begin()
            try:
                done = driver.run(steps)
            except BaseException:
                ledger.end(is_whole=False)
                raise
            ledger.end(is_whole=True)
        except LedgerError as error:
            raise _lost(error) from None
        return done


class Joined(_Joining):
    """A transaction of the merchant's, inside `with gate.joining(connection) as joined:`."""

    def record(self, command: Recordable) -> tuple[Row, ...]:
        """Write `command` down with the rows of the joined transaction; the same command sends it after the commit.

        Raises: SetupError, BadCommand, Conflict, InProgress, NotSent (nothing was recorded).
        """
        return self._carried_out(below(self._connection), self._steps(command))

    def claim(self, limit: int = 100) -> list[Row]:
        """Take up to `limit` of what is due, as `claim_due` does, if this transaction is committed.

        For an engine whose jobs stand in the same database: a claim and its job are there together, or neither is.

        Raises: SetupError, BadCommand, NotSent (nothing was claimed).
        """
        return self._carried_out(below(self._connection), self._claiming(limit))

    def __enter__(self) -> Self:
        self._enter()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._leave()


class AsyncJoined(_Joining):
    """A transaction of the merchant's, inside `async with gate.joining(connection) as joined:`."""

    async def record(self, command: Recordable) -> tuple[Row, ...]:
        """Write `command` down with the rows of the joined transaction; the same command sends it after the commit.

        Raises: SetupError, BadCommand, Conflict, InProgress, NotSent (nothing was recorded).
        """
        return await self._acarried_out(self._steps(command))

    async def claim(self, limit: int = 100) -> list[Row]:
        """Take up to `limit` of what is due, as `claim_due` does, if this transaction is committed.

        For an engine whose jobs stand in the same database: a claim and its job are there together, or neither is.

        Raises: SetupError, BadCommand, NotSent (nothing was claimed).
        """
        return await self._acarried_out(self._claiming(limit))

    async def _acarried_out(self, steps: Steps[T]) -> T:
        connection = await abelow(self._connection)
        if not iscoroutinefunction(getattr(connection, "execute", None)):
            return self._carried_out(connection, steps)
        ledger: Any = JoinedLedger(connection, self._ledger)
        driver = AsyncDriver(_AsyncSilent(), ledger, _no_pause, self._account.clock, self._account.deadline_s)
        try:
            await ledger.abegin()
            try:
                done = await driver.run(steps)
            except BaseException:
                await ledger.aend(is_whole=False)
                raise
            await ledger.aend(is_whole=True)
        except LedgerError as error:
            raise _lost(error) from None
        return done

    async def __aenter__(self) -> Self:
        self._enter()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        trace: TracebackType | None) -> None:
        self._leave()


def _lost(error: LedgerError) -> NotSent:
    return NotSent(f"nothing was recorded: this connection failed ({error}); roll its transaction back, then do it "
                   "again")


class _Silent:
    """A door that is never opened: record() stops before anything is sent."""

    def send(self, request: Request, token: Token | None, deadline: Deadline) -> NoReturn:
        raise AssertionError("nothing is sent inside a transaction")

    def close(self) -> None:
        pass


class _AsyncSilent:
    async def send(self, request: Request, token: Token | None, deadline: Deadline) -> NoReturn:
        raise AssertionError("nothing is sent inside a transaction")

    async def close(self) -> None:
        pass


def _no_pause(_: float) -> None:
    pass
