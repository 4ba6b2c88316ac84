"""How often the payers of one order have the PG asked: a page may be loaded a thousand times by whoever has its cookie.

One at a time for each order, and for others who come meanwhile the same answer; an answer of the last seconds once
more, and the last word on an order for as long as the ledger says the same of it. Kept in memory, of bounded size.
"""

from __future__ import annotations

import asyncio
import math
import threading
from collections import OrderedDict
from collections.abc import Hashable
from concurrent.futures import Future
from contextlib import suppress
from typing import Generic, Literal, TypeVar

from attrs import define, field, frozen

from ..clock import Clock
from .limits import REMEMBERED, Bucket

T = TypeVar("T")

FRESH_S = 2.0
"""How long an answer holds that is not the last word."""
WAIT_S = 15.0
"""How long others wait for an answer that is on its way."""
_PER_S, _AT_ONCE, _WAITING = 0.5, 4, 4


@frozen
class Known(Generic[T]):
    """An answer that still holds."""

    value: T


Flight = Future[None]
"""Done once the answer that is on its way has come."""
Turn = Known[T] | Flight | Literal["ask", "later"]


@define
class _Order(Generic[T]):
    bucket: Bucket = field(factory=lambda: Bucket(_PER_S, kept_s=_AT_ONCE / _PER_S))
    flight: Flight | None = None
    waiting: int = 0
    answer: Known[T] | None = None
    asked: str = ""
    version: Hashable = None
    until: float = 0.0


class Turns(Generic[T]):
    """Gives turns. `asked` is what the browser brought along, "" for nothing; `version` is what changes with all that
    the ledger says of the order.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._orders: OrderedDict[str, _Order[T]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, order: str, asked: str, version: Hashable) -> Turn[T]:
        """What to do now: take a known answer; wait until another's has come, then take a turn again; "ask", and call
        `keep` with the answer and `end` in any case; or say that it was asked about too often.
        """
        with self._lock:
            held = self._orders.setdefault(order, _Order())
            self._orders.move_to_end(order)
            if len(self._orders) > REMEMBERED:
                _, gone = self._orders.popitem(last=False)
                if gone.flight is not None:
                    gone.flight.set_result(None)
            now = self._clock.monotonic()
            brings_nothing = not asked and held.until == math.inf
            if held.answer is not None and now < held.until and version == held.version and (
                    asked == held.asked or brings_nothing):
                return held.answer
            if held.flight is not None:
                held.waiting += 1
                return held.flight if held.waiting <= _WAITING else "later"
            if not held.bucket.take(now, spare=0.0):
                return "later"
            held.flight, held.waiting = Flight(), 0
            return "ask"

    def keep(self, order: str, asked: str, version: Hashable, answer: T, for_s: float = FRESH_S) -> None:
        """The answer holds `for_s` seconds, while the ledger says the same; for ever, also for who brings nothing."""
        with self._lock:
            held = self._orders.get(order)
            if held is not None:
                held.answer, held.asked, held.version = Known(answer), asked, version
                held.until = self._clock.monotonic() + for_s

    def end(self, order: str) -> None:
        """Whoever asked is through."""
        with self._lock:
            held = self._orders.get(order)
            flight = None
            if held is not None:
                flight, held.flight = held.flight, None
        if flight is not None:
            flight.set_result(None)


def wait(flight: Flight) -> None:
    """Until an answer has come, or for as long as anybody waits for one."""
    with suppress(TimeoutError):
        flight.result(WAIT_S)


async def wait_async(flight: Flight) -> None:
    """As `wait`. A browser that goes away meanwhile ends its own waiting alone."""
    with suppress(TimeoutError):
        await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(flight)), WAIT_S)
