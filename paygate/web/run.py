"""The two loops that carry a receiver's steps out: one in the caller's thread, one in the running event loop.

A body is read by whoever knows the framework; nothing is decided here.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotInTime
from typing import Any, Protocol, TypeVar

from .exchange import Body, Do, Exchange, broken_off, too_long, too_slow

T = TypeVar("T")


def carry_out(steps: Exchange[T], read: Callable[[Body], bytes] | None = None) -> T:
    """Run `steps` to their end in this thread; what they ask to do may be async all the same."""
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
            match effect:
                case Do(function, args):
                    value = function(*args)
                    if inspect.isawaitable(value):
                        value = asyncio.run(_awaited(value))
                case Body():
                    assert read is not None
                    value = read(effect)
        except BaseException as raised:
            error = raised


async def carry_out_async(steps: Exchange[T], read: Callable[[Body], Awaitable[bytes]] | None = None) -> T:
    """Run `steps` to their end in this event loop; what is not async runs in a thread beside it."""
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
            match effect:
                case Do(function, args):
                    if inspect.iscoroutinefunction(function):
                        value = await function(*args)
                    else:
                        value = await asyncio.to_thread(function, *args)
                        if inspect.isawaitable(value):
                            value = await value
                case Body():
                    assert read is not None
                    value = await read(effect)
        except BaseException as raised:
            error = raised


async def _awaited(value: Awaitable[T]) -> T:
    return await value


class Stream(Protocol):
    """What a WSGI server gives as `wsgi.input`."""

    def read(self, size: int, /) -> bytes: ...


class BodyReader:
    """Reads the bodies of WSGI requests in threads of its own, because such a read can be neither bounded nor ended.

    A client that is too slow is answered in time; its thread goes on until the server closes the connection.
    """

    def __init__(self, threads: int = 32) -> None:
        self._threads = threads
        self._pool: tuple[int, ThreadPoolExecutor] | None = None

    def read(self, stream: Stream, length: int | None, wanted: Body) -> bytes:
        """`length` bytes of `stream`, or all of it where that is None.

        Raises: Wrong.
        """
        if length == 0:
            return b""
        most = wanted.limit + 1 if length is None else length
        until = time.monotonic() + wanted.timeout_s
        try:
            got = self._executor().submit(_read, stream, most, until).result(wanted.timeout_s)
        except NotInTime:
            raise too_slow() from None
        except OSError:
            raise broken_off() from None
        if len(got) > wanted.limit:
            raise too_long()
        if length is not None and len(got) < length:
            raise broken_off()
        return got

    def _executor(self) -> ThreadPoolExecutor:
        # Threads do not survive a fork.
        if self._pool is None or self._pool[0] != os.getpid():
            self._pool = (os.getpid(), ThreadPoolExecutor(self._threads, thread_name_prefix="paygate-body"))
        return self._pool[1]


def _read(stream: Stream, most: int, until: float) -> bytes:
    read = getattr(stream, "read1", None) or stream.read
    got = bytearray()
    while len(got) < most:
        if time.monotonic() > until:
            raise NotInTime
        piece = read(most - len(got))
        if not piece:
            break
        got += piece
    return bytes(got)
