"""The two loops that carry a receiver's steps out: one in the caller's thread, one in the running event loop.

A body is read by whoever knows the framework; nothing is decided here.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from .exchange import Body, Do, Exchange

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
