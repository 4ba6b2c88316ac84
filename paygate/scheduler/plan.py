"""A subscription that paygate runs, as a value, and every step it can take. Pure: no clock is read, nothing is sent.

A period has a number, counted from 0, and is charged under an order id derived from it. So whoever repeats a step
repeats an id, and an id moves money once.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Literal

from attrs import evolve, field, frozen

from ..errors import BadCommand
from ..model import DeclineReason, aware
from ..money import Money
from ..subscriptions import Interval, Subscription, SubscriptionStatus
from ..terms import Terms
from .calendar import period_at, period_start, zone_named

_CHARGE_ID = re.compile(r"(.+)-([1-9]\d{0,3})(?:c\d+)?(?:r\d+)?")
_KEPT = 100
"""How many missed periods a plan lists; older ones stand in the trail."""
LONGEST_ID = 40


@frozen(kw_only=True)
class Plan:
    """Where a subscription stands.

    `held` says that the PG holds the coming charge (and paygate rolls it forward); otherwise paygate charges.
    `period` is charged next, for the `attempt`-th time after the first; `anchor` is when period `anchored` begins.
    `charge_at` is when the coming attempt is made; `next_at` is when somebody should look at this plan again, None
    while there is nothing to do.
    """

    order_id: str
    title: str
    money: Money
    every: Interval
    terms: Terms
    held: bool
    anchor: datetime = field(validator=aware)
    begun_at: datetime | None = field(default=None, validator=aware)
    """When the payer approved; before that there is a window and no subscription."""
    anchored: int = 0
    period: int = 0
    attempt: int = 0
    change: int = 0
    """How often the terms of the coming charge were changed after it had been handed to the PG."""
    status: SubscriptionStatus = SubscriptionStatus.ACTIVE
    charge_at: datetime | None = field(default=None, validator=aware)
    next_at: datetime | None = field(default=None, validator=aware)
    revoking: str | None = None
    """The order id of a dated charge that the PG was asked to let go of, to change its terms."""
    window: str | None = None
    """The order id of the window in which the payer chooses another means of payment, while there is one."""
    windows: int = 0
    next_money: Money | None = None
    """What a period costs from the next one on, where that was changed."""
    reason: DeclineReason | None = None
    """Why the last attempt was declined."""
    waits_for_payer: bool = False
    """No attempt is left: only another means of payment helps, until the subscription ends."""
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


def period_of(order_id: str) -> tuple[str, int] | None:
    """Which subscription's period an order id may charge, counted from 1, whatever the attempt; None for other ids."""
    found = _CHARGE_ID.fullmatch(order_id)
    return None if found is None else (found.group(1), int(found.group(2)))


def earlier_ids(plan: Plan) -> list[str]:
    """The ids under which the coming period may have been asked for before, oldest first."""
    return [charge_id(plan.order_id, plan.period, attempt, change) for change in range(plan.change + 1)
            for attempt in range(plan.attempt + 1) if (change, attempt) != (plan.change, plan.attempt)]


def check_room(order_id: str) -> None:
    """Refuse an id that would leave no room for what is derived from it.

    Raises: BadCommand.
    """
    if len(charge_id(order_id, 9998, 9, 99)) > LONGEST_ID:
        raise BadCommand(f"the order_id of a subscription is at most {LONGEST_ID - 10} characters, as new_order_id() "
                         "makes them: its charges get ids derived from it; nothing was sent")


def begun(plan: Plan, at: datetime, *, first_is_paid: bool) -> Plan:
    """A plan that the payer approved at `at`: its first charge is to come, or was made by registering."""
    anchor = at if plan.terms.first is None else max(at, plan.terms.first)
    started = _at(evolve(plan, begun_at=at, anchor=anchor), 0)
    return paid(started, at) if first_is_paid else started


Due = Literal["charge", "hold", "wait", "end"]


def due(plan: Plan, now: datetime) -> Due:
    """What is to be done with a plan now. Catching up comes first: see `caught_up`."""
    if plan.next_at is None or plan.charge_at is None or plan.is_over:
        return "wait"
    if plan.ends_at is not None and plan.due_at >= plan.ends_at and plan.attempt == 0:
        return "end" if now >= plan.ends_at else "wait"
    if plan.reason is not None and now >= _given_up_at(plan):
        return "end"
    if now < plan.next_at or plan.waits_for_payer:
        return "wait"
    return "hold" if plan.held and now < plan.charge_at else "charge" if now >= plan.charge_at else "wait"


def wakes_at(plan: Plan) -> datetime | None:
    """When somebody should look at the plan again; None where there is nothing to do."""
    if plan.is_over or plan.next_at is None:
        return None
    is_last = plan.ends_at is not None and plan.due_at >= plan.ends_at and plan.attempt == 0
    return plan.ends_at if is_last else plan.next_at


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
    moved = evolve(plan, period=period, attempt=0, change=0, reason=None, waits_for_payer=False)
    return _charged_at(moved, moved.due_at)


def _charged_at(plan: Plan, at: datetime) -> Plan:
    """The coming attempt is made `at`; what the PG is to hold until then is handed to it as soon as may be."""
    return evolve(plan, charge_at=at, next_at=(plan.last_paid_at or plan.begun_at) if plan.held else at)


def paid(plan: Plan, at: datetime) -> Plan:
    """The coming period has been paid for."""
    status = plan.status if plan.status in (SubscriptionStatus.PAUSED, SubscriptionStatus.ENDING) \
        else SubscriptionStatus.ACTIVE
    moved = evolve(_priced(plan), status=status, paid=plan.paid + 1, last_paid_at=at)
    moved = _ended_if_over(_at(moved, plan.period + 1))
    return evolve(moved, next_at=None) if status is SubscriptionStatus.PAUSED else moved


