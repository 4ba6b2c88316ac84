"""HTTP/1.1 on a loopback socket: `Call` in, `Answer` out, broken answers included. The door to h11.

It knows nothing of payments, emulators or the control API; a handler decides the answer.

What a client sees of a `Broken` answer:

- refuse: the connection is reset. A socket cannot refuse one call only: the kernel has accepted the connection before
  this program hears of it. `reset_on_accept` resets it before anything is read; otherwise it is reset after the request
  was read. Either way a careful client has to say "unknown" where it would say "not sent" of a closed port.
- drop: the connection ends without an answer. reset: it is reset (RST).
- hang: no answer, until the client goes away or `Limits.hang_s` has passed.
- truncate: the whole head, half of the body, then the end.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import struct
from collections.abc import Awaitable, Callable
from http import HTTPStatus

import h11
from attrs import frozen

from ..testing.emulator import Answer, Broken, Call
from ..wire import Response

log = logging.getLogger("paygate.sandbox")

Handler = Callable[[Call], Awaitable[Answer]]

# These are about one connection's framing, so they are ours to say, not the answer's.
_FRAMING = frozenset({"content-length", "transfer-encoding", "keep-alive"})
_READ = 1 << 14


@frozen(kw_only=True)
class Limits:
    """How much, and how long, a client may take."""

    head_bytes: int = 16 << 10
    body_bytes: int = 1 << 20
    connections: int = 1000
    request_s: float = 30.0
    """From the first byte of a request to its last, and for a client to take an answer."""
    idle_s: float = 75.0
    hang_s: float = 120.0
    linger_s: float = 2.0
    """For a refused client to stop talking, so that it gets to read why."""


class _Bad(Exception):
    """A request that is answered without asking the handler; the connection ends after it."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


def error_response(status: int, why: str, **headers: str) -> Response:
    """A JSON answer of the sandbox itself: {"error": why}."""
    body = json.dumps({"error": why}).encode()
    return Response(status, {"content-type": "application/json", **headers}, body)


def require_loopback(host: str) -> str:
    """`host` if it is one of the two addresses that a gateway in test mode may be connected to.

    Raises: ValueError.
    """
    if host not in ("127.0.0.1", "::1"):
        raise ValueError("the sandbox listens on loopback only: give 127.0.0.1 or ::1")
    return host


