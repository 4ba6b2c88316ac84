"""Dated charges: creating, listing, revoking, moving and retrying them, and making them when they fall due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from .bodies import Asked, Fields, identities, identity, required, text, whole
from .charging import charge, fail, for_key, new_payment, next_outcome, read_order, settle
from .keys import issue, masked_card
from .pages import page_of
from .records import NAVER, Card, Key, Plan
from .shop import Outcome, Shop
from .words import (
    NO_BUYER_TO_SCHEDULE,
    NO_SCHEDULE,
    NOT_BY_API,
    NOTHING_TO_UNSCHEDULE,
    SCHEDULED_TWICE,
    UNKNOWN_BUYER,
    USED,
    Refusal,
    bad,
    missing,
    not_found,
)

STATES = ("scheduled", "executed", "revoked")
_THREE_MONTHS_S = 92 * 86_400


def schedule(shop: Shop, asked: Asked) -> list[dict[str, Any]]:
    """POST /subscribe/payments/schedule; all of `schedules` or none (assumed).

    `checking_amount` is read and moves no money here.
    """
    fields = asked.body
    customer_uid = required(fields, "customer_uid", 80)
    plans = [_new_plan(shop, customer_uid, item) for item in _items(fields)]
    ids = [plan.order.merchant_uid for plan in plans]
    if len(set(ids)) < len(ids) or any(uid in shop.plans or shop.has_record(uid) for uid in ids):
        raise Refusal(SCHEDULED_TWICE)
    whole(fields, "checking_amount", most=10**9)
    key = _key(shop, customer_uid, fields)
    for plan in plans:
        plan.channel, plan.customer_id = key.channel, key.customer_id
        for_key(plan.order, key)
        shop.plans[plan.order.merchant_uid] = plan
        _wait(shop, plan)
    return [plan.shown() for plan in plans]


def _items(fields: Fields) -> list[Fields]:
    items = fields.get("schedules")
    if items is None or items == []:
        raise missing("schedules")
    if isinstance(items, dict):
        items = [items]
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise bad("schedules")
    return items


def _new_plan(shop: Shop, customer_uid: str, item: Fields) -> Plan:
    due = whole(item, "schedule_at")
    if due is None:
        raise missing("schedule_at")
    if due <= shop.now() and not shop.switches.past_schedules:
        raise bad("schedule_at")
    shop.count += 1
    return Plan(customer_uid=customer_uid, customer_id=None, channel=NAVER,
                order=read_order(shop, item, dated=True), due=due, number=shop.count)


def _key(shop: Shop, customer_uid: str, fields: Fields) -> Key:
    """The key to charge: registered before, or issued here from card data (not by NaverPay)."""
    if text(fields, "card_number", 40) is None:
        if customer_uid not in shop.keys:
            raise Refusal(NO_BUYER_TO_SCHEDULE)
        return shop.keys[customer_uid]
    channel = shop.channel(text(fields, "channel_key", 55), text(fields, "pg", 80), by_api=True)
    if channel.is_naver:
        raise Refusal(NOT_BY_API)
    return issue(shop, customer_uid, channel, masked_card(fields), {}, text(fields, "customer_id", 80))


def _wait(shop: Shop, plan: Plan) -> None:
    due = plan.due
    when = datetime.fromtimestamp(due, UTC) + timedelta(seconds=shop.switches.execution_lag_s)

    def fire() -> None:
        if plan.status == "scheduled" and plan.due == due:
            _execute(shop, plan)

    shop.clock.at(when, fire)


def _execute(shop: Shop, plan: Plan) -> None:
    """Make the charge, as `again` would. A webhook goes out whether it is paid or failed (documented)."""
    key = shop.keys.get(plan.customer_uid)
    plan.status, plan.executed, plan.revoked = "executed", shop.now(), 0
    payment = new_payment(shop, plan.order, plan.channel, via="api", card=key.card if key else Card(),
                          key=plan.customer_uid, usage="payment.scheduled")
    plan.payment = payment
    if key is None:
        fail(shop, payment, UNKNOWN_BUYER)
    elif shop.is_paid(plan.order.merchant_uid):
        fail(shop, payment, USED)
    else:
        outcome = next_outcome(shop)
        settle(shop, payment, Outcome("failed", outcome.message) if outcome.kind == "code" else outcome)
    shop.tell(payment)


def unschedule(shop: Shop, asked: Asked) -> list[dict[str, Any]]:
    """POST /subscribe/payments/unschedule. Without merchant_uid, or with an empty list of them, everything that waits
    for the customer_uid is revoked.
    """
    customer_uid = identity(asked.body, "customer_uid", 80)
    wanted = identities(asked.body, "merchant_uid", 40)
    if not customer_uid and not wanted:
        raise missing("customer_uid, merchant_uid")
    live = [p for p in shop.plans.values() if p.status == "scheduled"
            and (not customer_uid or p.customer_uid == customer_uid)
            and (not wanted or p.order.merchant_uid in wanted)]
    if not live or (shop.switches.unschedule_all_or_nothing and wanted and len(live) < len(wanted)):
        raise Refusal(NOTHING_TO_UNSCHEDULE)
    for plan in live:
        plan.status, plan.revoked = "revoked", shop.now()
    return [plan.shown() for plan in live]


def _plan(shop: Shop, asked: Asked) -> Plan:
    if asked.ids[0] not in shop.plans:
        raise not_found(NO_SCHEDULE)
    return shop.plans[asked.ids[0]]


def get_schedule(shop: Shop, asked: Asked) -> dict[str, Any]:
    """GET /subscribe/payments/schedule/{merchant_uid}."""
    return _plan(shop, asked).shown()


def get_schedules(shop: Shop, asked: Asked) -> Any:
    """GET /subscribe/payments/schedule."""
    oldest_first = asked.query.get("sorting") == "scheduled"
    return _listed(shop, asked.query, "schedule_from", "schedule_to", lambda plan: True, oldest_first)


def key_schedules(shop: Shop, asked: Asked) -> Any:
    """GET /subscribe/customers/{customer_uid}/schedules, and the same under /subscribe/payments/schedule/customers."""
    customer_uid = asked.ids[0]
    return _listed(shop, asked.query, "from", "to", lambda plan: plan.customer_uid == customer_uid, False)


def _listed(shop: Shop, query: Fields, first: str, last: str, fits: Any, oldest_first: bool) -> Any:
    start, end = whole(query, first), whole(query, last)
    if start is None or end is None:
        raise missing(f"{first}, {last}")
    if end < start or end - start > _THREE_MONTHS_S:
        raise bad(f"{first}, {last}")
    # One list spells it schedule_status, the other schedule-status (documented); both are read everywhere.
    status = text(query, "schedule_status", 20) or text(query, "schedule-status", 20)
    if status and status not in STATES:
        raise bad("schedule_status")
    plans = [p for p in shop.plans.values() if start <= p.due < end and fits(p) and (not status or p.status == status)]
    plans.sort(key=lambda p: (p.due, p.number), reverse=not oldest_first)
    page = page_of([p.shown() for p in plans], query)
    return page if shop.switches.list_shape == "paged" else page["list"]


def _new_time(shop: Shop, asked: Asked) -> int:
    due = whole(asked.body, "schedule_at")
    if due is None:
        raise missing("schedule_at")
    if due <= shop.now():
        raise bad("schedule_at")
    return due


def put_schedule(shop: Shop, asked: Asked) -> dict[str, Any]:
    """PUT /subscribe/payments/schedule/{merchant_uid}: another instant for one that still waits."""
    plan = _plan(shop, asked)
    if plan.status != "scheduled":
        raise bad("이미 실행되었거나 취소된 예약결제입니다.")
    plan.due = _new_time(shop, asked)
    _wait(shop, plan)
    return plan.shown()


def _refuse_unless_over(plan: Plan) -> None:
    """Only a failed or revoked one may run again under its merchant_uid (documented)."""
    if plan.status == "scheduled" or (plan.payment is not None and plan.payment.status != "failed"):
        raise bad("실행되지 않았거나 이미 승인된 예약결제입니다.")


def reschedule(shop: Shop, asked: Asked) -> dict[str, Any]:
    """POST /subscribe/payments/schedule/{merchant_uid}/reschedule."""
    plan = _plan(shop, asked)
    _refuse_unless_over(plan)
    plan.due = _new_time(shop, asked)
    plan.status, plan.executed, plan.revoked, plan.payment = "scheduled", 0, 0, None
    _wait(shop, plan)
    return plan.shown()


def retry(shop: Shop, asked: Asked) -> dict[str, Any]:
    """POST /subscribe/payments/schedule/{merchant_uid}/retry: charge now, under the same merchant_uid."""
    plan = _plan(shop, asked)
    _refuse_unless_over(plan)
    key = shop.keys.get(plan.customer_uid)
    if key is None:
        raise not_found(UNKNOWN_BUYER)
    if shop.is_paid(plan.order.merchant_uid):
        raise Refusal(USED, code=shop.switches.duplicate_code, status=400)
    payment = charge(shop, plan.order, key.channel, key.card, key.customer_uid, "payment.scheduled")
    plan.payment, plan.status, plan.executed, plan.revoked = payment, "executed", shop.now(), 0
    return payment.shown(shop.switches.sandbox)
