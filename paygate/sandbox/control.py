"""The sandbox's control API: look at the emulated PGs, act as the payer, dial faults, turn the clock. JSON in and out.

A web page that happens to be open in a browser on this machine must not be able to use it: the Host header has to name
loopback (DNS rebinding), an Origin has to be its own, and a POST has to be application/json, which no form can send.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Mapping
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from ..codec import Unreadable, read_json
from ..testing.emulator import Call
from ..wire import Response
from .guard import is_own_page, is_this_machine
from .openapi import SCHEMAS
from .routes import ROUTES, Asked, Route, Wrong

if TYPE_CHECKING:
    from .sandbox import Sandbox

_HEADERS = {"content-type": "application/json", "cache-control": "no-store", "x-content-type-options": "nosniff",
            "cross-origin-resource-policy": "same-origin", "content-security-policy": "default-src 'none'"}


ROOM = {"/room.html": "text/html", "/room.js": "text/javascript", "/room.css": "text/css"}
"""The control room's page, script and style, which ask nobody else for anything."""
_POLICY = ("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
           "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; "
           "trusted-types 'none'")


async def control(box: Sandbox, call: Call) -> Response:
    """Answer one call to the control port."""
    try:
        _refuse_web_pages(box, call)
        if call.path in ROOM and call.method in ("GET", "HEAD"):
            return room(call.path)
        found = [(route, names) for route in ROUTES if (names := route.match(call.path)) is not None]
        if not found:
            raise Wrong(404, "no such path; GET / lists them")
        method = "GET" if call.method == "HEAD" else call.method
        for route, names in found:
            if route.method == method:
                return await _act(route, Asked(box=box, names=names, body=_body(route, call)), call)
        raise Wrong(405, "no such method here; GET / lists them", allow=", ".join(route.method for route, _ in found))
    except Wrong as wrong:
        return wrong.response


async def _act(route: Route, asked: Asked, call: Call) -> Response:
    accepted = call.headers.get("accept", "")
    if route.template == "/" and "text/html" in accepted:
        return room("/room.html")
    with asked.box.lock:
        result = route.act(asked)
    if isinstance(result, Awaitable):
        result = await result
    if route.template == "/" and "text/" in accepted:
        return Response(200, {**_HEADERS, "content-type": "text/plain; charset=utf-8"}, _as_text(result).encode())
    return Response(route.status, _HEADERS, json.dumps(result).encode())


def room(path: str) -> Response:
    """A file of the control room."""
    body = files("paygate.sandbox").joinpath("room", path.removeprefix("/")).read_bytes()
    return Response(200, {**_HEADERS, "content-type": f"{ROOM[path]}; charset=utf-8", "vary": "accept",
                          "content-security-policy": _POLICY, "referrer-policy": "same-origin",
                          "cross-origin-opener-policy": "same-origin"}, body)


# Who may ask, and with what

def _refuse_web_pages(box: Sandbox, call: Call) -> None:
    if not is_this_machine(host := call.headers.get("host", "")):
        raise Wrong(421, "the Host header has to be 127.0.0.1, [::1] or localhost")
    if not is_own_page(call, box.control_url, f"http://{host}"):
        raise Wrong(403, "another site's page may not use the sandbox's control API")


def _body(route: Route, call: Call) -> Mapping[str, Any]:
    if route.body is None:
        return {}
    if call.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Wrong(415, "send application/json")
    if not call.body:
        return {}
    try:
        value = read_json(call.body)
    except Unreadable as error:
        raise Wrong(400, f"the body is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise Wrong(400, "the body has to be a JSON object")
    allowed = SCHEMAS[route.body].get("properties", {})
    if SCHEMAS[route.body].get("additionalProperties", True) is False and (extra := set(value) - set(allowed)):
        raise Wrong(400, f"unknown fields ({len(extra)}); known are: {', '.join(allowed) or 'none'}")
    return value


def _as_text(shown: Mapping[str, Any]) -> str:
    gateways = [f"{name}  {url}" for name, url in shown["gateways"].items()]
    return "\n".join([shown["banner"], "", *gateways, "", *shown["endpoints"], ""])
