"""Webhooks of both generations: what is sent when, how it is signed, and how badly it may arrive."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any
from urllib.parse import parse_qs

import pytest
from paygate_steppay.emulator import ManagedEmulator, Switches, UnmanagedEmulator
from paygate_steppay.emulator.hooks import sign

from paygate.testing.emulator import Call, Hook

PARAMS = {"paymentGateway": "NICE", "paymentMethod": "CARD", "customer": {"userName": "Kim"},
          "partner": {"partnerOrderId": "inv-1", "partnerUserId": "user-77"},
          "product": {"itemName": "Pro plan", "amount": 9900, "quantity": 1}}


def pay(pg: Any, action: str = "approve", method: str = "CARD") -> None:
    """A payer in the browser script's window."""
    params = {**PARAMS, "paymentKey": pg.pg.payment_key, "paymentMethod": method}
    pg.controls()["open_window"](params=params)
    pg.controls()["payer"](order_id="inv-1", action=action)


def subscribe(pg: Any) -> None:
    """A payer on the hosted page, for 9,900 won a month."""
    def ask(path: str, body: Any) -> Any:
        token = {"secret-token": pg.settings()["secret_token"]}
        return json.loads(pg.answer(Call("POST", path, token, json.dumps(body).encode())).body)

    customer = ask("/api/v1/customers", {"name": "Kim", "email": "kim@example.com"})
    price = ask(f"/api/v1/products/{pg.product.id}/prices", {
        "type": "FLAT", "price": 9900, "unit": "month", "plan": {"name": "Basic", "description": ""},
        "recurring": {"interval": "MONTH", "intervalCount": 1}})
    order = ask("/api/v1/orders", {"customerId": customer["id"], "items": [
        {"productCode": pg.product.code, "priceCode": price["code"]}]})
    pg.controls()["payer"](order_id=order["orderCode"])


def bodies(hooks: list[Hook]) -> list[Any]:
    return [json.loads(h.body) for h in hooks]


def test_the_signature_is_the_documented_one() -> None:
    # Worked out by hand from the documented rule: base64(HMAC-SHA256(key, "<timestamp>.<raw body>")).
    body = b'{"timestamp":1706002316,"version":"v1","event":"payment.completed","data":{"paymentId":1}}'
    assert sign(["test-verification-key"], 1706002316, body) == (
        "timestamp=1706002316,key=rCHLFjIkJAzMbYESF9Eb6lAyqvZmiUXEkxFFyp3kgBY=")


def test_v2_webhooks_are_signed_json_in_an_envelope() -> None:
    pg = ManagedEmulator()
    pay(pg)
    [hook] = pg.hooks
    body = json.loads(hook.body)
    assert hook.headers["content-type"] == "application/json"
    assert (body["version"], body["event"], body["timestamp"]) == (
        "v1", "payment.completed", int(pg.clock.now().timestamp()))
    assert body["data"]["paymentOnly"] is True
    data = body["data"]
    assert (data["orderId"], data["customerId"], data["status"]) == ("inv-1", "user-77", "COMPLETE")
    stamp, _, keys = hook.headers["steppay-signature"].partition(",key=")
    text = stamp.removeprefix("timestamp=").encode() + b"." + hook.body
    right = base64.b64encode(hmac.digest(pg.settings()["webhook_keys"][0].encode(), text, hashlib.sha256)).decode()
    assert keys == right


def test_during_a_rotation_every_key_signs() -> None:
    pg = ManagedEmulator()
    old = pg.settings()["webhook_keys"]
    new = pg.controls()["rotate_webhook_key"]()
    assert pg.settings()["webhook_keys"] == [new, *old]
    pay(pg)
    assert len(pg.hooks[-1].headers["steppay-signature"].partition(",key=")[2].split(";")) == 2
    pg.controls()["drop_old_webhook_keys"]()
    assert pg.settings()["webhook_keys"] == [new]


