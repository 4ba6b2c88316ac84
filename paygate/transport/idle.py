"""Connections that wait for their next read: last in, first out, in constant time, without a lock.

A deque's own operations are atomic, so threads need no lock here, and a fork cannot inherit a held one.
"""

from __future__ import annotations

import time
from collections import deque
from typing import Any, Generic, Protocol, TypeVar

KEEP_S = 15.0
KEPT_LIMIT = 256


class Waiting(Protocol):
    """What can wait here. `owner` tells the process (and event loop) that may touch it."""

    owner: Any
    idle_since: float

    def is_stale(self) -> bool: ...

    def close(self) -> None: ...


W = TypeVar("W", bound=Waiting)


class Idle(Generic[W]):
    """The idle connections of one door."""

    def __init__(self) -> None:
        self._lines: deque[W] = deque()
        self._closed = False

    @property
    def is_closed(self) -> bool:
        return self._closed

    def take(self, owner: Any) -> W | None:
        """The connection used last that still lives; None where a new one is needed."""
        while True:
            try:
                line = self._lines.pop()
            except IndexError:
                return None
            if line.owner != owner:
                # Another process's or event loop's: closing it would speak on a TLS session, or turn a selector,
                # that is not ours. It is forgotten.
                continue
            if time.monotonic() - line.idle_since < KEEP_S and not line.is_stale():
                return line
            line.close()

    def put(self, line: W) -> None:
        """Keep a connection for the next read, and drop the one that has waited longest if it is too old."""
        line.idle_since = time.monotonic()
        if self._closed or len(self._lines) >= KEPT_LIMIT:
            line.close()
            return
        self._lines.append(line)
        self._prune(line)
        if self._closed:
            self.close(line.owner)

    def _prune(self, newest: W) -> None:
        try:
            oldest = self._lines.popleft()
        except IndexError:
            return
        if oldest.owner != newest.owner:
            return
        if newest.idle_since - oldest.idle_since < KEEP_S:
            self._lines.appendleft(oldest)
        else:
            oldest.close()

    def close(self, owner: Any) -> None:
        """Close what waits, and whatever will be put back later."""
        self._closed = True
        while True:
            try:
                line = self._lines.pop()
            except IndexError:
                return
            if line.owner == owner:
                line.close()
