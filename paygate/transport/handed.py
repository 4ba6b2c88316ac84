"""A transport of httpx that the caller hands in: its `handle_request` is called directly, with no client around it.

So there are no redirects, no environment and no cookies here either. Such a transport stays the caller's: it is not
closed by us. Imported at first use, because httpx is.
"""

from __future__ import annotations

from typing import Any, cast

import httpx

from ..errors import BadSettings
from ..wire import Response
from .incoming import Incoming, take_all
from .lost import Call
from .outgoing import Address, Letter


def check(http: object, kind: str) -> None:
    """Refuse what is not a transport of the right kind.

    Raises: BadSettings.
    """
    if not isinstance(http, getattr(httpx, kind)):
        raise BadSettings(f"http must be an httpx.{kind}; nothing was sent")


def is_trusted(http: object) -> bool:
    """True where the transport tells when it starts to send: httpx's own, and those that say `emits_trace = True`.

    Exactly httpx's own: a class derived from it may send by another way.
    """
    return type(http) in (httpx.HTTPTransport, httpx.AsyncHTTPTransport) or getattr(http, "emits_trace", None) is True


def _request(http: object, address: Address, letter: Letter, call: Call, trace: Any) -> httpx.Request:
    patience_s = call.patience_s()
    timeouts = {"connect": patience_s, "read": patience_s, "write": patience_s, "pool": patience_s}
    url = f"{address.scheme}://{address.authority}{letter.target.decode('ascii')}"
    made = httpx.Request(letter.method, url, headers=letter.fields, content=letter.body or None,
                         extensions={"timeout": timeouts, "trace": trace})
    if not is_trusted(http):
        call.speak()
    return made


def ask(http: httpx.BaseTransport, address: Address, call: Call, letter: Letter) -> Response:
    """Send `letter` and read its answer to the end. The deadline is looked at whenever the transport comes back."""
    # The request is not kept in a variable: the traceback of an interrupt would show its URL.
    reply = http.handle_request(_request(http, address, letter, call, call.trace))
    call.sent = True
    try:
        incoming = Incoming(reply.status_code, reply.headers.raw)
        for chunk in cast(httpx.SyncByteStream, reply.stream):
            call.patience_s()
            incoming.take(chunk)
    finally:
        reply.close()
    return incoming.response()


async def aask(http: httpx.AsyncBaseTransport, address: Address, call: Call, letter: Letter) -> Response:
    """Send `letter` and read its answer to the end."""
    reply = await http.handle_async_request(_request(http, address, letter, call, call.atrace))
    call.sent = True
    try:
        incoming = Incoming(reply.status_code, reply.headers.raw)
        await take_all(reply.stream, incoming)
    finally:
        await reply.aclose()
    return incoming.response()
