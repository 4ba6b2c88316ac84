"""The doors over real sockets: how a request arrives, who keeps a connection, what may be handed in."""

from __future__ import annotations

import asyncio
import gc
import inspect
import os
import socket
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from paygate.clock import Deadline, SystemClock
from paygate.errors import BadSettings
from paygate.secret import Secret
from paygate.testing.emulator import Answer, Call, Emulator, FaultKind, VirtualClock, json_response
from paygate.testing.transport import EmulatorTransport
from paygate.transport import AsyncDoor, Door, Lost
from paygate.wire import Request, Response, Token, path

sys.path.insert(0, str(Path(__file__).parent))  # tests are imported one by one, without a package around them

from wire_server import OK, WireServer, keep_answering, respond

GET = Request("GET", path("/payments/{}", "p-1"))
POST = Request("POST", path("/payments"), json={"amount": 14_000})


def soon() -> Deadline:
    return Deadline.after(SystemClock(), 20)


class Steady:
    """One way through a door, kept open over several requests."""

    def __init__(self, send: Callable[[Request, Token | None, Deadline], Response], close: Callable[[], None]) -> None:
        self._send, self.close = send, close

    def send(self, request: Request, token: Token | None = None, deadline: Deadline | None = None) -> Response:
        return self._send(request, token, deadline or soon())


@pytest.fixture(params=["sync", "async"])
def opened(request: pytest.FixtureRequest) -> Iterator[Callable[..., Steady]]:
    """Opens doors of either kind; the asynchronous ones all live in one loop. Closes them at the end."""
    doors: list[Steady] = []
    runner = asyncio.Runner()

    def open_sync(base_url: str, **options: Any) -> Steady:
        door = Door(base_url, **options)
        return Steady(door.send, door.close)

    def open_async(base_url: str, **options: Any) -> Steady:
        door = AsyncDoor(base_url, **options)
        return Steady(lambda *a: runner.run(door.send(*a)), lambda: runner.run(door.close()))

    def open_one(base_url: str, **options: Any) -> Steady:
        doors.append((open_sync if request.param == "sync" else open_async)(base_url, **options))
        return doors[-1]

    with runner:
        yield open_one
        for door in doors:
            door.close()


Opened = Callable[..., Steady]


# What arrives


def test_a_get_arrives_with_the_stated_headers_and_nothing_else(opened: Opened) -> None:
    with WireServer(keep_answering) as server:
        opened(server.base_url).send(GET)
    assert server.line() == "GET /payments/p-1 HTTP/1.1"
    names = dict(server.headers())
    assert names.pop("User-Agent").startswith("paygate/")
    assert names == {"Host": f"127.0.0.1:{server.port}", "Accept": "application/json", "Accept-Encoding": "identity"}
    assert server.body() == b""


def test_a_post_arrives_with_its_body_and_asks_for_the_connection_to_end(opened: Opened) -> None:
    with WireServer(keep_answering) as server:
        opened(server.base_url).send(Request("POST", path("/a"), json={"이름": Secret("가"), "n": 1}))
    assert server.body() == '{"이름":"가","n":1}'.encode()
    assert [pair for pair in server.headers() if pair[0].startswith("Con")] == [
        ("Content-Type", "application/json"), ("Content-Length", str(len(server.body()))), ("Connection", "close")]


def test_a_post_without_body_says_that_it_has_none(opened: Opened) -> None:
    with WireServer(keep_answering) as server:
        opened(server.base_url).send(Request("POST", path("/a")))
        opened(server.base_url).send(Request("DELETE", path("/a")))
    assert ("Content-Length", "0") in server.headers(0)
    assert "Content-Length" not in dict(server.headers(1))


def test_headers_of_the_request_and_the_token_arrive_and_the_token_wins(opened: Opened) -> None:
    token = Token(headers={"X-Key": Secret("from token"), "Authorization": Secret("Bearer t")}, lifetime_s=60)
    request = Request("GET", path("/a"), headers={"x-key": "from request", "Accept": "text/plain", "X-Latin": "é"})
    with WireServer(keep_answering) as server:
        opened(server.base_url).send(request, token)
    names = dict(server.headers())
    assert (names["X-Key"], names["Authorization"], names["Accept"], names["X-Latin"]) == (
        "from token", "Bearer t", "text/plain", "é")
    assert "x-key" not in names


