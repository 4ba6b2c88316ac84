"""Webhooks of both generations, read into hints. Pure: the time is handed in.

V2 is signed JSON: what its signature covers is believed to come from the PG, but a payment is looked up all the same.
V1 is unsigned, JSON or a form: it only says what to look up.

Source: webhook guide (documented): header `Steppay-Signature: timestamp=<s>,key=<base64>[;<base64>…]`, over
`<timestamp>.<raw body>`, HMAC-SHA256; the timestamp is when it was sent. A tolerance is published nowhere: ±300 s is
ours, for the time now and for the envelope's own timestamp. Within it a message that comes again is told apart by its
body (`Hint.identity`), because StepPay gives its messages no id.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from attrs import evolve

from paygate.errors import BadSettings, Forged
from paygate.model import Hint, SubjectKind
from paygate.secret import Secret
from paygate.text import is_clean
from paygate.webhook import check_size, json_fields, webhook_fields

from .fields import CODE, ID_KEY

HEADER = "steppay-signature"
TOLERANCE_S = 300
MOST_MARKS = 5
_HEADER = re.compile(r"timestamp=([0-9]{1,12}),key=([A-Za-z0-9+/=]{1,100}(?:;[A-Za-z0-9+/=]{1,100})*)")
_NUMBER = re.compile(r"[0-9]{1,19}")


def _events(kind: SubjectKind, name: str, *events: str) -> dict[str, tuple[SubjectKind, str]]:
    return dict.fromkeys(events, (kind, name))


_SUBJECTS: Mapping[str, tuple[SubjectKind, str]] = {
    **_events("subscription", "subscriptionId", "subscription.created", "subscription.updated",
              "subscription.payment_due_notification"),
    **_events("subscription_item", "subscriptionItemId", "subscription.usage.added"),
    **_events("invoice", "id", "invoice.created", "invoice.updated", "invoice.deleted"),
    **_events("customer", "id", "customer.created", "customer.updated", "customer.deleted"),
    **_events("product", "code", "product.created", "product.updated", "product.deleted"),
    **_events("price", "priceCode", "product.price.created", "product.price.updated", "product.price.deleted"),
}
"""Event → what it concerns and which field of `data` names that (documented: webhook guide, events and schemas)."""


def verify(header: str, body: bytes, keys: Sequence[Secret], now: datetime) -> int:
    """Check a V2 signature: any key of ours may match any listed one, compared whole and in constant time.

    Returns when it was signed, in seconds since 1970.

    Raises: Forged, also for one signed more than 300 seconds from `now`; BadSettings where we have no key: it may well
    be genuine, so the PG has to send it again.
    """
    match = _HEADER.fullmatch(header)
    marks = match.group(2).split(";") if match else []
    if match is None or len(marks) > MOST_MARKS:
        raise Forged("a webhook whose signature header is not the PG's; nothing was changed")
    if abs(now.timestamp() - int(match.group(1))) > TOLERANCE_S:
        raise Forged("a webhook signed too long ago; nothing was changed")
    if not keys:
        raise BadSettings("a webhook is signed, but settings.webhook_keys is empty: put the portal's verification key "
                          "there; nothing was changed")
    text = match.group(1).encode("ascii") + b"." + body
    fits = False
    for key in keys:
        made = base64.b64encode(hmac.digest(key.reveal().encode("utf-8"), text, hashlib.sha256))
        for mark in marks:
            fits |= hmac.compare_digest(made, mark.encode("ascii"))
    if not fits:
        raise Forged("a webhook whose signature does not fit; nothing was changed")
    return int(match.group(1))


def read(headers: Mapping[str, str], body: bytes, now: datetime, keys: Sequence[Secret], *, managed: bool) -> Hint:
    """What a webhook claims.

    Raises: Forged; BadSettings for a signed one where we have no key.
    """
    check_size(body)
    if HEADER in headers:
        signed_at = verify(headers[HEADER], body, keys, now)
        return _signed(json_fields(body), body, signed_at, managed=managed)
    given = webhook_fields(headers, body)
    return _of_order_or_subscription(given) if managed else _of_payment(given)


# V2

def _signed(given: Mapping[str, Any], body: bytes, signed_at: int, *, managed: bool) -> Hint:
    """An event of the envelope {timestamp, version, event, data}; one that is not known is kept as "other"."""
    event, data, told_at = given.get("event"), given.get("data"), given.get("timestamp")
    if not isinstance(event, str) or not is_clean(event) or len(event) > 100 or not isinstance(data, dict):
        raise Forged("a signed webhook that is no event; nothing was changed")
    if type(told_at) is not int or abs(told_at - signed_at) > TOLERANCE_S:
        raise Forged("a webhook that was signed at another time than it tells; nothing was changed")
    identity = hashlib.sha256(body).hexdigest()
    if event.startswith("payment."):
        hint = _payment(event, data, managed=managed)
    elif event.startswith("order.") and managed:
        code = data.get("code")
        fits = isinstance(code, str) and CODE.fullmatch(code)
        hint = Hint(provider_id=code, event=event, is_signed=True) if fits else None
    else:
        hint = None
    if hint is not None:
        return evolve(hint, identity=identity)
    kind, name = _SUBJECTS.get(event, ("other", "id"))
    began = data.get("orderCode") if kind == "subscription" else None
    return Hint(kind=kind, provider_id=_id(data.get(name)), event=event, claim=_text(data.get("status")),
                began_by=began if isinstance(began, str) and CODE.fullmatch(began) else None, is_signed=True,
                identity=identity)


def _payment(event: str, data: Mapping[str, Any], *, managed: bool) -> Hint | None:
    """`orderId` is the merchant's where the payment is unmanaged, else StepPay's number of the order (documented).

    A payment of the other kind is none of this gateway's: both kinds share an account and its webhooks.
    """
    order, key, only = _id(data.get("orderId")), data.get("idKey"), data.get("paymentOnly")
    claim = _text(data.get("status"))
    if managed:
        ours = only is not True and order is not None and _NUMBER.fullmatch(order)
        return Hint(alias=order, event=event, claim=claim, is_signed=True) if ours else None
    ours = only is not False and isinstance(key, str) and ID_KEY.fullmatch(key)
    return Hint(order_id=order if only else None, provider_id=key, event=event, claim=claim,
                is_signed=True) if ours else None


# V1

def _of_order_or_subscription(given: Mapping[str, Any]) -> Hint:
    """{"webHookType", "orderId"} of a renewal, or {"id", "status"} of a subscription (documented)."""
    order, subscription, status = _id(given.get("orderId")), _id(given.get("id")), _text(given.get("status"))
    if "webHookType" in given and "idKey" not in given and order is not None and _NUMBER.fullmatch(order):
        return Hint(alias=order, claim=_text(given.get("webHookType")))
    if "webHookType" not in given and status is not None and subscription is not None \
            and _NUMBER.fullmatch(subscription):
        return Hint(kind="subscription", provider_id=subscription, claim=status)
    raise Forged("a webhook of neither an order nor a subscription; nothing was changed")


def _of_payment(given: Mapping[str, Any]) -> Hint:
    """{"webHookType", "orderId", "idKey"}. `orderId` may be theirs or ours (sources disagree), so it is not used."""
    kind, key = _text(given.get("webHookType")), given.get("idKey")
    if kind is None or not isinstance(key, str) or not ID_KEY.fullmatch(key):
        raise Forged("a webhook that names no payment; nothing was changed")
    return Hint(provider_id=key, claim=kind)


def _id(value: Any) -> str | None:
    text = str(value) if type(value) is int and value >= 0 else value
    return text if isinstance(text, str) and 0 < len(text) <= 100 and is_clean(text) else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) <= 100 and is_clean(value) else None
