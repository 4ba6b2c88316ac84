"""The sandbox's sockets: every kind of answer as an ordinary client sees it, and what the server refuses to read."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from paygate.errors import BadSettings
from paygate.money import Money
from paygate.sandbox import Sandbox
from paygate.sandbox.server import Limits, LoopbackServer
from paygate.testing.emulator import Broken, Call, Emulator, FaultKind, json_response
from paygate.wire import Response


class CountingEmulator(Emulator):
    """POST /charge moves 1,000 won; /echo tells what arrived; /raise breaks the rule that emulators do not raise."""

    name = "counting"

    def answer(self, call: Call) -> Response:
        match call.path:
            case "/charge":
                self.move("charge", f"o-{len(self.calls)}", f"p-{len(self.calls)}", Money(1_000, "KRW"))
                return json_response(200, b'{"paid": true}')
            case "/echo":
                seen = {"method": call.method, "target": call.target, "headers": dict(call.headers),
                        "body": call.body.decode("latin-1")}
                return json_response(200, json.dumps(seen).encode())
            case "/nothing":
                return Response(204)
            case "/bad-header":
                return Response(200, {"x": "a\r\nb"})
            case "/raise":
                raise RuntimeError("a bug")
        return json_response(404, b"{}")

    def settings(self) -> dict[str, Any]:
        return {"key": "k", "mode": "test"}


@pytest.fixture
def box() -> Iterator[Sandbox]:
    with Sandbox([CountingEmulator()], limits=Limits(linger_s=0.5)) as running:
        yield running


@pytest.fixture
def client(box: Sandbox) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=box.url("counting"), trust_env=False, timeout=10) as made:
        yield made


def _emulator(box: Sandbox) -> Emulator:
    return box.emulator("counting")


@contextmanager
def _connected(box: Sandbox) -> Iterator[socket.socket]:
    url = httpx.URL(box.url("counting"))
    with socket.create_connection((url.host, url.port or 0), timeout=10) as sock:
        yield sock


def _talk(box: Sandbox, *parts: bytes) -> bytes:
    """Send raw bytes, end our side, and read what comes until the end."""
    with _connected(box) as sock:
        for part in parts:
            sock.sendall(part)
        sock.shutdown(socket.SHUT_WR)
        return _rest(sock)


def _rest(sock: socket.socket) -> bytes:
    got = bytearray()
    while part := sock.recv(65536):
        got += part
    return bytes(got)


# Whole answers

def test_a_call_arrives_as_it_was_sent(client: httpx.Client) -> None:
    seen = client.post("/echo?a=1&a=2%20b", content=b"\x00body", headers={"X-One": "1"}).json()

    assert (seen["method"], seen["target"], seen["body"]) == ("POST", "/echo?a=1&a=2%20b", "\x00body")
    assert seen["headers"]["x-one"] == "1"


def test_one_connection_carries_many_calls(client: httpx.Client) -> None:
    ports = {client.get("/echo").extensions["network_stream"].get_extra_info("client_addr") for _ in range(3)}

    assert len(ports) == 1


def test_two_calls_sent_at_once_are_answered_in_order(box: Sandbox) -> None:
    one = b"GET /echo?n=1 HTTP/1.1\r\nhost: x\r\n\r\n"

    answers = b""
    with _connected(box) as sock:
        sock.sendall(one + one.replace(b"n=1", b"n=2"))
        while answers.count(b"HTTP/1.1 200") < 2 or not answers.endswith(b"}"):
            answers += sock.recv(65536)

    assert answers.index(b"n=1") < answers.index(b"n=2")


def test_a_chunked_body_arrives_whole(client: httpx.Client) -> None:
    seen = client.post("/echo", content=iter([b"one", b"two"])).json()

    assert seen["headers"]["transfer-encoding"] == "chunked"
    assert seen["body"] == "onetwo"


def test_head_is_answered_without_a_body_and_with_its_length(client: httpx.Client) -> None:
    answer = client.head("/echo")

    assert answer.content == b""
    assert int(answer.headers["content-length"]) > 0
    assert client.get("/echo").status_code == 200


def test_an_answer_without_content_has_no_length(client: httpx.Client) -> None:
    answer = client.get("/nothing")

    assert answer.status_code == 204
    assert "content-length" not in answer.headers


def test_a_client_that_waits_for_100_continue_is_told_to_go_on(box: Sandbox) -> None:
    with _connected(box) as sock:
        sock.sendall(b"POST /echo HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 4\r\n"
                     b"connection: close\r\n\r\n")
        assert sock.recv(100).startswith(b"HTTP/1.1 100 ")
        sock.sendall(b"body")

        assert b'"body": "body"' in _rest(sock)


def test_a_client_that_waits_for_100_continue_with_too_much_is_told_so_at_once(box: Sandbox) -> None:
    answer = _talk(box, b"POST /echo HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 1048577\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 413 ")


def test_an_absolute_target_is_read_as_its_path(box: Sandbox) -> None:
    answer = _talk(box, b"GET http://elsewhere/echo?q=1 HTTP/1.1\r\nhost: x\r\n\r\n")

    assert b'"target": "/echo?q=1"' in answer


def test_a_header_sent_twice_is_one_with_both_values(box: Sandbox) -> None:
    answer = _talk(box, b"GET /echo HTTP/1.1\r\nhost: x\r\na: 1\r\nA: 2\r\n\r\n")

    assert b'"a": "1, 2"' in answer


# Broken answers

def _dial(box: Sandbox, kind: FaultKind, on: str = "charge") -> None:
    with box.lock:
        _emulator(box).fault(kind, on)


@pytest.mark.parametrize("on", [".*", "POST /charge"])
def test_refuse_resets_the_connection_and_nothing_is_done(box: Sandbox, client: httpx.Client, on: str) -> None:
    _dial(box, FaultKind.REFUSE, on)

    with pytest.raises((httpx.NetworkError, httpx.RemoteProtocolError)):
        client.post("/charge")

    assert _emulator(box).journal.entries == []
    assert client.post("/charge").status_code == 200


def test_refuse_of_any_call_does_not_read_the_call(box: Sandbox) -> None:
    _dial(box, FaultKind.REFUSE, ".*")

    with pytest.raises(ConnectionError), _connected(box) as sock:
        sock.recv(1)

    assert _emulator(box).calls == []
    assert _emulator(box).faults == []


def test_refuse_of_some_calls_leaves_the_others_alone(box: Sandbox, client: httpx.Client) -> None:
    _dial(box, FaultKind.REFUSE, "POST /charge")

    assert client.get("/echo").status_code == 200
    assert len(_emulator(box).faults) == 1


@pytest.mark.parametrize(("kind", "moved"), [(FaultKind.DROP_BEFORE, 0), (FaultKind.DROP_AFTER, 1)])
def test_drop_ends_the_connection_without_an_answer(box: Sandbox, kind: FaultKind, moved: int) -> None:
    _dial(box, kind)

    assert _talk(box, b"POST /charge HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n") == b""
    assert len(_emulator(box).journal.entries) == moved


@pytest.mark.parametrize(("kind", "moved"), [(FaultKind.RESET_BEFORE, 0), (FaultKind.RESET_AFTER, 1)])
def test_reset_is_a_reset(box: Sandbox, kind: FaultKind, moved: int) -> None:
    _dial(box, kind)

    with _connected(box) as sock:
        sock.sendall(b"POST /charge HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            sock.recv(1)
    assert len(_emulator(box).journal.entries) == moved


@pytest.mark.parametrize("kind", [FaultKind.DROP_AFTER, FaultKind.RESET_AFTER, FaultKind.TRUNCATE_AFTER])
def test_a_broken_answer_is_a_transport_error_to_httpx(box: Sandbox, client: httpx.Client, kind: FaultKind) -> None:
    _dial(box, kind)

    with pytest.raises(httpx.TransportError):
        client.post("/charge")


@pytest.mark.parametrize(("kind", "moved"), [(FaultKind.HANG_BEFORE, 0), (FaultKind.HANG_AFTER, 1)])
def test_hang_answers_nothing_while_the_client_stays(box: Sandbox, kind: FaultKind, moved: int) -> None:
    _dial(box, kind)

    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{box.url('counting')}/charge", timeout=0.3, trust_env=False)
    assert len(_emulator(box).journal.entries) == moved


def test_a_hanging_connection_ends_by_itself() -> None:
    with Sandbox([CountingEmulator()], limits=Limits(hang_s=0.05)) as box:
        _dial(box, FaultKind.HANG_BEFORE)

        with _connected(box) as sock:
            sock.sendall(b"POST /charge HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n")
            assert sock.recv(1) == b""


def test_a_hanging_connection_does_not_keep_the_sandbox_from_stopping(box: Sandbox) -> None:
    _dial(box, FaultKind.HANG_BEFORE)
    with _connected(box) as sock:
        sock.sendall(b"POST /charge HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n")
        box.stop()

        assert not box.is_running


def test_a_late_answer_never_comes_but_the_clock_brings_its_effect(box: Sandbox) -> None:
    _dial(box, FaultKind.LATE)
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{box.url('counting')}/charge", timeout=0.3, trust_env=False)
    assert _emulator(box).journal.entries == []

    box.advance(71)

    assert len(_emulator(box).journal.entries) == 1


def test_truncate_sends_the_whole_length_and_half_of_the_body(box: Sandbox) -> None:
    _dial(box, FaultKind.TRUNCATE_AFTER)

    head, _, body = _talk(box, b"POST /charge HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n").partition(b"\r\n\r\n")

    whole = b'{"paid": true}'
    assert f"content-length: {len(whole)}".encode() in head.lower()
    assert body == whole[: len(whole) // 2]


def test_truncate_of_an_answer_without_content_cuts_its_head(box: Sandbox) -> None:
    _dial(box, FaultKind.TRUNCATE_AFTER, "nothing")

    answer = _talk(box, b"GET /nothing HTTP/1.1\r\nhost: x\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1")
    assert b"\r\n\r\n" not in answer


WHOLE = [kind for kind in FaultKind if kind.value.partition("_")[0] not in ("refuse", "drop", "reset", "hang", "late",
                                                                            "truncate")]


@pytest.mark.parametrize("kind", WHOLE)
def test_every_other_fault_is_a_whole_answer(box: Sandbox, client: httpx.Client, kind: FaultKind) -> None:
    _dial(box, kind)

    answer = client.post("/charge")

    assert len(answer.content) == int(answer.headers["content-length"])
    assert client.get("/echo").status_code == 200


# What is refused

@pytest.mark.parametrize(("sent", "status"), [
    (b"nonsense\r\n\r\n", 400),
    (b"GET /echo HTTP/1.1\r\n\r\n", 400),
    (b"GET /echo HTTP/1.1\r\nhost: x\r\nbad header\r\n\r\n", 400),
    (b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: x\r\n\r\n", 400),
    (b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n", 400),
    (b"POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip\r\n\r\n", 400),
    (b"POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", 400),
    (b"HEAD /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", 400),
    (b"CONNECT a:1 HTTP/1.1\r\nhost: x\r\n\r\n", 405),
    (b"GET /echo HTTP/1.1\r\nhost: x\r\na: " + b"x" * 20_000 + b"\r\n\r\n", 431),
    (b"GET /echo HTTP/1.1\r\nhost: x\r\na: " + b"x" * 200_000, 431),
    (b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 1048577\r\n\r\n", 413),
    (b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999999999999\r\n\r\n", 413),
])
def test_a_request_that_cannot_be_taken_is_told_why(box: Sandbox, sent: bytes, status: int) -> None:
    answer = _talk(box, sent)

    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert list(json.loads(answer.partition(b"\r\n\r\n")[2])) == ["error"]
    assert _emulator(box).calls == []


def test_a_chunked_body_that_never_ends_is_refused(client: httpx.Client) -> None:
    answer = client.post("/echo", content=iter([b"x" * 300_000] * 4))

    assert answer.status_code == 413


def test_a_body_of_one_mebibyte_is_taken(client: httpx.Client) -> None:
    assert client.post("/echo", content=b"x" * (1 << 20)).status_code == 200


def test_a_client_that_stalls_in_the_middle_is_told_that_it_took_too_long() -> None:
    with Sandbox([CountingEmulator()], limits=Limits(request_s=0.05, linger_s=0.05)) as box, _connected(box) as sock:
        sock.sendall(b"POST /echo HTTP/1.1\r\nhost: x\r\n")

        assert _rest(sock).startswith(b"HTTP/1.1 408 ")


def test_a_client_that_says_nothing_is_hung_up_on() -> None:
    with Sandbox([CountingEmulator()], limits=Limits(idle_s=0.05)) as box, _connected(box) as sock:
        assert _rest(sock) == b""


def test_a_client_too_many_is_reset() -> None:
    with Sandbox([CountingEmulator()], limits=Limits(connections=1)) as box, _connected(box) as first:
        first.sendall(b"GET /echo HTTP/1.1\r\nhost: x\r\n\r\n")
        first.recv(1)
        with pytest.raises(ConnectionError), _connected(box) as second:
            second.recv(1)


def test_a_client_that_goes_away_disturbs_nobody(box: Sandbox, client: httpx.Client,
                                                 caplog: pytest.LogCaptureFixture) -> None:
    with _connected(box) as sock:
        sock.sendall(b"POST /charge HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n123")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    assert client.post("/charge").status_code == 200
    assert len(_emulator(box).journal.entries) == 1
    assert [r for r in caplog.records if r.levelno >= logging.ERROR] == []


@pytest.mark.parametrize("path", ["/raise", "/bad-header"])
def test_an_emulator_that_fails_is_a_logged_500(client: httpx.Client, caplog: pytest.LogCaptureFixture,
                                                path: str) -> None:
    answer = client.get(path)

    assert answer.status_code == 500
    assert "a bug" not in answer.text
    assert "emulator" in caplog.text
    assert client.get("/echo").status_code == 200


# Many, and where

def test_hundreds_of_clients_at_once_are_each_served_once(box: Sandbox) -> None:
    async def all_at_once() -> list[int]:
        limits = httpx.Limits(max_connections=300, max_keepalive_connections=0)
        async with httpx.AsyncClient(trust_env=False, timeout=60, limits=limits) as client:
            answers = await asyncio.gather(*(client.post(box.url("counting") + "/charge") for _ in range(300)))
            return [answer.status_code for answer in answers]

    assert set(asyncio.run(all_at_once())) == {200}
    assert len(_emulator(box).journal.entries) == 300


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "localhost", "192.0.2.1", "127.0.0.1.example.com"])
def test_no_address_but_loopback_is_listened_on(host: str) -> None:
    async def answer(_: Call) -> Broken:
        return Broken("drop")

    with pytest.raises(BadSettings, match="loopback"):
        Sandbox([CountingEmulator()], host=host)
    with pytest.raises(ValueError, match="loopback"):
        LoopbackServer(answer, host=host)


def test_each_gateway_and_the_control_api_have_a_port_of_their_own(box: Sandbox) -> None:
    urls = {box.url("counting"), box.control_url}

    assert len(urls) == 2
    assert {httpx.URL(url).host for url in urls} == {"127.0.0.1"}


def test_a_port_that_is_taken_is_said_so_and_nothing_is_left_running(box: Sandbox) -> None:
    taken = httpx.URL(box.url("counting")).port or 0
    second = Sandbox([CountingEmulator()], ports={"counting": taken})

    with pytest.raises(BadSettings, match="cannot listen"):
        second.start()
    assert not second.is_running


def test_the_port_asked_for_is_the_port_used_and_free_again_afterwards(box: Sandbox) -> None:
    port = httpx.URL(box.url("counting")).port or 0
    box.stop()

    with Sandbox([CountingEmulator()], control_port=port) as again:
        assert httpx.get(again.control_url, trust_env=False).status_code == 200


def test_a_stopped_sandbox_can_be_started_again(box: Sandbox) -> None:
    box.stop()
    box.stop()
    box.start()

    assert httpx.post(f"{box.url('counting')}/charge", trust_env=False).status_code == 200


def test_live_settings_are_refused() -> None:
    class Live(CountingEmulator):
        def settings(self) -> dict[str, Any]:
            return {"mode": "live"}

    with pytest.raises(BadSettings, match="test settings only"):
        Sandbox([Live()])


def test_emulators_on_different_clocks_are_refused() -> None:
    class Other(CountingEmulator):
        name = "other"

    with pytest.raises(BadSettings, match="one clock"):
        Sandbox([CountingEmulator(), Other()])
    first = CountingEmulator()
    box = Sandbox([first, Other(first.clock)])
    assert box.clock is first.clock


def test_a_name_given_twice_and_a_port_for_nobody_are_refused() -> None:
    one = CountingEmulator()

    with pytest.raises(BadSettings, match="twice"):
        Sandbox([one, CountingEmulator(one.clock)])
    with pytest.raises(BadSettings, match="stranger"):
        Sandbox([one], ports={"stranger": 1})
