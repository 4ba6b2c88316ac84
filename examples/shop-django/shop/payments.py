"""How the shop is paid, through any payment gateway. Nothing here knows which one."""

from __future__ import annotations

import logging
import os
from typing import Any

from django.conf import settings

from paygate import Customer, Event, Pay, Subscribe, connect, from_environment
from paygate.web import Inbox, Outcome, Receiver, Status, Visit

from .models import Order, Renewal
from .products import PRODUCTS

PAYER = Customer(id="payer-77", name="김민지", phone="010-1234-5678", email="minji@example.com")
"""In your shop: the account that is logged in."""
ONLY_THERE = {"portone-naverpay": {"naverProductCode": "tea"}}
"""What only one gateway knows; the others do not look at it."""

PAID_TWICE = "한 번 더 결제되었습니다. {money} 환불해 드립니다. Paid once more: {money} will be given back."

gate = connect(**(settings.PAYGATE or from_environment(os.environ)))
inbox = Inbox(gate)


def order(visit: Visit) -> Pay | Subscribe | str:
    """What is to be paid."""
    payer = visit.request.session.get("payer", "")
    found: Any = Order.begin(visit.form.get("order", ""), payer, PRODUCTS)
    if found is None:
        return "/"
    product, back = PRODUCTS[found.product], visit.return_url(found.id)
    if product.every is None:
        return Pay(order_id=found.id, money=product.money, title=product.title, return_url=back, customer=PAYER)
    return Subscribe(order_id=found.id, money=product.money, every=product.every, title=product.title,
                     return_url=back, customer=PAYER, extra=ONLY_THERE)


def done(visit: Visit, outcome: Outcome) -> str:
    """Where the payer goes afterwards."""
    if outcome.order_id is None:
        return "/lost"
    declined = outcome.error if outcome.status is Status.FAILED else None
    Order.becomes(outcome.order_id, outcome.status, (declined and declined.message) or "")
    return f"/orders/{outcome.order_id}"


@inbox.on("payment_paid", "payment_failed", "payment_cancelled", "subscription_renewed", "renewal_failed")
def heard(event: Event) -> None:
    """What the gateway tells, whether or not the payer came back."""
    if event.order_id is None or event.payment is None:
        return
    id, status = event.order_id, event.payment.status.value
    if event.kind in ("subscription_renewed", "renewal_failed"):
        if Order.objects.filter(id=id).exists():
            Renewal.objects.get_or_create(event=event.id, defaults={
                "order_id": id, "note": f"{event.payment.money} {status}"})
    elif event.payment.renews is None and event.payment.order_id in (id, f"{id}-1"):
        Order.becomes(id, status, f"{event.payment.left} left" if event.kind == "payment_cancelled" else "")


@inbox.on("unmatched")
def unasked(event: Event) -> None:
    """Somebody paid once more for an order that was paid, in a second window: a person gives it back."""
    paid = event.payment
    if paid is None or not paid.status.took_money:
        return
    logging.error("%s: %s was paid without being asked for; give it back with cancel_whole under the order id %s",
                  event.order_id, paid.money, paid.provider_id)
    Order.objects.filter(id=event.order_id).update(note=PAID_TWICE.format(money=paid.money))


def work() -> None:
    """Charge what is due, ask what is in doubt, tell what was not told: every minute, from cron."""
    gate.run_due()
    inbox.work()


receiver = Receiver(inbox, url=f"{settings.SHOP_URL}/pay", secret=settings.SECRET_KEY, order=order, done=done)
