"""The asyncio twin of `lines`: the same outline, the same write, on asyncio's transports. Imported at first use."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any, cast

import httpcore

from ..wire import Response
from .incoming import Incoming, take_all
from .lines import Outline, is_readable
from .lost import Call, Unusable
from .outgoing import Letter

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
        async with asyncio.timeout(call.patience_s()):
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None

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
        self._http = httpcore.AsyncHTTP11Connection(outline.origin, self._stream)
        self._outline = outline

    async def ask(self, call: Call, letter: Letter, *, keep_alive: bool) -> Response:
        """Send `letter` and read its answer to the end."""
        self._stream.begin(call, letter)
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
        return self._http.is_idle()

    def is_stale(self) -> bool:
        return self._http.has_expired()

    def close(self) -> None:
        self._stream.close()


async def aconnect(call: Call, outline: Outline, tls: ssl.SSLContext | None) -> AsyncLine:
    """Open a connection before the deadline."""
    address = outline.address
    loop = asyncio.get_running_loop()
    stream = AsyncStream()
    try:
        async with asyncio.timeout(call.patience_s()):
            transport, _ = await loop.create_connection(lambda: stream, address.host, address.port,
                                                        happy_eyeballs_delay=0.25)
            if tls is not None:
                secured = await loop.start_tls(transport, stream, tls, server_hostname=address.host)
                # Never the plain one instead, whatever an event loop may return.
                transport = stream.transport = cast(asyncio.Transport, secured)
            transport.set_write_buffer_limits(0)  # a write is over when nothing of it is kept back
    except BaseException:
        stream.close()
        raise
    return AsyncLine(stream, outline)
