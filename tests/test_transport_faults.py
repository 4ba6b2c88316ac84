"""Every fault of a server over real sockets, met by every way through the doors: what is lost, and was it sent?"""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from paygate.clock import Deadline, SystemClock
from paygate.transport import AsyncDoor, Door, Lost
from paygate.wire import Request, Response, path

sys.path.insert(0, str(Path(__file__).parent))  # tests are imported one by one, without a package around them

from wire_server import ANSWERS, ENDLESS, FAULTS, OK, WireServer, free_port, keep_answering, respond

GET = Request("GET", path("/payments/{}", "p-1"))
POST = Request("POST", path("/payments"), json={"amount": 14_000})
REQUESTS = {"GET": GET, "POST": POST}


def own(base_url: str, request: Request, deadline_s: float) -> Response | Lost:
    door = Door(base_url)
    try:
        return door.send(request, None, Deadline.after(SystemClock(), deadline_s))
    except Lost as lost:
        return lost
    finally:
        door.close()


def own_async(base_url: str, request: Request, deadline_s: float) -> Response | Lost:
    async def main() -> Response | Lost:
        door = AsyncDoor(base_url)
        try:
            return await door.send(request, None, Deadline.after(SystemClock(), deadline_s))
        except Lost as lost:
            return lost
        finally:
            await door.close()
    return asyncio.run(main())


def handed(base_url: str, request: Request, deadline_s: float) -> Response | Lost:
    with httpx.HTTPTransport(trust_env=False) as http:
        try:
            return Door(base_url, http=http).send(request, None, Deadline.after(SystemClock(), deadline_s))
        except Lost as lost:
            return lost


def handed_async(base_url: str, request: Request, deadline_s: float) -> Response | Lost:
    async def main() -> Response | Lost:
        async with httpx.AsyncHTTPTransport(trust_env=False) as http:
            try:
                return await AsyncDoor(base_url, http=http).send(
                    request, None, Deadline.after(SystemClock(), deadline_s))
            except Lost as lost:
                return lost
    return asyncio.run(main())


Way = Callable[[str, Request, float], Response | Lost]
WAYS: dict[str, Way] = {"own": own, "own async": own_async, "httpx": handed, "httpx async": handed_async}
# A blocking transport of somebody else's cannot be stopped while it waits for a header.
UNBOUNDED = {("httpx", "drips a header"), ("httpx", "drips interim answers")}
CELLS = [(way, fault) for way in WAYS for fault in FAULTS if (way, fault) not in UNBOUNDED]


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(("way", "fault"), CELLS, ids=[" - ".join(cell) for cell in CELLS])
def test_a_fault_after_the_connection_is_lost_as_sent_and_arrives_at_most_once(
        way: str, fault: str, method: str) -> None:
    with WireServer(FAULTS[fault]) as server:
        started = time.monotonic()
        came = WAYS[way](server.base_url, REQUESTS[method], 0.3 if fault in ENDLESS else 20)
        took_s = time.monotonic() - started
    assert isinstance(came, Lost)
    assert (came.sent, came.may_retry) == (True, True)
    assert server.connections == 1
    assert len(server.requests) <= 1
    # Generous: the point is that it ends at all while the server goes on.
    assert took_s < 10


@pytest.mark.parametrize("way", WAYS)
def test_a_refused_connection_is_lost_as_not_sent_and_may_be_retried(way: str) -> None:
    came = WAYS[way](f"http://127.0.0.1:{free_port()}", POST, 20)
    assert isinstance(came, Lost)
    assert (came.sent, came.may_retry) == (False, True)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ANSWERS)
