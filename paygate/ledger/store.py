"""What every SQL store shares: the verbs, carried out as plans, waiting or awaited, each within a time of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager
from time import monotonic
from typing import Any, NoReturn, TypeVar

from . import sql
from .lane import Lane
from .migrate import Migration, Session
from .row import Book, LedgerError, Line, Note, Row
from .sql import Ask, Plan, Tell

T = TypeVar("T")


class _Closed(Lane[Any]):
    """What is left of a lane when the ledger is closed."""

    def __init__(self) -> None:
        super().__init__(lambda jobs: None)

    def do(self, work: Any, until: float) -> NoReturn:
        raise LedgerError("the ledger is closed")

    async def ado(self, work: Any, until: float, threads: Executor) -> NoReturn:
        raise LedgerError("the ledger is closed")


class SqlLedger:
    """A ledger in SQL. A store of its own kind sets `writes` and `reads`: lanes that carry out `Tell`s and `Ask`s."""

    blocking = True
    writes: Lane[Tell]
    reads: Lane[Ask]

    applied: Sequence[Migration] = ()
    """The migrations that opening it took."""
    threads = 2
    """How many threads a gateway in an event loop should have for it."""

    def __init__(self, patience_s: float) -> None:
        self.patience_s = patience_s
        """How long a call may wait at most; a gateway's call often has less."""

    def perform(self, verb: str, args: tuple[Any, ...], until: float | None = None) -> Any:
        """Carry out a verb of sql.VERBS, giving up when the monotonic clock reaches `until`."""
        return self.run(sql.VERBS[verb](*args), until)

    async def aperform(self, verb: str, args: tuple[Any, ...], until: float | None, threads: Executor) -> Any:
        """The same, awaited; whatever may wait for a disk or a server does so in one of `threads`."""
        return await self.arun(sql.VERBS[verb](*args), until, threads)

    def run(self, plan: Plan[T], until: float | None = None) -> T:
        """Carry out a plan.

        Raises: LedgerError, and what the plan raises.
        """
        last, value, error = self._last(until), None, None
        while True:
            try:
                step = plan.send(value) if error is None else plan.throw(error)
            except StopIteration as stop:
                result: T = stop.value
                return result
            value = error = None
            try:
                value = self.writes.do(step, last) if isinstance(step, Tell) else self.reads.do(step, last)
            except Exception as raised:
                error = raised

    async def arun(self, plan: Plan[T], until: float | None, threads: Executor) -> T:
        """The same, awaited."""
        last, value, error = self._last(until), None, None
        while True:
            try:
                step = plan.send(value) if error is None else plan.throw(error)
            except StopIteration as stop:
                result: T = stop.value
                return result
            value = error = None
            try:
                if isinstance(step, Tell):
                    value = await self.writes.ado(step, last, threads)
                else:
                    value = await self.reads.ado(step, last, threads)
            except Exception as raised:
                error = raised

    def _last(self, until: float | None) -> float:
        last = monotonic() + self.patience_s
        return last if until is None else min(last, until)

    def close(self) -> None:
        """Let go of files and connections."""
        raise NotImplementedError

    def health(self) -> list[str]:
        """What is wrong with the store itself, or with the rules it keeps."""
        raise NotImplementedError

    def snapshot(self) -> AbstractContextManager[Callable[[str, Sequence[Any]], list[tuple[Any, ...]]]]:
        """Ask as of one instant, however long it takes; on a connection of its own."""
        raise NotImplementedError

    def session(self, seconds: float | None = None) -> AbstractContextManager[Session]:
        """A transaction on a connection of its own, which no other writer comes between; it may last so long."""
        raise NotImplementedError

    @property
    def place(self) -> str:
        """Where it is, as a person may read it: no password."""
        raise NotImplementedError

    @property
    def closed(self) -> str | None:
        """Why nothing is written here any more; None where it is."""
        return self.run(sql.closed())

    @property
    def gateways(self) -> list[str]:
        """The names of gateways for which it holds rows; with "/test" after it where in test mode."""
        return self.run(sql.gateways())

    def shut(self) -> None:
        """From now on every call raises LedgerError."""
        self.writes, self.reads = _Closed(), _Closed()

    def open(self, rows: Sequence[Row], note: Note) -> list[tuple[Row, bool]]:
        return self.run(sql.open_rows(rows, note))

    def get(self, gateway: str, book: Book, id: str) -> Row | None:
        return self.run(sql.get(gateway, book, id))

    def change(self, row: Row, note: Note) -> Row | None:
        return self.run(sql.change(row, note))

    def by_provider_id(self, gateway: str, provider_id: str) -> Row | None:
        return self.run(sql.by_provider_id(gateway, provider_id))

    def refunds(self, gateway: str, order_id: str) -> list[Row]:
        return self.run(sql.refunds(gateway, order_id))

    def due(self, gateway: str, now: float, limit: int) -> list[Row]:
        return self.run(sql.due(gateway, now, limit))

    def planned(self, gateway: str, until: float, limit: int) -> list[Row]:
        return self.run(sql.planned(gateway, until, limit))

    def claim(self, gateway: str, now: float, limit: int, until: float, note: Note) -> list[Row]:
        return self.run(sql.claim(gateway, now, limit, until, note))

    def of_key(self, gateway: str, key_digest: str) -> list[Row]:
        return self.run(sql.of_key(gateway, key_digest))

    def unresolved(self, gateway: str, limit: int) -> list[Row]:
        return self.run(sql.unresolved(gateway, limit))

    def flagged(self, gateway: str, limit: int) -> list[Row]:
        return self.run(sql.flagged(gateway, limit))

    def trail(self, gateway: str, id: str) -> list[Line]:
        return self.run(sql.trail(gateway, id))