HOSTILE = ["a b", "a/b", "a?x=1", "a#b", "a%2Fb", "a&b=c", "결제", "..%2f", "a;b", "a\\b", "a+b", "[x]", "😀", "'\"<>"]


@pytest.mark.parametrize("text", HOSTILE)
def test_an_id_in_the_path_stays_one_segment_and_a_query_value_stays_one_value(opened: Opened, text: str) -> None:
    from urllib.parse import parse_qsl, unquote, urlsplit

    request = Request("GET", path("/a/{}/b", text), query=(("k[]", text), (text, "")))
    with WireServer(keep_answering) as server:
        opened(f"{server.base_url}/v1/").send(request)
    target = server.line().split(" ")[1]
    parts = urlsplit(target)
    assert [unquote(s) for s in parts.path.split("/")] == ["", "v1", "a", text, "b"]
    assert parse_qsl(parts.query, keep_blank_values=True) == [("k[]", text), (text, "")]
    assert "k%5B%5D=" in target


@pytest.mark.parametrize("text", HOSTILE)
def test_a_transport_that_is_handed_in_gets_the_same_target(opened: Opened, text: str) -> None:
    seen: list[bytes] = []

    def keep(request: httpx.Request) -> httpx.Response:
        seen.append(request.url.raw_path)
        return httpx.Response(200, content=b"{}")

    request = Request("GET", path("/a/{}/b", text), query=(("k[]", text),))
    with WireServer(keep_answering) as server:
        opened(server.base_url).send(request)
    opened("https://pg.example", http=httpx.MockTransport(keep)).send(request)
    assert seen == [server.line().split(" ")[1].encode()]


@pytest.mark.parametrize(("request_", "words"), [
    (Request("GET", path("/a"), headers={"X": "a\r\nY: b"}), "cannot travel"),
    (Request("GET", path("/a"), headers={"X": "a\n"}), "cannot travel"),
    (Request("GET", path("/a"), headers={"X": "a\0b"}), "cannot travel"),
    (Request("GET", path("/a"), headers={"X": Secret(" padded")}), "cannot travel"),
    (Request("GET", path("/a"), headers={"X": "한"}), "cannot travel"),
    (Request("GET", path("/a"), headers={"X Y": "a"}), "name"),
    (Request("GET", path("/a"), headers={"": "a"}), "name"),
    (Request("GET", path("/a"), headers={"X:": "a"}), "name"),
    (Request("GET", path("/a"), headers={"Host": "elsewhere"}), "set by the transport"),
    (Request("POST", path("/a"), headers={"content-LENGTH": "3"}), "set by the transport"),
    (Request("POST", path("/a"), headers={"Transfer-Encoding": "chunked"}), "set by the transport"),
    (Request("GET", path("/a"), query=(("a", "\ud800"),)), "half a character"),
    (Request("POST", path("/a"), json={"a": float("nan")}), "JSON"),
    (Request("POST", path("/a"), json={"a": object()}), "JSON"),
    (Request("POST", path("/a"), json={"a": "\ud800"}), "JSON"),
], ids=lambda value: value if isinstance(value, str) else "")
def test_what_cannot_travel_is_found_before_a_connection_is_opened(opened: Opened, request_: Request,
                                                                   words: str) -> None:
    with WireServer(keep_answering) as server, pytest.raises(Lost, match=words) as caught:
        opened(server.base_url).send(request_)
    assert (caught.value.sent, caught.value.may_retry) == (False, False)
    assert server.connections == 0


# Who shares a connection


def test_reads_share_a_connection_and_mutating_calls_never_do(opened: Opened) -> None:
    with WireServer(keep_answering) as server:
        door = opened(server.base_url)
        door.send(GET)
        door.send(GET)
        assert server.connections == 1
        door.send(POST)
        door.send(Request("DELETE", path("/a")))
        assert server.connections == 3
        door.send(GET)
        assert server.connections == 3
        door.close()
    assert len(server.requests) == 5


