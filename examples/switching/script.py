"""One merchant, any payment gateway. Nothing here knows which one: only the settings differ.

`page` is your front end: it shows a checkout's action to the payer and gives back what the browser brought home.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from paygate import Cancel, CancelWhole, Charge, Customer, Gateway, Money, Pay, Register, new_order_id

Page = Callable[[Mapping[str, Any]], Mapping[str, str]]

TEA = Money(14_000, "KRW")
PART = Money(4_000, "KRW")
BACK = "https://shop.example/payments/complete"
PAYER = Customer(id="payer-77", name="Kim Minji", phone="010-1234-5678", email="minji.kim@example.com")
ONLY_THERE = {"portone-naverpay": {"naverProductCode": "tea"}}
"""What only one gateway knows; the others do not look at it."""


def shop(gate: Gateway, page: Page) -> list[str]:
    """Sell tea once, then sell it by subscription where this gateway lets us; say what happened."""
    gate.require("pay", "cancel", "cancel_partly")
    return [*once(gate, page), *again_and_again(gate, page)]


def once(gate: Gateway, page: Page) -> list[str]:
    """A one-off payment, of which a part is given back."""
    order_id = new_order_id("tea-")
    checkout = gate.pay(Pay(order_id=order_id, money=TEA, title="Tea", return_url=BACK, customer=PAYER,
                            extra=ONLY_THERE))
    paid = gate.confirm(order_id, page(checkout.action.to_dict()))
    done = gate.cancel(Cancel(cancel_id=new_order_id("back-"), order_id=order_id, money=PART, reason="a broken cup"))
    return [f"pay: {paid.status.value} {paid.money}", f"cancel: {done.money} given back, {done.payment.left} left"]


def again_and_again(gate: Gateway, page: Page) -> list[str]:
    """A billing key, a charge of it, and the charge given back. What is not offered is known before a byte leaves."""
    if not gate.supports("register"):
        return ["register: not offered"]
    order_id = new_order_id("key-")
    checkout = gate.register(Register(order_id=order_id, money=TEA, title="Tea every month", return_url=BACK,
                                      customer=PAYER, extra=ONLY_THERE))
    key = gate.confirm_key(order_id, page(checkout.action.to_dict()))
    if key is None:
        return ["register: the payer did not finish"]
    told = ["register: a billing key"]
    if checkout.takes_money:
        gate.cancel_whole(CancelWhole(cancel_id=new_order_id("back-"), order_id=order_id, reason="only a registration"))
        told.append(f"register: took {TEA}, given back")
    if not gate.supports("charge"):
        return [*told, "charge: not offered"]
    order_id = new_order_id("tea-")
    paid = gate.charge(Charge(order_id=order_id, billing_key=key, money=TEA, title="Tea, January", customer=PAYER))
    done = gate.cancel_whole(CancelWhole(cancel_id=new_order_id("back-"), order_id=order_id, reason="no tea left"))
    return [*told, f"charge: {paid.status.value} {paid.money}", f"cancel: {done.money} given back"]
