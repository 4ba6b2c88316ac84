"""No secret of a request shows in a traceback with its variables, nor in a log at DEBUG, whatever went wrong."""

from __future__ import annotations

import asyncio
import logging
import select
import signal
import socket
import ssl
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme

from paygate.clock import Deadline, SystemClock
from paygate.secret import Secret
from paygate.transport import AsyncDoor, Door, Lost
from paygate.wire import Request, Token, path

sys.path.insert(0, str(Path(__file__).parent))  # tests are imported one by one, without a package around them

from wire_server import ENDLESS, FAULTS, WireServer, free_port, hang, keep_answering

CANARIES = ("canaryPath", "canaryHeader", "canaryToken", "canaryBody", "canaryDeep")


def canary(number: int) -> Secret:
    return Secret(CANARIES[number])


def request(**more: Any) -> Request:
    return Request("POST", path("/keys/{}", canary(0)), headers={"X-Key": canary(1)}, auth=True,
                   json={"card": canary(3), "more": [{"deep": canary(4)}], **more})


def token() -> Token:
    return Token(headers={"Authorization": canary(2)}, lifetime_s=60)


def send(base_url: str, seconds: float, asked: Request, **options: Any) -> None:
    door = Door(base_url, **options)
    try:
        door.send(asked, token(), Deadline.after(SystemClock(), seconds))
    finally:
        door.close()


def asend(base_url: str, seconds: float, asked: Request, **options: Any) -> None:
    async def main() -> None:
        door = AsyncDoor(base_url, **options)
        try:
            await door.send(asked, token(), Deadline.after(SystemClock(), seconds))
        finally:
            await door.close()
    asyncio.run(main())


def handed(base_url: str, seconds: float, asked: Request) -> None:
    with httpx.HTTPTransport(trust_env=False) as http:
        send(base_url, seconds, asked, http=http)


def ahanded(base_url: str, seconds: float, asked: Request) -> None:
    async def main() -> None:
        async with httpx.AsyncHTTPTransport(trust_env=False) as http:
            await AsyncDoor(base_url, http=http).send(asked, token(), Deadline.after(SystemClock(), seconds))
    asyncio.run(main())


Way = Callable[[str, float, Request], None]
WAYS: dict[str, Way] = {"own": send, "own async": asend, "httpx": handed, "httpx async": ahanded}


def everything(error: BaseException) -> str:
    """All that a crash reporter could collect of an error."""
    told = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    return f"{told} {error!r} {error} {error.args} {vars(error)}"


def assert_clean(text: str) -> None:
    assert [word for word in CANARIES if word in text] == []


def lost_by(way: Way, base_url: str, seconds: float, asked: Request | None = None) -> Lost:
    with pytest.raises(Lost) as caught:
        way(base_url, seconds, asked or request())
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    return caught.value


@pytest.fixture(autouse=True)
def _logs_are_clean(caplog: pytest.LogCaptureFixture) -> Any:
    caplog.set_level(logging.DEBUG)
    for name in ("httpcore", "httpx", "asyncio"):
        caplog.set_level(logging.DEBUG, name)
    yield
    assert_clean(caplog.text + "".join(repr(vars(record)) for record in caplog.records))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_shows_no_secret(way: str, fault: str) -> None:
    if way == "httpx" and fault in ENDLESS:
        fault = "ended after it read"  # such a transport cannot be stopped from outside
    with WireServer(FAULTS[fault]) as server:
        assert_clean(everything(lost_by(WAYS[way], server.base_url, 0.2 if fault in ENDLESS else 20)))


@pytest.mark.parametrize("way", WAYS)
def test_a_refused_connection_shows_no_secret(way: str) -> None:
    assert_clean(everything(lost_by(WAYS[way], f"http://127.0.0.1:{free_port()}", 20)))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("asked", [
    request(bad=object()), request(bad=float("nan")),
    Request("POST", path("/a"), headers={"X": Secret("canaryHeader\r\nY: 1")}),
    Request("POST", path("/a"), headers={"X": Secret("canaryHeader한")}),
], ids=["not JSON", "not a number", "two headers in one", "not latin"])
def test_a_request_that_cannot_travel_shows_no_secret(way: str, asked: Request) -> None:
    with WireServer(keep_answering) as server:
        assert_clean(everything(lost_by(WAYS[way], server.base_url, 20, asked)))


@pytest.mark.parametrize("way", [send, asend])
def test_a_refused_certificate_shows_no_secret(way: Way) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    with WireServer(keep_answering, tls=context) as server:
        assert_clean(everything(lost_by(way, server.base_url, 20)))


def test_an_error_of_a_foreign_transport_shows_no_secret() -> None:
    class Telling(httpx.BaseTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            told = f"{request.url} {request.headers.raw} {request.read()!r}"
            raise RuntimeError(told)

    def way(base_url: str, seconds: float, asked: Request) -> None:
        send(base_url, seconds, asked, http=Telling())

    assert_clean(everything(lost_by(way, "https://pg.example", 20)))


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="no signals between threads on this system")
@pytest.mark.parametrize("tls", [False, True])
def test_an_interrupt_passes_as_it_is_and_shows_no_secret(tls: bool) -> None:
    def interrupt() -> None:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    options, context = _trusted() if tls else ({}, None)
    with WireServer(hang, tls=context, on_request=interrupt) as server, pytest.raises(KeyboardInterrupt) as caught:
        send(server.base_url, 20, request(), **options)
    assert len(server.requests) == 1
    assert_clean(everything(caught.value))


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="no signals between threads on this system")
@pytest.mark.parametrize("tls", [False, True])
def test_an_interrupt_in_the_middle_of_writing_shows_no_secret(tls: bool) -> None:
    def interrupt_when_full(server: WireServer, connection: socket.socket) -> None:
        select.select([connection], [], [], 10)
        server.stop.wait(0.2)  # by now the other side waits for room to write
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        server.stop.wait(10)

    options, context = _trusted() if tls else ({}, None)
    with WireServer(interrupt_when_full, tls=context) as server, pytest.raises(KeyboardInterrupt) as caught:
        send(server.base_url, 20, request(pad="x" * (32 << 20)), **options)
    assert any(frame.name == "write" for frame in traceback.extract_tb(caught.value.__traceback__))
    assert_clean(everything(caught.value))


@pytest.mark.parametrize("tls", [False, True])
def test_a_cancellation_passes_as_it_is_and_shows_no_secret(tls: bool) -> None:
    options, context = _trusted() if tls else ({}, None)

    async def main() -> asyncio.CancelledError:
        door = AsyncDoor(server.base_url, **options)
        task = asyncio.create_task(door.send(request(), token(), Deadline.after(SystemClock(), 20)))
        await asyncio.to_thread(server.got_one.wait, 10)
        task.cancel()
        try:
            await task
        except asyncio.CancelledError as error:
            return error
        raise AssertionError("the cancellation got lost")

    with WireServer(hang, tls=context) as server:
        assert_clean(everything(asyncio.run(main())))


def _trusted() -> tuple[dict[str, Any], Any]:
    ca = trustme.CA()
    serving, trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    ca.issue_cert("127.0.0.1").configure_cert(serving)
    ca.configure_trust(trusting)
    return {"tls": trusting}, serving


def test_the_test_itself_would_find_a_secret() -> None:
    def leak() -> None:
        revealed = canary(1).reveal()
        raise Lost(f"{len(revealed)}", sent=True)

    with pytest.raises(Lost) as caught:
        leak()
    with pytest.raises(AssertionError):
        assert_clean(everything(caught.value))
