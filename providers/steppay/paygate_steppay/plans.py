"""Price plans: an amount has to be one before it can be ordered. Found where there is one, made where there is none.

Plans are never deleted and never pile up: of several that fit, whoever made them, the lowest number is used, and where
the PG shows a plan that we made in another way than we asked for it, nothing is made and nothing is ordered.

Source: V1 specification, products and prices (documented). Which list shows a hidden plan is not: both are read.
"""

from __future__ import annotations

from typing import Any

from attrs import frozen

from paygate.codec import Unreadable
from paygate.errors import NotFound, NotSent
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


class Plans:
    """The price plans of one product."""

    def __init__(self, asking: Asking, product_code: str) -> None:
        self._asking = asking
        self._product_code = product_code
        self._made: dict[tuple[Money, Interval | None], str] = {}
        """Codes of plans that this process made and has not seen listed yet: they are not made again."""

    def find_or_create(self, price: Money, every: Interval | None) -> Flow[Plan]:
        """The plan of exactly `price`, one-off or `every` interval.

        Two workers may both find none and make one each. Both then see both and use the one with the lower number, and
        so does every later call; the other stays behind, unused.

        Raises: NotSent (the PG shows the plan we made in another way, or not at all; the message says what to do),
        NotFound where the product is unknown, Refused, OutcomeUnknown. Nothing here moves money.
        """
        number, found = yield from self._find(price, every)
        if found is None and (price, every) not in self._made:
            where = path("/api/v1/products/{}/prices", str(number))
            made = accepted((yield self._asking.send("POST", where, body(price, every))))
            self._made[price, every] = understood(_read, made).code
            understood(_check_ours, [made], price, every)
            number, found = yield from self._find(price, every)
        if found is None:
            raise NotSent(f"the PG does not list the price plan {self._made[price, every]} that was made for this "
                          "amount, so it could not be found again; nothing was ordered; ask again, and if it stays so, "
                          "let the shop show it in the portal")
        self._made.pop((price, every), None)
        return found

    def _find(self, price: Money, every: Interval | None) -> Flow[tuple[int, Plan | None]]:
        """The product's number, and the plan that fits, by the product's own answer or by the list of its prices."""
        number, shown = yield from self._product()
        found = understood(fitting, shown, price, every)
        if not found:
            listed = yield from self._listed(number)
            found = understood(fitting, listed, price, every)
            understood(_check_ours, [] if found else [*shown, *listed], price, every)
        return number, found[0] if found else None

    def _product(self) -> Flow[tuple[int, list[Record]]]:
        product = known((yield self._asking.get(path("/api/v1/products/{}", self._product_code))))
        if product is None:
            raise NotFound("the PG knows no product under settings.product_code; nothing was prepared")
        return understood(_product, product, self._product_code)

    def _listed(self, number: int) -> Flow[list[Record]]:
        found = known((yield self._asking.get(path("/api/v1/products/{}/prices", str(number)))))
        if found is None:
            raise unclear("it lists no prices of a product that it knows", None)
        return understood(fields.rows, found, "prices")


def fitting(listed: Any, price: Money, every: Interval | None) -> list[Plan]:
    """The plans in a list that cost exactly `price`, lowest number first.

    Raises: Unreadable.
    """
    return sorted(_read(row) for row in fields.rows(listed, "prices") if _fits(row, price, every))


def body(price: Money, every: Interval | None) -> dict[str, Any]:
    """A new plan; hidden from the shop, because it stands for an amount and not for something to choose."""
    label = _label(price, every)
    plan = {"name": label, "description": label, "isHiddenFromShop": True, "adminName": "paygate"}
    made: dict[str, Any] = {"type": "ONE_TIME" if every is None else "FLAT", "price": price.amount, "unit": "회",
                            "plan": plan, "options": []}
    if every is not None:
        made["recurring"] = {"interval": words.UNITS[every.unit], "intervalCount": every.count,
                             "aggregateUsageType": "SUM", "usageType": "LICENSED"}
    return made


def _label(price: Money, every: Interval | None) -> str:
    return f"{price}" if every is None else f"{price} / {every.count} {every.unit.value}"


def _check_ours(rows: list[Record], price: Money, every: Interval | None) -> None:
    """Refuse to go on where a plan carries the name that we would give to a new one, and yet does not fit.

    Raises: NotSent, Unreadable.
    """
    label = _label(price, every)
    odd = sorted({_read(row).code for row in rows if not _fits(row, price, every)
                  and label in (row.get("planName"), _part(row, "plan").get("name"))})
    if odd:
        raise NotSent(f"the PG shows the price plan {', '.join(odd)}, named {label!r}, with other terms than that; "
                      "nothing was ordered; put its terms right in the portal, or rename it, and ask again")


def _product(content: Any, asked: str) -> tuple[int, list[Record]]:
    product = fields.record(content)
    if product.get("code") != asked:
        raise Unreadable("it is another product")
    return fields.number(product.get("id"), "the product's id"), fields.rows(product.get("prices") or [], "prices")


def _read(content: Any) -> Plan:
    row = fields.record(content)
    return Plan(fields.number(row.get("id"), "a price's id"), fields.code(row.get("code"), "a price's code"))


def _fits(row: Record, price: Money, every: Interval | None) -> bool:
    """Whether a plan costs this and nothing else: no reduced first payment, no set-up fee, no end, paid beforehand.

    What is there but counts for nothing (a set-up fee of 0, a disabled first sale) is as good as not there.
    """
    try:
        same = fields.money(row.get("price"), "price", price.currency) == price
        free = _is_free(row.get("setupOption")) and not row.get("options")
    except Unreadable:
        return False  # A plan of fractions, which is not one of ours.
    sale, claim = _part(row, "firstSale"), _part(row, "claim")
    plain = free and not sale.get("enabled") and not row.get("enabledFirstSalePrice") \
        and not row.get("membershipExpirationDate") and not row.get("expiryRecurringCount") \
        and (claim.get("methodType") or "PRE") == "PRE" and not claim.get("billingDate") \
        and not claim.get("provideStartDay")
    return same and plain and row.get("type") == ("ONE_TIME" if every is None else "FLAT") and _recurs(row, every)


def _is_free(setup: Any) -> bool:
    """Whether a set-up option costs nothing."""
    said = {} if setup is None else {n: v for n, v in fields.record(setup).items() if v is not None}
    return not said or said.get("enabled") is False or fields.money(said.get("price"), "a set-up price").is_zero


def _recurs(row: Record, every: Interval | None) -> bool:
    """Whether a plan recurs so. A one-off plan may be shown with an interval of 0 units (documented sample)."""
    held = _part(row, "recurring")
    if every is None:
        return not held or held.get("intervalCount") == 0
    return (held.get("interval"), held.get("intervalCount")) == (words.UNITS[every.unit], every.count)


def _part(row: Record, name: str) -> Record:
    value = row.get(name)
    return value if isinstance(value, dict) else {}
