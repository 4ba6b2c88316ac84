"""A clock that is turned by hand: tests take no time, and a year of renewals passes at once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from ..clock import SystemClock


class VirtualClock:
    """A clock that is turned by hand. `ticking=True` lets real time pass as well (for the sandbox's server)."""

    def __init__(self, start: datetime | None = None, *, ticking: bool = False) -> None:
        self._real = SystemClock()
        self._ticking = ticking
        if start is not None and start.utcoffset() is None:
            raise ValueError("a clock starts at an instant with a time zone")
        usual = self._real.now() if ticking else datetime(2026, 1, 5, 3, 0, tzinfo=UTC)
        self._start = (start or usual).astimezone(UTC)
        self._origin = self._real.monotonic()
        self._turned = 0.0
        self._waiting: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0

    def monotonic(self) -> float:
        """Seconds since the clock was made, turned time included."""
        return self._turned + (self._real.monotonic() - self._origin if self._ticking else 0.0)

    def now(self) -> datetime:
        """The instant, in UTC."""
        return self._start + timedelta(seconds=self.monotonic())

    def at(self, when: datetime, do: Callable[[], None]) -> None:
        """Call `do` once the clock has reached `when` (at the next `advance` or `run_due`)."""
        self._count += 1
        self._waiting.append(((when - self._start).total_seconds(), self._count, do))

    def run_due(self) -> None:
        """Do what is due by now, earliest first."""
        while due := [w for w in self._waiting if w[0] <= self.monotonic()]:
            first = min(due, key=lambda w: w[:2])
            self._waiting.remove(first)
            first[2]()

    def next_s(self) -> float | None:
        """When the next thing falls due, as `monotonic` counts; None where nothing does."""
        return min((w[0] for w in self._waiting), default=None)

    def advance(self, seconds: float) -> None:
        """Turn the clock forward, stopping at everything that falls due on the way.

        Raises: ValueError for a negative number.
        """
        if seconds < 0:
            raise ValueError("a clock is turned forward only")
        goal = self.monotonic() + seconds
        while due := [w for w in self._waiting if w[0] <= goal]:
            first = min(due, key=lambda w: w[:2])
            self._waiting.remove(first)
            self._turned += max(0.0, first[0] - self.monotonic())
            first[2]()
        self._turned += max(0.0, goal - self.monotonic())

    def sleep(self, seconds: float) -> None:
        """A pause that takes no time: the clock is turned instead."""
        self.advance(seconds)
