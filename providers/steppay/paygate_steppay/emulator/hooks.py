"""Webhooks of both generations. V2 is signed JSON in an envelope; V1 is unsigned, JSON or a form (documented)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from functools import partial
from typing import Any
from urllib.parse import urlencode

from . import words
from .pg import Pg, plain
from .shapes_orders import deposit_account
from .state import Customer, Order, Payment, Price, Product, SubItem, Subscription


def sign(keys: list[str], timestamp: int, body: bytes) -> str:
    """The Steppay-Signature header: one base64 HMAC-SHA256 of `<timestamp>.<raw body>` for each verification key."""
    text = str(timestamp).encode() + b"." + body
    marks = [base64.b64encode(hmac.digest(key.encode("utf-8"), text, hashlib.sha256)).decode() for key in keys]
    return f"timestamp={timestamp},key={';'.join(marks)}"


def flush(pg: Pg) -> None:
    """Send what the happening just over has caused, as the switches say."""
    letters, pg.outbox = pg.outbox, []
    if pg.switches.hook_order == "reversed":
        letters.reverse()
    for kind, event, data in letters:
        for _ in range(pg.switches.hook_copies):
            send = partial(_send, pg, kind, event, data)
            if pg.switches.hook_delay_s:
                later = pg.emulator.clock
                later.at(_in(pg, pg.switches.hook_delay_s), send)
            else:
                send()


def _in(pg: Pg, seconds: float) -> Any:
    from datetime import timedelta

    return pg.now + timedelta(seconds=seconds)


def _send(pg: Pg, kind: str, event: str, data: Any) -> None:
    headers: Mapping[str, str] = {"content-type": "application/json"}
    if kind == "v2":
        stamp = int(pg.now.timestamp())
        body = _json({"timestamp": stamp, "version": "v1", "event": event, "data": data})
        headers = {**headers, "steppay-signature": sign(pg.webhook_keys, stamp, body)}
    elif kind == "payment" and pg.switches.v1_content == "form":
        headers, body = {"content-type": "application/x-www-form-urlencoded"}, urlencode(data).encode()
    else:
        body = _json(data)
    pg.emulator.send_hook(pg.hook_urls[kind], headers, body)


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8")


def _v2(pg: Pg, event: str, data: dict[str, Any]) -> None:
    if "v2" in pg.switches.hooks and event.startswith(pg.switches.hook_events or ("\0",)):
        pg.outbox.append(("v2", event, data))


def _v1(pg: Pg, kind: str, data: dict[str, Any]) -> None:
    if "v1" in pg.switches.hooks:
        pg.outbox.append((kind, "", data))


V1_PAYMENT = {"completed": "PAYMENT", "failed": "FAILED", "canceled": "CANCELED", "standby": "VBANK",
              "closed": "USER_CANCELED"}


def payment_event(pg: Pg, p: Payment, what: str) -> None:
    """payment.completed, failed, canceled or standby; "closed" is known to V1 alone (documented)."""
    if what != "closed":
        _v2(pg, f"payment.{what}", _payment(pg, p))
    if p.payment_only:
        word = "CMS" if what == "standby" and p.method.startswith("CMS") else V1_PAYMENT[what]
        ours = pg.switches.v1_order_id == "ours"
        _v1(pg, "payment", {"webHookType": word, "orderId": p.order_id if ours else p.id, "idKey": p.id_key})


def order_event(pg: Pg, o: Order, what: str) -> None:
    """order.created, updated or payment_completed. V1 knows successful renewals above 0 won alone (documented)."""
    _v2(pg, f"order.{what}", _order(pg, o))
    if what == "payment_completed" and o.type == "RECURRING" and not o.payment.total.is_zero:
        _v1(pg, "order", {"webHookType": "PAYMENT", "orderId": o.id})


def subscription_event(pg: Pg, s: Subscription, what: str) -> None:
    """subscription.created or updated."""
    _v2(pg, f"subscription.{what}", _subscription(pg, s))
    _v1(pg, "subscription", {"id": s.id, "status": s.status})


def customer_event(pg: Pg, c: Customer, what: str) -> None:
    """customer.created, updated or deleted."""
    _v2(pg, f"customer.{what}", {
        "id": c.id, "username": c.username, "name": c.name, "email": c.email, "phone": c.phone, "shipping": c.shipping,
        "code": c.code, "attributes": c.attributes, "createdAt": pg.time(c.created), "additionalRecipients": []})


def product_event(pg: Pg, p: Product, what: str) -> None:
    """product.created, updated or deleted."""
    _v2(pg, f"product.{what}", _product(pg, p))


def price_event(pg: Pg, p: Price, what: str) -> None:
    """product.price.created, updated or deleted. It names no product (documented)."""
    _v2(pg, f"product.price.{what}", _price(pg, p))


def _payment(pg: Pg, p: Payment) -> dict[str, Any]:
    cancel = None
    if p.refunds:
        cancel = {"canceledAmount": plain(p.returned.decimal), "lastCanceledDate": pg.time(p.refunds[-1].at)}
    account = deposit_account(pg, p) if p.status == words.VIRTUAL_BANK_STANDBY else None
    return {
        "paymentId": p.id, "idKey": p.id_key, "orderId": p.order_id, "customerId": p.user_id, "payer": p.payer,
        "productName": p.title, "paidAmount": pg.bare(p.total), "paidAt": pg.maybe_time(p.paid_at), "status": p.status,
        "paymentGateway": p.gateway, "paymentMethod": p.method, "paymentOnly": p.payment_only,
        "errorMessage": p.error_message, "cancel": cancel, "vBank": account, "niceCms": None}


def _order(pg: Pg, o: Order) -> dict[str, Any]:
    p = o.payment
    taken = p.total.decimal if p.status in words.TOOK_MONEY else 0
    return {
        "id": o.id, "code": o.code, "type": o.type, "paidAmount": pg.bare(taken),
        "returnedAmount": pg.pointed(p.returned), "leftAmount": pg.pointed(p.left),
        "discountedAmount": 0, "productName": o.title,
        "paymentDate": pg.maybe_time(p.paid_at), "paymentDueDate": None, "createdAt": pg.time(o.created),
        "modifiedAt": pg.time(o.modified), "purchaseDeadline": pg.maybe_time(o.deadline), "idKey": p.id_key,
        "customerId": o.customer.id, "shipping": None, "invoiceId": None,
        "subscriptions": [s.id for s in o.subscriptions or ([o.parent] if o.parent else [])],
        "items": [{"id": i.id, "code": i.code, "type": i.type, "status": i.status, "paidAmount": pg.bare(i.paid),
                   "currency": o.currency, "quantity": i.quantity, "priceCode": i.price.code,
                   "productCode": i.product.code, "productType": i.product.values["type"],
                   "productName": i.product.values["name"], "planName": i.price.values["plan"]["name"]}
                  for i in o.items]}


def _subscription(pg: Pg, s: Subscription) -> dict[str, Any]:
    start, end = s.period
    return {
        "subscriptionId": s.id, "status": s.status, "createdAt": pg.time(s.start), "trialPeriod": None,
        "currentPeriod": {"startDateTime": pg.time(start), "endDateTime": pg.time(end)},
        "lastPaymentDate": pg.maybe_time(s.last_paid), "nextPaymentDate": pg.maybe_time(s.next_at),
        "originNextPaymentDate": pg.maybe_time(s.origin_next), "endDate": pg.maybe_time(s.cancel_at or s.end),
        "pausedDateTime": pg.maybe_time(s.paused), "orderId": s.parent.id, "orderCode": s.parent.code,
        "items": [_item(pg, i) for i in s.items], "customerId": s.customer.id, "intervalUnit": s.unit,
        "intervalCount": s.count, "notiBeforePaymentDate": None,
        "paymentMethod": s.method and {"paymentGateway": s.method.gateway, "paymentInfo": s.method.info}}


def _item(pg: Pg, i: SubItem) -> dict[str, Any]:
    return {"subscriptionItemId": i.id, "productName": i.product.values["name"], "productCode": i.product.code,
            "priceCode": i.price.code, "price": pg.pointed(i.price.amount), "quantity": i.quantity, "type": "SKU",
            "priceType": i.price.type, "claimMethodType": i.price.values["claim"]["methodType"]}


def _product(pg: Pg, p: Product) -> dict[str, Any]:
    """A product has no number here, only its code (documented: webhook schema, Product)."""
    names = ("type", "status", "name", "subTitle", "featuredImageUrl", "imageUrls", "description", "quantity",
             "enabledDemo", "demoPeriod", "demoPeriodUnit")
    return {"code": p.code, **{n: p.values[n] for n in names}, "optionGroups": [], "categories": [],
            "prices": [_price(pg, each) for each in p.prices], "createdAt": pg.time(p.created),
            "modifiedAt": pg.time(p.modified)}


def _price(pg: Pg, p: Price) -> dict[str, Any]:
    """A price plan has no number here, only its code (documented: webhook schema, Price)."""
    v = p.values
    recurring = p.recurring and {"unit": p.recurring["interval"], "count": p.recurring["intervalCount"]}
    names = ("unit", "membershipExpirationDate", "membershipExpirationDateType", "setupOption", "plan", "claim",
             "basicServing")
    return {"priceCode": p.code, "price": pg.pointed(p.amount), "type": p.type, **{n: v[n] for n in names},
            "options": [], "additionalBilling": None, "recurring": recurring, "createdAt": pg.time(p.created),
            "modifiedAt": pg.time(p.modified), "firstSaleEnabled": v["firstSale"]["enabled"],
            "firstSalePrice": v["firstSale"]["price"], "bundlePrices": [],
            "onetimeBundlePrice": plain(v["onetimeBundlePrice"])}
