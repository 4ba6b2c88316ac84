"""What the PG keeps: channels, payments, billing keys, dated charges; and how each is shown.

A card number is never kept: only its masked form. Nothing here decides anything.
"""

from __future__ import annotations

from typing import Any

from attrs import define, field, frozen

from paygate.money import Money

from .words import CARD_CHANNEL_KEY, NAVER_CHANNEL_KEY

Json = dict[str, Any]

BUYER = (("buyer_name", 16), ("buyer_email", 64), ("buyer_tel", 16), ("buyer_addr", 128), ("buyer_postcode", 8))
CUSTOMER = (("customer_name", 20), ("customer_tel", 20), ("customer_email", 200), ("customer_addr", 200),
            ("customer_postcode", 8))


def number(money: Money) -> int | float:
    """An amount as the PG writes it: a JSON number in major units."""
    value = money.decimal
    return int(value) if value == value.to_integral_value() else float(value)


@frozen
class Channel:
    """One PG account of the merchant. `provider` and `pg_id` are what records show."""

    provider: str
    pg_id: str
    name: str
    channel_key: str

    @property
    def is_naver(self) -> bool:
        return self.provider == "naverpay"

    def shown(self, sandbox: bool) -> Json:
        return {"pg_provider": self.provider, "pg_id": self.pg_id, "sandbox": sandbox, "type": "payment",
                "channel_name": self.name, "channel_key": self.channel_key}


NAVER = Channel("naverpay", "naverpay-partner", "NaverPay test", NAVER_CHANNEL_KEY)
CARD = Channel("nice", "nictest04m", "Card test", CARD_CHANNEL_KEY)


@frozen
class Card:
    """A card as the PG may show it."""

    code: str = "361"
    name: str = "BC카드"
    number: str = "536510*********1"


@define(kw_only=True)
class Key:
    """A billing key under the merchant's own name for it."""

    customer_uid: str
    channel: Channel
    card: Card
    customer: dict[str, str | None]
    customer_id: str | None
    inserted: int
    updated: int

    def shown(self, sandbox: bool) -> Json:
        return {
            "customer_uid": self.customer_uid, "pg_provider": self.channel.provider, "pg_id": self.channel.pg_id,
            "sandbox": sandbox, "customer_id": self.customer_id, "card_name": self.card.name,
            "card_code": self.card.code, "card_issuer_code": None, "card_issuer_name": None,
            "card_publisher_code": None, "card_publisher_name": None, "card_number": self.card.number, "card_type": 0,
            **{name: self.customer.get(name) for name, _ in CUSTOMER},
            "inserted": self.inserted, "updated": self.updated,
        }


@frozen(kw_only=True)
class Order:
    """What a charge, a dated charge or a window is for."""

    merchant_uid: str
    money: Money
    name: str
    buyer: dict[str, str | None] = field(factory=dict)
    custom_data: str | None = None
    notice_url: str | None = None
    quota: int = 0
    promotion_id: str | None = None


@frozen(kw_only=True)
class Refund:
    """One cancellation of part or all of a payment."""

    money: Money
    at: int
    reason: str
    cancellation_id: str

    def shown(self, pg_tid: str) -> Json:
        return {"pg_tid": pg_tid, "amount": number(self.money), "cancelled_at": self.at, "reason": self.reason,
                "cancellation_id": self.cancellation_id,
                "receipt_url": f"https://receipt.example.invalid/{self.cancellation_id}"}


@define(kw_only=True)
class Payment:
    """One payment record. `usage` is None for an ordinary payment; `issue` moved no money."""

    imp_uid: str
    number: int
    order: Order
    channel: Channel
    via: str
    started: int
    pay_method: str
    card: Card | None = None
    key: str | None = None
    usage: str | None = None
    status: str = "ready"
    points: int = 0
    pg_tid: str | None = None
    apply_num: str | None = None
    paid: int = 0
    failed: int = 0
    updated: int = 0
    fail_reason: str | None = None
    refunds: list[Refund] = field(factory=list)

    @property
    def refunded(self) -> Money:
        return Money(sum(r.money.amount for r in self.refunds), self.order.money.currency)

    @property
    def remaining(self) -> Money:
        return self.order.money - self.refunded

    def shown(self, sandbox: bool) -> Json:
        card = self.card if self.status in ("paid", "cancelled") and self.pay_method == "card" else None
        last = self.refunds[-1] if self.refunds else None
        order = self.order
        return {
            "imp_uid": self.imp_uid, "merchant_uid": order.merchant_uid, "pay_method": self.pay_method,
            "channel": self.via, "pg_provider": self.channel.provider, "emb_pg_provider": None,
            "pg_tid": self.pg_tid, "pg_id": self.channel.pg_id, "sandbox": sandbox, "escrow": False,
            "apply_num": self.apply_num, "bank_code": None, "bank_name": None,
            "card_code": card and card.code, "card_name": card and card.name,
            "card_issuer_code": None, "card_issuer_name": None, "card_publisher_code": None,
            "card_publisher_name": None, "card_quota": order.quota, "card_number": card and card.number,
            "card_type": 0 if card else None,
            "vbank_code": None, "vbank_name": None, "vbank_num": None, "vbank_holder": None, "vbank_date": 0,
            "vbank_issued_at": 0,
            "name": order.name, "amount": number(order.money), "cancel_amount": number(self.refunded),
            "currency": order.money.currency, **{name: order.buyer.get(name) for name, _ in BUYER},
            "custom_data": order.custom_data,
            "user_agent": None if self.via == "api" else "sorry_not_supported_anymore",
            "status": self.status, "started_at": self.started, "paid_at": self.paid, "failed_at": self.failed,
            "cancelled_at": last.at if last else 0, "fail_reason": self.fail_reason,
            "cancel_reason": last.reason if last else None,
            "receipt_url": f"https://receipt.example.invalid/{self.imp_uid}" if self.paid else None,
            "cancel_history": [r.shown(self.pg_tid or "") for r in self.refunds],
            "cancel_receipt_urls": [f"https://receipt.example.invalid/{r.cancellation_id}" for r in self.refunds],
            "deposit_history": [], "cash_receipt_issued": False,
            "customer_uid": self.key, "customer_uid_usage": self.usage,
            "promotion": None,
        }


@define(kw_only=True)
class Plan:
    """A dated charge; the PG calls it a schedule and names it by merchant_uid alone."""

    customer_uid: str
    customer_id: str | None
    channel: Channel
    order: Order
    due: int
    number: int
    status: str = "scheduled"
    executed: int = 0
    revoked: int = 0
    payment: Payment | None = None

    def shown(self) -> Json:
        paid = self.payment
        order = self.order
        return {
            "customer_uid": self.customer_uid, "merchant_uid": order.merchant_uid,
            "imp_uid": paid.imp_uid if paid else None, "pg_provider": self.channel.provider,
            "pg_id": self.channel.pg_id, "customer_id": self.customer_id, "schedule_at": self.due,
            "executed_at": self.executed, "revoked_at": self.revoked, "amount": number(order.money),
            "currency": order.money.currency, "name": order.name,
            **{name: order.buyer.get(name) for name, _ in BUYER}, "custom_data": order.custom_data,
            "schedule_status": self.status, "payment_status": paid.status if paid else None,
            "fail_reason": paid.fail_reason if paid else None, "promotion_id": order.promotion_id,
        }
