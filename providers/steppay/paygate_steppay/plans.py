"""Price plans: an amount has to be one before it can be ordered. Found where there is one, made where there is none.

Plans are never deleted and never pile up: of several that fit, whoever made them, the lowest number is used.

Source: V1 specification, products and prices (documented).
"""

from __future__ import annotations

from typing import Any

from attrs import frozen

from paygate.codec import Unreadable
from paygate.errors import NotFound
from paygate.flow import Flow
from paygate.money import Money
from paygate.subscriptions import Interval
from paygate.wire import path

from . import fields, words
from .answers import accepted, known, unclear, understood
from .asking import Asking
from .fields import Record


@frozen(order=True)
class Plan:
    """A price plan that may be ordered."""

    number: int
    code: str


def find_or_create(asking: Asking, product_code: str, price: Money, every: Interval | None) -> Flow[Plan]:
    """The plan of exactly `price`, one-off or `every` interval.

    Two workers may both find none and make one each; both then see both, and use the same.

    Raises: NotFound where the product is unknown, Refused, OutcomeUnknown. Nothing here moves money.
    """
    product = known((yield asking.get(path("/api/v1/products/{}", product_code))))
    if product is None:
        raise NotFound("the PG knows no product under settings.product_code; nothing was prepared")
    number, listed = understood(_product, product)
    found = understood(fitting, listed, price, every)
    if found:
        return found[0]
    made = accepted((yield asking.send("POST", path("/api/v1/products/{}/prices", str(number)), body(price, every))))
    again = known((yield asking.get(path("/api/v1/products/{}/prices", str(number)))))
    found = understood(fitting, again, price, every) or understood(fitting, [made], price, every)
    if not found:
        raise unclear("it made another price plan than the one asked for", None)
    return found[0]


def fitting(listed: Any, price: Money, every: Interval | None) -> list[Plan]:
    """The plans in a list that cost exactly `price`, lowest number first.

    Raises: Unreadable.
    """
    return sorted(_plan(row) for row in fields.rows(listed, "prices") if _fits(row, price, every))


def body(price: Money, every: Interval | None) -> dict[str, Any]:
    """A new plan; hidden from the shop, because it stands for an amount and not for something to choose."""
    label = f"{price}" if every is None else f"{price} / {every.count} {every.unit.value}"
    plan = {"name": label, "description": label, "isHiddenFromShop": True, "adminName": "paygate"}
    made: dict[str, Any] = {"type": "ONE_TIME" if every is None else "FLAT", "price": price.amount, "unit": "회",
                            "plan": plan, "options": []}
    if every is not None:
        made["recurring"] = {"interval": words.UNITS[every.unit], "intervalCount": every.count,
                             "aggregateUsageType": "SUM", "usageType": "LICENSED"}
    return made


def _product(content: Any) -> tuple[int, Any]:
    product = fields.record(content)
    return fields.number(product.get("id"), "the product's id"), product.get("prices")


def _plan(row: Record) -> Plan:
    return Plan(fields.number(row.get("id"), "a price's id"), fields.code(row.get("code"), "a price's code"))


def _fits(row: Record, price: Money, every: Interval | None) -> bool:
    """Whether a plan costs this and nothing else: no reduced first payment, no set-up fee, no end, paid beforehand."""
    try:
        same = fields.money(row.get("price"), "price", price.currency) == price
    except Unreadable:
        return False  # A plan of fractions, which is not one of ours.
    sale, claim = _part(row, "firstSale"), _part(row, "claim")
    plain = not sale.get("enabled") and not row.get("enabledFirstSalePrice") and row.get("setupOption") is None \
        and not row.get("options") and not row.get("membershipExpirationDate") and not row.get("expiryRecurringCount") \
        and claim.get("methodType", "PRE") == "PRE" and not claim.get("billingDate") \
        and not claim.get("provideStartDay")
    return same and plain and row.get("type") == ("ONE_TIME" if every is None else "FLAT") and _recurs(row, every)


def _recurs(row: Record, every: Interval | None) -> bool:
    held = _part(row, "recurring")
    wanted = (None, None) if every is None else (words.UNITS[every.unit], every.count)
    return (held.get("interval"), held.get("intervalCount")) == wanted


def _part(row: Record, name: str) -> Record:
    value = row.get(name)
    return value if isinstance(value, dict) else {}
