"""The asyncio twin of `lines`: the same outline, the same write, on asyncio's transports. Imported at first use.

A plain answer is read here; httpcore is asked for what is not plain, and is then what reads that connection to its end.
"""

from __future__ import annotations

import asyncio
import os
import socket
from typing import TYPE_CHECKING, Any, cast

import httpcore

from ..wire import Response
from .incoming import Incoming, take_all
from .lines import Outline, is_readable
from .lost import Call, Unusable
from .outgoing import Address, Letter
from .plain import Answer

if TYPE_CHECKING:
    import ssl


class AsyncStream(asyncio.Protocol, httpcore.AsyncNetworkStream):
    """A transport of asyncio as httpcore reads and writes it. The total deadline is kept by whoever awaits."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self._loop = asyncio.get_running_loop()
        self._letter: Letter | None = None
        self._call: Call | None = None
        self._buffer = bytearray()
        self._waiter: asyncio.Future[None] | None = None
        self._is_over = self._is_full = False
        self._error: BaseException | None = None
        self.has_read = False

    # What asyncio tells us

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._call is None:
            # Nobody asked. Keeping it would answer the next question with it, or fill the memory.
            self.close()
            return
        self._buffer += data
        self._wake()

    def eof_received(self) -> None:
        self._is_over = True
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_over, self._error = True, exc
        self._wake()

    def pause_writing(self) -> None:
        self._is_full = True

    def resume_writing(self) -> None:
        self._is_full = False
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _news(self, call: Call) -> None:
        """Until something arrives, may be written again, or ends.

        Raises: TimeoutError.
        """
        self._waiter = waiter = self._loop.create_future()
        step_s = call.step_s()
        late = None if step_s is None else self._loop.call_later(step_s, _too_late, waiter)
        try:
            await waiter
        finally:
            if late is not None:
                late.cancel()
            self._waiter = None

    async def answer(self) -> tuple[Response | None, bool]:
        """The answer, and whether the connection stays open after it; None where it is not plain, or never whole.

        What has arrived stays where it is until it is a whole answer, for httpcore to read.
        """
        answer, call = Answer(), self._call
        while call is not None:
            response = answer.look(self._buffer)
            if response is not None:
                self._buffer.clear()
                return response, answer.stays_open and not self._is_over
            if self._is_over or not answer.is_plain:
                break
            await self._news(call)
        return None, False

    # What httpcore asks of us

    def begin(self, call: Call, letter: Letter) -> None:
        """Serve `call` from now on: the next write sends `letter`."""
        self._call, self._letter, self.has_read = call, letter, False

    def end(self) -> None:
        """The call is over; whatever arrives from now on was not asked for."""
        self._call = None

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 (httpcore's name)
        self.has_read = True
        while self._call is not None and not self._buffer and not self._is_over:
            await self._news(self._call)
        if self._buffer:
            data = bytes(self._buffer[:max_bytes])
            del self._buffer[:max_bytes]
            return data
        if self._error is not None:
            raise self._error
        return b""

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109 (httpcore's name)
        """Send the letter in place of its outline; the rest of the outline (an empty body) is nothing."""
        letter, call = self._letter, self._call
        if letter is None or call is None:
            return
        self._letter = None
        if self.transport is None or self.transport.is_closing() or self._is_over:
            raise ConnectionResetError
        rest = letter.wire()
        call.speak()
        self.transport.write(rest)
        while self._is_full:
            # As in `lines`: half a request has no answer that counts.
            if self._is_over:
                raise ConnectionResetError
            await self._news(call)

    def get_extra_info(self, info: str) -> Any:
        if info != "is_readable":
            return None
        if self.transport is None or self.transport.is_closing() or self._is_over or self._buffer:
            return True
        sock = self.transport.get_extra_info("socket")
        return sock is not None and is_readable(sock)

    async def aclose(self) -> None:
        self.close()

    def close(self) -> None:
        """At once: waiting for the peer's TLS farewell would leave a task behind."""
        if self.transport is not None:
            self.transport.abort()


class AsyncLine:
    """One connection, used by one call at a time."""

    def __init__(self, stream: AsyncStream, outline: Outline) -> None:
        self.owner = (os.getpid(), asyncio.get_running_loop())
        self.idle_since = 0.0
        self._stream = stream
        self._http: httpcore.AsyncHTTP11Connection | None = None
        self._outline = outline
        self._stays_open = False

    async def ask(self, call: Call, letter: Letter, *, keep_alive: bool) -> Response:
        """Send `letter` and read its answer to the end."""
        self._stream.begin(call, letter)
        if self._http is None:
            await self._stream.write(b"")
            response, stays_open = await self._stream.answer()
            if response is not None:
                self._stream.end()
                self._stays_open = keep_alive and stays_open
                return response
            self._http = httpcore.AsyncHTTP11Connection(self._outline.origin, self._stream)
        reply = await self._http.handle_async_request(self._outline.request(letter.method, keep_alive=keep_alive))
        if not self._stream.has_read:
            raise Unusable("an answer was there before its question")
        incoming = Incoming(reply.status, reply.headers)
        await take_all(reply.stream, incoming)
        await reply.aclose()
        self._stream.end()
        return incoming.response()

    def is_reusable(self) -> bool:
        """True after an exchange that left the connection open and clean."""
        return self._stays_open if self._http is None else self._http.is_idle()

    def is_stale(self) -> bool:
        return bool(self._stream.get_extra_info("is_readable")) if self._http is None else self._http.has_expired()

    def close(self) -> None:
        self._stream.close()


def _too_late(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_exception(TimeoutError())


async def aconnect(call: Call, outline: Outline, tls: ssl.SSLContext | None) -> AsyncLine:
    """Open a connection before the deadline."""
    address = outline.address
    loop = asyncio.get_running_loop()
    stream = AsyncStream()
    try:
        async with asyncio.timeout(call.step_s()):
            transport = await _connected(loop, stream, address)
            if tls is not None:
                secured = await loop.start_tls(transport, stream, tls, server_hostname=address.host)
                # Never the plain one instead, whatever an event loop may return.
                transport = stream.transport = cast(asyncio.Transport, secured)
            transport.set_write_buffer_limits(0)  # a write is over when nothing of it is kept back
    except BaseException:
        stream.close()
        raise
    return AsyncLine(stream, outline)


async def _connected(loop: asyncio.AbstractEventLoop, stream: AsyncStream, address: Address) -> asyncio.Transport:
    if not address.is_literal:
        transport, _ = await loop.create_connection(lambda: stream, address.host, address.port,
                                                    happy_eyeballs_delay=0.25)
        return transport
    # One address needs no race between several, which costs two tasks for each connection.
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        sock.setblocking(False)
        await loop.sock_connect(sock, (address.host, address.port))
        transport, _ = await loop.create_connection(lambda: stream, sock=sock)
    except BaseException:
        sock.close()
        raise
    return transport
