"""The PG's paths: which method on which path is which endpoint, and which HTTP statuses its errors may have.

A status an endpoint does not name in the PG's schema becomes 200 with `code` other than 0 (documented for cancel).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import unquote_to_bytes

from attrs import field, frozen

from paygate.testing.emulator import Call
from paygate.wire import Response

from . import charging, codes, keys, payments, schedules
from .bodies import Asked, read_body, read_query
from .shop import Shop
from .tokens import check_token, get_token
from .words import NO_CERTIFICATION, Refusal, Some, envelope, not_found

Handler = Callable[[Shop, Asked], Any]


@frozen
class Route:
    """`template` names each parameter `{}`; `named` are the error statuses beside 401."""

    method: str
    template: str
    handler: Handler
    named: tuple[int, ...] = ()
    needs_token: bool = True
    parts: tuple[str, ...] = field(init=False)

    @parts.default
    def _parts(self) -> tuple[str, ...]:
        return tuple(self.template.strip("/").split("/"))

    def fits(self, parts: tuple[str, ...]) -> bool:
        return len(parts) == len(self.parts) and all(
            mine == theirs or (mine == "{}" and theirs != "")
            for mine, theirs in zip(self.parts, parts, strict=True))


def _no_certification(shop: Shop, asked: Asked) -> Any:
    """Identity checks are another product: none is ever found."""
    raise not_found(NO_CERTIFICATION)


_LIST = (400,)
ROUTES: tuple[Route, ...] = (
    Route("POST", "/users/getToken", get_token, (400,), needs_token=False),
    Route("GET", "/users/pg", payments.channels),
    Route("POST", "/payments/cancel", payments.cancel),
    Route("POST", "/payments/prepare", payments.post_prepared),
    Route("PUT", "/payments/prepare", payments.put_prepared, (404,)),
    # The schema names no 404 here; a client test observed it.
    Route("GET", "/payments/prepare/{}", payments.get_prepared, (404,)),
    Route("GET", "/payments", payments.get_payments, (404,)),
    Route("GET", "/payments/find/{}", payments.find, (404,)),
    Route("GET", "/payments/find/{}/{}", payments.find, (404,)),
    Route("GET", "/payments/findAll/{}", payments.find_all, (400, 404)),
    Route("GET", "/payments/findAll/{}/{}", payments.find_all, (400, 404)),
    Route("GET", "/payments/status/{}", payments.by_status, (400,)),
    Route("GET", "/payments/{}/balance", payments.balance, (404,)),
    Route("POST", "/payments/{}/naver/point", payments.naver_point, (404,)),
    Route("POST", "/payments/{}/naver/confirm", payments.naver_confirm, (404,)),
    Route("GET", "/payments/{}/naver/cash-amount", payments.naver_cash_amount, (400,)),
    Route("GET", "/payments/{}", payments.get_payment, (404,)),
    Route("GET", "/subscribe/customers", keys.get_keys, (404,)),
    Route("GET", "/subscribe/customers/{}", keys.get_key, (404,)),
    Route("POST", "/subscribe/customers/{}", keys.post_key),
    Route("DELETE", "/subscribe/customers/{}", keys.delete_key, (404,)),
    Route("GET", "/subscribe/customers/{}/payments", keys.key_payments, (404,)),
    Route("GET", "/subscribe/customers/{}/schedules", schedules.key_schedules, _LIST),
    Route("POST", "/subscribe/payments/again", charging.again),
    Route("POST", "/subscribe/payments/onetime", charging.onetime),
    Route("POST", "/subscribe/payments/unschedule", schedules.unschedule),
    Route("POST", "/subscribe/payments/schedule", schedules.schedule),
    Route("GET", "/subscribe/payments/schedule", schedules.get_schedules, _LIST),
    Route("GET", "/subscribe/payments/schedule/customers/{}", schedules.key_schedules, _LIST),
    Route("GET", "/subscribe/payments/schedule/{}", schedules.get_schedule, (404,)),
    Route("PUT", "/subscribe/payments/schedule/{}", schedules.put_schedule, (400, 404)),
    Route("POST", "/subscribe/payments/schedule/{}/reschedule", schedules.reschedule, (400, 404)),
    Route("POST", "/subscribe/payments/schedule/{}/retry", schedules.retry, (400, 404)),
    Route("GET", "/cards", codes.cards),
    Route("GET", "/cards/{}", codes.cards, (404,)),
    Route("GET", "/banks", codes.banks),
    Route("GET", "/banks/{}", codes.banks, (404,)),
    Route("GET", "/certifications/{}", _no_certification, (404,)),
    Route("DELETE", "/certifications/{}", _no_certification, (404,)),
)


def segments(path: str) -> tuple[str, ...] | None:
    """A path's decoded segments; None where it is not UTF-8. Slashes at its ends mean nothing, `//` within is empty."""
    try:
        return tuple(unquote_to_bytes(part).decode("utf-8") for part in path.strip("/").split("/"))
    except UnicodeError:
        return None


def respond(shop: Shop, call: Call) -> Response:
    """Answer one call with an envelope, whatever it is."""
    nulls = shop.switches.nulls
    if call.method == "HEAD":
        return Response(405, {"allow": "GET, POST, PUT, DELETE"}, b"")
    parts = segments(call.path)
    fitting = [route for route in ROUTES if parts is not None and route.fits(parts)]
    if parts is None or not fitting:
        return envelope(404, -1, "요청하신 경로를 찾을 수 없습니다.", None, nulls=nulls)
    route = next((r for r in fitting if r.method == call.method), None)
    if route is None:
        allow = ", ".join(dict.fromkeys(r.method for r in fitting))
        return envelope(405, -1, "허용되지 않는 HTTP METHOD입니다.", None, nulls=nulls, headers={"allow": allow})
    ids = tuple(theirs for mine, theirs in zip(route.parts, parts, strict=True) if mine == "{}")
    try:
        result = _run(shop, route, ids, call)
    except Refusal as refusal:
        status = refusal.status if refusal.status in (401, *route.named) else 200
        return envelope(status, refusal.code, refusal.message, None, nulls=nulls)
    if isinstance(result, Some):
        return envelope(207 if result.partial else 200, 0, None, result.found, nulls=nulls)
    return envelope(200, 0, None, result, nulls=nulls)


def _run(shop: Shop, route: Route, ids: tuple[str, ...], call: Call) -> Any:
    # The second name is how older clients send the bare token (observed: the official Python client).
    authorization = call.headers.get("authorization") or call.headers.get("x-imptokenheader", "")
    if route.needs_token:
        check_token(shop, Asked(authorization=authorization))
    body = {} if call.method == "GET" else read_body(call.headers.get("content-type", ""), call.body)
    return route.handler(shop, Asked(ids=ids, query=read_query(call.query), body=body, authorization=authorization))
