"""Time as a thing that is passed in. Procedures read it here, so that tests and the sandbox can turn it."""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime
from typing import Protocol

from attrs import frozen


class Clock(Protocol):
    """Wall time for records, monotonic time for deadlines."""

    def now(self) -> datetime:
        """The instant, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back; only differences mean anything."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


@frozen
class Deadline:
    """The instant, on the monotonic clock, at which a call must be over."""

    clock: Clock
    at: float
    until: float = math.inf
    """The same in seconds since 1970, on the wall clock: the monotonic one may stand still with a suspended machine."""

    @classmethod
    def after(cls, clock: Clock, seconds: float) -> Deadline:
        """The deadline `seconds` from now.

        Raises: ValueError for a number of seconds that is not finite.
        """
        if not math.isfinite(seconds):
            raise ValueError("a deadline is a finite number of seconds away")
        return cls(clock, clock.monotonic() + seconds, clock.now().timestamp() + seconds)

    def remaining_s(self) -> float:
        """Seconds left; zero or less when it is over."""
        return self.at - self.clock.monotonic()

    @property
    def is_over(self) -> bool:
        return self.remaining_s() <= 0

    @property
    def may_begin(self) -> bool:
        """Whether there is time left by either clock. A wall clock that was set forward costs one call at most."""
        return not self.is_over and self.clock.now().timestamp() < self.until
