"""What one call knows of itself: its deadline, whether a byte left, and the words for why no answer came.

Words here are our own: no URL, no header, no text of an error of somebody else's goes into them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..clock import Deadline
from ..wire import Lost

STARTED = frozenset({"http11.send_request_headers.started", "http2.send_request_headers.started"})
"""The trace events of httpcore after which bytes of a request may have left."""


class Unusable(Exception):
    """Raised inside this package, in our own words: the request cannot go out, or the answer cannot be used."""

    def __init__(self, why: str, *, may_retry: bool = True) -> None:
        super().__init__(why)
        self.may_retry = may_retry


class Call:
    """One exchange: how long it may wait, and whether it has spoken."""

    __slots__ = ("deadline", "sent", "timeout_s")

    def __init__(self, deadline: Deadline, timeout_s: float) -> None:
        self.deadline = deadline
        self.timeout_s = timeout_s
        self.sent = False

    def patience_s(self) -> float:
        """Seconds the next single step may take: more than 0.

        Raises: TimeoutError once the deadline is over.
        """
        left = min(self.timeout_s, self.deadline.remaining_s())
        if left <= 0:
            raise TimeoutError
        return left

    def step_s(self) -> float | None:
        """The same, where a single step ends before the deadline; None where whoever keeps the deadline ends it.

        Raises: TimeoutError once the deadline is over.
        """
        left = self.patience_s()
        return left if left < self.deadline.remaining_s() else None

    def speak(self) -> None:
        """Note that from now on bytes of the request may have left. Called right before the first of them does.

        Raises: Unusable where the deadline is over by either clock: a process that was paused past it, or a machine
        that was suspended, must not speak any more.
        """
        if not self.deadline.may_begin:
            raise Unusable("the deadline passed before anything was sent")
        self.sent = True

    def trace(self, event: str, _: Mapping[str, Any]) -> None:
        """The `trace` extension of a transport that was handed in."""
        if event in STARTED:
            self.speak()

    async def atrace(self, event: str, _: Mapping[str, Any]) -> None:
        if event in STARTED:
            self.speak()


# Class names, so that nothing need be imported to compare; the first that fits an error, or a cause of it, speaks.
_WORDS = (
    ("SSLCertVerificationError", "the TLS certificate was not accepted", False),
    ("SSLEOFError", "the connection broke off", True),
    ("SSLZeroReturnError", "the connection broke off", True),
    ("SSLError", "TLS failed", False),
    ("gaierror", "the host name was not resolved", True),
    ("PoolTimeout", "no connection was free in time", True),
    ("ConnectTimeout", "no connection was made in time", True),
    ("TimeoutException", "no complete answer came in time", True),
    ("TimeoutError", "no complete answer came in time", True),
    ("ConnectionRefusedError", "the connection was refused", True),
    ("ConnectError", "no connection could be made", True),
    ("ProtocolError", "the answer broke off or was not HTTP", True),
    ("NetworkError", "the connection broke off", True),
    ("OSError", "the connection broke off", True),
)


def lost_from(error: Exception, sent: bool) -> Lost:
    """The Lost to raise for `error`. It keeps no reference to it: an error's frames hold headers and bodies."""
    if isinstance(error, Unusable):
        return Lost(str(error), sent=sent, may_retry=error.may_retry)
    names: set[str] = set()
    cause: BaseException | None = error
    while cause is not None and len(names) < 100:
        # Only __cause__: a __context__ may be an error the caller was handling when it called us.
        names.update(kind.__name__ for kind in type(cause).__mro__)
        cause = cause.__cause__
    for name, why, may_retry in _WORDS:
        if name in names:
            return Lost(why, sent=sent, may_retry=may_retry)
    return Lost(f"the exchange failed ({type(error).__name__})", sent=sent)
