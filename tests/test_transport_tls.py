"""TLS over real sockets: what is not verified is not spoken to, and nothing can switch that off."""

from __future__ import annotations

import asyncio
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import trustme

from paygate.clock import Deadline, SystemClock
from paygate.errors import BadSettings
from paygate.transport import AsyncDoor, Door, Lost
from paygate.transport.tls import shared_context
from paygate.wire import Request, Response, path

sys.path.insert(0, str(Path(__file__).parent))  # tests are imported one by one, without a package around them

from wire_server import FAULTS, WireServer, answer, keep_answering

GET = Request("GET", path("/payments/{}", "p-1"))
POST = Request("POST", path("/payments"), json={"amount": 14_000})
OTHERS = trustme.CA()
OURS = trustme.CA()


def serving(ca: trustme.CA, *names: str, highest: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert(*names).configure_cert(context)
    if highest is not None:
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            context.minimum_version = context.maximum_version = highest
        context.set_ciphers("ALL:@SECLEVEL=0")
    return context


def trusting(ca: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    ca.configure_trust(context)
    return context


def send(base_url: str, request: Request, seconds: float = 20, **options: Any) -> Response | Lost:
    door = Door(base_url, **options)
    try:
        return door.send(request, None, Deadline.after(SystemClock(), seconds))
    except Lost as lost:
        return lost
    finally:
        door.close()


def asend(base_url: str, request: Request, seconds: float = 20, **options: Any) -> Response | Lost:
    async def main() -> Response | Lost:
        door = AsyncDoor(base_url, **options)
        try:
            return await door.send(request, None, Deadline.after(SystemClock(), seconds))
        except Lost as lost:
            return lost
        finally:
            await door.close()
    return asyncio.run(main())


BOTH = pytest.mark.parametrize("way", [send, asend])
Way = Callable[..., Response | Lost]


@BOTH
@pytest.mark.parametrize("request_", [GET, POST], ids=["GET", "POST"])
def test_a_server_whose_certificate_verifies_is_spoken_to(way: Way, request_: Request) -> None:
    with WireServer(keep_answering, tls=serving(OURS, "127.0.0.1")) as server:
        came = way(server.base_url, request_, tls=trusting(OURS))
    assert isinstance(came, Response)
    assert came.status == 200


@BOTH
@pytest.mark.parametrize(("ca", "name", "options"), [
    (OTHERS, "127.0.0.1", {}), (OTHERS, "127.0.0.1", {"tls": OURS}), (OURS, "pg.example", {"tls": OURS}),
], ids=["unknown to the world", "unknown to the caller", "another host's"])
def test_a_certificate_that_does_not_verify_is_lost_as_not_sent_and_not_retried(
        way: Way, ca: trustme.CA, name: str, options: dict[str, trustme.CA]) -> None:
    contexts = {key: trusting(value) for key, value in options.items()}
    with WireServer(keep_answering, tls=serving(ca, name)) as server:
        came = way(server.base_url, POST, **contexts)
    assert isinstance(came, Lost)
    assert (came.sent, came.may_retry, came.why) == (False, False, "the TLS certificate was not accepted")
    assert server.requests == []


@BOTH
def test_a_server_that_offers_only_old_tls_is_not_spoken_to(way: Way) -> None:
    with WireServer(keep_answering, tls=serving(OURS, "127.0.0.1", highest=ssl.TLSVersion.TLSv1_1)) as server:
        came = way(server.base_url, POST, tls=trusting(OURS))
    assert isinstance(came, Lost)
    assert (came.sent, came.may_retry) == (False, False)
    assert server.requests == []


@BOTH
@pytest.mark.parametrize("data", [b"HTTP/1.1 400 Plain\r\n\r\n", b"x" * 200])
def test_a_server_that_does_not_speak_tls_is_lost_as_not_sent(way: Way, data: bytes) -> None:
    def plain(server: WireServer, connection: socket.socket) -> None:
        connection.sendall(data)
        connection.recv(65536)

    with WireServer(plain) as server:
        came = way(server.base_url.replace("http:", "https:"), POST)
    assert isinstance(came, Lost)
    assert (came.sent, came.may_retry) == (False, False)


@BOTH
def test_a_server_that_hangs_up_during_the_handshake_is_lost_as_not_sent_and_may_be_retried(way: Way) -> None:
    def hang_up(server: WireServer, connection: socket.socket) -> None:
        connection.recv(65536)

    with WireServer(hang_up) as server:
        came = way(server.base_url.replace("http:", "https:"), POST)
    assert isinstance(came, Lost)
    assert (came.sent, came.may_retry) == (False, True)


class TurnedClock:
    """A clock that stands still until it is turned; the wall clock does all the while."""

    seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return datetime(2026, 1, 5, tzinfo=UTC)


@pytest.mark.parametrize("kind", [Door, AsyncDoor])
def test_a_process_paused_during_the_handshake_past_its_deadline_does_not_speak(kind: Any) -> None:
    clock = TurnedClock()

    def turn() -> None:
        clock.seconds = 100

    with WireServer(keep_answering, tls=serving(OURS, "127.0.0.1"), on_accept=turn) as server:
        def speak() -> None:
            sent = kind(server.base_url, tls=trusting(OURS)).send(POST, None, Deadline.after(clock, 30))
            if kind is AsyncDoor:
                asyncio.run(sent)

        with pytest.raises(Lost, match=r"deadline|in time") as caught:
            speak()
    assert not caught.value.sent
    assert server.requests == []


@BOTH
@pytest.mark.parametrize("fault", ["closed before it read", "ended after it read", "body too short", "gzip bomb"])
def test_a_fault_under_tls_is_lost_as_sent(way: Way, fault: str) -> None:
    with WireServer(FAULTS[fault], tls=serving(OURS, "127.0.0.1")) as server:
        came = way(server.base_url, POST, tls=trusting(OURS))
    assert isinstance(came, Lost)
    assert came.sent
    assert server.connections == 1


@BOTH
def test_a_handshake_that_drips_ends_by_the_deadline(way: Way) -> None:
    def drip(server: WireServer, connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"\x16\x03\x03\x40\x00")
        while not server.stop.wait(0.005):
            connection.sendall(b"\x00")

    with WireServer(drip) as server:
        came = way(server.base_url.replace("http:", "https:"), POST, seconds=0.3)
    assert isinstance(came, Lost)
    assert not came.sent


def unverified() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def any_host() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    return context


def optional() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.verify_mode = ssl.CERT_OPTIONAL
    return context


def old() -> ssl.SSLContext:
    context = ssl.create_default_context()
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.minimum_version = ssl.TLSVersion.TLSv1_1
    return context


@pytest.mark.parametrize("kind", [Door, AsyncDoor])
@pytest.mark.parametrize("make", [unverified, any_host, optional, old])
def test_a_context_that_would_not_verify_is_refused(kind: Any, make: Callable[[], ssl.SSLContext]) -> None:
    with pytest.raises(BadSettings, match="tls must"):
        kind("https://pg.example", tls=make())


def test_the_shared_context_is_one_and_verifies() -> None:
    context = shared_context()
    assert context is shared_context()
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2


def test_session_keys_are_not_written_where_the_environment_says(tmp_path: Path) -> None:
    script = """
import socket, ssl, sys
from paygate.transport.tls import shared_context
context, ours, theirs = shared_context(), *socket.socketpair()
assert context.keylog_filename is None
"""
    subprocess.run([sys.executable, "-c", script], check=True,
                   env={"SSLKEYLOGFILE": str(tmp_path / "keys"), "PYTHONPATH": ":".join(sys.path)})


@BOTH
def test_certificates_named_by_the_environment_are_not_trusted(way: Way, tmp_path: Path,
                                                               monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = tmp_path / "ca.pem"
    OTHERS.cert_pem.write_to_path(bundle)
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    monkeypatch.setattr("paygate.transport.tls._shared", None)
    with WireServer(answer(b""), tls=serving(OTHERS, "127.0.0.1")) as server:
        came = way(server.base_url, POST)
    assert isinstance(came, Lost)
    assert not came.sent
