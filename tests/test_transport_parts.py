"""The parts of the transport without a socket: reading an answer, keeping idle connections, words for a failure."""

from __future__ import annotations

import gzip
import math
import socket
import ssl
import subprocess
import sys
import time
import tracemalloc
import zlib

import httpcore
import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paygate.clock import Deadline, SystemClock
from paygate.transport.idle import KEEP_S, KEPT_LIMIT, Idle
from paygate.transport.incoming import BODY_LIMIT, Incoming
from paygate.transport.lost import Call, Unusable, lost_from
from paygate.wire import Response


def read(body: bytes, *fields: tuple[bytes, bytes], status: int = 200) -> Response:
    incoming = Incoming(status, fields)
    incoming.take(body)
    return incoming.response()


@settings(max_examples=300, deadline=None)
@given(body=st.binary(max_size=300), encoding=st.sampled_from(["gzip", "x-gzip", "deflate", "br", "GZIP", ""]),
       packing=st.sampled_from(["none", "gzip", "zlib", "cut"]), length=st.one_of(st.none(), st.binary(max_size=4)))
def test_whatever_arrives_it_is_read_or_refused_in_our_own_words(body: bytes, encoding: str, packing: str,
                                                                length: bytes | None) -> None:
    packed = {"none": body, "gzip": gzip.compress(body), "zlib": zlib.compress(body), "cut": gzip.compress(body)[:-3]}
    fields = [(b"Content-Encoding", encoding.encode())]
    if length is not None:
        fields.append((b"Content-Length", length))
    try:
        response = read(packed[packing], *fields)
    except Unusable:
        return
    assert response.body in (body, packed[packing])


@settings(max_examples=100, deadline=None)
@given(body=st.binary(max_size=2000))
def test_a_packed_body_is_unpacked_to_itself(body: bytes) -> None:
    assert read(gzip.compress(body), (b"content-encoding", b"gzip")).body == body
    assert read(zlib.compress(body), (b"content-encoding", b"deflate")).body == body
    bare = zlib.compressobj(wbits=-15)
    assert read(bare.compress(body) + bare.flush(), (b"content-encoding", b"deflate")).body == body


def test_a_body_of_the_limit_is_read_and_one_byte_more_is_not() -> None:
    assert len(read(b" " * BODY_LIMIT).body) == BODY_LIMIT
    assert len(read(gzip.compress(b" " * BODY_LIMIT), (b"content-encoding", b"gzip")).body) == BODY_LIMIT
    with pytest.raises(Unusable, match="too long"):
        read(b" " * (BODY_LIMIT + 1))
    with pytest.raises(Unusable, match="too long"):
        read(gzip.compress(b" " * (BODY_LIMIT + 1)), (b"content-encoding", b"gzip"))


def test_a_bomb_takes_little_memory() -> None:
    bomb = gzip.compress(b" " * (64 << 20))
    tracemalloc.start()
    try:
        with pytest.raises(Unusable, match="too long"):
            read(bomb, (b"content-encoding", b"gzip"))
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("length", [b"10", b"12", b"+11", b"-1", b"1_1", b"\xb2", b"1e1", b"11, 11", b"", b"9" * 30])
def test_a_length_that_is_wrong_or_none_is_refused(length: bytes) -> None:
    with pytest.raises(Unusable):
        read(b'{"ok":true}', (b"Content-Length", length))


@pytest.mark.parametrize("status", [0, 99, 101, 199, 600, 999])
def test_a_status_that_is_none_is_refused(status: int) -> None:
    with pytest.raises(Unusable, match="status"):
        read(b"", status=status)


class Line:
    """A connection as far as waiting goes."""

    def __init__(self, owner: object = "us") -> None:
        self.owner = owner
        self.idle_since = 0.0
        self.stale = self.closed = False

    def is_stale(self) -> bool:
        return self.stale

    def close(self) -> None:
        self.closed = True


def test_the_connection_used_last_is_taken_first() -> None:
    idle, first, second = Idle[Line](), Line(), Line()
    idle.put(first)
    idle.put(second)
    assert [idle.take("us"), idle.take("us"), idle.take("us")] == [second, first, None]


def test_a_stale_or_old_connection_is_closed_and_passed_over() -> None:
    idle, good, stale, old = Idle[Line](), Line(), Line(), Line()
    for line in (good, stale, old):
        idle.put(line)
    stale.stale = True
    old.idle_since = time.monotonic() - KEEP_S - 1
    assert idle.take("us") is good
    assert (good.closed, stale.closed, old.closed) == (False, True, True)


