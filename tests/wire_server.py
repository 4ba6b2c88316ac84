"""A server over raw sockets that goes wrong in one stated way, and keeps what arrived: for the transport's tests.

`FAULTS` is what can go wrong and `ANSWERS` what is a complete answer, however odd. A function of either gets the
accepted connection; the server closes it afterwards. Listens on 127.0.0.1 only.
"""

from __future__ import annotations

import gzip
import select
import socket
import ssl
import struct
import threading
import zlib
from collections.abc import Callable
from types import TracebackType

from attrs import define, field

OK = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n{"ok":true}'
BIG = (1 << 20) + 1
_DRIP_S = 0.005


@define(eq=False, repr=False)
class WireServer:
    """`with WireServer(behave) as server:` answers every connection with `behave(server, connection)`."""

    behave: Callable[[WireServer, socket.socket], None]
    tls: ssl.SSLContext | None = None
    host: str = "127.0.0.1"
    requests: list[bytes] = field(factory=list)
    """Every request that arrived whole, oldest first."""
    connections: int = 0
    port: int = 0
    stop: threading.Event = field(factory=threading.Event)
    got_one: threading.Event = field(factory=threading.Event)
    on_request: Callable[[], None] = field(default=lambda: None)
    """Called in the server's thread once a request has arrived whole."""
    on_accept: Callable[[], None] = field(default=lambda: None)
    _listener: socket.socket = field(init=False)
    _threads: list[threading.Thread] = field(factory=list)

    def __enter__(self) -> WireServer:
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        self._listener = socket.create_server((self.host, 0), family=family, backlog=128)
        self.port = self._listener.getsockname()[1]
        self._start(self._accept)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.stop.set()
        # shutdown wakes a blocked accept; close alone would not.
        self._listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
        self._listener.close()

    @property
    def base_url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}"

    def _start(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self.stop.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(10)
        try:
            self.on_accept()
            if self.tls is not None:
                connection = self.tls.wrap_socket(connection, server_side=True)
            self.behave(self, connection)
        except OSError:
            pass
        finally:
            connection.close()

    def read_request(self, connection: socket.socket) -> bool:
        """Take one request off the connection; False at its end."""
        data = b""
        while b"\r\n\r\n" not in data:
            if not _wait_readable(self, connection) or not (piece := connection.recv(65536)):
                return False
            data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        length = next((int(line.split(b":")[1]) for line in head.split(b"\r\n")
                       if line.lower().startswith(b"content-length:")), 0)
        while len(body) < length:
            if not (piece := connection.recv(65536)):
                return False
            body += piece
        self.requests.append(head + b"\r\n\r\n" + body)
        self.got_one.set()
        self.on_request()
        return True

    def headers(self, number: int = -1) -> list[tuple[str, str]]:
        """The header fields of a request that arrived, as they were written."""
        lines = self.requests[number].partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")[1:]
        return [(name, value) for name, _, value in (line.partition(": ") for line in lines)]

    def line(self, number: int = -1) -> str:
        """The request line of a request that arrived."""
        return self.requests[number].partition(b"\r\n")[0].decode("latin-1")

    def body(self, number: int = -1) -> bytes:
        return self.requests[number].partition(b"\r\n\r\n")[2]


def _wait_readable(server: WireServer, connection: socket.socket) -> bool:
    if isinstance(connection, ssl.SSLSocket) and connection.pending():
        return True
    while not server.stop.is_set():
        if select.select([connection], [], [], 0.02)[0]:
            return True
    return False


def keep_answering(server: WireServer, connection: socket.socket) -> None:
    """Answer {"ok":true} for as long as requests come."""
    while server.read_request(connection):
        connection.sendall(OK)


def answer(data: bytes) -> Callable[[WireServer, socket.socket], None]:
    """Read one request, write `data`, end the connection."""
    def behave(server: WireServer, connection: socket.socket) -> None:
        if server.read_request(connection):
            connection.sendall(data)
            _finish(connection)
    return behave


def respond(body: bytes, *fields: bytes, status: bytes = b"200 OK") -> Callable[[WireServer, socket.socket], None]:
    """Read one request and answer it whole."""
    lines = [b"HTTP/1.1 " + status, *fields, b"Content-Length: %d" % len(body), b"", body]
    return answer(b"\r\n".join(lines))


def _finish(connection: socket.socket) -> None:
    # Closing with unread data would reset the connection and could take the answer with it.
    if not isinstance(connection, ssl.SSLSocket):
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass


def _reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def close_unread(server: WireServer, connection: socket.socket) -> None:
    _wait_readable(server, connection)


def reset_unread(server: WireServer, connection: socket.socket) -> None:
    _wait_readable(server, connection)
    _reset(connection)


def end_after_reading(server: WireServer, connection: socket.socket) -> None:
    server.read_request(connection)


def reset_after_reading(server: WireServer, connection: socket.socket) -> None:
    server.read_request(connection)
    _reset(connection)


def reset_mid_body(server: WireServer, connection: socket.socket) -> None:
    server.read_request(connection)
    connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{"ok"')
    _reset(connection)


def hang(server: WireServer, connection: socket.socket) -> None:
    server.read_request(connection)
    server.stop.wait()


def _drip(server: WireServer, connection: socket.socket, head: bytes, piece: bytes) -> None:
    server.read_request(connection)
    connection.sendall(head)
    while not server.stop.wait(_DRIP_S):
        connection.sendall(piece)


def drip_header(server: WireServer, connection: socket.socket) -> None:
    _drip(server, connection, b"HTTP/1.1 200 OK\r\nX-Pad: ", b"x")


def drip_interim_answers(server: WireServer, connection: socket.socket) -> None:
    _drip(server, connection, b"", b"HTTP/1.1 100 Continue\r\n\r\n")


def drip_body(server: WireServer, connection: socket.socket) -> None:
    _drip(server, connection, b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b" ")


def _packed(data: bytes, window: int) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, window)
    return packer.compress(data) + packer.flush()


JSON = b"Content-Type: application/json"
FAULTS: dict[str, Callable[[WireServer, socket.socket], None]] = {
    "closed before it read": close_unread,
    "reset before it read": reset_unread,
    "ended after it read": end_after_reading,
    "reset after it read": reset_after_reading,
    "reset in the body": reset_mid_body,
    "hangs": hang,
    "drips a header": drip_header,
    "drips interim answers": drip_interim_answers,
    "drips a body": drip_body,
    "body too short": answer(b'HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"ok":true}'),
    "chunks without end": answer(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n{"ok":true}\r\n'),
    "head cut": answer(b"HTTP/1.1 200 OK\r\nContent-Le"),
    "not HTTP": answer(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"),
    "switches protocols": answer(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"),
    "two lengths": answer(b'HTTP/1.1 200 OK\r\nContent-Length: 11\r\nContent-Length: 5\r\n\r\n{"ok":true}'),
    "length is no number": answer(b'HTTP/1.1 200 OK\r\nContent-Length: -11\r\n\r\n{"ok":true}'),
    "says it is too long": answer(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n{" % BIG),
    "is too long": answer(b"HTTP/1.1 200 OK\r\n\r\n" + b" " * BIG),
    "is too long in chunks": answer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                                    + (b"10000\r\n" + b" " * 65536 + b"\r\n") * 17 + b"0\r\n\r\n"),
    "head too long": answer(b"HTTP/1.1 200 OK\r\nX-Pad: " + b"x" * 300_000 + b"\r\n\r\n"),
    "gzip bomb": respond(gzip.compress(b" " * (64 << 20)), b"Content-Encoding: gzip"),
    "deflate bomb": respond(zlib.compress(b" " * (64 << 20)), b"Content-Encoding: deflate"),
    "gzip cut": respond(gzip.compress(b'{"ok":true}')[:-4], b"Content-Encoding: gzip"),
    "gzip that is none": respond(b'{"ok":true}', b"Content-Encoding: gzip"),
    "gzip and more": respond(gzip.compress(b"{}") + b"more", b"Content-Encoding: gzip"),
    "encoding unknown": respond(b'{"ok":true}', b"Content-Encoding: br"),
    "encoded twice": respond(gzip.compress(gzip.compress(b"{}")), b"Content-Encoding: gzip, gzip"),
}
"""What a server can do after a connection was made, so that no complete answer comes of it."""

ENDLESS = {"hangs", "drips a header", "drips interim answers", "drips a body"}
"""The faults that last until the deadline."""

ANSWERS: dict[str, tuple[Callable[[WireServer, socket.socket], None], int, bytes]] = {
    "plain": (answer(OK), 200, b'{"ok":true}'),
    "in chunks": (answer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                         b'5\r\n{"ok"\r\n6\r\n:true}\r\n0\r\n\r\n'), 200, b'{"ok":true}'),
    "until the end": (answer(b'HTTP/1.1 200 OK\r\n\r\n{"ok":true}'), 200, b'{"ok":true}'),
    "HTTP/1.0": (answer(b'HTTP/1.0 200 OK\r\n\r\n{"ok":true}'), 200, b'{"ok":true}'),
    "after an interim answer": (answer(b"HTTP/1.1 100 Continue\r\n\r\n" + OK), 200, b'{"ok":true}'),
    "gzip unasked": (respond(gzip.compress(b'{"ok":true}'), b"Content-Encoding: gzip"), 200, b'{"ok":true}'),
    "zlib unasked": (respond(zlib.compress(b'{"ok":true}'), b"Content-Encoding: deflate"), 200, b'{"ok":true}'),
    "deflate unasked": (respond(_packed(b'{"ok":true}', -15), b"Content-Encoding: deflate"), 200, b'{"ok":true}'),
    "exactly 1 MiB": (respond(b" " * (1 << 20)), 200, b" " * (1 << 20)),
    "1 MiB inside gzip": (respond(gzip.compress(b" " * (1 << 20)), b"Content-Encoding: gzip"), 200, b" " * (1 << 20)),
    "no content": (answer(b"HTTP/1.1 204 No Content\r\n\r\n"), 204, b""),
    "not modified": (answer(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 11\r\n\r\n"), 304, b""),
    "401": (respond(b"{}", JSON, status=b"401 Unauthorized"), 401, b"{}"),
    "500 HTML": (respond(b"<html>", b"Content-Type: text/html", status=b"500 Oops"), 500, b"<html>"),
}
"""Complete answers: behaviour, status, decoded body."""


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        number: int = listener.getsockname()[1]
    return number
