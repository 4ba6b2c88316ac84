"""Whatever a client sends, neither port answers 5xx and both go on answering."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from paygate.sandbox import Sandbox
from paygate.sandbox.routes import ROUTES
from paygate.sandbox.server import Limits
from paygate.testing.emulator import FaultKind, VirtualClock
from paygate.testing.fakepg import FakePG

EXAMPLES = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
LIMITS = Limits(linger_s=0.05)
CLIENT = httpx.Client(trust_env=False, timeout=20)

TEXT = st.text(max_size=20)
JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
                    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=8)
SEGMENT = st.sampled_from(["gateways", "fakepg", "faults", "kinds", "controls", "clock", "advance", "hooks", "0",
                           "journal", "calls", "redeliver", "openapi.json", "payments", "keys", "%", "..", "%00", "",
                           "overview", "room.js", "__page__", "assets", "payer.js", "windows", "approve", "late",
                           ]) | TEXT.map(quote)
PATH = st.lists(SEGMENT, max_size=6).map(lambda segments: "/" + "/".join(segments))
METHOD = st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "TRACE", "CONNECT", "x"])
HEADER = st.tuples(
    st.sampled_from(["content-type", "content-length", "transfer-encoding", "expect", "host", "origin", "connection",
                     "upgrade", "accept", "authorization", "x"]),
    st.sampled_from(["application/json", "chunked", "gzip", "100-continue", "0", "5", "-1", "close", "keep-alive",
                     "a, b", "127.0.0.1", "websocket", "Bearer t", "text/html"])
    | st.text(st.characters(max_codepoint=255), max_size=9))


@pytest.fixture(scope="module", autouse=True)
def _closed_in_the_end() -> Iterator[None]:
    yield
    CLIENT.close()


@pytest.fixture(scope="module")
def pg_box() -> Iterator[Sandbox]:
    """Its PG port is fuzzed."""
    with Sandbox([FakePG(VirtualClock())], limits=LIMITS) as box:
        yield box


@pytest.fixture(scope="module")
def control_box() -> Iterator[Sandbox]:
    """Its control port is fuzzed, so its PG may well have faults."""
    with Sandbox([FakePG(VirtualClock())], limits=LIMITS) as box:
        yield box


def _talk(url: str, sent: bytes) -> bytes:
    where = httpx.URL(url)
    got = bytearray()
    with socket.create_connection((where.host, where.port or 0), timeout=20) as sock:
        sock.sendall(sent)
        sock.shutdown(socket.SHUT_WR)
        while part := sock.recv(65536):
            got += part
    return bytes(got)


def _is_fine(answer: bytes) -> bool:
    return not answer or (answer.startswith(b"HTTP/1.1 ") and answer[9:10] in b"1234")


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """Nearly HTTP: a plausible request line and headers, some of them wrong, and any body."""
    line = f"{draw(METHOD)} {draw(PATH)} HTTP/{draw(st.sampled_from(['1.1', '1.1', '1.1', '1.0', '2', '']))}"
    headers = [("host", "127.0.0.1"), *draw(st.lists(HEADER, max_size=4))]
    head = "\r\n".join([line, *(f"{name}: {value}" for name, value in headers), "", ""])
    return head.encode("latin-1", "replace") + draw(st.binary(max_size=40))


@pytest.mark.parametrize("port", ["pg", "control"])
@EXAMPLES
@given(sent=st.binary(max_size=200) | requests() | st.lists(requests(), max_size=3).map(b"".join))
def test_bytes_that_are_nearly_http_are_never_a_server_error(
        pg_box: Sandbox, control_box: Sandbox, port: str, sent: bytes) -> None:
    url = pg_box.url("fakepg") if port == "pg" else control_box.control_url

    assert _is_fine(_talk(url, sent)), sent


@EXAMPLES
@given(method=METHOD.filter(lambda m: m != "CONNECT"), path=PATH, body=st.binary(max_size=50) | JSON)
def test_any_call_to_a_pg_is_answered(pg_box: Sandbox, method: str, path: str, body: Any) -> None:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()

    answer = CLIENT.request(method, pg_box.url("fakepg") + path, content=content,
                            headers={"content-type": "application/json", "authorization": "Bearer x"})

    assert answer.status_code < 500


NAMES = st.sampled_from(["fakepg", "0", "1", *FakePG().controls()]) \
    | TEXT.filter(bool).map(lambda text: quote(text, safe=""))
ARGUMENTS = JSON | st.fixed_dictionaries({}, optional={
    "kind": st.sampled_from(list(FaultKind)) | JSON, "on": TEXT | st.from_regex(r"[\[\](){}*+?|a-c\\]{0,9}") | JSON,
    "times": st.integers() | JSON, "seconds": st.integers(-1, 10**10) | st.floats() | JSON,
    "to": st.datetimes(timezones=st.timezones() | st.none()).map(str) | TEXT | JSON, "order_id": TEXT | JSON,
    "action": JSON, "key": JSON, "name": JSON, "status": JSON})


@settings(EXAMPLES, max_examples=200)
@given(route=st.sampled_from(ROUTES), first=st.just("fakepg") | NAMES, second=NAMES, body=ARGUMENTS)
def test_any_use_of_the_control_api_is_answered_with_json_and_no_server_error(
        control_box: Sandbox, route: Any, first: str, second: str, body: Any) -> None:
    path = route.template.replace("{name}", first).replace("{control}", second).replace("{n}", second)

    answer = CLIENT.request(route.method, control_box.control_url + path, content=json.dumps(body),
                            headers={"content-type": "application/json"})

    assert answer.status_code < 500
    assert answer.json() is not None


def test_both_ports_still_answer_afterwards(pg_box: Sandbox, control_box: Sandbox) -> None:
    assert CLIENT.get(pg_box.url("fakepg") + "/x").status_code < 500
    assert CLIENT.get(control_box.control_url).status_code == 200