def test_a_connection_of_another_process_is_forgotten_and_not_touched() -> None:
    idle, theirs = Idle[Line](), Line("them")
    idle.put(theirs)
    assert idle.take("us") is None
    idle.put(theirs)
    idle.close("us")
    assert not theirs.closed


def test_the_one_that_waited_too_long_is_closed_when_another_comes() -> None:
    idle, old, new = Idle[Line](), Line(), Line()
    idle.put(old)
    old.idle_since = time.monotonic() - KEEP_S - 1
    idle.put(new)
    assert old.closed
    assert idle.take("us") is new


def test_no_more_are_kept_than_the_limit() -> None:
    idle, lines = Idle[Line](), [Line() for _ in range(KEPT_LIMIT + 1)]
    for line in lines:
        idle.put(line)
    assert [line.closed for line in lines] == [False] * KEPT_LIMIT + [True]


def test_what_comes_back_after_the_end_is_closed() -> None:
    idle, waiting, busy = Idle[Line](), Line(), Line()
    idle.put(waiting)
    idle.close("us")
    idle.put(busy)
    assert (waiting.closed, busy.closed, idle.is_closed) == (True, True, True)


def caused(outer: Exception, *causes: Exception) -> Exception:
    inner = outer
    for cause in causes:
        inner.__cause__ = cause
        inner = cause
    return outer


CERTIFICATE = ssl.SSLCertVerificationError("self-signed certificate of secret.example")


@pytest.mark.parametrize(("error", "why", "may_retry"), [
    (CERTIFICATE, "the TLS certificate was not accepted", False),
    (caused(httpx.ConnectError("x"), httpcore.ConnectError("x"), CERTIFICATE),
     "the TLS certificate was not accepted", False),
    (ssl.SSLError("x"), "TLS failed", False),
    (ssl.SSLEOFError("x"), "the connection broke off", True),
    (caused(httpx.ConnectError("x"), socket.gaierror("x")), "the host name was not resolved", True),
    (ConnectionRefusedError("x"), "the connection was refused", True),
    (httpx.PoolTimeout("x"), "no connection was free in time", True),
    (httpx.ConnectTimeout("x"), "no connection was made in time", True),
    (httpx.ReadTimeout("x"), "no complete answer came in time", True),
    (TimeoutError("x"), "no complete answer came in time", True),
    (httpcore.RemoteProtocolError("x"), "the answer broke off or was not HTTP", True),
    (ConnectionResetError("x"), "the connection broke off", True),
    (httpcore.WriteError("x"), "the connection broke off", True),
    (Unusable("our words", may_retry=False), "our words", False),
    (KeyError("secret.example"), "the exchange failed (KeyError)", True),
], ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "")
def test_a_failure_is_told_in_our_own_words(error: Exception, why: str, may_retry: bool) -> None:
    for sent in (False, True):
        lost = lost_from(error, sent)
        assert (lost.why, str(lost), lost.may_retry, lost.sent) == (why, why, may_retry, sent)


def test_an_error_the_caller_was_busy_with_does_not_speak_for_ours() -> None:
    ours = ConnectionRefusedError()
    ours.__context__ = CERTIFICATE
    assert lost_from(ours, False).may_retry


def test_a_call_is_silent_until_it_speaks_and_does_not_speak_after_its_deadline() -> None:
    call = Call(Deadline.after(SystemClock(), 60), 5)
    assert not call.sent
    call.trace("http11.receive_response_headers.started", {})
    assert not call.sent
    call.trace("http2.send_request_headers.started", {})
    assert call.sent
    late = Call(Deadline.after(SystemClock(), -1), 5)
    with pytest.raises(Unusable, match="deadline"):
        late.trace("http11.send_request_headers.started", {})
    assert not late.sent


def test_patience_is_the_shorter_of_the_timeout_and_what_is_left() -> None:
    clock = SystemClock()
    assert Call(Deadline.after(clock, 60), 5).patience_s() == 5
    assert 0 < Call(Deadline.after(clock, 3), 5).patience_s() <= 3
    with pytest.raises(TimeoutError):
        Call(Deadline.after(clock, 0), 5).patience_s()


@pytest.mark.parametrize("seconds", [math.nan, math.inf, -math.inf])
def test_a_deadline_is_finite(seconds: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        Deadline.after(SystemClock(), seconds)


def test_importing_the_transport_and_making_doors_loads_no_http_library() -> None:
    script = """
import sys
from paygate.transport import AsyncDoor, Door
Door("https://pg.example"), AsyncDoor("https://pg.example")
print([name for name in ("httpx", "httpcore", "h11", "anyio", "certifi", "ssl", "asyncio") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True,
                          env={"PYTHONPATH": ":".join(sys.path)})
    assert done.stdout.strip() == "[]"
