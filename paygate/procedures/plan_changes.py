"""Changes to a subscription that runs: stop, pause, move, another amount, another means of payment.

What the PG runs is changed at the PG (subscribe.py); what paygate runs is its plan, of which the PG may hold the coming
charge: then that one is taken back first, or found to be made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial

from attrs import evolve

from ..commands import Register, Unschedule
from ..errors import BadCommand, Declined, InProgress, OutcomeUnknown, Unsupported
from ..ledger.row import Book, Kind, Row, State
from ..model import BillingKey, Checkout, ScheduleStatus
from ..scheduler import plan as rules
from ..scheduler.plan import Plan
from ..subscriptions import (
    ChangeInterval,
    ChangeMethod,
    ChangeMoney,
    MoveNext,
    Subscription,
    SubscriptionStatus,
    Unsubscribe,
)
from . import subscribe as native
from .account import Account
from .checkout import confirm_key, register
from .plans import lease, own, running, taken_by, with_key
from .roll import Kept, forward, keep, plan_of
from .schedule import unschedule
from .sealed import unseal
from .steps import Steps, get_row, takes
from .unheard import unsent


def _changed(account: Account, row: Row, note: str, change: Callable[[Plan, datetime], Plan], *,
             lets_go: bool = True, key: BillingKey | None = None) -> Steps[Subscription]:
    """Change a plan. Where the PG holds its coming charge, that one is taken back first, or found to be made."""
    if account.is_held(row):
        raise InProgress(f"subscription {row.id} is being charged; ask again later", order_id=row.id)
    plan = running(row)
    if plan.is_over:
        raise BadCommand(f"the subscription of order {row.id} has ended; nothing was changed")
    while lets_go and plan.held and not plan.is_over and (yield from _is_held_by_pg(account, plan)):
        row, plan = yield from _taken_back(account, row, plan)
    if plan.is_over:
        return rules.subscription_of(plan)  # Its last charge was just found to be made, or declined for good.
    row = row if key is None else with_key(account, row, key)
    row = yield from keep(row, change(plan, account.clock.now()), note)
    return rules.subscription_of(plan_of(row))


def _is_held_by_pg(account: Account, plan: Plan) -> Steps[bool]:
    held = yield from get_row(account.scope, Book.PAYMENT, plan.charge_id)
    return held is not None and held.kind is Kind.SCHEDULE and held.state is State.ANSWERED


def _taken_back(account: Account, row: Row, plan: Plan) -> Steps[tuple[Row, Plan]]:
    """Take the coming charge back from the PG; where it was made already, what came of it is written down first."""
    row = yield from keep(row, evolve(plan, revoking=plan.charge_id), "taking the dated charge back",
                          lease_until=lease(account))
    kept = unseal(account, row, Kept)
    assert kept.billing_key is not None
    stopped = yield from unschedule(account, Unschedule(billing_key=kept.billing_key, order_ids=(plan.charge_id,)))
    if stopped[0].status is ScheduleStatus.REVOKED:
        return row, rules.let_go(plan)
    yield from forward(account, row)
    row = (yield from get_row(row.gateway, Book.PLAN, row.id)) or row
    if plan_of(row).charge_id == plan.charge_id:
        raise OutcomeUnknown(f"the PG is charging subscription {row.id} right now ({plan.charge_id}); ask again later",
                             order_id=row.id, next_step="make the same change again later")
    return row, plan_of(row)


@takes(Unsubscribe)
def unsubscribe(account: Account, command: Unsubscribe) -> Steps[Subscription]:
    """Stop a subscription now, at the end of the paid period, or at an instant. No money is given back."""
    row = yield from unsent(own(account, command.order_id), command.order_id)
    if row is None:
        return (yield from native.unsubscribe(account, command))
    return (yield from _changed(account, row, f"stopped: {command.reason}",
                                lambda plan, _: rules.stopped(plan, command.when)))


def pause(account: Account, order_id: str) -> Steps[Subscription]:
    """Charge nothing until `resume`."""
    row = yield from unsent(own(account, order_id), order_id)
    if row is None:
        return (yield from native.pause(account, order_id))
    return (yield from _changed(account, row, "paused", lambda plan, _: rules.paused(plan)))


def resume(account: Account, order_id: str) -> Steps[Subscription]:
    """Charge again, from the next date on."""
    row = yield from unsent(own(account, order_id), order_id)
    if row is None:
        return (yield from native.resume(account, order_id))
    if running(row).status is not SubscriptionStatus.PAUSED:
        return rules.subscription_of(running(row))
    return (yield from _changed(account, row, "resumed", rules.resumed, lets_go=False))


@takes(MoveNext)
def move_next(account: Account, command: MoveNext) -> Steps[Subscription]:
    """Move the next charge to an instant in the future; the later ones are counted from there."""
    row = yield from unsent(own(account, command.order_id), command.order_id)
    if row is None:
        return (yield from native.move_next(account, command))
    if command.due_at <= account.clock.now():
        raise BadCommand("due_at must lie in the future; nothing was sent")
    return (yield from _changed(account, row, "moved", lambda plan, _: rules.moved(plan, command.due_at)))


@takes(ChangeInterval)
def change_interval(account: Account, command: ChangeInterval) -> Steps[Subscription]:
    """Charge at another interval from the next period on."""
    row = yield from unsent(own(account, command.order_id), command.order_id)
    if row is None:
        return (yield from native.change_interval(account, command))
    return (yield from _changed(account, row, "another interval",
                                lambda plan, _: rules.with_interval(plan, command.every), lets_go=False))


@takes(ChangeMoney)
def change_money(account: Account, command: ChangeMoney) -> Steps[Subscription]:
    """Charge another amount from the next period on.

    Raises: Unsupported where the PG runs the subscription.
    """
    row = yield from unsent(own(account, command.order_id), command.order_id)
    if row is None:
        raise Unsupported(f"{account.spec.name} runs this subscription at the amount it began with; nothing was sent",
                          order_id=command.order_id)
    account.check(command)
    return (yield from _changed(account, row, f"another amount: {command.money}",
                                lambda plan, _: rules.with_money(plan, command.money)))


@takes(ChangeMethod)
def change_method(account: Account, command: ChangeMethod) -> Steps[Checkout]:
    """Let the payer choose another means of payment: what to show them. Then `confirm_method`.

    Where registering takes money, what it takes is the coming period's payment.
    """
    row = yield from unsent(own(account, command.order_id), command.order_id)
    if row is None:
        return (yield from native.change_method(account, command))
    plan, kept = running(row), unseal(account, row, Kept)
    if plan.is_over:
        raise BadCommand(f"the subscription of order {row.id} has ended; nothing was changed")
    window = plan.window or f"{plan.order_id}-m{plan.windows + 1}"
    if plan.window is None:
        row = yield from keep(row, evolve(plan, window=window, windows=plan.windows + 1), "another means is chosen",
                              lease_until=row.lease_until)
    return (yield from register(account, Register(
        order_id=window, money=plan.coming, title=plan.title, return_url=command.return_url, customer=kept.customer,
        extra=kept.of_window)))


def confirm_method(account: Account, order_id: str, query: Mapping[str, str]) -> Steps[Subscription | None]:
    """Find out what came of `change_method`: the subscription, or None while the payer has not finished.

    Raises: Declined (the old means of payment stays), Forged, OutcomeUnknown, BadCommand.
    """
    row = yield from own(account, order_id)
    if row is None:
        return (yield from native.subscription(account, order_id))
    plan = running(row)
    if plan.window is None:
        return rules.subscription_of(plan)
    try:
        key = yield from confirm_key(account, plan.window, query)
    except Declined:
        yield from keep(row, evolve(plan, window=None), "the other means was declined")
        raise
    if key is None:
        return None
    registered = yield from get_row(account.scope, Book.PAYMENT, plan.window)
    return (yield from _changed(account, row, "another means of payment", partial(_rekeyed, taken_by(registered)),
                                key=key))


def _rekeyed(paid_at: datetime | None, plan: Plan, now: datetime) -> Plan:
    plan = evolve(plan, window=None)
    return rules.with_other_means(plan, now) if paid_at is None else rules.paid(plan, paid_at)
