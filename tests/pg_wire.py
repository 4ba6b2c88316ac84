"""A wire to PostgreSQL that is cut at a stated COMMIT: before the server has it, or after it is done and unanswered."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

COMMIT = b"COMMIT\x00"


class Wire:
    """Listens on a socket file of its own and passes everything on to the server's.

    `cut(n, when)` ends the connection that sends the n-th COMMIT from now on, `times` times in a row.
    """

    def __init__(self, server: Path, folder: Path) -> None:
        self._server = server / ".s.PGSQL.5432"
        self.folder = folder
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / ".s.PGSQL.5432"))
        self._listener.listen()
        self._guard = threading.Lock()
        self._until, self._times, self._when = -1, 0, "before"
        self.commits = 0
        self.cuts = 0
        self._threads: list[threading.Thread] = []
        self._sockets: list[socket.socket] = [self._listener]
        self._start(self._accept)

    def cut(self, nth: int, when: Literal["before", "after"], times: int = 1) -> None:
        """Cut the wire at the n-th COMMIT (1 is the next), and at those after it."""
        with self._guard:
            self._until, self._times, self._when, self.cuts = nth, times, when, 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        for sock in self._sockets:
            _end(sock)
        for thread in self._threads:
            thread.join(30)

    def _start(self, work: object, *given: object) -> None:
        thread = threading.Thread(target=work, args=given, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            try:
                server.connect(str(self._server))
            except OSError:
                _end(client)
                continue
            self._sockets += [client, server]
            mute = threading.Event()
            self._start(self._upwards, client, server, mute)
            self._start(self._downwards, server, client, mute)

    def _upwards(self, client: socket.socket, server: socket.socket, mute: threading.Event) -> None:
        with suppress(OSError):
            while said := client.recv(65_536):
                if COMMIT in said and (when := self._verdict()) is not None:
                    if when == "after":
                        mute.set()
                        server.sendall(said)
                        server.shutdown(socket.SHUT_WR)  # The server does all it was told, and then hears the end.
                        return
                    break
                server.sendall(said)
        _end(server)
        _end(client)

    def _downwards(self, server: socket.socket, client: socket.socket, mute: threading.Event) -> None:
        with suppress(OSError):
            while said := server.recv(65_536):
                if not mute.is_set():
                    client.sendall(said)
        _end(client)
        _end(server)

    def _verdict(self) -> str | None:
        with self._guard:
            self.commits += 1
            self._until -= 1
            if self._until <= 0 < self._times:
                self._times -= 1
                self.cuts += 1
                return self._when
            return None


def _end(sock: socket.socket) -> None:
    with suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
    sock.close()
