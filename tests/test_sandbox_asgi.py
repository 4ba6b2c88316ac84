"""An emulator as an ASGI application, as httpx's own ASGI transport drives it."""

from __future__ import annotations

import asyncio
import json
from threading import RLock
from typing import Any

import httpx
import pytest

from paygate.sandbox import asgi_app
from paygate.testing.emulator import Call, Emulator, FaultKind, json_response
from paygate.wire import Response


class Echo(Emulator):
    name = "echo"

    def answer(self, call: Call) -> Response:
        seen = [call.method, call.target, dict(call.headers), call.body.decode()]
        return json_response(201, json.dumps(seen).encode())

    def settings(self) -> dict[str, Any]:
        return {"mode": "test"}


def _ask(emulator: Emulator, method: str, path: str, **arguments: Any) -> httpx.Response:
    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(asgi_app(emulator, RLock()))
        async with httpx.AsyncClient(transport=transport, base_url="http://pg.test") as client:
            return await client.request(method, path, **arguments)

    return asyncio.run(ask())


def test_a_call_arrives_as_it_was_sent_and_the_answer_comes_back() -> None:
    answer = _ask(Echo(), "POST", "/a%2Fb?q=1%202", content=b"body", headers={"X-One": "1"})

    method, target, headers, body = answer.json()
    assert answer.status_code == 201
    assert (method, target, headers["x-one"], body) == ("POST", "/a%2Fb?q=1%202", "1", "body")
    assert int(answer.headers["content-length"]) == len(answer.content)


@pytest.mark.parametrize(("kind", "raised"), [
    (FaultKind.REFUSE, ConnectionRefusedError), (FaultKind.DROP_AFTER, ConnectionAbortedError),
    (FaultKind.RESET_BEFORE, ConnectionResetError), (FaultKind.HANG_AFTER, TimeoutError),
    (FaultKind.TRUNCATE_AFTER, ConnectionAbortedError)])
def test_a_broken_answer_is_the_oserror_that_fits(kind: FaultKind, raised: type[OSError]) -> None:
    emulator = Echo()
    emulator.fault(kind)

    with pytest.raises(raised):
        _ask(emulator, "GET", "/")


def test_a_body_over_one_mebibyte_is_refused() -> None:
    emulator = Echo()

    assert _ask(emulator, "POST", "/", content=b"x" * ((1 << 20) + 1)).status_code == 413
    assert emulator.calls == []


def test_a_server_may_start_and_stop_it() -> None:
    said: list[str] = []

    async def live() -> None:
        told = iter(["lifespan.startup", "lifespan.shutdown"])

        async def receive() -> dict[str, Any]:
            return {"type": next(told)}

        async def send(message: Any) -> None:
            said.append(message["type"])

        await asgi_app(Echo())({"type": "lifespan"}, receive, send)

    asyncio.run(live())

    assert said == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
