"""What follows when the payer approves, declines, closes or pays in, and when a payment is given back."""

from __future__ import annotations

from paygate.money import LIMIT, Money

from . import hooks, ordering, payments, renewals, words
from .pg import Outcome, Pg
from .reading import wrong
from .state import Order, Payment, Refund


def open_for_payment(pg: Pg, order: Order) -> None:
    """Raises: Rejected where the order is paid, cancelled or past its deadline."""
    if order.payment.paid_at is not None:
        raise wrong("the order is paid", "ORDER_ALREADY_PAID")
    if order.cancelled:
        raise wrong("the order is cancelled", "ORDER_CANCELLED")
    if order.deadline is not None and order.deadline < pg.now:
        raise wrong("the order's deadline is over", "ORDER_EXPIRED")


def approve(pg: Pg, order: Order, quantity: int | None, method: str | None, lag_s: float) -> None:
    """The payer pays on the hosted page.

    Raises: Rejected where that cannot be.
    """
    open_for_payment(pg, order)
    price = ordering.price_up(pg, order, quantity)
    full = [i.price.amount * max(quantity or 0, i.minimum, 1) for i in order.items if i.type == "SKU"]
    if sum(full, price.decimal) * 2 > LIMIT:  # So that no renewal, tax included, can be more than an amount may be.
        raise wrong("the total is too large")
    order.payment.method = method or order.payment.method
    if order.payment.method in words.WAITS_FOR_DEPOSIT and not price.is_zero:
        order.payment.money = price
        for item in order.items:
            item.quantity = ordering.count_of(item, quantity)
        payments.wait_for_deposit(pg, order.payment)
        ordering.set_items(pg, order, words.DEPOSIT_WAITING)
        hooks.order_event(pg, order, "updated")
    else:
        settle(pg, order, quantity, lag_s)


def settle(pg: Pg, order: Order, quantity: int | None = None, lag_s: float = 0.0) -> None:
    """The order's money has come in."""
    ordering.mark_paid(pg, order, quantity, lag_s=lag_s)
    if order.type in ("PAYMENT_METHOD", "RECURRING_INITIAL"):
        method = ordering.new_method(pg, order.customer, order.payment.gateway)
        for s in order.switches_method_of:
            s.method = method
            hooks.subscription_event(pg, s, "updated")
        renewals.begin(pg, order, method)


def deposit(pg: Pg, payment: Payment) -> None:
    """The payer pays into the account.

    Raises: Rejected where nobody waits for it.
    """
    if payment.status not in words.WAITS_FOR_DEPOSIT.values():
        raise wrong("no deposit is awaited")
    order = order_of(pg, payment)
    if order is None:
        payments.take(pg, payment)
    elif order.cancelled:
        raise wrong("the order is cancelled", "ORDER_CANCELLED")
    else:
        settle(pg, order, next((i.quantity or None for i in order.items if i.type == "SKU"), None))


def decline(pg: Pg, order: Order, message: str | None) -> None:
    """The payer's card is declined on the hosted page; the payer may try again."""
    open_for_payment(pg, order)
    ordering.mark_failed(pg, order, Outcome("failed", message=message or "the card was declined"))


def order_of(pg: Pg, payment: Payment) -> Order | None:
    """The managed order of a payment."""
    return next((o for o in pg.orders.values() if o.payment is payment), None)


def refund(pg: Pg, payment: Payment, amount: Money, actor: str = "V1") -> Refund:
    """Give money back, and let the order and its subscriptions follow.

    Cancelling a RECURRING_INITIAL order ends every subscription it made, a RECURRING one ends none (documented).

    Raises: Rejected.
    """
    made = payments.give_back(pg, payment, amount)
    order = order_of(pg, payment)
    if order is not None:
        whole = payment.left.is_zero
        ordering.set_items(pg, order, words.REFUNDED if whole else words.REFUNDED_PARTIALLY, canceled=whole)
        ordering.log(pg, order, actor, "refunded")
        hooks.order_event(pg, order, "updated")
        if whole or pg.switches.partial_cancel_ends:
            for s in order.subscriptions:
                renewals.finish(pg, s, words.SUB_CANCELED, "V1")
    return made
