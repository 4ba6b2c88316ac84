"""What StepPay keeps: customers, products, prices, orders, payments, subscriptions. No behaviour."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from attrs import define, field

from paygate.money import Money

from . import words


@define(eq=False, kw_only=True)
class Method:
    """A saved payment method of a customer."""

    id: int
    gateway: str
    info: str


@define(eq=False, kw_only=True)
class Customer:
    id: int
    uuid: str
    code: str
    name: str
    email: str
    username: str | None
    phone: str | None
    shipping: dict[str, str | None] | None
    marketing: dict[str, bool]
    attributes: dict[str, str]
    created: datetime
    methods: list[Method] = field(factory=list)


@define(eq=False, kw_only=True)
class Product:
    id: int
    code: str
    uuid: str
    values: dict[str, Any]
    created: datetime
    modified: datetime
    prices: list[Price] = field(factory=list)


@define(eq=False, kw_only=True)
class Price:
    """A price plan. `recurring` is None for a ONE_TIME one; `values` holds what is only stored and shown."""

    id: int
    code: str
    product: Product
    type: str
    amount: Decimal
    values: dict[str, Any]
    recurring: dict[str, Any] | None
    created: datetime
    modified: datetime
    ordered: bool = False

    @property
    def postpaid(self) -> bool:
        return bool(self.values["claim"]["methodType"] == "POST")

    @property
    def first_amount(self) -> Decimal:
        """What the first period costs."""
        if self.recurring is None:
            return self.amount
        if self.postpaid or self.product.values["enabledDemo"]:
            return Decimal(0)
        sale = self.values["firstSale"]
        return Decimal(sale["price"]) if sale["enabled"] else self.amount


@define(eq=False, kw_only=True)
class Item:
    """A line of an order. `unit` is what one of it costs; a TAX line's is set when the quantity is known."""

    id: int
    code: str
    product: Product
    price: Price
    type: str
    unit: Decimal
    minimum: int
    maximum: int | None
    options: list[int]
    created: datetime
    modified: datetime
    quantity: int = 0
    paid: Money
    status: str = words.CREATED
    canceled: datetime | None = None


@define(eq=False, kw_only=True)
class Refund:
    money: Money
    at: datetime
    tid: str
    seen_at: datetime
    """From when on look-ups show it; until then they say that a refund is under way."""


@define(eq=False, kw_only=True)
class Payment:
    """One payment, managed or not. `ref` is what the journal calls its order."""

    id: int
    id_key: str
    ref: str
    payment_only: bool
    order_id: str
    user_id: str
    payer: dict[str, str]
    title: str
    money: Money
    discount: Money
    gateway: str
    method: str
    created: datetime
    status: str = words.STANDBY
    attempted: bool = False
    paid_at: datetime | None = None
    seen_at: datetime | None = None
    """From when on look-ups show what has happened."""
    refunds: list[Refund] = field(factory=list)
    is_key: bool = False
    card: str | None = None
    error_code: str | None = None
    error_message: str | None = None

    @property
    def total(self) -> Money:
        """What the payer is charged."""
        return self.money - self.discount

    @property
    def returned(self) -> Money:
        return Money(sum(r.money.amount for r in self.refunds), self.money.currency)

    @property
    def left(self) -> Money:
        taken = self.total if self.status in words.TOOK_MONEY else Money(0, self.money.currency)
        return taken - self.returned


@define(eq=False, kw_only=True)
class Order:
    id: int
    code: str
    type: str
    customer: Customer
    currency: str
    title: str
    items: list[Item]
    payment: Payment
    created: datetime
    modified: datetime
    deadline: datetime | None = None
    gateway: str | None = None
    urls: dict[str, str] = field(factory=dict)
    """successUrl, errorUrl and cancelUrl of the pay link opened last."""
    subscriptions: list[Subscription] = field(factory=list)
    parent: Subscription | None = None
    switches_method_of: list[Subscription] = field(factory=list)
    logs: list[tuple[int, str, str, datetime]] = field(factory=list)
    cancelled: bool = False
    """True where it was cancelled before it was paid."""


@define(eq=False, kw_only=True)
class SubItem:
    id: int
    code: str
    product: Product
    price: Price
    quantity: int
    options: list[int]


@define(eq=False, kw_only=True)
class Subscription:
    """A subscription. `cancel_at`, `end` and `next_at` are the instants at which something happens by itself."""

    id: int
    code: str
    customer: Customer
    parent: Order
    currency: str
    items: list[SubItem]
    unit: str
    count: int
    start: datetime
    period: tuple[datetime, datetime]
    next_at: datetime | None
    method: Method | None
    anchor: int
    status: str = words.ACTIVE
    trial_end: datetime | None = None
    last_paid: datetime | None = None
    origin_next: datetime | None = None
    end: datetime | None = None
    cancel_at: datetime | None = None
    resume_at: datetime | None = None
    paused: datetime | None = None
    canceled_via: str | None = None
    recurring_count: int = 0
    expiry_count: int | None = None
    renewals: list[Order] = field(factory=list)
    unpaid: Order | None = None
    """The renewal order that failed and is being tried again."""
    first_failure: datetime | None = None
    tries: int = 0
    version: int = 0
    """Changes with every plan, so that a timer of an older plan does nothing."""

    @property
    def postpaid(self) -> bool:
        return self.items[0].price.postpaid

    @property
    def amount(self) -> Decimal:
        """What a renewal costs, tax aside."""
        fees = (i.price.values["setupOption"] for i in self.items)
        extra = sum((Decimal(f["price"]) for f in fees if f and f["type"] == "PERIODIC"), Decimal(0))
        return sum((i.price.amount * i.quantity for i in self.items), extra)
