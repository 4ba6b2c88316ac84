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
from .orders import Order
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
        order = yield from _only_new(look, held, order_id)
        made = None if order is None else (yield from look.payment(order, order_id))
        if made is None or made.status is not PaymentStatus.FAILED:
            raise no
        return made
    if told is None:
        order = yield from _only_new(look, held, order_id)
        if order is None:
            raise unclear("it shows no new order", order_id)
        return (yield from look.payment(order, order_id))
    try:
        order = yield from look.order(str(told), order_id)
        made = yield from look.payment(order, order_id)
    except PaygateError:
        # The new order is known by its number: its record is looked up, and judged, later.
        return Payment(order_id=order_id, provider_id=str(told), status=PaymentStatus.PENDING, money=command.money,
                       renews=held.began_by)
    _check(order, held, order_id)
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


def _only_new(look: Looking, before: Known, order_id: str) -> Flow[Order | None]:
    """The one order by which the subscription was renewed since `before`; None where there is none.

    Raises: OutcomeUnknown where there are several.
    """
    detail = yield from look.subscription(str(before.number), order_id)
    made = sorted(understood(recurring.known, detail, order_id=order_id).renewals - before.renewals)
    if len(made) > 1:
        raise unclear("it was renewed more than once meanwhile", order_id)
    if not made:
        return None
    order = yield from look.order(made[0], order_id)
    _check(order, before, order_id)
    return order


def _check(order: Order, before: Known, order_id: str) -> None:
    """Raises: OutcomeUnknown for an order that is not a new renewal of this very subscription."""
    if order.type != "RECURRING" or order.renewed != before.number or order.code in before.renewals:
        raise unclear("the new order is not the renewal that was asked for", order_id)
