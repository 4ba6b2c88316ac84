"""An emulator as an ASGI application, without sockets: `httpx.ASGITransport(asgi_app(emulator))`.

A broken answer is raised as the OSError that fits, since ASGI has no word for it:
refuse ConnectionRefusedError, reset ConnectionResetError, drop and truncate ConnectionAbortedError, hang TimeoutError.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any
from urllib.parse import quote

from ..testing.emulator import Broken, Call, Emulator
from ..wire import Response
from .server import Limits, error_response

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

_BODY_BYTES = Limits().body_bytes
_RAISED: dict[str, type[OSError]] = {
    "refuse": ConnectionRefusedError, "reset": ConnectionResetError, "drop": ConnectionAbortedError,
    "truncate": ConnectionAbortedError, "hang": TimeoutError,
}


def asgi_app(emulator: Emulator, lock: AbstractContextManager[Any] | None = None) -> App:
    """The emulator as an ASGI 3 application. `lock` is held during each call, for a server with several threads."""
    held = nullcontext() if lock is None else lock

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        if scope["type"] != "http":
            raise ValueError("an emulator speaks HTTP only")
        body = await _body(receive)
        if body is None:
            await _send(send, error_response(413, "a request body may have 1 MiB"))
            return
        with held:
            answer = emulator.handle(_call(scope, body))
        if not isinstance(answer, Broken):
            await _send(send, answer)
            return
        if answer.response is not None:
            await _send(send, answer.response, half=True)
        raise _RAISED[answer.how](f"the emulator was told to {answer.how}")

    return app


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        kind = (await receive())["type"]
        await send({"type": f"{kind}.complete"})
        if kind == "lifespan.shutdown":
            return


async def _body(receive: Receive) -> bytes | None:
    """The request's body; None where it is too long."""
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > _BODY_BYTES:
            return None
        if not message.get("more_body", False):
            return bytes(body)


def _call(scope: Message, body: bytes) -> Call:
    raw = scope.get("raw_path")
    target = raw.decode("latin-1") if raw is not None else quote(scope["path"])
    if query := scope.get("query_string", b""):
        target = f"{target}?{query.decode('latin-1')}"
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return Call(scope["method"], target, headers, body)


async def _send(send: Send, answer: Response, *, half: bool = False) -> None:
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers.items()
               if name.lower() not in ("content-length", "transfer-encoding")]
    headers.append((b"content-length", str(len(answer.body)).encode()))
    body = answer.body[: len(answer.body) // 2] if half else answer.body
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": half})
