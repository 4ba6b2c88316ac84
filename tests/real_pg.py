"""A PG behind real sockets that kills, stops or holds its client at exact points of the protocol, and keeps the
journal that the checker reads. The client is another process (victims.py): nothing in the product knows of this.

Points of one request, in order: "accepted" (it is there; nothing is read), "head" (its head is read), "body" (it is
read whole; nothing is done), "done" (the PG did it), "half" (half of the answer is written), "answered" (all of it is),
"read" (the client has read it and hung up).
"""

from __future__ import annotations

import select
import socket
import ssl
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

from attrs import define, field

from paygate.testing.asks import Asks
from paygate.testing.emulator import Broken, Call, Emulator
from paygate.testing.fakepg import FakePG
from paygate.testing.simulation.checker import Judge
from paygate.testing.simulation.notes import Rules
from paygate.testing.simulation.recorder import CALLING, Recorder
from paygate.testing.simulation.run import spec_of
from paygate.testing.virtual_clock import VirtualClock
from paygate.wire import Response

POINTS = ("accepted", "head", "body", "done", "half", "answered", "read")


class LastingFakePG(FakePG):
    """FakePG, whose tokens last: there are many processes here, and it gives each its own."""

    def _token(self, body: dict[str, Any]) -> Response:
        held, reply = self.valid_tokens, super()._token(body)
        self.valid_tokens |= held
        return reply


def emulator_of(provider: str) -> Emulator:
    """A provider's emulator on the machine's own time."""
    clock = VirtualClock(ticking=True)
    return LastingFakePG(clock) if provider == "fakepg" else spec_of(provider).load_emulator()(clock)


