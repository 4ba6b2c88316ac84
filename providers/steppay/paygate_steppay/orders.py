"""A managed order as StepPay shows it, and what it says about a payment. Pure; raises Unreadable.

An order has no status: it is paid where `paymentDate` is there and its items say so too. Before that it has no amount
either, so what it will cost is taken from its price plan.

Source: V1 specification, OrderV1DTO; order guide, state diagram (documented).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from attrs import frozen

from paygate.codec import Unreadable
from paygate.model import DeclineReason, Payment, PaymentStatus
from paygate.money import Money

from . import fields, words
from .fields import Record
from .words import Group


@frozen(kw_only=True)
class Order:
    """What counts of an order."""

    code: str
    number: int
    type: str
    currency: str
    paid: Money
    back: Money
    due: Money
    """What an unpaid order will cost, as far as its plan tells."""
    paid_at: datetime | None
    groups: frozenset[Group]
    price_codes: tuple[str, ...]
    extras: frozenset[str]
    """Types of the items that are neither goods nor their tax: fees, shipping, discounts."""
    customer: int | None
    subscriptions: tuple[tuple[int, str], ...]
    """(number, status word) of what the order began."""
    renewed: int | None
    """The number of the subscription it renews."""
    payment: Mapping[str, Any]


def read(content: Any, offset_hours: int, vat_percent: int) -> Order:
    """Read an order.

    Raises: Unreadable, also for amounts or currencies that contradict each other, and for status words nobody has
    published.
    """
    order = fields.record(content)
    items = fields.rows(order.get("items"), "items")
    kind = order.get("type")
    if kind not in words.ORDER_TYPES:
        raise Unreadable("the order's type is not known")
    said = {fields.currency(i["currency"]) for i in (order, *items) if i.get("currency") is not None}
    if len(said) > 1:
        raise Unreadable("its items are of different currencies")
    currency = said.pop() if said else words.CURRENCY
    groups = [words.group_of(i.get("status")) for i in items]
    known = frozenset(g for g in groups if g is not None)
    if None in groups:
        raise Unreadable("the status of an item is not known")
    paid, back = (fields.money(order.get(n), n, currency) for n in ("paidAmount", "returnedAmount"))
    left = fields.money(order.get("leftAmount"), "leftAmount", currency)
    if paid != back + left:
        raise Unreadable("paidAmount is not leftAmount and returnedAmount")
    customer, parent = order.get("customer"), order.get("parentSubscription")
    began = fields.rows(order.get("subscriptions") or [], "subscriptions")
    return Order(
        code=fields.code(order.get("orderCode"), "orderCode"), number=fields.number(order.get("orderId"), "orderId"),
        type=kind, currency=currency, paid=paid, back=back, due=_due(items, currency, vat_percent),
        paid_at=fields.moment(order.get("paymentDate"), "paymentDate", offset_hours), groups=known,
        price_codes=tuple(_price_code(i) for i in items if i.get("type") == "SKU"),
        extras=frozenset(str(i.get("type")) for i in items) - {"SKU", "TAX"},
        customer=fields.number(customer.get("id"), "customer") if isinstance(customer, dict) else None,
        subscriptions=tuple((fields.number(s.get("id"), "a subscription"), str(s.get("status"))) for s in began),
        renewed=fields.number(parent.get("id"), "parentSubscription") if isinstance(parent, dict) else None,
        payment=fields.record(order["payment"]) if order.get("payment") is not None else {})


def payment(order: Order, order_id: str, renews: str | None) -> Payment:
    """The payment of an order. `order_id` comes from the ledger: the PG keeps no id of ours.

    Raises: Unreadable where its time of payment and its items contradict each other.
    """
    status = _status(order)
    failed = status is PaymentStatus.FAILED
    says = words.verbatim(order.payment.get("errorMessage")) if failed else None
    dropped = failed and order.groups == {Group.DROPPED}
    unpaid = status in (PaymentStatus.PENDING, PaymentStatus.FAILED)
    reason = DeclineReason.PAYER_CANCELLED if dropped else words.decline_reason(says) if failed else None
    return Payment(
        order_id=order_id, provider_id=order.code, status=status, money=order.due if unpaid else order.paid,
        cancelled=Money(0, order.currency) if unpaid else order.back, paid_at=None if unpaid else order.paid_at,
        method=words.verbatim(order.payment.get("paymentMethod")),
        card_number=words.verbatim(order.payment.get("cardNumber")), for_key=order.type == "PAYMENT_METHOD",
        reason=reason, code=words.verbatim(order.payment.get("errorCode")) if failed else None, message=says,
        receipt_url=words.verbatim(order.payment.get("paymentReceiptUrl")), renews=renews)


def _status(order: Order) -> PaymentStatus:
    groups = order.groups
    if order.paid_at is None:
        if groups and groups <= {Group.FAILED, Group.DROPPED}:
            return PaymentStatus.FAILED
        if not groups and order.payment.get("errorCode"):
            return PaymentStatus.FAILED
        return PaymentStatus.PENDING  # Items may say "paid" before paymentDate is there: it lags (observed).
    if not groups and order.type != "PAYMENT_METHOD":
        raise Unreadable("it has a time of payment, and nothing that was paid for")
    if Group.GIVING_BACK in groups:
        raise Unreadable("a refund of it is under way")
    if groups & {Group.FAILED, Group.DROPPED}:
        raise Unreadable("it has a time of payment, and items that were not paid")
    if Group.WAITING in groups:
        return PaymentStatus.PENDING
    if order.back.is_zero:
        if groups & {Group.BACK, Group.PARTLY_BACK}:
            raise Unreadable("its items were given back, its amounts were not")
        return PaymentStatus.PAID
    return PaymentStatus.CANCELLED if order.back == order.paid else PaymentStatus.PARTLY_CANCELLED


def _price_code(item: Record) -> str:
    return fields.code(fields.record(item.get("price"), "price").get("code"), "price.code")


def _due(items: list[Record], currency: str, vat_percent: int) -> Money:
    net = Money(0, currency)
    for item in items:
        if item.get("type") == "SKU":
            price = fields.money(fields.record(item.get("price"), "price").get("price"), "price", currency)
            counts = [item.get(n) for n in ("quantity", "minimumQuantity")]
            count = max(1, *(c for c in counts if type(c) is int and c < 10**6))
            net += fields.money(Decimal(price.decimal) * count, "the price", currency)
    return gross(net, vat_percent)


def gross(net: Money, vat_percent: int) -> Money:
    """What the payer pays for a plan of `net`; fractions are dropped (assumed: nothing is published)."""
    return Money(net.amount + net.amount * vat_percent // 100, net.currency)


def net_of(money: Money, vat_percent: int) -> Money | None:
    """The plan's price for which the payer pays exactly `money`; None where there is none."""
    guess = money.amount * 100 // (100 + vat_percent)
    for amount in (guess, guess + 1):
        if gross(Money(amount, money.currency), vat_percent) == money:
            return Money(amount, money.currency)
    return None
