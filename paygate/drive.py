"""The two loops that carry procedures out: one waits, the other awaits. Nothing is decided here."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import Any, Protocol, TypeVar

from .clock import Clock, Deadline
from .ledger.row import Ledger, LedgerError, Note
from .procedures.steps import Alone, Effect, Entry, Pause, Send, Sign, Steps
from .wire import Request, Response, Token

T = TypeVar("T")


_LEAST_S = 0.1
"""What the ledger is given even when the time of a call is over: what the PG said is worth writing down."""


class SyncDoor(Protocol):
    """Sends one request; raises Lost."""

    def send(self, request: Request, token: Token | None, deadline: Deadline) -> Response: ...

    def close(self) -> None: ...


class AsyncDoorLike(Protocol):
    """Sends one request; raises Lost."""

    async def send(self, request: Request, token: Token | None, deadline: Deadline) -> Response: ...

    async def close(self) -> None: ...


class Signs:
    """What both drivers know of a call: the clock it is signed by, and how long its ledger may take."""

    def __init__(self, ledger: Ledger, clock: Clock, deadline_s: float) -> None:
        self.ledger = ledger
        self._clock = clock
        self._deadline_s = deadline_s

    def _signed(self, sign: Sign) -> Note:
        return Note(text=sign.text, at=self._clock.now().timestamp(),
                    by=sign.by or f"{socket.gethostname()}:{os.getpid()}")

    def _end(self) -> float:
        """When a call that begins now is over, on the machine's own clock: a lock does not know a virtual one."""
        return monotonic() + self._deadline_s


class Driver(Signs):
    """Carries procedures out in the caller's thread."""

    def __init__(self, door: SyncDoor, ledger: Ledger, sleep: Callable[[float], None], clock: Clock,
                 deadline_s: float) -> None:
        super().__init__(ledger, clock, deadline_s)
        self.door = door
        self._sleep = sleep
        self._alone = threading.Lock()
        # Of the class itself: a wrapper that steps in between the verbs is asked verb by verb.
        self._perform = getattr(ledger, "perform") if hasattr(type(ledger), "perform") else None  # noqa: B009 (it may)

    def run(self, steps: Steps[T], end: float | None = None) -> T:
        """Run `steps` to their end; an exception of an effect is thrown into them."""
        end = self._end() if end is None else end
        value: Any = None
        error: BaseException | None = None
        while True:
            try:
                effect = steps.send(value) if error is None else steps.throw(error)
            except StopIteration as stop:
                result: T = stop.value
                return result
            value = error = None
            try:
                value = self._do(effect, end)
            except BaseException as raised:
                error = raised

    def _do(self, effect: Effect, end: float = 0.0) -> Any:
        match effect:
            case Send(request, token, deadline):
                return self.door.send(request, token, deadline)
            case Sign():
                return self._signed(effect)
            case Entry(verb, args):
                if self._perform is None:
                    return getattr(self.ledger, verb)(*args)
                return self._perform(verb, args, max(end, monotonic() + _LEAST_S))
            case Pause(seconds):
                return self._sleep(seconds)
            case Alone(steps):
                with self._alone:
                    return self.run(steps, end)


class AsyncDriver(Signs):
    """Carries procedures out in the running event loop; what blocks in a ledger is waited for in threads of its own.

    They end with the gateway, and wait for nothing but the ledger.
    """

    def __init__(self, door: AsyncDoorLike, ledger: Ledger, sleep: Callable[[float], None] | None, clock: Clock,
                 deadline_s: float) -> None:
        super().__init__(ledger, clock, deadline_s)
        self.door = door
        self._sleep = sleep
        self._alone: tuple[asyncio.AbstractEventLoop, asyncio.Lock] | None = None
        self._perform = getattr(ledger, "aperform") if hasattr(type(ledger), "aperform") else None  # noqa: B009
        self._threads = ThreadPoolExecutor(getattr(type(ledger), "threads", 1), thread_name_prefix="paygate-ledger") \
            if ledger.blocking else None

    async def run(self, steps: Steps[T], end: float | None = None) -> T:
        """Run `steps` to their end; an exception of an effect, a cancellation too, is thrown into them."""
        end = self._end() if end is None else end
        value: Any = None
        error: BaseException | None = None
        while True:
            try:
                effect = steps.send(value) if error is None else steps.throw(error)
            except StopIteration as stop:
                result: T = stop.value
                return result
            value = error = None
            try:
                value = await self._do(effect, end)
            except BaseException as raised:
                error = raised

    async def _do(self, effect: Effect, end: float = 0.0) -> Any:
        match effect:
            case Send(request, token, deadline):
                return await self.door.send(request, token, deadline)
            case Sign():
                return self._signed(effect)
            case Entry(verb, args):
                return await self._entry(verb, args, end)
            case Pause(seconds):
                return self._sleep(seconds) if self._sleep is not None else await asyncio.sleep(seconds)
            case Alone(steps):
                async with self._lock():
                    return await self.run(steps, end)

    async def _entry(self, verb: str, args: tuple[Any, ...], end: float) -> Any:
        if self._threads is None:
            return getattr(self.ledger, verb)(*args)
        if self._perform is not None:
            return await self._perform(verb, args, max(end, monotonic() + _LEAST_S), self._threads)
        try:
            written = asyncio.get_running_loop().run_in_executor(self._threads, getattr(self.ledger, verb), *args)
        except RuntimeError:
            raise LedgerError("the gateway is closed") from None
        try:
            return await asyncio.shield(written)
        except asyncio.CancelledError:
            # What was begun is finished: the caller must not run ahead of its own ledger.
            await asyncio.wait([written])
            raise

    def _lock(self) -> asyncio.Lock:
        loop = asyncio.get_running_loop()
        if self._alone is None or self._alone[0] is not loop:
            self._alone = (loop, asyncio.Lock())
        return self._alone[1]

    async def close(self) -> None:
        """Close the door and end the ledger's threads."""
        await self.door.close()
        if self._threads is not None:
            self._threads.shutdown()


def sleeper(clock: Clock) -> Callable[[float], None] | None:
    """A virtual clock turns instead of waiting; a real one has no say in it."""
    sleep: Callable[[float], None] | None = getattr(clock, "sleep", None)
    return sleep
