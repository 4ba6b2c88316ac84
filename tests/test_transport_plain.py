"""A plain answer is read without httpcore. h11 is the judge: what is read here, it reads just so."""

from __future__ import annotations

from itertools import pairwise

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paygate.transport.incoming import BODY_LIMIT, Incoming
from paygate.transport.lost import Unusable
from paygate.transport.plain import Answer
from paygate.wire import Response

HEADS = [
    b"HTTP/1.1 200 OK", b"HTTP/1.1 200", b"HTTP/1.1 200 ", b"HTTP/1.1 404 Not Found", b"HTTP/1.1 100 Continue",
    b"HTTP/1.1 204 No Content", b"HTTP/1.1 304 Not Modified", b"HTTP/1.0 200 OK", b"HTTP/1.1 600 Odd", b"HTTP/1.1 2000",
    b"HTTP/2 200", b"http/1.1 200 OK", b"HTTP/1.1  200 OK", b"HTTP/1.1 200 O\x00K", b"", b"HTTP/1.1 200 \xeb\x84\xa4",
    b"HTTP/1.1 103 Early Hints\r\nLink: x\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK",
]
FIELDS = [
    b"Content-Length: 4", b"content-length:4", b"Content-Length: 4 ", b"Content-Length:\t4", b"Content-Length: 04",
    b"Content-Length: +4", b"Content-Length: 4, 4", b"Content-Length: 5", b"Content-Length: -4", b"Content-Length: ",
    b"Content-Length: 9999999999", b"Content-Length : 4", b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity",
    b"Connection: close", b"Connection: keep-alive", b"Connection: Keep-Alive, close",
    b"Content-Type: application/json",
    b"X-Folded: a\r\n b", b" leading: x", b"no colon", b": nameless", b"X-Empty:", b"X-Bare: a\nContent-Length: 4",
    b"X-Return: a\rb", b"X-Null: a\x00b", b"X-\xeb: x", b"X-Latin: \xeb\x84\xa4", b"Set-Cookie: a=1",
    b"Set-Cookie: b=2",
]
BODIES = [b"", b"abc", b"abcd", b"abcde",
          b"4\r\nabcd\r\n0\r\n\r\n", b"abcdHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"]


def looked_at(raw: bytes, cuts: list[int]) -> Response | None:
    """What is read of `raw` as it arrives in pieces; None where that is left to httpcore, or never whole."""
    answer, arrived = Answer(), bytearray()
    edges = [0, *sorted(cut % (len(raw) + 1) for cut in cuts), len(raw)]
    for start, end in pairwise(edges):
        arrived += raw[start:end]
        if (response := answer.look(arrived)) is not None:
            return response
        if not answer.is_plain:
            return None
    return None


def by_h11(raw: bytes) -> Response:
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method="GET", target="/", headers=[("Host", "pg.example")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(raw)
    incoming: Incoming | None = None
    while True:
        event = connection.next_event()
        assert event not in (h11.NEED_DATA, h11.PAUSED), "h11 waits for more"
        if isinstance(event, h11.Response):
            incoming = Incoming(event.status_code, event.headers.raw_items())
        elif isinstance(event, h11.Data):
            assert incoming is not None
            incoming.take(bytes(event.data))
        elif isinstance(event, h11.EndOfMessage):
            assert incoming is not None
            return incoming.response()


def judged(raw: bytes, cuts: list[int]) -> None:
    try:
        response = looked_at(raw, cuts)
    except Unusable:
        with pytest.raises((Unusable, h11.RemoteProtocolError, AssertionError)):
            by_h11(raw)
        return
    if response is not None:
        assert response == by_h11(raw)


@pytest.mark.parametrize("field", FIELDS)
def test_each_odd_line_is_read_as_h11_reads_it_or_left_to_it(field: bytes) -> None:
    for head in HEADS:
        for body in BODIES:
            for more in ([], [b"Content-Length: 4"]):
                judged(b"\r\n".join([head, *more, field, b"", body]), [])


@settings(max_examples=500, deadline=None)
@given(head=st.sampled_from(HEADS), fields=st.lists(st.sampled_from(FIELDS), max_size=4), body=st.sampled_from(BODIES),
       framed=st.booleans(), cuts=st.lists(st.integers(0, 400), max_size=4), at=st.integers(0, 400),
       put=st.one_of(st.none(), st.binary(max_size=2)))
def test_what_is_read_at_a_glance_h11_reads_alike(head: bytes, fields: list[bytes], body: bytes, framed: bool,
                                                  cuts: list[int], at: int, put: bytes | None) -> None:
    raw = b"\r\n".join([head, *([b"Content-Length: 4"] if framed else []), *fields, b"", body])
    if put is not None:
        raw = raw[:at % (len(raw) + 1)] + put + raw[at % (len(raw) + 1):]
    judged(raw, cuts)


@pytest.mark.parametrize("head", HEADS[:4])
@pytest.mark.parametrize("length", FIELDS[:4])
def test_an_ordinary_answer_is_read_whole_wherever_it_is_cut(head: bytes, length: bytes) -> None:
    raw = b"\r\n".join([head, b"Content-Type: application/json", length, b"", b"abcd"])
    read = [looked_at(raw, [cut]) for cut in range(len(raw) + 1)]
    assert all(response == by_h11(raw) and response.body == b"abcd" for response in read if response is not None)
    assert None not in read


@pytest.mark.parametrize(("kept", "stays_open"), [
    (b"", True), (b"Connection: keep-alive\r\n", True), (b"Connection: close\r\n", False),
    (b"Connection: keep-alive, close\r\n", False), (b"Connection: keep-alive\r\nConnection: close\r\n", False)])
def test_a_connection_stays_open_only_where_nothing_speaks_against_it(kept: bytes, stays_open: bool) -> None:
    answer = Answer()
    assert answer.look(bytearray(b"HTTP/1.1 200 OK\r\n" + kept + b"Content-Length: 0\r\n\r\n")) is not None
    assert answer.stays_open is stays_open


def test_a_connection_on_which_more_came_than_was_asked_for_is_not_used_again() -> None:
    answer = Answer()
    assert answer.look(bytearray(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1")) is not None
    assert not answer.stays_open


def test_an_endless_head_is_not_waited_for_and_a_long_body_is_refused() -> None:
    answer = Answer()
    assert answer.look(bytearray(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 4000)) is None
    assert not answer.is_plain
    with pytest.raises(Unusable, match="too long"):
        Answer().look(bytearray(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (BODY_LIMIT + 1)))
