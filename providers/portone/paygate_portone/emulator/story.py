"""The example commands this PG accepts, and the payer's browser that does what a checkout asks for."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from paygate.commands import Charge, Customer, DatedCharge, Pay, Register, Schedule
from paygate.model import BillingKey
from paygate.money import Money
from paygate.testing.story import Story

from .shop import Shop
from .windows import act, open_window
from .words import Refusal

START = datetime(2018, 2, 1, tzinfo=UTC)
"""A month before the date in the vendor guide's schedule example."""

NAME = "portone-naverpay"
_PAYER = Customer(id="payer-77", name="구매자이름", phone="010-1234-5678", email="gildong@example.com",
                  address="서울특별시 강남구 삼성동", postcode="123-456")
_BACK = "https://shop.example/payments/complete"
_USED_BY = {NAME: {"naverUseCfm": "20201001"}}


def story() -> Story:
    """The vendor guide's own values: a 14,000 won plan, its first charge of 10,000 won, its schedule example.

    Source: NaverPay recurring guide, sections 2 and 3 (documented).
    """
    return Story(
        start=START, cancel_part=Money(4_000, "KRW"), charge=_charge, schedule=_schedule,
        charge_order_id="order_monthly_0002",
        register=Register(order_id="order_monthly_0001", money=Money(14_000, "KRW"), title="Slim 요금제(1개월 단위)",
                          return_url=_BACK, customer=_PAYER, extra={NAME: {"customer_uid": "gildong_0001_1234"}}),
        pay=Pay(order_id="order_once_0001", money=Money(14_000, "KRW"), title="Slim 요금제(1개월 단위)",
                return_url=_BACK, customer=_PAYER, extra=_USED_BY))


def _charge(key: BillingKey, order_id: str) -> Charge:
    return Charge(order_id=order_id, billing_key=key, money=Money(10_000, "KRW"), title="Slim 요금제(최초과금)",
                  customer=_PAYER, extra=_USED_BY)


def _schedule(key: BillingKey) -> Schedule:
    """The guide's one dated charge, and one a month later."""
    first = datetime.fromtimestamp(1_519_862_400, UTC)
    return Schedule(billing_key=key, customer=_PAYER, charges=tuple(
        DatedCharge(order_id=order_id, due_at=due_at, money=Money(10_000, "KRW"), title="Slim 요금제(1개월 단위)",
                    extra=_USED_BY)
        for order_id, due_at in (("order_monthly_0003", first), ("order_monthly_0004", first + timedelta(days=31)))))


def browse(shop: Shop, action: Mapping[str, Any], outcome: str) -> dict[str, str]:
    """Run `IMP.request_pay` as a page would and act as the payer; returns the redirect's query.

    Raises: ValueError for an action of another PG, another outcome, or a window that does not open.
    """
    params = action.get("params")
    if action.get("function") != "IMP.request_pay" or not isinstance(params, Mapping):
        raise ValueError("PortOne asks a browser for IMP.request_pay")
    if outcome not in ("approve", "decline", "close"):
        raise ValueError("outcome is approve, decline or close")
    try:
        window = open_window(shop, params)
    except Refusal as refusal:
        raise ValueError(refusal.message) from None
    came = act(shop, window.payment.order.merchant_uid, outcome, None, 0, 0)
    query: dict[str, str] = came["query"] if came else {}
    return query
