"""Payments looked up, given back, and their amounts registered beforehand. The NaverPay-only calls are here too."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from paygate.money import Money

from .bodies import Asked, Fields, currency_of, identities, identity, money, required, section, text, truth, whole
from .pages import page_of
from .records import CARD, NAVER, Payment, Refund, number
from .shop import Prepared, Shop
from .words import (
    ALREADY_CANCELLED,
    BAD_STATUS,
    CHECKSUM_DIFFERS,
    NAME_A_PAYMENT,
    NO_PAYMENT,
    NOT_PREPARED,
    NOTHING_TO_CANCEL,
    OVER_BALANCE,
    PREPARED_TWICE,
    REFUND_WINDOW_OVER,
    REGISTRATION_ONLY,
    Refusal,
    Some,
    bad,
    missing,
    not_found,
)

STATUSES = ("ready", "paid", "cancelled", "failed")
DAY_S = 86_400
REFUND_WINDOW_DAYS = 1095
_SORTS: dict[str, Callable[[Payment], int]] = {
    "started": lambda p: p.started, "paid": lambda p: p.paid, "updated": lambda p: p.updated}


def _cancelled_at(payment: Payment) -> int:
    return payment.refunds[-1].at if payment.refunds else 0


_TIMES: dict[str, Callable[[Payment], int]] = {
    "all": lambda p: p.started, "ready": lambda p: p.started, "paid": lambda p: p.paid,
    "cancelled": _cancelled_at, "failed": lambda p: p.failed}


def _sorted(payments: list[Payment], query: Fields) -> list[Payment]:
    sorting = text(query, "sorting", 20) or "-started"
    by = _SORTS.get(sorting.removeprefix("-"))
    if by is None:
        raise bad("sorting")
    return sorted(payments, key=lambda p: (by(p), p.number), reverse=sorting.startswith("-"))


def get_payment(shop: Shop, asked: Asked) -> dict[str, Any]:
    """GET /payments/{imp_uid}: test-channel payments only with include_sandbox=true (documented)."""
    payment = shop.payment(asked.ids[0])
    if shop.switches.sandbox and shop.switches.hides_sandbox and not truth(asked.query, "include_sandbox"):
        raise not_found(NO_PAYMENT)
    return payment.shown(shop.switches.sandbox)


def get_payments(shop: Shop, asked: Asked) -> Some:
    """GET /payments?imp_uid[]=…&merchant_uid[]=…; of several under one merchant_uid the latest (assumed)."""
    imp_uids, orders = identities(asked.query, "imp_uid", 100), identities(asked.query, "merchant_uid", 100)
    if len(imp_uids) + len(orders) > 100:
        raise bad("imp_uid, merchant_uid")
    found = [shop.payments.get(uid) for uid in imp_uids] + [shop.by_order.get(uid, [None])[-1] for uid in orders]
    there = list({p.imp_uid: p for p in found if p is not None}.values())
    if not there:
        raise not_found(NO_PAYMENT)
    return Some([p.shown(shop.switches.sandbox) for p in there], partial=None in found)


def _under_order(shop: Shop, asked: Asked) -> list[Payment]:
    order, *rest = asked.ids
    status = rest[0] if rest else ""
    if status and status not in STATUSES:
        raise Refusal(BAD_STATUS, status=400)
    found = [p for p in shop.by_order.get(order, ()) if not status or p.status == status]
    if not found:
        raise not_found(NO_PAYMENT)
    return found


def find(shop: Shop, asked: Asked) -> dict[str, Any]:
    """GET /payments/find/{merchant_uid}[/{status}]: the first by `sorting`; with a status the most recent in it."""
    found = _sorted(_under_order(shop, asked), {} if len(asked.ids) > 1 else asked.query)
    return found[0].shown(shop.switches.sandbox)


def find_all(shop: Shop, asked: Asked) -> dict[str, Any]:
    """GET /payments/findAll/{merchant_uid}[/{status}]."""
    found = _sorted(_under_order(shop, asked), asked.query)
    return page_of([p.shown(shop.switches.sandbox) for p in found], asked.query, beyond_is_bad=True)


def by_status(shop: Shop, asked: Asked) -> dict[str, Any]:
    """GET /payments/status/{status}: a window of at most 90 days, both ends within it."""
    status = asked.ids[0]
    if status not in _TIMES:
        raise Refusal(BAD_STATUS, status=400)
    last = whole(asked.query, "to")
    last = shop.now() if last is None else last
    first = whole(asked.query, "from")
    first = last - 90 * DAY_S if first is None else first
    if not 0 <= last - first <= 90 * DAY_S:
        raise bad("from, to")
    found = [p for p in shop.payments.values()
             if status in ("all", p.status) and first <= _TIMES[status](p) <= last]
    return page_of([p.shown(shop.switches.sandbox) for p in _sorted(found, asked.query)], asked.query,
                   beyond_is_bad=True)


def balance(shop: Shop, asked: Asked) -> dict[str, Any]:
    """GET /payments/{imp_uid}/balance: other PGs only (documented), so never an answer here."""
    shop.payment(asked.ids[0])
    raise Refusal("지원되지 않는 PG사입니다.")


def cancel(shop: Shop, asked: Asked) -> dict[str, Any]:
    """POST /payments/cancel. A missing or zero `amount` is all that is left; `checksum` guards.

    A webhook is sent only where `enable_webhook` asks for it.
    Sources: PortOne V1 REST (documented); texts and `cancelled` on the first refund (observed).
    """
    fields = asked.body
    payment = _to_cancel(shop, fields)
    currency = payment.order.money.currency
    amount, checksum = money(fields, "amount", currency), money(fields, "checksum", currency)
    tax_free = money(fields, "tax_free", currency)
    requester = section(fields, "extra").get("requester")
    if requester is not None and requester not in ("customer", "admin"):
        raise bad("extra.requester")
    reason, tell = text(fields, "reason", 500) or "", truth(fields, "enable_webhook")
    if payment.usage == "issue" and not shop.switches.registration_can_be_cancelled:
        raise Refusal(REGISTRATION_ONLY)
    if payment.remaining.is_zero and payment.refunds:
        raise Refusal(ALREADY_CANCELLED)
    if checksum is not None and checksum != payment.remaining:
        raise Refusal(CHECKSUM_DIFFERS)
    amount = payment.remaining if amount is None or amount.is_zero else amount
    if tax_free is not None and tax_free > amount:
        raise bad("tax_free")
    if shop.refund_refusals:
        raise Refusal(shop.refund_refusals.popleft(), code=-1)
    if payment.channel.is_naver and shop.now() - payment.paid > REFUND_WINDOW_DAYS * DAY_S:
        raise Refusal(REFUND_WINDOW_OVER, code=-1)
    refund = give_back(shop, payment, amount, reason)
    if tell:
        shop.tell(payment, refund.cancellation_id)
    return payment.shown(shop.switches.sandbox)


def _to_cancel(shop: Shop, fields: Fields) -> Payment:
    imp_uid, merchant_uid = identity(fields, "imp_uid", 100), identity(fields, "merchant_uid", 100)
    if imp_uid:
        named = [shop.payments[imp_uid]] if imp_uid in shop.payments else []
    elif merchant_uid:
        named = shop.by_order.get(merchant_uid, [])
    else:
        raise Refusal(NAME_A_PAYMENT)
    done = [p for p in named if p.status in ("paid", "cancelled")]
    if not done:
        raise Refusal(NOTHING_TO_CANCEL)
    return done[-1]


def give_back(shop: Shop, payment: Payment, amount: Money, reason: str) -> Refund:
    """Refund part or all. Raises: Refusal above what is left."""
    if amount > payment.remaining:
        raise Refusal(OVER_BALANCE)
    refund = Refund(money=amount, at=shop.now(), reason=reason,
                    cancellation_id=f"cancellation-{shop.digits('cancel', 12)}")
    payment.refunds.append(refund)
    if shop.switches.partial_is_cancelled or payment.remaining.is_zero:
        payment.status = "cancelled"
    payment.updated = shop.now()
    if payment.usage != "issue":
        shop.move("refund", payment.order.merchant_uid, payment.imp_uid, amount)
    return refund


def _prepared(shop: Shop, prepared: Prepared) -> dict[str, Any]:
    # The schema lists paging numbers as required here by mistake; they are sent so that it holds to the letter.
    return {"merchant_uid": prepared.merchant_uid, "amount": prepared.amount, "currency": prepared.currency,
            "total": 1, "previous": 0, "next": 0}


def _to_prepare(fields: Fields) -> Prepared:
    merchant_uid = required(fields, "merchant_uid", 40)
    currency = currency_of(fields) if fields.get("currency") else None
    # Without a currency nobody knows how many decimals are right: two are let through.
    amount = money(fields, "amount", currency or "USD")
    if amount is None:
        raise missing("amount")
    return Prepared(merchant_uid, number(amount), currency)


def post_prepared(shop: Shop, asked: Asked) -> dict[str, Any]:
    """POST /payments/prepare."""
    prepared = _to_prepare(asked.body)
    if prepared.merchant_uid in shop.prepared:
        raise Refusal(PREPARED_TWICE)
    shop.prepared[prepared.merchant_uid] = prepared
    return _prepared(shop, prepared)


def put_prepared(shop: Shop, asked: Asked) -> dict[str, Any]:
    """PUT /payments/prepare."""
    prepared = _to_prepare(asked.body)
    if prepared.merchant_uid not in shop.prepared:
        raise not_found(NOT_PREPARED)
    shop.prepared[prepared.merchant_uid] = prepared
    return _prepared(shop, prepared)


def get_prepared(shop: Shop, asked: Asked) -> dict[str, Any]:
    """GET /payments/prepare/{merchant_uid}."""
    if asked.ids[0] not in shop.prepared:
        raise not_found(NOT_PREPARED)
    return _prepared(shop, shop.prepared[asked.ids[0]])


def _naver(shop: Shop, asked: Asked) -> Payment:
    payment = shop.payment(asked.ids[0])
    if not payment.channel.is_naver or payment.usage == "issue" or payment.status not in ("paid", "cancelled"):
        raise not_found(NO_PAYMENT)
    return payment


def naver_point(shop: Shop, asked: Asked) -> None:
    """POST /payments/{imp_uid}/naver/point: an envelope and nothing more."""
    _naver(shop, asked)


def naver_confirm(shop: Shop, asked: Asked) -> None:
    """POST /payments/{imp_uid}/naver/confirm."""
    _naver(shop, asked)
    if asked.body.get("requester") not in (None, "", "admin", "customer"):
        raise bad("requester")


def naver_cash_amount(shop: Shop, asked: Asked) -> dict[str, Any]:
    """GET /payments/{imp_uid}/naver/cash-amount: points and transfers are eligible, a card's part is not."""
    try:
        payment = _naver(shop, asked)
    except Refusal as refusal:
        raise Refusal(refusal.message, status=400) from None
    left = payment.remaining.decimal
    points = min(left, Decimal(payment.points))
    primary = left - points if payment.pay_method == "trans" else Decimal(0)
    total = int(points + primary)
    vat = round(total / 11)
    return {"amount_total": total, "amount_by_npoint": int(points), "amount_by_primary": int(primary),
            "amount_supply": total - vat, "amount_vat": vat}


def channels(shop: Shop, asked: Asked) -> list[dict[str, Any]]:
    """GET /users/pg."""
    held = (NAVER, CARD) if shop.switches.card_channel else (NAVER,)
    return [channel.shown(shop.switches.sandbox) for channel in held]
