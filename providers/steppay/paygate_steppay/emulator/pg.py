"""StepPay as one value: its state, its clock, its scripts for what happens next, and how it writes answers.

What it does stands in the modules beside this one; each takes a `Pg`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

from attrs import define, field, frozen

from paygate.money import Money
from paygate.testing.emulator import Emulator, json_response
from paygate.wire import Response

from . import times
from .ids import Ids, letters
from .reading import unknown
from .state import Customer, Order, Payment, Price, Product, Subscription
from .switches import Switches


@frozen
class Outcome:
    """What the next charge will come to: "paid", "failed" (a record of a decline) or "code" (refused, no record)."""

    word: str = "paid"
    code: str = "CARD_DECLINED"
    message: str = "the card was declined"


def plain(value: Decimal | int) -> int | float:
    """A JSON number: whole where it can be."""
    return int(value) if value == int(value) else float(value)


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_nulls(v) for k, v in value.items() if v is not None}
    return [_without_nulls(v) for v in value] if isinstance(value, list) else value


@define(eq=False)
class Pg:
    """All that one emulated StepPay knows."""

    emulator: Emulator
    switches: Switches
    ids: Ids
    token: str
    payment_key: str
    webhook_keys: list[str]
    hook_urls: dict[str, str] = field(factory=lambda: dict.fromkeys(("v2", "order", "subscription", "payment"), ""))
    customers: dict[int, Customer] = field(factory=dict)
    products: dict[int, Product] = field(factory=dict)
    orders: dict[int, Order] = field(factory=dict)
    payments: dict[str, Payment] = field(factory=dict)
    """By idKey."""
    subscriptions: dict[int, Subscription] = field(factory=dict)
    late: dict[int, tuple[datetime, str]] = field(factory=dict)
    """Approvals on their way from payers whose browser is gone: when they arrive, for which order."""
    tabs: dict[str, Any] = field(factory=dict)
    """Windows that the browser script has opened, by idKey (see hosted.py)."""
    next_charges: list[Outcome] = field(factory=list)
    next_renewals: list[Outcome] = field(factory=list)
    outbox: list[tuple[str, str, Any]] = field(factory=list)
    """Webhooks of the happening under way: (kind, event or "", data)."""
    flush: Callable[[], None] = field(default=lambda: None)

    # Time

    @property
    def now(self) -> datetime:
        return self.emulator.clock.now()

    def at(self, when: datetime, do: Callable[[], None]) -> None:
        """Do something once the clock is there, and send what it causes to be sent."""
        def then() -> None:
            do()
            self.flush()
        self.emulator.clock.at(when, then)

    # What happens next, as scripted

    def charge_outcome(self) -> Outcome:
        return self.next_charges.pop(0) if self.next_charges else Outcome()

    def renewal_outcome(self) -> Outcome:
        return self.next_renewals.pop(0) if self.next_renewals else Outcome()

    # Finding

    def customer(self, number: int) -> Customer:
        """Raises: Rejected."""
        if number not in self.customers:
            raise unknown("customer")
        return self.customers[number]

    def product(self, number: int) -> Product:
        """Raises: Rejected."""
        if number not in self.products:
            raise unknown("product")
        return self.products[number]

    def product_by_code(self, code: str) -> Product:
        """Raises: Rejected."""
        for product in self.products.values():
            if product.code == code:
                return product
        raise unknown("product")

    def price(self, product: Product, number: int) -> Price:
        """Raises: Rejected."""
        for price in product.prices:
            if price.id == number:
                return price
        raise unknown("price")

    def price_by_code(self, product: Product, code: str) -> Price:
        """Raises: Rejected."""
        for price in product.prices:
            if price.code == code:
                return price
        raise unknown("price")

    def find_order(self, name: str) -> Order | None:
        """By number, code or idKey."""
        for order in self.orders.values():
            if name in (str(order.id), order.code, order.payment.id_key):
                return order
        return None

    def order(self, name: str) -> Order:
        """By number or code, as the path has it. Raises: Rejected."""
        order = self.find_order(name)
        if order is None or name == order.payment.id_key:
            raise unknown("order")
        return order

    def subscription(self, number: int) -> Subscription:
        """Raises: Rejected."""
        if number not in self.subscriptions:
            raise unknown("subscription")
        return self.subscriptions[number]

    # Writing

    def time(self, when: datetime, *, fine: bool = False) -> str:
        return times.write(when, self.switches.zone_hours, fine=fine)

    def maybe_time(self, when: datetime | None) -> str | None:
        return None if when is None else self.time(when)

    def pointed(self, value: Decimal | int | Money) -> int | float:
        """An amount where the documents' samples show 10000.0."""
        number = value.decimal if isinstance(value, Money) else Decimal(value)
        return plain(number) if self.switches.amounts == "int" else float(number)

    def bare(self, value: Decimal | int | Money) -> int | float:
        """An amount where the documents' samples show 10000."""
        number = value.decimal if isinstance(value, Money) else Decimal(value)
        return float(number) if self.switches.amounts == "decimal" else plain(number)

    def receipt_amount(self, payment: Payment, value: Money) -> int | float | str:
        """An amount in a payment answer; with "mixed", every second payment's has a point."""
        if self.switches.amounts == "text":
            return str(value.decimal)
        if self.switches.amounts == "mixed" and payment.id % 2 == 0:
            return self.pointed(value)
        return self.bare(value)

    def reply(self, value: Any, status: int = 200) -> Response:
        """A JSON answer."""
        if self.switches.nulls == "absent":
            value = _without_nulls(value)
        return json_response(status, json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8"))

    def created(self, value: Any) -> Response:
        return self.reply(value, self.switches.create_status)

    def done(self, body: Any = None) -> Response:
        """The envelope of V1 actions."""
        return self.reply({"message": "OK", "body": body})

    def error(self, status: int, code: str, message: str) -> Response:
        """The error body."""
        trace = letters(f"trace/{len(self.emulator.calls)}", 10).lower()
        return self.reply({"traceId": trace, "errorCode": code, "errorMessage": message, "details": {}}, status)