class LoopbackServer:
    """One listening socket on loopback. Made, started and stopped inside a running event loop."""

    def __init__(self, handler: Handler, *, host: str = "127.0.0.1", port: int = 0, limits: Limits | None = None,
                 reset_on_accept: Callable[[], bool] = lambda: False) -> None:
        self.host = require_loopback(host)
        self.port = port
        self.limits = limits or Limits()
        self._handler = handler
        self._reset_on_accept = reset_on_accept
        self._open: set[asyncio.Task[None]] = set()
        self._listener: socket.socket | None = None

    @property
    def url(self) -> str:
        """Where it listens, without a slash at the end."""
        return f"http://[{self.host}]:{self.port}" if ":" in self.host else f"http://{self.host}:{self.port}"

    async def start(self) -> None:
        """Listen. `port` 0 becomes the free port that was found.

        Raises: OSError where the port is taken.
        """
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        self._listener = socket.create_server((self.host, self.port), family=family, backlog=512)
        self._listener.setblocking(False)
        self.port = self._listener.getsockname()[1]
        # asyncio's own server loses a connection that it accepts while it is being closed; this way there is none.
        asyncio.get_running_loop().add_reader(self._listener, self._accept, self._listener)

    async def stop(self) -> None:
        """Close the socket and every connection, hanging ones too."""
        if self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener)
            self._listener.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    def _accept(self, listener: socket.socket) -> None:
        try:
            sock, _ = listener.accept()
        except OSError:
            return  # Gone again, or no more sockets to be had just now.
        if len(self._open) >= self.limits.connections or self._reset_on_accept():
            _linger_not(sock)
            sock.close()
            return
        sock.setblocking(False)
        task = asyncio.create_task(self._serve(sock))
        self._open.add(task)
        task.add_done_callback(self._open.discard)
        # Also where the task was cancelled before it began.
        task.add_done_callback(lambda _: sock.close())

    async def _serve(self, sock: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(_READ)
        protocol = asyncio.StreamReaderProtocol(reader)
        transport, _ = await loop.connect_accepted_socket(lambda: protocol, sock)
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        try:
            await self._converse(reader, writer)
            writer.close()
            async with asyncio.timeout(self.limits.request_s):
                await writer.wait_closed()
        except (OSError, TimeoutError):
            pass  # The client went away or stalled: nobody is left to tell.
        except Exception:
            log.exception("a connection of the sandbox failed")
        finally:
            transport.abort()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        conn = h11.Connection(h11.SERVER, max_incomplete_event_size=self.limits.head_bytes)
        while True:
            try:
                call = await self._read(conn, reader, writer)
            except _Bad as bad:
                await self._turn_away(reader, writer, bad)
                return
            if call is None:
                return
            answer = await self._answer(call)
            if isinstance(answer, Broken):
                await self._break(answer, conn, reader, writer)
                return
            await self._write(writer, _whole(conn, answer, call.method))
            if conn.our_state is not h11.DONE or conn.their_state is not h11.DONE:
                return
            conn.start_next_cycle()

    async def _answer(self, call: Call) -> Answer:
        try:
            answer = await self._handler(call)
            if not isinstance(answer, Broken):
                _head(answer)  # raises for headers that cannot be sent, while another answer still can
            return answer
        except Exception:
            # An emulator never raises for anything a client can send, so this is a bug of the emulator.
            log.exception("an emulator or the control API failed")
            return error_response(500, "the sandbox failed; its log says why")

    # Reading

    async def _read(self, conn: h11.Connection, reader: asyncio.StreamReader,
                    writer: asyncio.StreamWriter) -> Call | None:
        """The next request, or None where the client has no more. Raises _Bad."""
        begun = bool(conn.trailing_data[0])
        if not begun:
            try:
                async with asyncio.timeout(self.limits.idle_s):
                    first = await reader.read(_READ)
            except TimeoutError:
                return None
            conn.receive_data(first)
        try:
            async with asyncio.timeout(self.limits.request_s):
                return await self._read_begun(conn, reader, writer)
        except TimeoutError:
            raise _Bad(408, "the request took too long to arrive") from None
        except h11.RemoteProtocolError as error:
            # h11's hint is 501 for a transfer coding it does not know; to a client of ours that is a bad request too.
            status = error.error_status_hint if 400 <= error.error_status_hint < 500 else 400
            raise _Bad(status, "this is not an HTTP/1.1 request the sandbox can read") from None

    async def _read_begun(self, conn: h11.Connection, reader: asyncio.StreamReader,
                          writer: asyncio.StreamWriter) -> Call | None:
        head: h11.Request | None = None
        body = bytearray()
        while True:
            match conn.next_event():
                case h11.Request() as head:
                    self._check_head(head)
                case h11.Data(data=data):
                    body += data
                    if len(body) > self.limits.body_bytes:
                        raise _Bad(413, "a request body may have 1 MiB")
                case h11.EndOfMessage():
                    assert head is not None
                    return _call(head, bytes(body))
                case h11.ConnectionClosed():
                    return None
                case h11.NEED_DATA:
                    if conn.they_are_waiting_for_100_continue:
                        go_on = h11.InformationalResponse(status_code=100, headers=[], reason=b"Continue")
                        await self._write(writer, conn.send(go_on))
                    conn.receive_data(await reader.read(_READ))

    def _check_head(self, head: h11.Request) -> None:
        if len(head.target) + sum(len(name) + len(value) + 4 for name, value in head.headers) > self.limits.head_bytes:
            raise _Bad(431, "the request's headers are too long")
        if head.method == b"CONNECT":
            raise _Bad(405, "the sandbox is no proxy")
        stated = next((value for name, value in head.headers if name == b"content-length"), b"0")
        # Refused before the client is told to go on with the body.
        if int(stated) > self.limits.body_bytes:
            raise _Bad(413, "a request body may have 1 MiB")

    # Writing

    async def _write(self, writer: asyncio.StreamWriter, data: bytes | None) -> None:
        writer.write(data or b"")
        async with asyncio.timeout(self.limits.request_s):
            await writer.drain()

    async def _turn_away(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, bad: _Bad) -> None:
        answer = error_response(bad.status, str(bad))
        # Written by hand, since h11 may have lost track of what this client is saying.
        head = (f"HTTP/1.1 {bad.status} {HTTPStatus(bad.status).phrase}\r\nconnection: close\r\n"
                f"content-type: application/json\r\ncontent-length: {len(answer.body)}\r\n\r\n")
        await self._write(writer, head.encode() + answer.body)
        # Closing with unread bytes would reset the connection, and the client might never see the answer.
        if writer.can_write_eof():
            writer.write_eof()
        try:
            async with asyncio.timeout(self.limits.linger_s):
                while await reader.read(_READ):
                    pass
        except TimeoutError:
            pass

    async def _break(self, broken: Broken, conn: h11.Connection, reader: asyncio.StreamReader,
                     writer: asyncio.StreamWriter) -> None:
        match broken.how:
            case "refuse" | "reset":
                _reset(writer)
            case "hang":
                async with asyncio.timeout(self.limits.hang_s):
                    while await reader.read(_READ):
                        pass
            case "truncate":
                assert broken.response is not None
                await self._write(writer, _half(conn, broken.response))
        # "drop", and the end of the others: the connection is closed by the caller.


def _call(head: h11.Request, body: bytes) -> Call:
    target = head.target.decode("latin-1")
    scheme, found, rest = target.partition("://")
    if found and scheme.lower() in ("http", "https"):
        # Absolute form, as sent to a proxy: the path starts after the authority.
        target = "/" + rest.partition("/")[2]
    headers: dict[str, str] = {}
    for raw_name, raw_value in head.headers:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return Call(head.method.decode("latin-1"), target, headers, body)


def _head(answer: Response) -> h11.Response:
    headers = [(name, value) for name, value in answer.headers.items() if name.lower() not in _FRAMING]
    if answer.status not in (204, 304):
        headers.append(("content-length", str(len(answer.body))))
    return h11.Response(status_code=answer.status, headers=headers)


def _whole(conn: h11.Connection, answer: Response, method: str) -> bytes:
    parts = [conn.send(_head(answer))]
    if method != "HEAD" and answer.status not in (204, 304):
        parts.append(conn.send(h11.Data(data=answer.body)))
    parts.append(conn.send(h11.EndOfMessage()))
    return b"".join(part or b"" for part in parts)


def _half(conn: h11.Connection, answer: Response) -> bytes:
    """The head with the whole length and half of the body; half of the head where there is no body to cut."""
    head = conn.send(_head(answer)) or b""
    half = answer.body[: len(answer.body) // 2]
    return head + half if half else head[: len(head) // 2]


def _reset(writer: asyncio.StreamWriter) -> None:
    _linger_not(writer.get_extra_info("socket"))
    writer.transport.abort()


def _linger_not(sock: socket.socket) -> None:
    # Lingering for no time makes the kernel send RST instead of FIN. Windows has shorts where POSIX has ints.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("hh" if os.name == "nt" else "ii", 1, 0))