def test_a_subscription_tells_of_itself_and_of_every_renewal() -> None:
    pg = ManagedEmulator()
    subscribe(pg)
    assert [b["event"] for b in bodies(pg.hooks)] == [
        "order.created", "payment.completed", "order.payment_completed", "subscription.created"]
    first = bodies(pg.hooks)[2]["data"]
    assert (first["type"], first["paidAmount"], first["items"][0]["status"]) == ("RECURRING_INITIAL", 9900, "PAID")
    assert "orderCode" not in bodies(pg.hooks)[1]["data"]
    assert bodies(pg.hooks)[3]["data"]["subscriptionId"] == next(iter(pg.pg.subscriptions))
    pg.hooks.clear()
    pg.controls()["renewals"](outcome="failed")
    pg.clock.advance(86_400 * 32)
    assert [b["event"] for b in bodies(pg.hooks)] == [
        "order.created", "payment.failed", "order.updated", "subscription.updated",
        "payment.completed", "order.payment_completed", "subscription.updated"]
    statuses = [b["data"]["status"] for b in bodies(pg.hooks) if b["event"] == "subscription.updated"]
    assert statuses == ["UNPAID", "ACTIVE"]


def test_v1_knows_successful_renewals_only_and_is_unsigned() -> None:
    pg = ManagedEmulator(switches=Switches(hooks=("v1",)))
    subscribe(pg)
    [created] = pg.hooks
    subscription = next(iter(pg.pg.subscriptions))
    assert json.loads(created.body) == {"id": subscription, "status": "ACTIVE"}
    assert set(created.headers) == {"content-type"}
    pg.controls()["renewals"](outcome="failed")
    pg.clock.advance(86_400 * 31)
    assert bodies(pg.hooks)[1:] == [{"id": subscription, "status": "UNPAID"}]
    pg.clock.advance(86_400)
    order = list(pg.pg.orders)[-1]
    assert bodies(pg.hooks)[2:] == [
        {"webHookType": "PAYMENT", "orderId": order}, {"id": subscription, "status": "ACTIVE"}]


@pytest.mark.parametrize(("action", "method", "word"), [
    ("approve", "CARD", "PAYMENT"), ("decline", "CARD", "FAILED"), ("close", "CARD", "USER_CANCELED"),
    ("approve", "VBANK", "VBANK"), ("approve", "CMS", "CMS")])
def test_the_unmanaged_payment_webhook_is_v1(action: str, method: str, word: str) -> None:
    pg = UnmanagedEmulator()
    pay(pg, action, method)
    [hook] = pg.hooks
    payment = next(iter(pg.pg.payments.values()))
    assert json.loads(hook.body) == {"webHookType": word, "orderId": payment.id, "idKey": payment.id_key}


def test_a_refund_is_told_and_the_v1_webhook_can_be_a_form_with_our_order_id() -> None:
    pg = UnmanagedEmulator(switches=Switches(hooks=("v1",), v1_content="form", v1_order_id="ours"))
    pay(pg)
    key = next(iter(pg.pg.payments))
    pg.answer(Call("POST", "/api/internal/payment/cancel", {"secret-key": pg.settings()["secret_token"]},
                   json.dumps({"idKey": key, "requestPrice": 100}).encode()))
    assert pg.hooks[-1].headers["content-type"] == "application/x-www-form-urlencoded"
    assert parse_qs(pg.hooks[-1].body.decode()) == {"webHookType": ["CANCELED"], "orderId": ["inv-1"], "idKey": [key]}


def test_webhooks_can_come_twice_late_and_out_of_order_or_not_at_all() -> None:
    pg = ManagedEmulator(switches=Switches(hook_copies=2, hook_delay_s=60, hook_order="reversed"))
    subscribe(pg)
    assert pg.hooks == []
    pg.clock.advance(60)
    events = [b["event"] for b in bodies(pg.hooks)]
    once = ("order.created", "subscription.created", "order.payment_completed", "payment.completed")
    assert events == [e for e in once for _ in range(2)]
    assert pg.hooks[0].body == pg.hooks[1].body
    silent = ManagedEmulator(switches=Switches(hooks=()))
    subscribe(silent)
    assert silent.hooks == []


def test_what_is_registered_is_what_is_sent_and_where() -> None:
    pg = ManagedEmulator(switches=Switches(hook_events=("customer.", "product.price.")))
    seen: list[Hook] = []
    pg.on_hook = seen.append
    pg.controls()["set_webhook_url"](url="http://127.0.0.1:9/hook")
    subscribe(pg)
    assert [(b["event"], h.url) for b, h in zip(bodies(seen), seen, strict=True)] == [
        ("customer.created", "http://127.0.0.1:9/hook"), ("product.price.created", "http://127.0.0.1:9/hook")]
    pg.controls()["resend_hook"](index=0)
    assert pg.hooks[-1].body == pg.hooks[0].body
    assert pg.hooks[-1].headers == pg.hooks[0].headers
