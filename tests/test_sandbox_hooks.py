"""Webhooks on their way from the sandbox to a merchant on the same machine."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

import paygate.sandbox.courier
import paygate.sandbox.sandbox
from paygate.sandbox import Sandbox
from paygate.sandbox.courier import is_loopback_url
from paygate.testing.emulator import Call, Emulator, Hook, json_response
from paygate.wire import Response


class Hooking(Emulator):
    """Sends a webhook to the URL in each request's body, and on a date by a control."""

    name = "hooking"

    def answer(self, call: Call) -> Response:
        self.send(call.body.decode())
        return json_response(200, b"{}")

    def send(self, url: str, body: bytes = b'{"id": 1}') -> None:
        self.send_hook(url, {"Content-Type": "application/json", "X-Signature": "CANARY", "Host": "elsewhere"}, body)

    def send_later(self, url: str, seconds: int) -> None:
        self.clock.at(self.clock.now() + timedelta(seconds=seconds), lambda: self.send(url))

    def settings(self) -> dict[str, Any]:
        return {"mode": "test"}

    def controls(self) -> dict[str, Callable[..., Any]]:
        return {"send": lambda url: self.send(url), "send_later": self.send_later}


class Merchant:
    """A merchant's webhook address: remembers what came, answers with `status`."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.status = 200
        self.location: str | None = None
        self.wait: threading.Event | None = None

    @contextmanager
    def listening(self) -> Iterator[str]:
        merchant = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                merchant.got.append(({k.lower(): v for k, v in self.headers.items()}, body))
                if merchant.wait is not None:
                    merchant.wait.wait(30)
                self.send_response(merchant.status)
                if merchant.location is not None:
                    self.send_header("location", merchant.location)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/hook?token=CANARY"
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


@pytest.fixture
def merchant() -> Merchant:
    return Merchant()


@pytest.fixture
def hook_url(merchant: Merchant) -> Iterator[str]:
    with merchant.listening() as url:
        yield url


@pytest.fixture
def box() -> Iterator[Sandbox]:
    with Sandbox([Hooking()]) as running:
        yield running


def _send(box: Sandbox, url: str) -> None:
    httpx.post(box.url("hooking"), content=url.encode(), trust_env=False)
    assert box.wait_for_hooks()


def _hooks(box: Sandbox) -> Any:
    return httpx.get(f"{box.control_url}/gateways/hooking/hooks", trust_env=False).json()["hooks"]


def _post(box: Sandbox, path: str, **body: Any) -> httpx.Response:
    return httpx.post(box.control_url + path, json=body, trust_env=False, timeout=30)


def test_a_webhook_arrives_as_it_was_sent(box: Sandbox, merchant: Merchant, hook_url: str) -> None:
    _send(box, hook_url)

    [(headers, body)] = merchant.got
    assert body == b'{"id": 1}'
    assert headers["x-signature"] == "CANARY"
    assert headers["content-type"] == "application/json"
    assert headers["host"].startswith("127.0.0.1:")


def test_its_outcome_is_shown_and_its_secrets_are_not(box: Sandbox, hook_url: str) -> None:
    _send(box, hook_url)

    [shown] = _hooks(box)
    assert shown["deliveries"] == [{"state": "delivered", "status": 200, "error": None}]
    assert (shown["n"], shown["body_bytes"], shown["url"]) == (0, 9, hook_url.partition("?")[0])
    assert "x-signature" in shown["headers"]
    assert "CANARY" not in str(shown)


def test_webhooks_arrive_in_the_order_they_were_sent(box: Sandbox, merchant: Merchant, hook_url: str) -> None:
    emulator = box.emulator("hooking")
    assert isinstance(emulator, Hooking)
    with box.lock:
        for n in range(20):
            emulator.send(hook_url, str(n).encode())
    assert box.wait_for_hooks()

    assert [body for _, body in merchant.got] == [str(n).encode() for n in range(20)]


@pytest.mark.parametrize("status", [302, 404, 500])
def test_an_answer_other_than_2xx_is_a_failure_and_is_not_tried_again(
        box: Sandbox, merchant: Merchant, hook_url: str, status: int) -> None:
    merchant.status, merchant.location = status, hook_url

    _send(box, hook_url)

    assert _hooks(box)[0]["deliveries"] == [{"state": "failed", "status": status, "error": None}]
    assert len(merchant.got) == 1


def test_a_merchant_that_does_not_listen_is_a_failure(box: Sandbox, merchant: Merchant) -> None:
    with merchant.listening() as url:
        pass

    _send(box, url)

    assert _hooks(box)[0]["deliveries"] == [{"state": "failed", "status": None, "error": "ConnectError"}]


def test_a_merchant_that_does_not_answer_in_time_is_a_failure(
        box: Sandbox, merchant: Merchant, hook_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paygate.sandbox.courier, "TIMEOUT_S", 0.2)
    merchant.wait = threading.Event()

    _send(box, hook_url)
    merchant.wait.set()

    assert _hooks(box)[0]["deliveries"][0]["state"] == "failed"
    assert "no answer within" in _hooks(box)[0]["deliveries"][0]["error"]


@pytest.mark.parametrize("url", ["http://192.0.2.1/hook", "https://shop.example/hook", "file:///etc/passwd",
                                 "http://127.0.0.1.shop.example/", "http://127.0.0.1@shop.example/", "not a url", ""])
def test_a_url_that_is_not_this_machine_is_kept_and_not_delivered(box: Sandbox, url: str) -> None:
    _send(box, url)

    [delivery] = _hooks(box)[0]["deliveries"]
    assert delivery["state"] == "not_delivered"
    assert delivery["error"]


@pytest.mark.parametrize(("url", "loopback"), [
    ("http://127.0.0.1:80/x", True), ("http://[::1]:80/x", True), ("https://localhost/x", True),
    ("http://127.1.2.3", True),
    ("http://[::]/", False), ("http://0.0.0.0/", False), ("http://2130706433/", False), ("http://localhost:x/", False),
    ("http://user@127.0.0.1/", False), ("ftp://127.0.0.1/", False), ("http://[::1/", False), ("//127.0.0.1", False)])
def test_loopback_is_told_from_the_rest(url: str, loopback: bool) -> None:
    assert is_loopback_url(url) is loopback


def test_a_webhook_is_delivered_once_more_on_request(box: Sandbox, merchant: Merchant, hook_url: str) -> None:
    merchant.status = 500
    _send(box, hook_url)
    merchant.status = 200

    answer = _post(box, "/gateways/hooking/hooks/0/redeliver")

    assert answer.json() == {"state": "delivered", "status": 200, "error": None}
    assert [d["state"] for d in _hooks(box)[0]["deliveries"]] == ["failed", "delivered"]
    assert merchant.got[0][1] == merchant.got[1][1]


def test_a_webhook_that_falls_due_leaves_when_the_clock_is_turned(
        box: Sandbox, merchant: Merchant, hook_url: str) -> None:
    _post(box, "/gateways/hooking/controls/send_later", url=hook_url, seconds=86_400)
    assert merchant.got == []

    _post(box, "/clock/advance", seconds=86_400)

    assert box.wait_for_hooks()
    assert len(merchant.got) == 1


def test_the_merchant_may_ask_the_pg_while_it_takes_the_webhook(
        box: Sandbox, merchant: Merchant, hook_url: str) -> None:
    merchant.wait = threading.Event()
    httpx.post(box.url("hooking"), content=hook_url.encode(), trust_env=False)

    assert httpx.post(box.url("hooking"), content=b"", trust_env=False, timeout=10).status_code == 200
    merchant.wait.set()
    assert box.wait_for_hooks()


def test_who_listened_to_the_emulator_before_still_hears_its_webhooks(hook_url: str) -> None:
    emulator, heard = Hooking(), list[Hook]()
    before = emulator.on_hook = heard.append

    with Sandbox([emulator]) as box:
        _send(box, hook_url)

    assert len(heard) == 1
    assert emulator.on_hook is before


# Turned by the control API

def test_the_clock_stops_for_each_webhook_on_the_way(
        box: Sandbox, merchant: Merchant, hook_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paygate.sandbox.sandbox, "_PATIENCE_S", 25.0)
    arrived: list[datetime] = []
    merchant.wait = SimpleNamespace(wait=lambda _: arrived.append(box.clock.now()))  # type: ignore[assignment]
    for days in (3, 1, 20):
        _post(box, "/gateways/hooking/controls/send_later", url=hook_url, seconds=days * 86_400).raise_for_status()
    start = box.clock.now()

    assert _post(box, "/clock/advance", seconds=31 * 86_400).json()["now"] == (start + timedelta(days=31)).isoformat()

    assert box.wait_for_hooks()
    assert arrived == [start + timedelta(days=days) for days in (1, 3, 20)]


def test_a_merchant_that_does_not_answer_does_not_stop_the_clock(
        box: Sandbox, merchant: Merchant, hook_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paygate.sandbox.sandbox, "_PATIENCE_S", 0.05)
    merchant.wait = threading.Event()
    for seconds in (10, 20):
        _post(box, "/gateways/hooking/controls/send_later", url=hook_url, seconds=seconds).raise_for_status()
    start = box.clock.now()
    try:
        now = _post(box, "/clock/advance", seconds=60).json()["now"]
    finally:
        merchant.wait.set()
    assert now == (start + timedelta(seconds=60)).isoformat()
    assert box.wait_for_hooks()
    assert len(merchant.got) == 2
