"""A receiver in Starlette, FastAPI and whatever else speaks ASGI: `app.mount("/pay", asgi(receiver))`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.requests import Request

from .exchange import Answer, Asked, Body, broken_off, too_long, too_slow
from .receiver import Receiver
from .run import carry_out_async

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]


def asgi(receiver: Receiver) -> App:
    """The endpoints as an ASGI application, to be mounted at the path of the receiver's `url`."""

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError("payment endpoints speak HTTP only: mount them in an application")

        async def read(wanted: Body) -> bytes:
            try:
                async with asyncio.timeout(wanted.timeout_s):
                    return await _read(receive, wanted.limit)
            except TimeoutError:
                raise too_slow() from None

        answer = await carry_out_async(receiver.answer(_asked(scope)), read)
        await _send(send, answer)

    return app


def _asked(scope: Message) -> Asked:
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        joint = "; " if name == "cookie" else ","
        headers[name] = f"{headers[name]}{joint}{value}" if name in headers else value
    return Asked(method=scope["method"], path=scope["path"].removeprefix(scope.get("root_path", "")),
                 query=scope.get("query_string", b"").decode("latin-1"), headers=headers, request=Request(scope))


async def _read(receive: Receive, limit: int) -> bytes:
    got = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise broken_off()
        got += message.get("body", b"")
        if len(got) > limit:
            raise too_long()
        if not message.get("more_body", False):
            return bytes(got)


async def _send(send: Send, answer: Answer) -> None:
    headers = [*answer.headers, *(("set-cookie", c.header()) for c in answer.cookies),
               ("content-length", str(len(answer.body)))]
    await send({"type": "http.response.start", "status": answer.status,
                "headers": [(n.encode("latin-1"), v.encode("latin-1")) for n, v in headers]})
    await send({"type": "http.response.body", "body": answer.body})
