"""What a PG allows in a second, kept by all workers of one ledger together, on however many hosts.

Turns are taken from the ledger a tenth of a second at a time, so that they cost a write in so many charges. A ledger
in memory has one process, which counts for itself.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from math import ceil

from ..async_gateway import AsyncGateway
from ..errors import BadCommand, BadSettings, OutcomeUnknown
from ..ledger.row import Ledger
from ..procedures.due import turns

_AHEAD_S = 0.1
_LONG_S = 1e9


def check_pace(per_s: float | None) -> None:
    """Raises: BadCommand."""
    if per_s is not None and not 0.01 <= per_s <= 10_000:
        raise BadCommand("per_s is 0.01 to 10,000 charges a second; nothing was sent")


def check_shared_pace(ledger: Ledger, per_s: float | None) -> None:
    """Raises: BadSettings for a limit that the workers of an engine could not share."""
    try:
        check_pace(per_s)
    except BadCommand as error:
        raise BadSettings(str(error)) from None
    if per_s is not None and not _is_shared(ledger):
        raise BadSettings("per_s is kept in the ledger, which must be a file or a database for that")


def _is_shared(ledger: Ledger) -> bool:
    return hasattr(type(ledger), "perform")


class Pace:
    """At most `per_s` starts a second, evenly; None is no limit. `gate` is whose ledger is shared with others."""

    def __init__(self, per_s: float | None = None, gate: AsyncGateway | None = None) -> None:
        check_pace(per_s)
        self._per_s = per_s
        self._gate = gate if gate is not None and _is_shared(gate._driver.ledger) else None
        self._turns: deque[float] = deque()
        self._alone = asyncio.Lock()
        self._next = 0.0

    async def wait(self, stop: asyncio.Event) -> bool:
        """Wait for the next turn; False where `stop` was set before it came."""
        if self._per_s is None:
            return True
        async with self._alone:
            if stop.is_set():
                return False
            turn = await self._turn(self._per_s)
        try:
            await asyncio.wait_for(stop.wait(), max(0.0, turn - time.monotonic()))
        except TimeoutError:
            return True
        return False

    async def _turn(self, per_s: float) -> float:
        # A turn that was left over is gone: used late, it would come on top of the others'.
        while self._turns and self._turns[0] < time.monotonic() - max(_AHEAD_S, 1 / per_s):
            self._turns.popleft()
        if not self._turns:
            first, count = await self._taken(ceil(per_s * _AHEAD_S), per_s)
            self._turns.extend(first + n / per_s for n in range(count))
        return self._turns.popleft()

    async def _taken(self, count: int, per_s: float) -> tuple[float, int]:
        """The first of some turns, by the monotonic clock, and how many."""
        if self._gate is not None:
            try:
                seconds, taken = await self._gate._run(turns(self._gate._account, count, per_s, _LONG_S))
                return time.monotonic() + seconds, max(1, taken)
            except OutcomeUnknown:
                pass  # Without the ledger nothing can be sent anyway.
        first = max(time.monotonic(), self._next)
        self._next = first + 1 / per_s
        return first, 1