@define(eq=False)
class RealPG:
    """`with RealPG(emulator) as pg:` serves it on 127.0.0.1.

    `at(kind, point, do)` calls `do` in the server's thread once a request of that kind comes to that point; at "body"
    it may return "drop": the PG throws the request away.
    `carries_on`: whether the PG goes on with a request whose client has gone. Requests are handled one at a time.
    """

    emulator: Emulator
    askable: bool = True
    settle_s: float = 120.0
    carries_on: bool = True
    judge: Judge = field(init=False)
    recorder: Recorder = field(init=False)
    calling: int | None = None
    """The merchant's call behind the requests that arrive, where there is one at a time."""
    calling_of: Callable[[Asks], int | None] | None = None
    """Where there are several: which one a request belongs to."""
    lock: threading.RLock = field(factory=threading.RLock)
    arrived: list[tuple[str, str]] = field(factory=list)
    """(kind, point) as they were passed."""
    tls: ssl.SSLContext | None = None
    connections: int = 0
    at_connection: tuple[int, Callable[[], Any]] | None = None
    """Do something as soon as that connection is made, counted from 1. The client may not have written a byte yet; with
    TLS it certainly has not, as the handshake comes after it.
    """
    port: int = 0
    _plans: list[tuple[str, str, Callable[[], Any]]] = field(factory=list)
    _open: set[socket.socket] = field(factory=set)
    _waiting: set[socket.socket] = field(factory=set)
    """Open connections with nothing to be done, unless there is something to be read."""
    _is_taking: bool = False
    _listener: socket.socket = field(init=False)
    _over: threading.Event = field(factory=threading.Event)
    _threads: list[threading.Thread] = field(factory=list)

    def __enter__(self) -> RealPG:
        self.judge = Judge(Rules(askable=self.askable, settle_s=self.settle_s))
        self.recorder = Recorder(self.emulator, self.judge, keep=True)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self._listener.getsockname()[1]
        self._start(self._accept)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._over.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(60)
        self._listener.close()

    @property
    def base_url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def at(self, kind: str, point: str, do: Callable[[], Any]) -> None:
        """Do something once, when a request of that kind passes that point."""
        self._plans.append((kind, point, do))

    @property
    def is_quiet(self) -> bool:
        """Whether it has done all that was ever asked of it: what a dead client had sent before, too."""
        if select.select([self._listener], [], [], 0)[0] or self._is_taking:
            return False
        with self.lock:
            made = list(self._open)
        # What can be read has not been taken, so a connection that waits and cannot be read has nothing in it.
        return all(one in self._waiting and not _can_be_read(one) for one in made)

    def count(self, kind: str, point: str = "body") -> int:
        """How many requests of a kind passed a point."""
        return self.arrived.count((kind, point))

    def _start(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._over.is_set():
            try:
                select.select([self._listener], [], [])
                self._is_taking = True
                connection, _ = self._listener.accept()
            except (OSError, ValueError):
                return
            with self.lock:
                self._open.add(connection)
            self._is_taking = False
            self.connections += 1
            self._start(self._serve, connection, self.connections)

    def _serve(self, connection: socket.socket, number: int) -> None:
        accepted = connection
        with connection:
            try:
                if self.at_connection is not None and number == self.at_connection[0]:
                    self.at_connection[1]()
                if self.tls is not None:
                    connection = self.tls.wrap_socket(connection, server_side=True)
                while self._one(connection):
                    pass
            except OSError:
                pass  # The client is gone.
            finally:
                connection.close()
                with self.lock:
                    self._open.discard(accepted)

    def _one(self, connection: socket.socket) -> bool:
        """Serve one request; False where the connection is over."""
        kind = ""
        if self.tls is None:  # TLS lets nobody see what has not been read.
            if not (peeked := self._peek(connection)):
                return False
            # What the bytes ask for decides which plan is meant; nothing of them is taken off the connection yet.
            kind = self._kind(peeked)
            self._pass(kind, "accepted")
        head, rest = self._read_until(connection, b"\r\n\r\n")
        if kind:
            self._pass(kind, "head")
        call = self._call(head, self._read_rest(connection, head, rest))
        asks = self.emulator.asks(call)
        kind = kind or asks.kind
        if self._pass(kind, "body") == "drop":
            return False
        if not self.carries_on and self._is_gone(connection):
            return False
        with self.lock:
            CALLING.set(self.calling if self.calling_of is None else self.calling_of(asks))
            answer = self.recorder.exchange(call, asks, None)
        self._pass(kind, "done")
        assert not isinstance(answer, Broken)
        fields = "".join(f"{name}: {value}\r\n" for name, value in answer.headers.items())
        top = f"HTTP/1.1 {answer.status} X\r\n{fields}content-length: {len(answer.body)}\r\n\r\n"
        raw = top.encode() + answer.body
        connection.sendall(raw[: len(raw) // 2])
        self._pass(kind, "half")
        connection.sendall(raw[len(raw) // 2:])
        self._pass(kind, "answered")
        if "connection: close" not in head.lower():
            return True
        self._waiting.add(connection)  # For nothing but its end.
        try:
            while connection.recv(1000):
                pass
        finally:
            self._waiting.discard(connection)
        self._pass(kind, "read")
        return False

    def _pass(self, kind: str, point: str) -> Any:
        self.arrived.append((kind, point))
        for plan in list(self._plans):
            if plan[:2] == (kind, point):
                self._plans.remove(plan)
                return plan[2]()
        return None

    def _peek(self, connection: socket.socket) -> bytes:
        """The whole first request where it is there already, without taking it."""
        end, seen = time.monotonic() + 60, b""
        self._waiting.add(connection)
        try:
            while not self._over.is_set() and time.monotonic() < end:
                if not select.select([connection], [], [], 0.2)[0]:
                    continue
                seen = connection.recv(65536, socket.MSG_PEEK)
                if not seen or self._is_whole(seen):
                    return seen
                time.sleep(0.001)
            return b""
        finally:
            self._waiting.discard(connection)

    @staticmethod
    def _is_whole(data: bytes) -> bool:
        head, end, body = data.partition(b"\r\n\r\n")
        return bool(end) and len(body) >= _length(head.decode("latin-1"))

    def _kind(self, data: bytes) -> str:
        head, _, body = data.partition(b"\r\n\r\n")
        return self.emulator.asks(self._call(head.decode("latin-1"), body)).kind

    def _read_until(self, connection: socket.socket, mark: bytes) -> tuple[str, bytes]:
        data = b""
        while mark not in data:
            piece = connection.recv(1)
            if not piece:
                raise OSError("cut")
            data += piece
        head, _, rest = data.partition(mark)
        return head.decode("latin-1"), rest

    def _read_rest(self, connection: socket.socket, head: str, body: bytes) -> bytes:
        while len(body) < _length(head):
            if not (piece := connection.recv(65536)):
                raise OSError("cut")
            body += piece
        return body

    @staticmethod
    def _call(head: str, body: bytes) -> Call:
        first, *lines = head.split("\r\n")
        method, target, _ = first.split(" ")
        return Call(method, target, {name.lower(): value.strip() for name, _, value in (
            line.partition(":") for line in lines)}, body)

    def _is_gone(self, connection: socket.socket) -> bool:
        return bool(select.select([connection], [], [], 0)[0]) and connection.recv(1, socket.MSG_PEEK) == b""


def _can_be_read(connection: socket.socket) -> bool:
    try:
        return bool(select.select([connection], [], [], 0)[0])
    except (OSError, ValueError):
        return True  # It is being closed just now.


def _length(head: str) -> int:
    return next((int(line.split(":")[1]) for line in head.split("\r\n") if line.lower().startswith("content-length:")),
                0)

