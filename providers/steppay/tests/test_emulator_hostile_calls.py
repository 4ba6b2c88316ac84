"""Whatever arrives, the emulator answers; what it does not take is a 4xx with the error body, never an exception."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paygate_steppay.emulator import ManagedEmulator, UnmanagedEmulator
from paygate_steppay.emulator.routes import ROUTES

from paygate.testing.emulator import Call
from paygate.wire import Response

NAMES = sorted({
    "name", "email", "phone", "username", "shipping", "attributes", "marketingSms", "type", "status", "price", "unit",
    "plan", "description", "recurring", "interval", "intervalCount", "firstSale", "enabled", "claim", "methodType",
    "setupOption", "expiryRecurringCount", "membershipExpirationDate", "membershipExpirationDateType", "customerId",
    "customerCode", "customerUuid", "items", "productCode", "priceCode", "currency", "minimumQuantity", "quantity",
    "maximumQuantity", "productOption", "purchaseDeadline", "paymentGateway", "requestPrice", "reason", "whenToCancel",
    "when", "whenToResume", "whenToPause", "until", "idKey", "partner", "partnerOrderId", "partnerUserId", "product",
    "itemName", "amount", "customer", "userName", "discount", "taxFreeAmount", "isMobile", "option", "id", "page",
    "size", "sortDir", "startDate", "successUrl", "errorUrl", "keyword", "enabledDemo", "demoPeriod", "useWidget",
    "eventBadge"})
WORDS = ["ONE_TIME", "FLAT", "SOFTWARE", "SALE", "MONTH", "DAY", "YEAR", "PRE", "POST", "NOW", "END_OF_PERIOD",
         "SPECIFIC_DATE_TIME", "PAUSED_UNTIL", "LAZY", "IMMEDIATE", "KRW", "USD", "CARD", "NICE", "PERIODIC", "9900",
         "1e9", "2026-03-01T00:00:00", "2026-03-01T00:00:00Z", "9999-12-31T23:59:59-12:00", "0001-01-01", "2026-02-30",
         "https://shop.example/x?a=1#f", "javascript:alert(1)", "http://[", "²", "٣", "NaN", "key-1", "",
         "\x00", "\ud800"]
NUMBERS = st.integers() | st.floats() | st.sampled_from([0, 1, 100, 9900, 10**12, 10**18, 10**400, -1, 0.5, 2**31])
LEAVES = st.none() | st.booleans() | NUMBERS | st.text() | st.sampled_from(WORDS)
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
    st.sampled_from(NAMES), inner, max_size=5), max_leaves=12)


class World:
    """An emulator with one of everything in it."""

    def __init__(self, kind: type[ManagedEmulator] | type[UnmanagedEmulator]) -> None:
        self.emulator = kind()
        self.headers = {"secret-token": self.emulator.settings()["secret_token"]}
        self.control = self.emulator.controls()
        self.key = self.emulator.pg.payments[self.control["issue_key"](key="key-1")].id_key \
            if kind is UnmanagedEmulator else self.control["issue_key"]()
        product = self.emulator.product
        self.customer = self.call("POST", "/api/v1/customers", {"name": "Kim", "email": "kim@example.com"})
        plan = {"name": "Basic", "description": ""}
        once = self.call("POST", f"/api/v1/products/{product.id}/prices", {
            "type": "ONE_TIME", "price": 9900, "unit": "case", "plan": plan})
        monthly = self.call("POST", f"/api/v1/products/{product.id}/prices", {
            "type": "FLAT", "price": 9900, "unit": "case", "plan": plan,
            "recurring": {"interval": "MONTH", "intervalCount": 1}})
        self.orders = [self.call("POST", "/api/v1/orders", {"customerId": self.customer["id"], "items": [
            {"productCode": product.code, "priceCode": p["code"]}]}) for p in (once, monthly)]
        self.open = self.call("POST", "/api/v1/orders", {"customerId": self.customer["id"], "items": [
            {"productCode": product.code, "priceCode": monthly["code"]}]})
        for order in self.orders:
            self.control["payer"](order_id=order["code"])
        subscription = next(iter(self.emulator.pg.subscriptions.values()))
        codes = [o["orderCode"] for o in (*self.orders, self.open)]
        self.fitting: dict[str, list[Any]] = {
            "customers": [self.customer["id"]], "session": [self.customer["id"]], "payment-method": [9001, 9002],
            "products": [product.id, product.id, product.code], "prices": [once["id"], monthly["id"]],
            "orders": [*codes, self.open["orderId"]], "subscriptions": [subscription.id],
            "items": [subscription.items[0].id], "receipt": [self.key, self.orders[0]["idKey"]]}
        self.ids = [str(i) for ids in self.fitting.values() for i in ids]
        self.good: dict[str, Any] = {
            "name": "Lee", "email": "lee@example.com", "type": "FLAT", "status": "SALE", "price": 5000, "unit": "case",
            "plan": plan, "recurring": {"interval": "DAY", "intervalCount": 1}, "customerId": self.customer["id"],
            "items": [{"productCode": product.code, "priceCode": monthly["code"]}], "requestPrice": 100,
            "whenToCancel": "END_OF_PERIOD", "when": "2026-03-01T00:00:00", "interval": "WEEK", "intervalCount": 2,
            "idKey": "key-1", "partner": {"partnerOrderId": "o-1", "partnerUserId": "u-1"},
            "customer": {"userName": "Kim"}, "product": {"itemName": "tea", "amount": 700, "quantity": 1},
            "productCode": product.code,
            "priceCode": once["code"], "quantity": 2, "id": subscription.items[0].id}

    def call(self, method: str, path: str, body: Any) -> Any:
        answer = self.emulator.answer(Call(method, path, self.headers, json.dumps(body).encode()))
        assert answer.status < 300, answer.body
        return json.loads(answer.body)

    def check(self, call: Call) -> None:
        answer = self.emulator.handle(call)
        assert isinstance(answer, Response)
        assert answer.status < 500
        body = answer.body
        if answer.status >= 400:
            refusal = json.loads(body)
            assert isinstance(refusal["errorCode"], str)
            assert isinstance(refusal["errorMessage"], str)
        elif answer.headers.get("content-type", "").startswith("application/json"):
            json.loads(body.decode("utf-8"))
        assert all("\n" not in v and "\r" not in v for v in answer.headers.values())
        for name in {m.order_id for m in self.emulator.journal.entries}:
            assert self.emulator.journal.given_back(name) <= self.emulator.journal.taken(name)


@st.composite
def steps(draw: st.DrawFn) -> tuple[Any, ...]:
    return draw(st.one_of(
        st.tuples(st.just("advance"), st.sampled_from([0, 1, 86_400, 86_400 * 40, 86_400 * 400])),
        st.tuples(st.just("control"), st.sampled_from([
            "payer", "next_charge", "renewals", "issue_key", "deposit", "switch", "open_window", "resend_hook",
            "set_webhook_url"]),
                  st.dictionaries(st.sampled_from(["order_id", "action", "outcome", "times", "key", "message", "params",
                                                   "quantity", "name", "value", "index", "url", "after_s", "method"]),
                                  VALUES | st.sampled_from(["decline", "late", "failed", "code", "amounts", "text"]),
                                  max_size=3)),
        *[st.tuples(st.just("call"), st.sampled_from(ROUTES), st.lists(st.integers(0, 40), min_size=2, max_size=2),
                    st.just({}) | st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=3),
                    st.sampled_from([None, None, None, []]) | st.binary(max_size=60) | VALUES,
                    st.lists(st.tuples(st.sampled_from(NAMES), st.text(max_size=8) | st.sampled_from(WORDS)),
                             max_size=3),
                    st.sampled_from([*[""] * 12, "method", "path", "type", "token"]), st.text(max_size=30))] * 6))


def _call(world: World, step: tuple[Any, ...]) -> Call:
    (method, path), picks, changes, body, query, twist, text = step[1:]
    parts = path.split("/")
    for place, pick in zip([n for n, part in enumerate(parts) if part == "{}"], picks, strict=False):
        fitting = world.fitting.get(parts[place - 1], ["approve", "decline"])
        name = str((fitting if pick < 28 else world.ids)[pick % len(fitting if pick < 28 else world.ids)])
        if pick > 36:
            name = text or WORDS[pick % len(WORDS)]
        parts[place] = quote(name, safe="", errors="replace")
    path = "/".join(parts)
    value = {**world.good, **changes} if body is None else body
    sent = value if isinstance(value, bytes) else json.dumps(value).encode()
    target = path + "?" + "&".join(f"{k}={quote(v, errors='replace')}" for k, v in query)
    headers = dict(world.headers)
    if twist == "method":
        method = text or "PATCH"
    elif twist == "path":
        target = text
    elif twist == "type":
        headers["content-type"] = text
    elif twist == "token":
        headers["secret-token"] = text
    return Call(method, target, headers, sent)


@pytest.mark.parametrize("kind", [ManagedEmulator, UnmanagedEmulator])
@settings(deadline=None, max_examples=150)
@given(story=st.lists(steps(), min_size=1, max_size=8))
def test_any_sequence_of_calls_and_controls_is_answered_and_gives_back_no_more_than_was_taken(
        kind: Any, story: list[tuple[Any, ...]]) -> None:
    world = World(kind)
    for step in story:
        if step[0] == "advance":
            world.emulator.clock.advance(step[1])
        elif step[0] == "control":
            try:
                world.control[step[1]](**step[2])
            except ValueError:
                continue
        else:
            world.check(_call(world, step))


def test_every_route_refuses_a_body_that_is_not_json_and_a_path_that_names_nothing() -> None:
    world = World(UnmanagedEmulator)
    for method, path in ROUTES:
        for name, body in (("999999", b"{}"), ("..", b"[[["), ("%00", b"\xff"), ("1" * 5000, b'{"a":NaN}')):
            world.check(Call(method, path.replace("{}", name), world.headers, body))


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"a":1,"a":2}', b'{"name":"\\u0000","email":"x"}', b"1e999999",
                                  b'{"name":' + b"9" * 5000 + b"}", b" " * (2 << 20)])
def test_a_body_that_would_break_a_parser_is_a_4xx(body: bytes) -> None:
    world = World(ManagedEmulator)
    answer = world.emulator.answer(Call("POST", "/api/v1/customers", world.headers, body))
    assert 400 <= answer.status < 500


def test_half_a_character_does_no_harm() -> None:
    world = World(UnmanagedEmulator)
    world.check(Call("POST", "/api/v1/customers", world.headers, b'{"name":"\\ud800","email":"x"}'))
    world.check(Call("GET", "/api/v1/customers", world.headers))
    params = {"paymentKey": world.emulator.settings()["payment_key"], "paymentGateway": "NICE", "paymentMethod": "CARD",
              "partner": {"partnerOrderId": "\ud800", "partnerUserId": "u"}, "customer": {"userName": "Kim"},
              "product": {"itemName": "tea", "amount": 700, "quantity": 1}}
    with pytest.raises(ValueError, match="half a character"):
        world.control["open_window"](params=params)
