"""The body of a WSGI request, read in time, though whoever reads one can neither bound nor end the read.

Where the server says which connection it comes from, that is shut for reading once time is up. Elsewhere a thread
beside the request reads; and where many of those wait already, the request's own thread does, where only the server's
time-outs hold. So a slow client keeps nobody else's body waiting.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Protocol

from .exchange import Body, Wrong, broken_off, stated_length, too_long, too_slow

_CONNECTION = ("gunicorn.socket", "werkzeug.socket")
_BESIDE = 32


class Stream(Protocol):
    """What a WSGI server gives as `wsgi.input`."""

    def read(self, size: int, /) -> bytes: ...


class Connection(Protocol):
    """A socket, of whichever library."""

    def fileno(self) -> int: ...


class BodyReader:
    """Reads the bodies of a site's WSGI requests."""

    def __init__(self) -> None:
        self._beside = threading.Semaphore(_BESIDE)

    def read_input(self, environ: Mapping[str, Any], wanted: Body) -> bytes:
        """The request's body.

        Raises: Wrong; 411 where its end is known neither from its length nor by the server.
        """
        length = stated_length({"content-length": environ.get("CONTENT_LENGTH") or ""})
        if length is None and not environ.get("wsgi.input_terminated"):
            if environ.get("HTTP_TRANSFER_ENCODING"):
                raise Wrong(411, "length_required")
            return b""
        connection = next((environ[name] for name in _CONNECTION if environ.get(name) is not None), None)
        return self.read(environ["wsgi.input"], length, wanted, connection)

    def read(self, stream: Stream, length: int | None, wanted: Body, connection: Connection | None = None) -> bytes:
        """`length` bytes of `stream`, or all of it where that is None.

        Raises: Wrong.
        """
        if length == 0:
            return b""
        most = wanted.limit + 1 if length is None else length
        until = time.monotonic() + wanted.timeout_s

        def whole() -> bytes:
            return _read(stream, most, until)

        try:
            if connection is None:
                got, is_late = self._aside(whole, wanted.timeout_s), False
            else:
                got, is_late = _shut_in_time(connection, whole, wanted.timeout_s)
        except TimeoutError:
            raise too_slow() from None
        except OSError:
            raise broken_off() from None
        if len(got) > wanted.limit:
            raise too_long()
        if length is None or len(got) < length:
            if is_late:
                raise too_slow()
            if length is not None:
                raise broken_off()
        return got

    def _aside(self, whole: Callable[[], bytes], timeout_s: float) -> bytes:
        """Read in a thread of its own, which waits on after the client was answered, until the server hangs up."""
        if not self._beside.acquire(blocking=False):
            return whole()
        came: list[bytes | BaseException] = []
        done = threading.Event()

        def work() -> None:
            try:
                came.append(whole())
            except BaseException as error:
                came.append(error)
            finally:
                self._beside.release()
                done.set()

        try:
            threading.Thread(target=work, name="paygate-body", daemon=True).start()
        except RuntimeError:  # No more threads are to be had.
            self._beside.release()
            return whole()
        if not done.wait(timeout_s):
            raise TimeoutError
        got = came[0]
        if isinstance(got, BaseException):
            raise got
        return got


def _shut_in_time(connection: Connection, whole: Callable[[], bytes], timeout_s: float) -> tuple[bytes, bool]:
    """Read in this thread, from a connection that is shut for reading once time is up: the read then finds its end.

    With what was read, whether it came to that.
    """
    lock, is_over, is_late = threading.Lock(), False, False

    def end() -> None:
        nonlocal is_late
        with lock:
            if not is_over:
                is_late = True
                # By its number, so that no layer above takes leave of the client: it is still to be answered.
                with suppress(OSError), socket.fromfd(connection.fileno(), socket.AF_INET, socket.SOCK_STREAM) as bare:
                    bare.shutdown(socket.SHUT_RD)

    timer = threading.Timer(timeout_s, end)
    timer.daemon = True
    timer.start()
    try:
        got = whole()
    except TimeoutError:
        end()  # The clock was looked at between two pieces, a little before the timer did.
        raise
    except Exception:
        if is_late:
            raise TimeoutError from None
        raise
    finally:
        timer.cancel()
        with lock:
            is_over = True
    return got, is_late


def _read(stream: Stream, most: int, until: float) -> bytes:
    read = getattr(stream, "read1", None) or stream.read
    got = bytearray()
    while len(got) < most:
        if time.monotonic() > until:
            raise TimeoutError
        piece = read(most - len(got))
        if not piece:
            break
        got += piece
    return bytes(got)
