"""A subscription that paygate runs, as a value, and every step it can take. Pure: no clock is read, nothing is sent.

A period has a number, counted from 0, and is charged under an order id derived from it. So whoever repeats a step
repeats an id, and an id moves money once.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

from attrs import evolve, field, frozen

from ..errors import BadCommand
from ..model import DeclineReason, aware
from ..money import Money
from ..subscriptions import Interval, Subscription, SubscriptionStatus
from ..terms import Terms
from .calendar import period_at, period_start, zone_named

_KEPT = 100
"""How many missed periods a plan lists; older ones stand in the trail."""
LONGEST_ID = 40


@frozen(kw_only=True)
class Plan:
    """Where a subscription stands.

    `held` says that the PG holds the next dated charge (and paygate rolls it forward); otherwise paygate charges.
    `period` is charged next, for the `attempt`-th time after the first; `anchor` is when period `anchored` begins.
    `next_at` is when something is to be done next; None while paused or ended.
    """

    order_id: str
    title: str
    money: Money
    every: Interval
    terms: Terms
    held: bool
    anchor: datetime = field(validator=aware)
    begun: bool = False
    """Whether the payer has approved; before that there is a window and no subscription."""
    anchored: int = 0
    period: int = 0
    attempt: int = 0
    change: int = 0
    """How often the terms of the coming charge were changed after it had been handed to the PG."""
    status: SubscriptionStatus = SubscriptionStatus.ACTIVE
    next_at: datetime | None = field(default=None, validator=aware)
    next_money: Money | None = None
    """What a period costs from the next one on, where that was changed."""
    reason: DeclineReason | None = None
    """Why the last attempt was declined."""
    paid: int = 0
    last_paid_at: datetime | None = field(default=None, validator=aware)
    ends_at: datetime | None = field(default=None, validator=aware)
    missed: tuple[int, ...] = ()
    """Periods that were not charged: downtime, or a pause."""

    def begins(self, period: int) -> datetime:
        """The instant (UTC) at which `period` begins."""
        return period_start(self.anchor, self.every, period - self.anchored, zone_named(self.terms.zone))

    @property
    def due_at(self) -> datetime:
        """When the coming period begins."""
        return self.begins(self.period)

    @property
    def coming(self) -> Money:
        """What the coming charge takes."""
        return self.next_money if self.next_money is not None and self.attempt == 0 else self.money

    @property
    def charge_id(self) -> str:
        """The order id of the coming charge: `{order_id}-{period, counted from 1}`, then what sets a repeat apart."""
        return charge_id(self.order_id, self.period, self.attempt, self.change)

    @property
    def is_over(self) -> bool:
        return self.status is SubscriptionStatus.ENDED


def charge_id(order_id: str, period: int, attempt: int = 0, change: int = 0) -> str:
    """The order id under which a period is charged: `s-7`, `s-7r1` for its first retry, `s-7c1` after a change."""
    return f"{order_id}-{period + 1}" + (f"c{change}" if change else "") + (f"r{attempt}" if attempt else "")


def check_room(order_id: str) -> None:
    """Refuse an id that would leave no room for what is derived from it.

    Raises: BadCommand.
    """
    if len(charge_id(order_id, 9998, 9, 99)) > LONGEST_ID:
        raise BadCommand(f"the order_id of a subscription is at most {LONGEST_ID - 10} characters: its charges get ids "
                         "derived from it; nothing was sent")


def begun(plan: Plan, at: datetime, *, first_is_paid: bool) -> Plan:
    """A plan that the payer approved at `at`: its first charge is to come, or was made by registering."""
    anchor = at if plan.terms.first is None else max(at, plan.terms.first)
    started = evolve(plan, begun=True, anchor=anchor, next_at=anchor)
    return paid(started, at) if first_is_paid else started


Due = Literal["charge", "hold", "wait", "end"]


def due(plan: Plan, now: datetime) -> Due:
    """What is to be done with a plan now. Catching up comes first: see `caught_up`."""
    if plan.next_at is None or plan.is_over:
        return "wait"
    if plan.ends_at is not None and plan.due_at >= plan.ends_at and plan.attempt == 0:
        return "end" if now >= plan.ends_at else "wait"
    if plan.reason is not None and now >= _given_up_at(plan):
        return "end"
    if now < plan.next_at:
        return "wait"
    return "hold" if plan.held and now < _charged_at(plan) else "charge"


def _charged_at(plan: Plan) -> datetime:
    return plan.due_at if plan.next_at is None else max(plan.due_at, plan.next_at)


def caught_up(plan: Plan, now: datetime) -> Plan:
    """Drop the periods that downtime has swallowed, as the terms say; the attempt in hand is never dropped."""
    if plan.attempt or plan.reason is not None or now < plan.due_at:
        return plan
    last = period_at(plan.anchor, plan.every, now, zone_named(plan.terms.zone)) + plan.anchored
    if plan.terms.catch_up == "all":
        return plan
    # Without catching up, only a period that has just begun is charged: what a whole period has gone by for is not.
    is_missed = plan.terms.catch_up == "none" and last > plan.period
    return _skipped(plan, last + is_missed)


def _skipped(plan: Plan, to: int) -> Plan:
    if to <= plan.period:
        return plan
    missed = (*plan.missed, *range(plan.period, to))[-_KEPT:]
    return _ended_if_over(_at(evolve(plan, missed=missed), to))


def _at(plan: Plan, period: int) -> Plan:
    """Stand before `period`, not yet tried."""
    moved = evolve(plan, period=period, attempt=0, change=0, reason=None)
    return evolve(moved, next_at=moved.due_at)


def paid(plan: Plan, at: datetime) -> Plan:
    """The coming period has been paid for."""
    status = plan.status if plan.status in (SubscriptionStatus.PAUSED, SubscriptionStatus.ENDING) \
        else SubscriptionStatus.ACTIVE
    money = plan.coming
    moved = evolve(plan, money=money, next_money=None if money == plan.next_money else plan.next_money,
                   status=status, paid=plan.paid + 1, last_paid_at=at)
    moved = _ended_if_over(_at(moved, plan.period + 1))
    return evolve(moved, next_at=None) if status is SubscriptionStatus.PAUSED else moved


def _ended_if_over(plan: Plan) -> Plan:
    terms = plan.terms
    is_over = (terms.times is not None and plan.paid >= terms.times) \
        or (terms.until is not None and plan.due_at >= terms.until)
    return ended(plan) if is_over else plan


def declined(plan: Plan, reason: DeclineReason) -> Plan:
    """The coming charge was declined, definitely: tried again under a new id when the terms say so."""
    days = plan.terms.retries.days(reason)
    after = [day for day in days if day > _days_late(plan)]
    moved = evolve(plan, reason=reason, status=SubscriptionStatus.PAST_DUE
                   if plan.status is SubscriptionStatus.ACTIVE else plan.status)
    if after:
        moved = evolve(moved, attempt=plan.attempt + 1, next_at=plan.due_at + timedelta(days=after[0]))
    else:
        moved = evolve(moved, next_at=_given_up_at(plan))
    return moved


def _days_late(plan: Plan) -> int:
    if plan.next_at is None or plan.attempt == 0:
        return 0
    return round((plan.next_at - plan.due_at) / timedelta(days=1))


def _given_up_at(plan: Plan) -> datetime:
    return plan.due_at + timedelta(days=plan.terms.retries.end_after_days)


def postponed(plan: Plan, until: datetime) -> Plan:
    """Nothing is certain about the coming charge yet, or nothing was sent: the same id is taken up again later."""
    return evolve(plan, next_at=until)


def ended(plan: Plan) -> Plan:
    """Nothing is charged any more."""
    return evolve(plan, status=SubscriptionStatus.ENDED, next_at=None)


def paused(plan: Plan) -> Plan:
    """Nothing is charged until `resumed`."""
    return evolve(plan, status=SubscriptionStatus.PAUSED, next_at=None)


def resumed(plan: Plan, now: datetime) -> Plan:
    """Charged again from the next date on; the periods that began during the pause are not."""
    active = evolve(plan, status=SubscriptionStatus.ACTIVE, reason=None)
    if now > active.due_at:
        last = period_at(plan.anchor, plan.every, now, zone_named(plan.terms.zone)) + plan.anchored
        return _skipped(active, last + 1)
    return evolve(active, next_at=active.due_at)


def stopped(plan: Plan, when: Literal["now", "period_end"] | datetime) -> Plan:
    """Stopped at once, at the end of the paid period, or at an instant."""
    if when == "now":
        return ended(plan)
    at = plan.due_at if when == "period_end" else when
    if plan.reason is not None or plan.paid == 0:
        return ended(plan)  # No period is paid for: there is nothing left to wait for.
    moved = evolve(plan, status=SubscriptionStatus.ENDING, ends_at=at)
    return evolve(moved, next_at=min(at, plan.due_at))


def moved(plan: Plan, due_at: datetime) -> Plan:
    """The coming period begins at `due_at`, and the later ones are counted from there."""
    again = evolve(plan, anchor=due_at, anchored=plan.period, reason=None)
    return evolve(again, next_at=due_at)


def with_interval(plan: Plan, every: Interval) -> Plan:
    """Another interval, from the coming period on; that one begins when it would have begun."""
    return evolve(plan, anchor=plan.due_at, anchored=plan.period, every=every)


def subscription_of(plan: Plan) -> Subscription:
    """What a merchant is told."""
    return Subscription(order_id=plan.order_id, provider_id=None, status=plan.status, money=plan.coming,
                        every=plan.every, next_due_at=None if plan.next_at is None else max(plan.next_at, plan.due_at),
                        last_paid_at=plan.last_paid_at, ends_at=plan.ends_at)
