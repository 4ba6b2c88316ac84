"""A subscription as StepPay shows it, and the bodies that change one. Pure; raises Unreadable.

Source: V1 specification, SubscriptionV1DTO; subscription guide (documented).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from attrs import frozen

from paygate.codec import Unreadable
from paygate.money import Money
from paygate.subscriptions import Interval, Subscription

from . import fields, words
from .orders import gross


@frozen(kw_only=True)
class Known:
    """What counts of a subscription beside what the merchant is told."""

    number: int
    word: str
    """Its status, in the PG's word."""
    began_by: str | None
    """The code of the order that began it."""
    renewals: frozenset[str]
    """The codes of the orders that renewed it."""
    orders: frozenset[int]
    """The numbers of all orders that it names."""
    state: str
    """Changes whenever something about it does."""


def known(content: Any) -> Known:
    """Read what identifies a subscription.

    Raises: Unreadable.
    """
    held = fields.record(content)
    parent = held.get("parentOrder")
    related = fields.rows(held.get("relatedOrders") or [], "relatedOrders")
    named = [o for o in (parent, *related) if isinstance(o, dict) and o.get("orderId") is not None]
    word = held.get("status")
    if not isinstance(word, str):
        raise Unreadable("the subscription's status is missing")
    told = ("nextPaymentDate", "lastPaymentDate", "pausedDateTime", "endDate", "interval", "intervalCount",
            "recurringCount")
    return Known(number=fields.number(held.get("id"), "the subscription's id"), word=word,
                 began_by=fields.code(parent.get("orderCode"), "orderCode") if isinstance(parent, dict) else None,
                 renewals=frozenset(fields.code(o.get("orderCode"), "orderCode") for o in related
                                    if o.get("type") in (None, "RECURRING")),
                 orders=frozenset(fields.number(o["orderId"], "orderId") for o in named),
                 state="|".join([word, *(str(held.get(n)) for n in told)]))


def read(content: Any, order_id: str, offset_hours: int, vat_percent: int) -> Subscription:
    """Read a subscription.

    Raises: Unreadable, also for a status that nobody explains.
    """
    held = fields.record(content)
    word = held.get("status")
    if not isinstance(word, str) or word not in words.SUBSCRIPTION_STATUSES:
        raise Unreadable("the subscription's status is not known")
    units = {theirs: ours for ours, theirs in words.UNITS.items()}
    unit, count = held.get("interval"), held.get("intervalCount")
    if unit not in units or type(count) is not int or not 1 <= count <= 366:
        raise Unreadable("the subscription's interval is not known")

    def at(name: str) -> datetime | None:
        return fields.moment(held.get(name), name, offset_hours)

    return Subscription(
        order_id=order_id, provider_id=str(fields.number(held.get("id"), "the subscription's id")),
        status=words.SUBSCRIPTION_STATUSES[word], money=gross(_net(held), vat_percent),
        every=Interval(units[unit], count), next_due_at=at("nextPaymentDate"), last_paid_at=at("lastPaymentDate"),
        ends_at=at("endDate"), renewed_by=tuple(sorted(known(held).renewals)))


def _net(held: fields.Record) -> Money:
    """What one period costs without tax: every item's price, as often as it is taken."""
    net = Money(0, words.CURRENCY)
    for item in fields.rows(held.get("items"), "items"):
        price, count = fields.money(item.get("price"), "an item's price"), item.get("quantity")
        if type(count) is not int or not 1 <= count <= 10**6:
            raise Unreadable("an item's quantity is missing")
        net += fields.money(price.decimal * count, "the price")
    return net


def end(when: datetime | str) -> dict[str, str]:
    """The body that stops a subscription."""
    if isinstance(when, datetime):
        return {"whenToCancel": "SPECIFIC_DATE_TIME", "when": fields.written(when)}
    return {"whenToCancel": "NOW" if when == "now" else "END_OF_PERIOD"}


PAUSE = {"whenToPause": "IMMEDIATE", "whenToResume": "NOTHING"}