def test_a_complete_answer_is_returned_however_it_is_framed(way: str, name: str) -> None:
    behave, status, body = ANSWERS[name]
    with WireServer(behave) as server:
        came = WAYS[way](server.base_url, GET, 20)
    assert isinstance(came, Response), came
    assert (came.status, came.body) == (status, body)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("status", [b"301 Moved", b"302 Found", b"303 See Other", b"307 Temporary", b"308 Permanent"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_redirect_is_an_answer_and_is_not_followed(way: str, status: bytes, method: str) -> None:
    with WireServer(keep_answering) as elsewhere:
        location = b"Location: " + elsewhere.base_url.encode()
        with WireServer(respond(b"", location, status=status)) as server:
            came = WAYS[way](server.base_url, REQUESTS[method], 20)
    assert isinstance(came, Response)
    assert came.status == int(status[:3])
    assert (len(server.requests), elsewhere.connections) == (1, 0)


@pytest.mark.parametrize("way", WAYS)
def test_header_names_are_lower_case_and_repeated_ones_joined(way: str) -> None:
    with WireServer(respond(b"{}", b"X-One: a", b"x-one: b", b"Retry-After: 3")) as server:
        came = WAYS[way](server.base_url, GET, 20)
    assert isinstance(came, Response)
    assert came.headers == {"x-one": "a, b", "retry-after": "3", "content-length": "2"}


@pytest.mark.parametrize("way", WAYS)
def test_a_server_that_never_reads_is_given_up_at_the_deadline(way: str) -> None:
    def never_read(server: WireServer, connection: socket.socket) -> None:
        server.stop.wait(30)

    with WireServer(never_read) as server:
        started = time.monotonic()
        came = WAYS[way](server.base_url, Request("POST", path("/a"), json="x" * (16 << 20)), 0.5)
        took_s = time.monotonic() - started
    assert isinstance(came, Lost)
    assert came.sent
    assert took_s < 10


@pytest.mark.parametrize("way", ["own", "own async"])
def test_half_a_request_has_no_answer_that_counts(way: str) -> None:
    def answer_early(server: WireServer, connection: socket.socket) -> None:
        connection.recv(1)
        connection.sendall(OK)

    with WireServer(answer_early) as server:
        came = WAYS[way](server.base_url, Request("POST", path("/a"), json="x" * (16 << 20)), 20)
    assert isinstance(came, Lost)
    assert came.sent


@pytest.mark.parametrize("way", WAYS)
def test_a_deadline_that_is_over_sends_nothing(way: str) -> None:
    with WireServer(keep_answering) as server:
        came = WAYS[way](server.base_url, POST, -1)
    assert isinstance(came, Lost)
    assert not came.sent
    assert server.connections == 0


@pytest.mark.parametrize("way", ["own", "own async"])
@pytest.mark.parametrize("name", ["hangs", "drips a header", "drips a body"])
def test_a_step_takes_no_longer_than_the_timeout_and_all_no_longer_than_the_deadline(way: str, name: str) -> None:
    # The step's timeout ends only the silence; the dripping is ended by the deadline.
    request, clock = POST, SystemClock()
    with WireServer(FAULTS[name]) as server:
        started = time.monotonic()
        if way == "own":
            with pytest.raises(Lost):
                Door(server.base_url, timeout_s=0.2).send(request, None, Deadline.after(clock, 1.0))
        else:
            door = AsyncDoor(server.base_url, timeout_s=0.2)
            with pytest.raises(Lost):
                asyncio.run(door.send(request, None, Deadline.after(clock, 1.0)))
        took_s = time.monotonic() - started
    assert took_s >= (0.2 if name == "hangs" else 1.0) - 0.05
    assert took_s < 10


@pytest.mark.parametrize("way", ["own", "own async"])
def test_silence_is_ended_by_the_timeout_of_a_step_long_before_the_deadline(way: str) -> None:
    deadline = Deadline.after(SystemClock(), 30)
    with WireServer(FAULTS["hangs"]) as server:
        if way == "own":
            with pytest.raises(Lost) as caught:
                Door(server.base_url, timeout_s=0.1).send(POST, None, deadline)
        else:
            with pytest.raises(Lost) as caught:
                asyncio.run(AsyncDoor(server.base_url, timeout_s=0.1).send(POST, None, deadline))
    assert caught.value.sent
    assert deadline.remaining_s() > 5