def test_a_read_repeatable_by_word_alone_still_gets_a_connection_of_its_own(opened: Opened) -> None:
    with WireServer(keep_answering) as server:
        door = opened(server.base_url)
        door.send(GET)
        door.send(Request("POST", path("/search"), repeatable=True))
        assert server.connections == 2
        door.close()


def test_a_connection_that_the_server_ends_is_not_used_again(opened: Opened) -> None:
    with WireServer(respond(b"{}", b"Connection: close")) as server:
        door = opened(server.base_url)
        door.send(GET)
        door.send(GET)
    assert server.connections == 2


def test_a_kept_connection_that_died_silently_is_noticed_before_it_is_used(opened: Opened) -> None:
    ended = threading.Event()

    def once(server: WireServer, connection: socket.socket) -> None:
        if server.connections > 1:
            return keep_answering(server, connection)
        server.read_request(connection)
        connection.sendall(OK)
        connection.shutdown(socket.SHUT_RDWR)
        ended.set()

    with WireServer(once) as server:
        door = opened(server.base_url)
        door.send(GET)
        assert ended.wait(10)
        assert door.send(GET).status == 200
        door.close()
    assert server.connections == 2


def test_a_kept_connection_that_dies_under_the_read_is_lost_as_sent(opened: Opened) -> None:
    def once(server: WireServer, connection: socket.socket) -> None:
        if server.read_request(connection):
            connection.sendall(OK)
            server.read_request(connection)

    with WireServer(once) as server:
        door = opened(server.base_url)
        door.send(GET)
        with pytest.raises(Lost) as caught:
            door.send(GET)
    assert caught.value.sent
    assert (server.connections, len(server.requests)) == (1, 2)


def test_an_answer_that_came_twice_never_answers_the_next_question(opened: Opened) -> None:
    def twice(server: WireServer, connection: socket.socket) -> None:
        body = b'{"connection":%d}' % server.connections
        while server.read_request(connection):
            connection.sendall(2 * (b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)))

    with WireServer(twice) as server:
        door = opened(server.base_url)
        assert door.send(GET).body == b'{"connection":1}'
        try:
            second = door.send(GET).body
        except Lost as lost:
            second = lost.why.encode()
        # Seen in time, it was asked on another connection.
        assert second in (b'{"connection":2}', b"an answer was there before its question")
        assert door.send(POST).body == b'{"connection":%d}' % server.connections
        door.close()


def test_a_connection_on_which_somebody_speaks_unasked_is_ended_at_once() -> None:
    def babble(server: WireServer, connection: socket.socket) -> None:
        server.read_request(connection)
        connection.sendall(OK)
        answered.wait(10)
        try:
            while not server.stop.is_set():
                connection.sendall(b"x" * 65536)
        except OSError:
            ended.set()

    async def main(base_url: str) -> bool:
        door = AsyncDoor(base_url)
        await door.send(GET, None, soon())
        answered.set()
        return await asyncio.to_thread(ended.wait, 10)

    answered, ended = threading.Event(), threading.Event()
    with WireServer(babble) as server:
        assert asyncio.run(main(server.base_url))


def test_a_closed_door_sends_nothing_and_keeps_nothing(opened: Opened) -> None:
    with WireServer(keep_answering) as server:
        door = opened(server.base_url)
        door.send(GET)
        door.close()
        with pytest.raises(Lost, match="closed") as caught:
            door.send(GET)
    assert (caught.value.sent, caught.value.may_retry) == (False, False)
    assert len(server.requests) == 1


def echo_target(server: WireServer, connection: socket.socket) -> None:
    while head := connection.recv(65536):
        target = head.split(b" ")[1]
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(target), target))


def test_threads_share_one_door_and_each_gets_its_own_answer() -> None:
    wrong: list[str] = []
    with WireServer(echo_target) as server:
        door = Door(server.base_url)

        def work(number: int) -> None:
            for turn in range(20):
                request = Request("GET", path("/{}/{}", str(number), str(turn)))
                if door.send(request, None, soon()).body != str(request.path).encode():
                    wrong.append(str(request.path))

        threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        door.close()
        assert server.connections <= 8
    assert wrong == []


