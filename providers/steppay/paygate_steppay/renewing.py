"""Renew a subscription now. The PG names no order of ours: the renewal is the one order that was not there before."""

from __future__ import annotations

from typing import Any

from paygate.codec import Unreadable
from paygate.errors import BadCommand, PaygateError, Refused
from paygate.flow import Flow
from paygate.model import Payment, PaymentStatus
from paygate.subscriptions import Renew
from paygate.wire import path

from . import fields, recurring
from .answers import accepted, unclear, understood
from .asking import Asking
from .looking import Looking
from .recurring import Known


def renew(asking: Asking, look: Looking, command: Renew, number: str) -> Flow[Payment]:
    """Charge the next period of subscription `number`.

    Only an ACTIVE one: the PG itself is about to renew one that is QUEUEING, and is trying again to renew one that is
    UNPAID, so renewing it by hand as well could charge twice.

    Source: reference site, POST /api/v1/subscriptions/{id}/renew; `body` may be {orderId} (documented).
    """
    order_id = command.order_id
    held = understood(recurring.known, (yield from look.subscription(number, order_id)), order_id=order_id)
    if held.word != "ACTIVE":
        raise BadCommand(f"the PG has the subscription as {held.word}, so it is not renewed; nothing was sent",
                         order_id=order_id)
    reply = yield asking.send("POST", path("/api/v1/subscriptions/{}/renew", number))
    try:
        told = understood(_told, accepted(reply, order_id), held, order_id=order_id)
    except Refused as no:
        made = yield from _renewal(look, held, None, order_id)
        if made is None or made.status is not PaymentStatus.FAILED:
            raise no
        return made
    try:
        made = yield from _renewal(look, held, told, order_id)
    except PaygateError:
        if told is None:
            raise
        # The new order is known by its number; its record is looked up, and judged, later.
        return Payment(order_id=order_id, provider_id=str(told), status=PaymentStatus.PENDING, money=command.money,
                       renews=held.began_by)
    if made is None:
        raise unclear("it shows no new order", order_id)
    return made


def _told(content: Any, before: Known) -> int | None:
    """The number of the order that the answer names; None where it names none.

    Raises: Unreadable where that order was there before, or is none.
    """
    body = content.get("body") if isinstance(content, dict) else None
    said = body.get("orderId") if isinstance(body, dict) else None
    number = None if said is None else fields.number(said, "orderId")
    if number in before.orders:
        raise Unreadable("the order it names is not a new one")
    return number


def _renewal(look: Looking, before: Known, told: int | None, order_id: str) -> Flow[Payment | None]:
    """The one order by which the subscription was renewed since `before`; None where there is none.

    Raises: OutcomeUnknown where there are several, where the answer told another, and where it renews something else.
    """
    detail = yield from look.subscription(str(before.number), order_id)
    after = understood(recurring.known, detail, order_id=order_id)
    made = sorted(after.renewals - before.renewals)
    if len(made) > 1:
        raise unclear("it was renewed more than once meanwhile", order_id)
    if not made:
        return None
    order = yield from look.order(made[0], order_id)
    if order.type != "RECURRING" or order.renewed != before.number or told not in (None, order.number):
        raise unclear("the new order is not the renewal that was asked for", order_id)
    return (yield from look.payment(order, order_id))
