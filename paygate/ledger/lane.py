"""A lane to a store: whoever has the turn carries out everything that waits, so many callers share one commit.

There is no thread of its own. A caller in a thread waits for the turn; when it has it, its job was done by another
leader meanwhile, or it does all that wait. A caller in an event loop never waits in the loop: a thread of its gateway
takes the turn for it and for all others, and tells the loop once for all of them.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from time import monotonic
from typing import Any, Generic, TypeVar

from .row import LedgerError

W = TypeVar("W")

_BATCH = 256
"""The most jobs that share one commit: other processes wait for it."""


class Busy(LedgerError):
    """The store had no turn for it in time. Nothing was written."""


class Job(Generic[W]):
    """One thing to do by the instant `until` of the monotonic clock; then `value` or `error`."""

    __slots__ = ("error", "is_done", "loop", "until", "value", "waits", "work")

    def __init__(self, work: W, until: float) -> None:
        self.work = work
        self.until = until
        self.is_done = False
        self.value: Any = None
        self.error: BaseException | None = None
        self.loop: asyncio.AbstractEventLoop | None = None
        self.waits: asyncio.Future[None] | None = None

    def done(self, value: Any) -> None:
        """Set the answer."""
        self.value, self.is_done = value, True

    def failed(self, error: BaseException) -> None:
        """Set the error."""
        self.error, self.is_done = error, True

    def outcome(self) -> Any:
        """The answer.

        Raises: the error.
        """
        if self.error is not None:
            try:
                raise self.error
            finally:
                self.error = None  # An error that holds this frame must not be held by it.
        return self.value


class Lane(Generic[W]):
    """Jobs in the order they came, at most `width` batches at a time; `carry_out` does a batch and answers each job."""

    def __init__(self, carry_out: Callable[[Sequence[Job[W]]], None], width: int = 1) -> None:
        self._carry_out = carry_out
        self.width = width
        self._jobs: deque[Job[W]] = deque()
        self._guard = threading.Lock()
        self._turns: threading.Lock | threading.Semaphore = \
            threading.Lock() if width == 1 else threading.Semaphore(width)
        self._news = threading.Condition(self._guard)
        self._helpers = 0

    def do(self, work: W, until: float) -> Any:
        """Have `work` done, and wait for it.

        Raises: Busy, or what doing it raises.
        """
        job = Job(work, until)
        with self._guard:
            self._jobs.append(job)
        try:
            while not job.is_done:
                if not self._turns.acquire(timeout=max(0.0, until - monotonic())):
                    if self._withdrawn(job):
                        job.failed(Busy("it was busy for too long"))
                    else:
                        self._wait_for(job)
                    continue
                try:
                    with self._guard:
                        batch = [] if job.is_done else self._next()
                    self._lead(batch)
                finally:
                    self._turns.release()
                if not batch:
                    self._wait_for(job)
        except BaseException:
            if not job.is_done and not self._withdrawn(job):
                self._wait_for(job)  # What was begun is finished: nobody runs ahead of its own ledger.
            raise
        return job.outcome()

    async def ado(self, work: W, until: float, threads: Executor) -> Any:
        """Have `work` done by one of `threads`, and await it.

        Raises: Busy, or what doing it raises.
        """
        job = Job(work, until)
        job.loop = loop = asyncio.get_running_loop()
        job.waits = waits = loop.create_future()
        with self._guard:
            self._jobs.append(job)
            helps = self._helpers < self.width and self._helpers < len(self._jobs)
            self._helpers += helps
        if helps:
            try:
                threads.submit(self._help)
            except RuntimeError:
                with self._guard:
                    self._helpers -= 1
                if self._withdrawn(job):
                    raise LedgerError("the gateway is closed") from None
        late = loop.call_later(max(0.0, until - monotonic()), _wake, (waits,))
        try:
            await waits
            if not job.is_done:
                if self._withdrawn(job):
                    raise Busy("it was busy for too long")
                await _finished(job, loop)
        except asyncio.CancelledError:
            if not self._withdrawn(job):
                await _finished(job, loop)
            raise
        finally:
            late.cancel()
        return job.outcome()

    def hold(self, seconds: float) -> bool:
        """Take a turn and keep it until `let_go`; False where there was none in time."""
        return self._turns.acquire(timeout=seconds)

    def let_go(self) -> None:
        """End what `hold` began."""
        self._turns.release()

    def forget(self) -> None:
        """In a forked child: the threads that waited here, or had the turn, are the parent's."""
        self.__init__(self._carry_out, self.width)  # type: ignore[misc]

    def _help(self) -> None:
        """In a thread of a gateway: lead for callers in event loops, for as long as there is something to do."""
        while True:
            with self._turns:
                with self._guard:
                    batch = self._next()
                    if not batch:
                        self._helpers -= 1
                        return
                try:
                    self._lead(batch)
                except BaseException:  # noqa: S110 (every job of the batch has been told)
                    pass

    def _lead(self, batch: Sequence[Job[W]]) -> None:
        if not batch:
            return
        try:
            self._carry_out(batch)
        finally:
            for job in batch:
                if not job.is_done:
                    job.failed(LedgerError("it was interrupted; whether it was written is not known"))
            self._tell(batch)

    def _tell(self, batch: Sequence[Job[W]]) -> None:
        with self._news:
            self._news.notify_all()
        loops: dict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = {}
        for job in batch:
            if job.loop is not None and job.waits is not None:
                loops.setdefault(job.loop, []).append(job.waits)
        for loop, waiting in loops.items():
            try:
                loop.call_soon_threadsafe(_wake, waiting)
            except RuntimeError:
                pass  # The loop is closed; nobody is waiting there any more.

    def _wait_for(self, job: Job[W]) -> None:
        """Wait for a job that another leader has taken."""
        with self._news:
            while not job.is_done:
                self._news.wait()

    def _next(self) -> list[Job[W]]:
        taken: list[Job[W]] = []
        while self._jobs and len(taken) < _BATCH:
            taken.append(self._jobs.popleft())
        return taken

    def _withdrawn(self, job: Job[W]) -> bool:
        """Take a job back that nobody has begun."""
        with self._guard:
            try:
                self._jobs.remove(job)
            except ValueError:
                return False
            return True


async def _finished(job: Job[Any], loop: asyncio.AbstractEventLoop) -> None:
    """Wait for a job that somebody has begun, however long it takes."""
    while not job.is_done:
        # Whoever does the job says so first and looks for the one to wake then: so one of the two is seen.
        job.waits = waits = loop.create_future()
        if not job.is_done:
            await waits


def _wake(waiting: Sequence[asyncio.Future[None]]) -> None:
    for future in waiting:
        if not future.done():
            future.set_result(None)
