"""One merchant who sells tea by subscription, through any payment gateway. Nothing here knows which one.

`page` is your front end: it shows a checkout's action to the payer and gives back what the browser brought home.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from paygate import ChangeMethod, Customer, Gateway, Interval, Money, Subscribe, Subscription

Page = Callable[[Mapping[str, Any]], Mapping[str, str]]

TEA = Money(14_000, "KRW")
BACK = "https://shop.example/payments/complete"
PAYER = Customer(id="payer-77", name="Kim Minji", phone="010-1234-5678", email="minji.kim@example.com")
ONLY_THERE = {"portone-naverpay": {"naverProductCode": "tea"}}
"""What only one gateway knows; the others do not look at it."""


def begin(gate: Gateway, page: Page, order_id: str) -> Subscription:
    """Sell tea every month, from today on."""
    gate.require("subscribe", "pause", "change_method")
    checkout = gate.subscribe(Subscribe(order_id=order_id, money=TEA, every=Interval("month"), title="Tea every month",
                                        return_url=BACK, customer=PAYER, extra=ONLY_THERE))
    begun = gate.confirm_subscription(order_id, page(checkout.action.to_dict()))
    assert begun is not None, "the payer did not finish"
    return begun


def work(gate: Gateway) -> None:
    """What a cron job of yours does every few minutes: charge what is due, clear up what is in doubt."""
    while gate.run_due(limit=100).taken_up:
        pass
    gate.reconcile()


def another_card(gate: Gateway, page: Page, order_id: str) -> Subscription:
    """The payer has a new card."""
    checkout = gate.change_method(ChangeMethod(order_id=order_id, return_url=BACK))
    changed = gate.confirm_method(order_id, page(checkout.action.to_dict()))
    assert changed is not None, "the payer did not finish"
    return changed
