"""Whatever arrives, the emulator answers with an envelope and never with a server's error."""

from __future__ import annotations

import inspect
import json
from typing import Any
from urllib.parse import quote

from hypothesis import given, settings
from hypothesis import strategies as st
from paygate_portone.emulator import PortOneEmulator
from paygate_portone.emulator.routes import ROUTES

from paygate.testing.emulator import Call

NAMES = sorted({
    "imp_key", "imp_secret", "customer_uid", "merchant_uid", "imp_uid", "amount", "name", "currency", "tax_free",
    "checksum", "reason", "extra", "enable_webhook", "schedules", "schedule_at", "card_number", "expiry", "channel_key",
    "pg", "buyer_name", "buyer_tel", "custom_data", "notice_url", "card_quota", "customer_id", "checking_amount",
    "from", "to", "schedule_from", "schedule_to", "page", "limit", "sorting", "include_sandbox", "requester",
    "schedule-status", "merchant_uid[]", "extra[naverUseCfm]", "schedules[0][merchant_uid]", "schedules[0][amount]"})
KNOWN = ["o-1", "s-1", "key-1", "prepared-1", "paid", "all", "..", "%", "\x00", "\ud800", "a" * 300]
IDS = st.sampled_from(KNOWN) | st.text()
NUMBERS = (st.integers() | st.floats() | st.sampled_from([0, 1, 10, 14_000, 10**18, 10**400, 1_767_600_000, -1, True]))
LEAVES = st.none() | st.booleans() | NUMBERS | st.text() | IDS | st.sampled_from(
    ["1000", "1e9", "KRW", "USD", "4242424242424242", "2030-01", "naverpay", "nice", "²", "٣", "NaN"])
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
    st.sampled_from([*NAMES, "naverUseCfm"]), inner, max_size=5), max_leaves=12)
OBJECTS = st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=8)
PLAUSIBLE = st.fixed_dictionaries(
    {"customer_uid": st.sampled_from(["key-1", "x"]) | IDS, "merchant_uid": IDS, "amount": NUMBERS},
    optional={"extra": VALUES, "custom_data": VALUES, "buyer_name": VALUES, "name": VALUES, "checksum": VALUES,
              "schedules": st.lists(OBJECTS | st.fixed_dictionaries(
                  {"merchant_uid": IDS, "schedule_at": NUMBERS, "amount": NUMBERS}), max_size=3) | VALUES,
              "card_number": LEAVES, "expiry": LEAVES})
BODIES = st.one_of(
    (OBJECTS | PLAUSIBLE).map(lambda value: json.dumps(value).encode()),
    st.binary(max_size=200), VALUES.map(lambda value: json.dumps(value).encode()),
    st.lists(st.tuples(st.sampled_from(NAMES) | st.text(max_size=20), st.text(max_size=20)), max_size=8).map(
        lambda pairs: "&".join(f"{k}={quote(v, errors='replace')}" for k, v in pairs).encode("utf-8", "replace")))
QUERIES = st.one_of(
    st.just(""), st.text(max_size=60),
    st.lists(st.tuples(st.sampled_from(NAMES), IDS | NUMBERS.map(lambda n: repr(n)[:500])), max_size=5).map(
        lambda pairs: "&".join(f"{k}={quote(v, errors='replace')}" for k, v in pairs)))
METHODS = st.sampled_from(["GET", "POST", "PUT", "DELETE"]) | st.sampled_from(["PATCH", "HEAD", "OPTIONS", "get", ""])
TYPES = st.sampled_from(["application/json", "application/x-www-form-urlencoded", "", "text/plain",
                         "application/json; charset=euc-kr", "multipart/form-data; boundary=x"]) | st.text(max_size=10)


@st.composite
def calls(draw: st.DrawFn) -> tuple[str, str, str, bytes]:
    route = draw(st.sampled_from(ROUTES))
    path = "/".join(quote(draw(IDS), safe="", errors="replace") if part == "{}" else part for part in route.parts)
    target = draw(st.just(f"/{path}") | st.text(max_size=40))
    query = draw(QUERIES)
    method = draw(st.just(route.method) | METHODS)
    return method, f"{target}?{query}" if query else target, draw(TYPES), draw(BODIES)