def test_tasks_share_one_door_and_each_gets_its_own_answer() -> None:
    async def main(base_url: str) -> list[bool]:
        door = AsyncDoor(base_url)

        async def ask(number: int) -> bool:
            response = await door.send(Request("GET", path("/{}", str(number))), None, soon())
            return response.body == b"/%d" % number

        came = [*await asyncio.gather(*map(ask, range(50))), *await asyncio.gather(*map(ask, range(50)))]
        await door.close()
        return came

    with WireServer(echo_target) as server:
        assert all(asyncio.run(main(server.base_url)))
        assert server.connections <= 50


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_child_opens_its_own_connection_and_leaves_the_parents_alone() -> None:
    with WireServer(keep_answering) as server:
        door = Door(server.base_url)
        door.send(GET, None, soon())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the server's threads do not matter to the child
            child = os.fork()
        if child == 0:
            status = 1
            try:
                status = 0 if door.send(GET, None, soon()).status == 200 else 1
                door.close()
            finally:
                os._exit(status)
        assert os.waitpid(child, 0)[1] == 0
        assert server.connections == 2
        door.send(GET, None, soon())
        assert server.connections == 2
        door.close()
    assert len(server.requests) == 3


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # what a loop leaves behind, nobody else may close
def test_another_loop_opens_its_own_connection() -> None:
    with WireServer(keep_answering) as server:
        door = AsyncDoor(server.base_url)
        for _ in range(2):
            assert asyncio.run(door.send(GET, None, soon())).status == 200
        assert server.connections == 2
        del door
        gc.collect()


# Cancelled, interrupted, paused


def test_a_cancelled_call_ends_its_connection_and_passes_the_cancellation() -> None:
    def wait_for_end(server: WireServer, connection: socket.socket) -> None:
        server.read_request(connection)
        connection.settimeout(10)
        ended.append(connection.recv(1))

    async def main(base_url: str) -> None:
        task = asyncio.create_task(AsyncDoor(base_url).send(POST, None, soon()))
        await asyncio.to_thread(server.got_one.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    ended: list[bytes] = []
    with WireServer(wait_for_end) as server:
        asyncio.run(main(server.base_url))
    assert ended == [b""]


def test_a_cancellation_from_outside_is_not_taken_for_the_deadline() -> None:
    async def main() -> str:
        try:
            async with asyncio.timeout(0.1):
                await AsyncDoor(server.base_url).send(POST, None, soon())
        except TimeoutError:
            return "the caller's own timeout"
        return "nothing"

    def hang(server: WireServer, connection: socket.socket) -> None:
        server.stop.wait()

    with WireServer(hang) as server:
        assert asyncio.run(main()) == "the caller's own timeout"


class TurnedClock:
    """A clock that stands still until it is turned."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return datetime(2026, 1, 5, tzinfo=UTC)


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_process_paused_past_its_deadline_before_speaking_does_not_speak(kind: str) -> None:
    clock, spoken = TurnedClock(), []

    class Pausing(httpx.BaseTransport, httpx.AsyncBaseTransport):
        emits_trace = True

        def handle_request(self, request: httpx.Request) -> httpx.Response:
            clock.seconds = 100
            request.extensions["trace"]("http11.send_request_headers.started", {})
            spoken.append("sync")
            return httpx.Response(200)

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            clock.seconds = 100
            await request.extensions["trace"]("http11.send_request_headers.started", {})
            spoken.append("async")
            return httpx.Response(200)

    def send() -> None:
        deadline = Deadline.after(clock, 30)
        if kind == "sync":
            Door("https://pg.example", http=Pausing()).send(POST, None, deadline)
        else:
            asyncio.run(AsyncDoor("https://pg.example", http=Pausing()).send(POST, None, deadline))

    with pytest.raises(Lost, match="deadline") as caught:
        send()
    assert not caught.value.sent
    assert spoken == []


# Transports that are handed in


class Silent(Emulator):
    """Knows one answer."""

    name = "silent"

    def answer(self, call: Call) -> Response:
        return json_response(200, b"{}")


class Foreign(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """Raises before it sends, and says nothing of it."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")


