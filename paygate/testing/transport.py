"""An emulator as an httpx transport, sync and async: no sockets, no sleeping, and an honest "did a byte leave"."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx

from .emulator import Answer, Broken, Call, Emulator, FaultKind

if TYPE_CHECKING:
    from ..wire import Response

_STARTED = "http11.send_request_headers.started"


class EmulatorTransport(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """Hand it to `connect(..., http=EmulatorTransport(emulator))`. A hang becomes a read time-out at once."""

    emits_trace = True
    """It tells through httpcore's trace extension when a request starts to leave, so its errors can be believed."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        call = _call(request, request.read())
        trace = request.extensions.get("trace")
        # Before the PG hears of it: who listens to the trace may still refuse to speak.
        if trace is not None and not self._will_refuse(call):
            trace(_STARTED, {})
        return _response(self.exchange(call, request), request)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        call = _call(request, await request.aread())
        trace = request.extensions.get("trace")
        # Before the PG hears of it: who listens to the trace may still refuse to speak.
        if trace is not None and not self._will_refuse(call):
            await trace(_STARTED, {})
        return _response(self.exchange(call, request), request)

    def exchange(self, call: Call, request: httpx.Request) -> Answer:
        """Let the emulator answer; `request` is what was really sent, host included."""
        return self.emulator.handle(call)

    def _will_refuse(self, call: Call) -> bool:
        """True where the fault that `handle` would apply is a refused connection."""
        fault = next((f for f in self.emulator.faults if f.fits(call)), None)
        return fault is not None and fault.kind is FaultKind.REFUSE


def _call(request: httpx.Request, body: bytes) -> Call:
    return Call(request.method, request.url.raw_path.decode("ascii"),
                {k.lower(): v for k, v in request.headers.items()}, body)


def _response(answer: Response | Broken, request: httpx.Request) -> httpx.Response:
    if not isinstance(answer, Broken):
        return _made(answer, answer.body, request)
    match answer.how:
        case "refuse":
            raise httpx.ConnectError("connection refused", request=request)
        case "drop":
            raise httpx.RemoteProtocolError("server disconnected without sending a response", request=request)
        case "hang":
            raise httpx.ReadTimeout("timed out", request=request)
        case "truncate":
            assert answer.response is not None
            return _made(answer.response, answer.response.body[: len(answer.response.body) // 2], request)
    raise httpx.ReadError("connection reset", request=request)


def _made(response: Response, body: bytes, request: httpx.Request) -> httpx.Response:
    # Given as a stream, with its length: what httpx would work out of `content` takes it as long as all else.
    made = httpx.Response(response.status, headers={"content-length": str(len(body)), **response.headers},
                          stream=httpx.ByteStream(body), request=request)
    made.read()
    return made
