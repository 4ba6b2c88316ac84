"""The two loops that carry procedures out: one waits, the other awaits. Nothing is decided here."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

from .clock import Clock, Deadline
from .ledger.row import Ledger
from .procedures.steps import Alone, Effect, Entry, Pause, Send, Steps
from .wire import Request, Response, Token

T = TypeVar("T")


class SyncDoor(Protocol):
    """Sends one request; raises Lost."""

    def send(self, request: Request, token: Token | None, deadline: Deadline) -> Response: ...

    def close(self) -> None: ...


class AsyncDoorLike(Protocol):
    """Sends one request; raises Lost."""

    async def send(self, request: Request, token: Token | None, deadline: Deadline) -> Response: ...

    async def close(self) -> None: ...


class Driver:
    """Carries procedures out in the caller's thread."""

    def __init__(self, door: SyncDoor, ledger: Ledger, sleep: Callable[[float], None]) -> None:
        self.door = door
        self.ledger = ledger
        self._sleep = sleep
        self._alone = threading.Lock()

    def run(self, steps: Steps[T]) -> T:
        """Run `steps` to their end; an exception of an effect is thrown into them."""
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
                value = self._do(effect)
            except BaseException as raised:
                error = raised

    def _do(self, effect: Effect) -> Any:
        match effect:
            case Send(request, token, deadline):
                return self.door.send(request, token, deadline)
            case Entry(verb, args):
                return getattr(self.ledger, verb)(*args)
            case Pause(seconds):
                return self._sleep(seconds)
            case Alone(steps):
                with self._alone:
                    return self.run(steps)


class AsyncDriver:
    """Carries procedures out in the running event loop; a ledger that blocks is served by a thread of its own."""

    def __init__(self, door: AsyncDoorLike, ledger: Ledger, sleep: Callable[[float], None] | None) -> None:
        self.door = door
        self.ledger = ledger
        self._sleep = sleep
        self._alone: tuple[asyncio.AbstractEventLoop, asyncio.Lock] | None = None
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="paygate-ledger") if ledger.blocking else None

    async def run(self, steps: Steps[T]) -> T:
        """Run `steps` to their end; an exception of an effect, a cancellation too, is thrown into them."""
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
                value = await self._do(effect)
            except BaseException as raised:
                error = raised

    async def _do(self, effect: Effect) -> Any:
        match effect:
            case Send(request, token, deadline):
                return await self.door.send(request, token, deadline)
            case Entry(verb, args):
                return await self._entry(verb, args)
            case Pause(seconds):
                return self._sleep(seconds) if self._sleep is not None else await asyncio.sleep(seconds)
            case Alone(steps):
                async with self._lock():
                    return await self.run(steps)

    async def _entry(self, verb: str, args: tuple[Any, ...]) -> Any:
        method = getattr(self.ledger, verb)
        if self._writer is None:
            return method(*args)
        written = asyncio.get_running_loop().run_in_executor(self._writer, method, *args)
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
        """Close the door and end the ledger's thread."""
        await self.door.close()
        if self._writer is not None:
            self._writer.shutdown()


def sleeper(clock: Clock) -> Callable[[float], None] | None:
    """A virtual clock turns instead of waiting; a real one has no say in it."""
    sleep: Callable[[float], None] | None = getattr(clock, "sleep", None)
    return sleep