def _priced(plan: Plan) -> Plan:
    """A changed amount has come into force with the coming charge; a retry keeps the amount of its period."""
    return evolve(plan, money=plan.coming, next_money=None if plan.attempt == 0 else plan.next_money)


def _ended_if_over(plan: Plan) -> Plan:
    terms = plan.terms
    is_over = (terms.times is not None and plan.paid >= terms.times) \
        or (terms.until is not None and plan.due_at >= terms.until)
    return ended(plan) if is_over else plan


def declined(plan: Plan, reason: DeclineReason) -> Plan:
    """The coming charge was declined, definitely: tried again under a new id when the terms say so.

    The very first one is not, where it was due when the payer approved: nothing has begun, and they may begin anew.
    """
    if _is_first(plan):
        return ended(evolve(plan, reason=reason, attempt=plan.attempt + 1))
    late = 0 if plan.charge_at is None else round((plan.charge_at - plan.due_at) / timedelta(days=1))
    after = next((day for day in plan.terms.retries.days(reason) if day > late), None)
    moved = evolve(_priced(plan), reason=reason, attempt=plan.attempt + 1, status=SubscriptionStatus.PAST_DUE
                   if plan.status is SubscriptionStatus.ACTIVE else plan.status)
    if after is None:
        return evolve(moved, waits_for_payer=True, next_at=_given_up_at(plan))
    return _charged_at(moved, plan.due_at + timedelta(days=after))


def _given_up_at(plan: Plan) -> datetime:
    return plan.due_at + timedelta(days=plan.terms.retries.end_after_days)


def postponed(plan: Plan, until: datetime) -> Plan:
    """Nothing is certain about the coming charge yet, or nothing was sent: the same id is taken up again later."""
    return evolve(plan, next_at=until)


def let_go(plan: Plan) -> Plan:
    """The PG holds the coming charge no more: it will be made under another id."""
    return evolve(plan, change=plan.change + 1, revoking=None,
                  next_at=None if plan.next_at is None else plan.last_paid_at or plan.begun_at)


def ended(plan: Plan) -> Plan:
    """Nothing is charged any more."""
    return evolve(plan, status=SubscriptionStatus.ENDED, next_at=None, charge_at=None)


def paused(plan: Plan) -> Plan:
    """Nothing is charged until `resumed`."""
    return evolve(plan, status=SubscriptionStatus.PAUSED, next_at=None)


def resumed(plan: Plan, now: datetime) -> Plan:
    """Charged again from the next date on; the periods that began during the pause are not."""
    active = evolve(plan, status=SubscriptionStatus.ACTIVE, reason=None, waits_for_payer=False)
    if now > active.due_at:
        last = period_at(plan.anchor, plan.every, now, zone_named(plan.terms.zone)) + plan.anchored
        return _skipped(active, last + 1)
    return _charged_at(active, active.due_at)


def stopped(plan: Plan, when: Literal["now", "period_end"] | datetime) -> Plan:
    """Stopped at once, at the end of the paid period, or at an instant."""
    if when == "now" or plan.reason is not None or plan.paid == 0:
        return ended(plan)  # Where no period is paid for, there is nothing to wait for.
    at = plan.due_at if when == "period_end" else when
    return evolve(plan, status=SubscriptionStatus.ENDING, ends_at=at, next_at=min(at, plan.due_at))


def moved(plan: Plan, due_at: datetime) -> Plan:
    """The coming period begins at `due_at`, and the later ones are counted from there."""
    again = evolve(plan, anchor=due_at, anchored=plan.period, reason=None, waits_for_payer=False)
    return _charged_at(again, due_at)


def with_interval(plan: Plan, every: Interval) -> Plan:
    """Another interval, from the coming period on; that one begins when it would have begun."""
    return evolve(plan, anchor=plan.due_at, anchored=plan.period, every=every)


def with_money(plan: Plan, money: Money) -> Plan:
    """Another amount, from the coming period on; one that is being retried keeps its own."""
    return evolve(plan, next_money=money)


def with_other_means(plan: Plan, now: datetime) -> Plan:
    """The payer has chosen another means of payment: what was declined is tried with it at once."""
    if plan.reason is None or plan.status is SubscriptionStatus.PAUSED:
        return plan
    return _charged_at(evolve(plan, waits_for_payer=False), now)


def _is_first(plan: Plan) -> bool:
    """Whether nothing was paid yet of what was due when the subscription began."""
    return not plan.paid and not plan.period and plan.begun_at is not None and plan.begins(0) <= plan.begun_at


def waits_for_its_first(plan: Plan) -> bool:
    """Whether the charge that was due when the subscription began is declined, or not settled yet. One that a merchant
    ended was not declined.
    """
    return _is_first(plan) and (not plan.is_over or plan.reason is not None)


def subscription_of(plan: Plan) -> Subscription:
    """What a merchant is told."""
    is_coming = not plan.waits_for_payer and plan.status not in (SubscriptionStatus.PAUSED, SubscriptionStatus.ENDED)
    is_last = plan.ends_at is not None and plan.due_at >= plan.ends_at
    return Subscription(order_id=plan.order_id, provider_id=None, status=plan.status, money=plan.coming,
                        every=plan.every, next_due_at=plan.charge_at if is_coming and not is_last else None,
                        last_paid_at=plan.last_paid_at, ends_at=plan.ends_at)
