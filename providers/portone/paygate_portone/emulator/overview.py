"""What this PG holds, for a person who looks at a sandbox. Reads a Shop and changes nothing."""

from __future__ import annotations

from datetime import UTC, datetime

from paygate.testing.overview import Dated, Held, Key, Overview, Waiting, last

from .browser import WINDOWS
from .records import Payment, Plan
from .shop import Shop, Window


def overview(shop: Shop, most: int) -> Overview:
    """What there is, oldest first."""
    windows = last(most, shop.windows)
    late = [_late(w) for w in windows if w.late_at is not None]
    return Overview(
        waiting=tuple(_waiting(w) for w in windows if w.is_open),
        held=tuple(_held(p) for p in last(most, shop.payments.values())),
        keys=tuple(Key(value=k.customer_uid, about=f"{k.channel.name}, {k.card.name} {k.card.number}",
                       at=_at(k.inserted)) for k in last(most, shop.keys.values())),
        dated=tuple(sorted([*(_dated(p) for p in last(most, shop.plans.values())), *late], key=lambda d: d.at)),
        webhook_urls=(("webhook", shop.webhook_url),),
        totals=(("held", len(shop.payments)), ("keys", len(shop.keys)), ("dated", len(shop.plans) + len(late))))


def _at(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _waiting(window: Window) -> Waiting:
    order = window.payment.order
    return Waiting(handle=window.id, order_id=order.merchant_uid, title=order.name, money=order.money,
                   opened_at=_at(window.payment.started), takes_money=window.customer_uid is None,
                   page=f"{WINDOWS}/{window.id}")


def _held(payment: Payment) -> Held:
    order = payment.order
    registers = payment.usage == "issue"
    return Held(at=_at(payment.started), order_id=order.merchant_uid, provider_id=payment.imp_uid, title=order.name,
                money=order.money, returned=payment.refunded, status=payment.status, takes_money=not registers,
                note=payment.fail_reason or ("registration of a billing key: no money" if registers else None))


def _dated(plan: Plan) -> Dated:
    paid = plan.payment
    return Dated(at=_at(plan.executed or plan.due), what="dated charge 예약결제", order_id=plan.order.merchant_uid,
                 money=plan.order.money, status=f"{plan.status}, {paid.status}" if paid else plan.status,
                 is_due=plan.status == "scheduled", note=paid.fail_reason if paid else None)


def _late(window: Window) -> Dated:
    assert window.late_at is not None
    order = window.payment.order
    return Dated(at=window.late_at, what="late approval 늦은 승인", order_id=order.merchant_uid, money=order.money,
                 status=window.payment.status, is_due=True)
