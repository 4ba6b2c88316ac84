"""The two doors, blocking and asyncio: one request in, one complete response out, or Lost.

What they have in common lives in the modules beside this one; each step of `Door` has its twin in `AsyncDoor`.
"""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any

from ..clock import Deadline
from ..errors import BadSettings
from ..wire import Lost, Request, Response, Token
from .idle import Idle
from .lost import Call, Unusable, lost_from
from .outgoing import compose, parse_address
from .tls import accepted, shared_context

if TYPE_CHECKING:
    import asyncio
    import ssl

    import httpx

    from .alines import AsyncLine
    from .lines import Line, Outline

_CLOSED = "the door is closed; nothing was sent"


class _Way:
    """Where a door leads and by what: its checked settings, and what is made of them at first use."""

    def __init__(self, base_url: str, timeout_s: float, http: Any, kind: str, tls: ssl.SSLContext | None) -> None:
        self.address = parse_address(base_url)
        if isinstance(timeout_s, bool) or not (math.isfinite(timeout_s) and timeout_s > 0):
            raise BadSettings("timeout_s must be a number of seconds above 0; nothing was sent")
        self.timeout_s = timeout_s
        if http is not None:
            from . import handed

            handed.check(http, kind)
            if tls is not None:
                raise BadSettings("tls belongs to the transport that was handed in as http; nothing was sent")
        self._tls = None if tls is None else accepted(tls)
        self._outline: Outline | None = None

    @property
    def outline(self) -> Outline:
        if self._outline is None:
            from .lines import Outline

            self._outline = Outline(self.address)
        return self._outline

    @property
    def tls(self) -> ssl.SSLContext | None:
        if self.address.scheme == "http":
            return None
        return self._tls or shared_context()


class Door:
    """Send requests to one PG. Safe to share between threads; after a fork it opens connections of its own.

    `base_url` is https:// (http:// only to this machine). `timeout_s` bounds each single step, the deadline of `send`
    the whole. `http` is an httpx transport to use instead of our own connections, `tls` an SSLContext that verifies.
    """

    def __init__(self, base_url: str, *, timeout_s: float = 60.0, http: httpx.BaseTransport | None = None,
                 tls: ssl.SSLContext | None = None) -> None:
        self._way = _Way(base_url, timeout_s, http, "BaseTransport", tls)
        self._http = http
        self._idle: Idle[Line] = Idle()

    def send(self, request: Request, token: Token | None, deadline: Deadline) -> Response:
        """Send once and return the complete answer, whatever its status; redirects are answers like any other.

        Raises: Lost, and nothing else but an interrupt, which passes as it is (take the request as sent then).
        """
        call = Call(deadline, self._way.timeout_s)
        answer = self._answer(call, request, token)
        # Raised here, out of reach of the error it stands for: that one's frames hold what was sent.
        if isinstance(answer, Lost):
            raise answer
        return answer

    def _answer(self, call: Call, request: Request, token: Token | None) -> Response | Lost:
        try:
            if self._idle.is_closed:
                raise Unusable(_CLOSED, may_retry=False)
            call.patience_s()
            if self._http is not None:
                return self._by_hand(self._http, call, request, token)
            return self._by_line(call, request, token)
        except Exception as error:  # noqa: BLE001 (whatever went wrong, the question is only whether a byte left)
            return lost_from(error, call.sent)

    def _by_hand(self, http: httpx.BaseTransport, call: Call, request: Request, token: Token | None) -> Response:
        from .handed import ask

        # Never kept alive: such a transport pools, and could give a mutating call a connection used before.
        return ask(http, self._way.address, call, compose(self._way.address, request, token, keep_alive=False))

    def _by_line(self, call: Call, request: Request, token: Token | None) -> Response:
        may_share = request.method == "GET"
        letter = compose(self._way.address, request, token, keep_alive=may_share)
        line = (self._idle.take(os.getpid()) if may_share else None) or self._connect(call)
        try:
            response = line.ask(call, letter, keep_alive=may_share)
        except BaseException:
            line.close()
            raise
        if may_share and line.is_reusable():
            self._idle.put(line)
        else:
            line.close()
        return response

    def _connect(self, call: Call) -> Line:
        from .lines import connect

        return connect(call, self._way.outline, self._way.tls)

    def close(self) -> None:
        """Close the connections that wait for another request; a transport that was handed in stays open."""
        self._idle.close(os.getpid())


class AsyncDoor:
    """The asyncio twin of `Door`. Its idle connections belong to the running loop; another loop opens its own."""

    def __init__(self, base_url: str, *, timeout_s: float = 60.0, http: httpx.AsyncBaseTransport | None = None,
                 tls: ssl.SSLContext | None = None) -> None:
        self._way = _Way(base_url, timeout_s, http, "AsyncBaseTransport", tls)
        self._http = http
        self._idle: Idle[AsyncLine] = Idle()

    async def send(self, request: Request, token: Token | None, deadline: Deadline) -> Response:
        """Send once and return the complete answer, whatever its status; redirects are answers like any other.

        Raises: Lost, and nothing else but a cancellation, which passes as it is (take the request as sent then).
        """
        call = Call(deadline, self._way.timeout_s)
        answer = await self._answer(call, request, token)
        if isinstance(answer, Lost):
            raise answer
        return answer

    async def _answer(self, call: Call, request: Request, token: Token | None) -> Response | Lost:
        import asyncio  # here, because it costs more than all of `import paygate`, and a loop is running anyway

        try:
            if self._idle.is_closed:
                raise Unusable(_CLOSED, may_retry=False)
            call.patience_s()
            async with asyncio.timeout(call.deadline.remaining_s()):
                if self._http is not None:
                    return await self._by_hand(self._http, call, request, token)
                return await self._by_line(call, request, token)
        except Exception as error:  # noqa: BLE001 (whatever went wrong, the question is only whether a byte left)
            return lost_from(error, call.sent)

    async def _by_hand(self, http: httpx.AsyncBaseTransport, call: Call, request: Request,
                       token: Token | None) -> Response:
        from .handed import aask

        return await aask(http, self._way.address, call, compose(self._way.address, request, token, keep_alive=False))

    async def _by_line(self, call: Call, request: Request, token: Token | None) -> Response:
        may_share = request.method == "GET"
        letter = compose(self._way.address, request, token, keep_alive=may_share)
        line = (self._idle.take(self._owner()) if may_share else None) or await self._connect(call)
        try:
            response = await line.ask(call, letter, keep_alive=may_share)
        except BaseException:
            line.close()
            raise
        if may_share and line.is_reusable():
            self._idle.put(line)
        else:
            line.close()
        return response

    async def _connect(self, call: Call) -> AsyncLine:
        from .alines import aconnect

        return await aconnect(call, self._way.outline, self._way.tls)

    @staticmethod
    def _owner() -> tuple[int, asyncio.AbstractEventLoop]:
        from asyncio import get_running_loop

        return os.getpid(), get_running_loop()

    async def close(self) -> None:
        """Close the connections that wait for another request; a transport that was handed in stays open."""
        self._idle.close(self._owner())