def _ready() -> PortOneEmulator:
    pg = PortOneEmulator()
    pg.shop.tokens.grant(pg.shop.now())
    pg.controls()["issue_key"](key="key-1")
    _say(pg, "POST", "/subscribe/payments/again", "", json.dumps(
        {"customer_uid": "key-1", "merchant_uid": "o-1", "amount": 14_000}).encode())
    _say(pg, "POST", "/subscribe/payments/schedule", "", json.dumps({"customer_uid": "key-1", "schedules": [
        {"merchant_uid": "s-1", "amount": 14_000, "schedule_at": pg.shop.now() + 60}]}).encode())
    _say(pg, "POST", "/payments/prepare", "", b"merchant_uid=prepared-1&amount=5")
    assert len(pg.shop.plans) == len(pg.shop.payments) == len(pg.shop.prepared) == 1
    return pg


def _say(pg: PortOneEmulator, method: str, target: str, kind: str, body: bytes) -> tuple[int, Any]:
    headers = {"authorization": pg.shop.tokens.token, "content-type": kind}
    answer = pg.answer(Call(method, target, headers, body))
    if method == "HEAD":
        assert answer.body == b""
        return answer.status, None
    return answer.status, json.loads(answer.body.decode("utf-8"))


@settings(deadline=None, max_examples=300)
@given(st.lists(calls(), min_size=1, max_size=4))
def test_no_call_is_answered_with_a_server_error(several: list[tuple[str, str, str, bytes]]) -> None:
    pg = _ready()
    for method, target, kind, body in several:
        status, value = _say(pg, method, target, kind, body)
        assert status in (200, 207, 400, 401, 404, 405)
        if value is not None:
            assert set(value) == {"code", "message", "response"}
            assert (value["code"] == 0) == (status in (200, 207) and value["message"] is None)
    pg.clock.advance(120)
    for entry in pg.journal.entries:
        assert pg.journal.given_back(entry.order_id) <= pg.journal.taken(entry.order_id)
    for record in pg.controls()["payments"]():
        assert 0 <= record["cancel_amount"] <= record["amount"]


@settings(deadline=None, max_examples=150)
@given(st.sampled_from(sorted(PortOneEmulator().controls())), st.dictionaries(
    st.sampled_from(["key", "order_id", "action", "outcome", "message", "params", "amount", "times", "points",
                     "after_s", "reason", "payer", "card"]), VALUES, max_size=4))
def test_a_control_takes_what_it_knows_or_raises_value_error(name: str, arguments: dict[str, Any]) -> None:
    pg = _ready()
    control = pg.controls()[name]
    try:
        inspect.signature(control).bind(**arguments)
    except TypeError:
        return
    try:
        json.dumps(control(**arguments))
    except ValueError:
        pass  # a bad value, said so


def test_half_a_character_in_a_text_still_gives_an_answer_in_utf8() -> None:
    pg = _ready()
    body = {"customer_uid": "key-1", "merchant_uid": "o-2", "amount": 100, "name": "\ud800", "custom_data": "\udfff"}
    status, value = _say(pg, "POST", "/subscribe/payments/again", "", json.dumps(body).encode())
    assert (status, value["response"]["status"]) == (200, "paid")


def test_deep_wide_and_broken_bodies_are_refused() -> None:
    pg = _ready()
    for body in (b"[" * 100_000, b'{"a":' * 100_000, b'{"amount": NaN}', b'{"amount": ' + b"9" * 5000 + b"}", b"{",
                 b'{"merchant_uid": "\xff"}', b"&".join(b"a=1" for _ in range(6000)), b"a=1&a[b]=2&a=3", b"%ff=%ff",
                 b'{"merchant_uid":"o-2","customer_uid":"key-1","amount":100,"custom_data":' + b"[" * 900 + b"]" * 900,
                 b'{"extra": {"naverUseCfm": ' + b"[" * 900 + b"]" * 900 + b"}}", b"[1]", b'"x"', b"null"):
        for route in ROUTES:
            if route.method != "GET":
                target = route.template.replace("{}", "x")
                status, value = _say(pg, route.method, target, "application/json", body)
                assert status < 500
                assert value["code"] != 0 or route.method == "DELETE"