class Derived(httpx.HTTPTransport):
    """Derived from one that tells, but sends in a way of its own."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")


def test_a_transport_that_does_not_tell_counts_as_sent(opened: Opened) -> None:
    with pytest.raises(Lost) as caught:
        opened("https://pg.example", http=Foreign()).send(POST)
    assert caught.value.sent


def test_a_class_derived_from_a_trusted_transport_is_not_trusted() -> None:
    with Derived() as http, pytest.raises(Lost) as caught:
        Door("https://pg.example", http=http).send(POST, None, soon())
    assert caught.value.sent


@pytest.mark.parametrize(("kind", "sent"), [
    (FaultKind.REFUSE, False), (FaultKind.DROP_BEFORE, True), (FaultKind.RESET_AFTER, True),
    (FaultKind.HANG_BEFORE, True), (FaultKind.HUGE_AFTER, True),
])
def test_an_emulators_faults_tell_whether_a_byte_left(opened: Opened, kind: FaultKind, sent: bool) -> None:
    emulator = Silent()
    emulator.fault(kind)
    with pytest.raises(Lost) as caught:
        opened("https://pg.example", http=EmulatorTransport(emulator)).send(POST)
    assert caught.value.sent is sent


def test_an_emulator_hears_nothing_once_the_deadline_is_over(opened: Opened) -> None:
    class Paused(EmulatorTransport):
        def _will_refuse(self, call: Call) -> bool:
            emulator.clock.advance(60)
            return super()._will_refuse(call)

    class Counting(Silent):
        def handle(self, call: Call) -> Answer:
            heard.append(call)
            return super().handle(call)

    heard: list[Call] = []
    emulator = Counting(VirtualClock())
    with pytest.raises(Lost) as caught:
        opened("https://pg.example", http=Paused(emulator)).send(POST, None, Deadline.after(emulator.clock, 30))
    assert (caught.value.sent, heard) == (False, [])


def test_a_handed_transport_is_never_asked_to_keep_a_connection(opened: Opened) -> None:
    emulator = Silent()
    door = opened("https://pg.example/v1", http=EmulatorTransport(emulator))
    door.send(GET)
    door.send(POST)
    assert [call.headers["connection"] for call in emulator.calls] == ["close", "close"]
    assert [call.target for call in emulator.calls] == ["/v1/payments/p-1", "/v1/payments"]
    assert emulator.calls[1].body == b'{"amount":14000}'


def test_a_handed_transport_is_not_closed(opened: Opened) -> None:
    class Closing(EmulatorTransport):
        def close(self) -> None:
            closed.append(True)

        async def aclose(self) -> None:
            closed.append(True)

    closed: list[bool] = []
    door = opened("https://pg.example", http=Closing(Silent()))
    door.send(GET)
    door.close()
    assert closed == []


def test_no_proxy_and_no_setting_is_taken_from_the_environment(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    with WireServer(keep_answering) as proxy, WireServer(keep_answering) as server:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.base_url)
            monkeypatch.setenv(name.lower(), proxy.base_url)
        door = opened(server.base_url)
        door.send(GET)
        door.send(POST)
        door.close()
    assert (proxy.connections, len(server.requests)) == (0, 2)


# Settings


@pytest.mark.parametrize("base_url", [
    "", "pg.example", "//pg.example", "ftp://pg.example", "https://", "https:///a", "https://u@pg.example",
    "https://u:p@pg.example", "https://pg.example?", "https://pg.example?a=1", "https://pg.example#", "https://pg.example/a#b",
    "https://pg.example:0", "https://pg.example:65536", "https://pg.example:", "https://pg.example:x",
    "https://pg example", " https://pg.example", "https://pg.example\n", "https://pg.example/a b", "https://pg.example\\a",
    "https://pg..example", "https://-pg.example", "https://결제.example", "https://pg.example/../a", "https://pg.example//a",
    "https://pg.example/%2e", "https://[::1", "https://::1", "https://[fe80::1%25eth0]", "https://[pg.example]",
    "https://999.1.1.1", None, b"https://pg.example",
    "http://pg.example", "http://10.0.0.1", "http://localhost.example", "http://[fe80::1]", "http://0.0.0.0",
])
@pytest.mark.parametrize("kind", [Door, AsyncDoor])
def test_a_base_url_that_is_not_plain_is_refused(kind: Any, base_url: Any) -> None:
    with pytest.raises(BadSettings, match="nothing was sent"):
        kind(base_url)


@pytest.mark.parametrize(("base_url", "host"), [
    ("https://pg.example", "pg.example"), ("https://PG.example:443/", "pg.example"),
    ("https://pg.example:8443/v1", "pg.example:8443"), ("http://localhost:80", "localhost"),
    ("http://127.0.0.1:81/a/b/", "127.0.0.1:81"), ("http://[::1]:82", "[::1]:82"), ("https://10.0.0.1", "10.0.0.1"),
])
def test_the_host_header_names_the_host_as_it_must(opened: Opened, base_url: str, host: str) -> None:
    emulator = Silent()
    opened(base_url, http=EmulatorTransport(emulator)).send(GET)
    assert emulator.calls[0].headers["host"] == host


def has_ipv6_loopback() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_ipv6_loopback(), reason="no IPv6 address on this machine")
def test_the_other_loopback_is_reached_too(opened: Opened) -> None:
    with WireServer(keep_answering, host="::1") as server:
        door = opened(server.base_url)
        assert door.send(GET).status == 200
        door.close()
    assert dict(server.headers())["Host"] == f"[::1]:{server.port}"


@pytest.mark.parametrize("kind", [Door, AsyncDoor])
@pytest.mark.parametrize("options", [
    {"timeout_s": 0}, {"timeout_s": -1}, {"timeout_s": float("nan")}, {"timeout_s": float("inf")}, {"timeout_s": True},
    {"http": object()}, {"http": httpx}, {"tls": object()}, {"tls": False},
], ids=lambda options: str(options).partition(" at ")[0])  # the same in every process
def test_a_setting_that_cannot_be_is_refused(kind: Any, options: dict[str, Any]) -> None:
    with pytest.raises(BadSettings):
        kind("https://pg.example", **options)


def test_a_transport_of_the_wrong_kind_is_refused() -> None:
    with httpx.HTTPTransport() as http, pytest.raises(BadSettings, match="AsyncBaseTransport"):
        AsyncDoor("https://pg.example", http=http)  # type: ignore[arg-type]
    with pytest.raises(BadSettings, match="BaseTransport"):
        Door("https://pg.example", http=httpx.AsyncHTTPTransport())  # type: ignore[arg-type]


# Twins


def test_the_two_doors_have_the_same_names_and_parameters() -> None:
    def shape(kind: type) -> dict[str, list[str]]:
        return {name: list(inspect.signature(member).parameters) for name, member in vars(kind).items()
                if name == "__init__" or (inspect.isfunction(member) and not name.startswith("_"))}

    assert shape(Door) == shape(AsyncDoor)
    assert all(inspect.iscoroutinefunction(vars(AsyncDoor)[name]) for name in shape(Door) if name != "__init__")


@pytest.mark.parametrize("request_", [
    GET, POST, Request("DELETE", path("/k/{}", "ab c"), headers={"X": Secret("y")}),
    Request("PUT", path("/k"), query=(("a", "b c"), ("a", "d")), json=[1, "가"]), Request("PATCH", path("/k")),
], ids=lambda r: r.method)
def test_both_doors_and_a_handed_transport_write_the_same_request(request_: Request) -> None:
    token = Token(headers={"Authorization": Secret("t")}, lifetime_s=1)
    with WireServer(keep_answering) as server:
        door = Door(server.base_url)
        door.send(request_, token, soon())
        door.close()

        async def main() -> None:
            adoor = AsyncDoor(server.base_url)
            await adoor.send(request_, token, soon())
            await adoor.close()

        asyncio.run(main())
        with httpx.HTTPTransport(trust_env=False) as http:
            Door(server.base_url, http=http).send(request_, token, soon())
    own, own_async, handed = server.requests
    assert own == own_async
    if request_.method != "GET":
        # Written by httpx from the same fields; a read through it ends its connection besides.
        assert sorted(handed.split(b"\r\n")) == sorted(own.split(b"\r\n"))
