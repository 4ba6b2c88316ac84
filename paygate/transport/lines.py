"""A blocking connection: socket and TLS under a total deadline, HTTP/1.1 by httpcore. Imported at first use.

httpcore is given only an outline of the request, with method and framing but no path, header or body of ours. The
real bytes are put in its place at the moment of writing: so no frame of httpcore or h11 ever holds a secret, and a
request leaves in one piece.
"""

from __future__ import annotations

import os
import select
import socket
from typing import TYPE_CHECKING, Any, cast

import httpcore

from ..wire import Response
from .incoming import Incoming
from .lost import Call, Unusable
from .outgoing import Address, Letter

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable


class Stream(httpcore.NetworkStream):
    """A socket whose every read and write ends by the deadline of the call that uses it."""

    def __init__(self, sock: socket.socket, call: Call) -> None:
        self._sock = sock
        self._call = call
        self._letter: Letter | None = None
        self.has_read = False

    def begin(self, call: Call, letter: Letter) -> None:
        """Serve `call` from now on: the next write sends `letter`."""
        self._call, self._letter, self.has_read = call, letter, False

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        self.has_read = True
        self._sock.settimeout(self._call.patience_s())
        return self._sock.recv(max_bytes)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send the letter in place of its outline; the rest of the outline (an empty body) is nothing."""
        letter, call = self._letter, self._call
        if letter is None:
            return
        self._letter = None
        rest = letter.wire()
        call.speak()
        # An error on the way is not turned into httpcore's WriteError, after which it would read on: half a request
        # has no answer that counts.
        while rest:
            self._sock.settimeout(call.patience_s())
            rest = rest[self._sock.send(rest):]

    def get_extra_info(self, info: str) -> Any:
        return is_readable(self._sock) if info == "is_readable" else None

    def close(self) -> None:
        self._sock.close()


def is_readable(sock: Any) -> bool:
    """True where a read would return at once: on an idle connection, its end or something nobody asked for."""
    number = sock.fileno()
    if number < 0:
        return True
    if not hasattr(select, "poll"):
        return bool(select.select([number], [], [], 0)[0])
    poll = select.poll()
    poll.register(number, select.POLLIN)
    return bool(poll.poll(0))


class Outline:
    """What httpcore is told of every request to one address: the least that lets it frame the answer."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.origin = httpcore.Origin(address.scheme.encode(), address.host.encode(), address.port)
        self._url = httpcore.URL(scheme=address.scheme, host=address.host, port=address.port, target="/")
        self._host = (b"Host", address.authority.encode())

    def request(self, method: str, *, keep_alive: bool) -> httpcore.Request:
        fields = [self._host] if keep_alive else [self._host, (b"Connection", b"close")]
        return httpcore.Request(method, self._url, headers=fields)


class Line:
    """One connection, used by one call at a time."""

    def __init__(self, sock: socket.socket, call: Call, outline: Outline) -> None:
        self.owner = os.getpid()
        self.idle_since = 0.0
        self._stream = Stream(sock, call)
        self._http = httpcore.HTTP11Connection(outline.origin, self._stream)
        self._outline = outline

    def ask(self, call: Call, letter: Letter, *, keep_alive: bool) -> Response:
        """Send `letter` and read its answer to the end."""
        self._stream.begin(call, letter)
        reply = self._http.handle_request(self._outline.request(letter.method, keep_alive=keep_alive))
        if not self._stream.has_read:
            raise Unusable("an answer was there before its question")
        incoming = Incoming(reply.status, reply.headers)
        for chunk in cast("Iterable[bytes]", reply.stream):
            incoming.take(chunk)
        reply.close()
        return incoming.response()

    def is_reusable(self) -> bool:
        """True after an exchange that left the connection open and clean."""
        return self._http.is_idle()

    def is_stale(self) -> bool:
        return self._http.has_expired()

    def close(self) -> None:
        self._stream.close()


def connect(call: Call, outline: Outline, tls: ssl.SSLContext | None) -> Line:
    """Open a connection before the deadline (a name server that does not answer is the one thing it cannot hurry)."""
    address = outline.address
    sock = _connected(call, address)
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls is not None:
            sock = tls.wrap_socket(sock, server_hostname=address.host, do_handshake_on_connect=False)
            sock.settimeout(call.patience_s())
            sock.do_handshake()
    except BaseException:
        sock.close()
        raise
    return Line(sock, call, outline)


def _connected(call: Call, address: Address) -> socket.socket:
    found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    for place, (family, kind, protocol, _, where) in enumerate(found, start=1):
        sock = socket.socket(family, kind, protocol)
        try:
            # A fair share each: an address that swallows packets must not use up the time of the others.
            sock.settimeout(call.patience_s() / (len(found) - place + 1))
            sock.connect(where)
            return sock
        except BaseException as error:
            sock.close()
            if place == len(found) or not isinstance(error, OSError):
                raise
    raise OSError("the name has no address")
