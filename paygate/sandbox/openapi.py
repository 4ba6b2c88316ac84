"""The control API described: an OpenAPI 3.1 document made from the table of routes, and the schemas of what it says."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ..testing.emulator import FaultKind

if TYPE_CHECKING:
    from .routes import Route

_TEXT = {"type": "string"}
_INSTANT = {"type": "string", "format": "date-time"}
_COUNT = {"type": "integer", "minimum": 0}
_NAMES = {"type": "array", "items": _TEXT}
_OBJECTS = {"type": "array", "items": {"type": "object"}}


def _object(**fields: Any) -> dict[str, Any]:
    return {"type": "object", "properties": fields, "required": list(fields)}


def _list(key: str, item: Mapping[str, Any]) -> dict[str, Any]:
    return _object(**{key: {"type": "array", "items": item}})


def _or_null(kind: str) -> dict[str, Any]:
    return {"type": [kind, "null"]}


_FAULT = _object(number={"type": "integer", "minimum": 1}, kind={"enum": list(FaultKind)}, on=_TEXT,
                 times={"type": "integer", "minimum": 1})
_CLOCK = _object(now=_INSTANT)
_DELIVERY = _object(state={"enum": ["waiting", "delivered", "failed", "not_delivered"]},
                    status=_or_null("integer"), error=_or_null("string"))
ADVANCE_LIMIT_S = 366 * 86_400
TIMES_LIMIT = 10_000
PATTERN_LIMIT = 200

SCHEMAS: dict[str, dict[str, Any]] = {
    "Error": _object(error=_TEXT),
    "Index": _object(banner=_TEXT, gateways={"type": "object", "additionalProperties": _TEXT}, endpoints=_NAMES),
    "Document": {"type": "object"},
    "Overview": _object(now=_INSTANT, gateways={"type": "array", "items": _object(
        name=_TEXT, webhook_urls=_OBJECTS, waiting=_OBJECTS, held=_OBJECTS, keys=_OBJECTS, dated=_OBJECTS,
        running=_OBJECTS, journal=_OBJECTS, totals=_OBJECTS, hooks=_OBJECTS, faults={"type": "array", "items": _FAULT},
        is_ledger_shown={"type": "boolean"}, counts={"type": "object", "additionalProperties": _COUNT})}),
    "Gateways": _list("gateways", _object(
        name=_TEXT, url=_TEXT, settings={"type": "object"}, connect=_TEXT, pay=_TEXT, decline_reasons=_NAMES,
        endpoints={"type": "array", "items": _object(name=_TEXT, on=_TEXT)})),
    "Journal": _list("journal", _object(at=_INSTANT, order_id=_TEXT, provider_id=_TEXT, amount={"type": "integer"},
                                        currency=_TEXT, kind={"enum": ["charge", "refund"]})),
    "Calls": _list("calls", _object(at=_INSTANT, method=_TEXT, path=_TEXT, query=_NAMES, headers=_NAMES,
                                    status=_or_null("integer"), broken=_or_null("string"))),
    "Hooks": _list("hooks", _object(n=_COUNT, at=_INSTANT, url=_TEXT, headers=_NAMES, body_bytes=_COUNT,
                                    deliveries={"type": "array", "items": _DELIVERY})),
    "Hook": _object(n=_COUNT, at=_INSTANT, url=_TEXT, headers={"type": "object", "additionalProperties": _TEXT},
                    body=_TEXT, body_bytes=_COUNT),
    "Delivery": _DELIVERY,
    "Faults": _list("faults", _FAULT),
    "Cleared": _object(cleared=_COUNT),
    "FaultKinds": _object(kinds=_NAMES, about={"type": "object", "additionalProperties": _TEXT}),
    "Controls": _list("controls", _object(name=_TEXT, signature=_TEXT, about=_TEXT)),
    "Result": {"type": "object", "properties": {"result": {}}, "required": ["result"]},
    "Clock": _CLOCK,
    "NewFault": {"type": "object", "required": ["kind"], "additionalProperties": False, "properties": {
        "kind": {"enum": list(FaultKind)},
        "on": {"type": "string", "format": "regex", "maxLength": PATTERN_LIMIT, "default": ".*",
               "description": "A Python regular expression that \"METHOD /path\" has to match somewhere."},
        "times": {"type": "integer", "minimum": 1, "maximum": TIMES_LIMIT, "default": 1}}},
    "Advance": {"type": "object", "additionalProperties": False, "minProperties": 1, "maxProperties": 1, "properties": {
        "seconds": {"type": "number", "minimum": 0, "maximum": ADVANCE_LIMIT_S},
        "to": {**_INSTANT, "description": "An instant with its zone, not before the clock's own."}}},
    "Arguments": {"type": "object", "description": "The control's keyword arguments."},
    "Nothing": {"type": "object", "additionalProperties": False},
}


def document(routes: Iterable[Route], url: str) -> dict[str, Any]:
    """The OpenAPI document of the control API that listens at `url`."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.template, {})[route.method.lower()] = _operation(route)
    return {"openapi": "3.1.0",
            "info": {"title": "paygate sandbox: control API", "version": "1",
                     "description": "Sandbox: no real money. Drives emulated payment gateways on this machine."},
            "servers": [{"url": url}], "paths": paths, "components": {"schemas": SCHEMAS}}


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.act.__name__, "summary": route.about,
        "responses": {str(route.status): {"description": "Done.", "content": _content(route.answer)},
                      "4XX": {"description": "Refused; nothing was changed.", "content": _content("Error")}}}
    if route.template == "/":
        operation["responses"]["200"]["content"] |= {"text/html": {"schema": _TEXT}, "text/plain": {"schema": _TEXT}}
    if names := re.findall(r"\{(\w+)\}", route.template):
        operation["parameters"] = [{"name": name, "in": "path", "required": True,
                                    "schema": _COUNT if name in ("n", "number") else _TEXT} for name in names]
    if route.body is not None:
        operation["requestBody"] = {"required": True, "content": _content(route.body)}
    return operation


def _content(schema: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
