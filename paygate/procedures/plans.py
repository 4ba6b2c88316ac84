"""Subscriptions, whoever runs them: the PG where it can and may, otherwise paygate by charging a billing key.

What the PG runs is in subscribe.py. What paygate runs is a row in the book of plans, moved by the ledger's one lock.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from attrs import evolve

from ..capability import Capability
from ..codec import dump
from ..commands import Register
from ..errors import Declined, NotFound, OutcomeUnknown, PaygateError, Unsupported
from ..ledger.row import Book, Kind, Row, State
from ..ledger.rules import key_digest
from ..model import BillingKey, Checkout
from ..scheduler import plan as rules
from ..scheduler.plan import Plan
from ..subscriptions import (
    Subscribe,
    SubscribeKey,
    Subscription,
)
from ..terms import Terms
from . import dated
from . import subscribe as native
from .account import Account
from .begin import check_verdict, judge_row, new_row
from .checkout import confirm_key, register
from .roll import Kept, Outcome, forward, keep, plan_of
from .sealed import require_vault, seal, unseal
from .settle import payment_of
from .steps import Steps, get_row, open_rows, takes

_WINDOW = timedelta(minutes=10)
_PATIENCE = timedelta(days=2)


def is_native(account: Account, run_by: str | None) -> bool:
    """Whether the PG itself runs a subscription asked for with `run_by`.

    Raises: Unsupported.
    """
    if run_by == "pg" or (run_by is None and account.supports(Capability.SUBSCRIBE)):
        account.require(Capability.SUBSCRIBE)
        return True
    account.require(Capability.CHARGE)
    require_vault(account)
    return False


@takes(Subscribe)
def subscribe(account: Account, command: Subscribe) -> Steps[Checkout]:
    """Prepare a subscription; the payer's approval begins it. Asked again, it hands out the same window again.

    Raises: NotSent, Refused, Conflict, SetupError.
    """
    if is_native(account, command.run_by):
        if command.terms != Terms():
            raise Unsupported(f"{account.spec.name} runs subscriptions on its own terms; leave `terms` out; "
                              "nothing was sent", order_id=command.order_id)
        return (yield from native.subscribe(account, command))
    account.require(Capability.REGISTER)
    takes_money = account.spec.profile.register_takes_money.value
    if takes_money and command.terms.first is not None:
        raise Unsupported(f"registering with {account.spec.name} charges the first period at once: a later first "
                          "charge needs a billing key and subscribe_key(); nothing was sent", order_id=command.order_id)
    registration = Register(order_id=command.order_id, money=command.money, title=command.title,
                            return_url=command.return_url, customer=command.customer, extra=command.extra)
    account.check(registration)
    yield from _written(account, command, None)
    return (yield from register(account, registration))


def _written(account: Account, command: Subscribe | SubscribeKey, key: BillingKey | None) -> Steps[Row]:
    """The plan's row, new or known.

    Raises: Conflict, BadCommand.
    """
    rules.check_room(command.order_id)
    now = account.clock.now()
    held = command.run_by is None and account.supports(Capability.SCHEDULE)
    plan = Plan(order_id=command.order_id, title=command.title, money=command.money, every=command.every,
                terms=command.terms, held=held, anchor=command.terms.first or now, next_at=now + _WINDOW)
    extra = {name: dict(fields) for name, fields in command.extra.items()}
    kept = Kept(billing_key=key, customer=command.customer, of_window={} if key else extra,
                of_charge=extra if key else {})
    fresh = new_row(account, Kind.PLAN, command.order_id, command, state=State.SCHEDULED, money=command.money)
    fresh = evolve(fresh, lease_until=None, sent_at=None, check_at=None, due_at=(now + _WINDOW).timestamp(),
                   result=dump(plan), sealed=seal(account, kept, command.order_id),
                   key_digest=None if key is None else key_digest(key.value))
    stored, is_new = (yield from open_rows([fresh], "written down"))[0]
    if not is_new:
        check_verdict(stored, judge_row(account, stored, fresh))
    return stored


@takes(SubscribeKey)
def subscribe_key(account: Account, command: SubscribeKey) -> Steps[Subscription]:
    """Begin a subscription on a billing key that is there already; what is due now is charged now.

    Raises: Declined (nothing has begun), OutcomeUnknown, Conflict, NotSent, SetupError.
    """
    if is_native(account, command.run_by or "paygate"):
        raise Unsupported("a subscription that the PG runs begins in its window: use subscribe(); nothing was sent")
    account.check(command)
    row = yield from _written(account, command, command.billing_key)
    plan = plan_of(row)
    if plan.begun_at is None:
        begun = rules.begun(plan, account.clock.now(), first_is_paid=False)
        row = yield from keep(row, begun, "begun on a known billing key")
    return (yield from _first(account, row))


def confirm_subscription(account: Account, order_id: str, query: Mapping[str, str]) -> Steps[Subscription | None]:
    """Find out what came of `subscribe`: the subscription, or None while the payer has not finished.

    Raises: Declined, Forged, OutcomeUnknown, BadCommand (no such order).
    """
    row = yield from own(account, order_id)
    if row is None:
        return (yield from native.confirm_subscription(account, order_id, query))
    if plan_of(row).begun_at is None:
        begun = yield from _begun(account, row, query)
        if begun is None:
            return None
        row = begun
    return (yield from _first(account, row))


def _begun(account: Account, row: Row, query: Mapping[str, str]) -> Steps[Row | None]:
    """Begin the subscription of a window that the payer has finished."""
    plan = plan_of(row)
    key = yield from confirm_key(account, row.id, query)
    if key is None:
        return None
    paid_at = taken_by((yield from get_row(account.scope, Book.PAYMENT, row.id)))
    begun = rules.begun(plan, paid_at or account.clock.now(), first_is_paid=paid_at is not None)
    return (yield from keep(with_key(account, row, key), begun, "the payer has approved"))


def with_key(account: Account, row: Row, key: BillingKey) -> Row:
    kept = evolve(unseal(account, row, Kept), billing_key=key)
    return evolve(row, sealed=seal(account, kept, row.id), key_digest=key_digest(key.value))


def _first(account: Account, row: Row) -> Steps[Subscription]:
    """Charge what is due now, so that the merchant knows at once whether the subscription stands.

    Raises: Declined where the very first charge was declined: then nothing has begun, whoever asks again;
    OutcomeUnknown where it is not settled yet.
    """
    plan, failed = plan_of(row), None
    if rules.waits_for_its_first(plan) and not plan.is_over and not account.is_held(row):
        outcomes = yield from forward(account, (yield from keep(row, plan, "taken up", lease_until=lease(account))))
        plan = plan_of((yield from get_row(row.gateway, Book.PLAN, row.id)) or row)
        failed = outcomes[0][1] if outcomes else None
    if isinstance(failed, PaygateError):
        raise failed
    if not rules.waits_for_its_first(plan):
        return rules.subscription_of(plan)
    if plan.reason is not None:
        raise Declined(f"the first charge of subscription {row.id} was declined; use a new order_id to try again",
                       reason=plan.reason, order_id=row.id)
    raise OutcomeUnknown(f"the first charge of subscription {row.id} is not settled yet", order_id=row.id,
                         next_step="confirm it again later; never subscribe under another id")


def lease(account: Account) -> float:
    return account.now() + 3 * account.deadline_s


def take_up(account: Account, row: Row) -> Steps[list[Outcome]]:
    """Do what is due for a plan that this worker has claimed."""
    plan = plan_of(row)
    if plan.begun_at is not None:
        return (yield from forward(account, row, plan))
    registered = yield from get_row(row.gateway, Book.PAYMENT, row.id)
    try:
        begun = yield from _begun(account, row, {})
    except PaygateError as error:
        if isinstance(error, Declined) or (registered is not None and registered.state is State.NOT_SENT):
            yield from keep(row, rules.ended(plan), "the payer did not register a means of payment")
            return []
        begun = None
    if begun is None:
        is_over = account.now() - row.opened_at > _PATIENCE.total_seconds()
        later = rules.postponed(plan, account.clock.now() + timedelta(hours=1))
        yield from keep(row, rules.ended(plan) if is_over else later, "not begun yet")
        return []
    return (yield from forward(account, begun))


def own(account: Account, order_id: str) -> Steps[Row | None]:
    return (yield from get_row(account.scope, Book.PLAN, order_id))


def subscription(account: Account, order_id: str) -> Steps[Subscription]:
    """The subscription as it stands.

    Raises: BadCommand (no such order), NotFound (not begun), OutcomeUnknown (the PG could not be asked).
    """
    row = yield from own(account, order_id)
    return (yield from native.subscription(account, order_id)) if row is None else rules.subscription_of(running(row))


def running(row: Row) -> Plan:
    plan = plan_of(row)
    if plan.begun_at is None:
        raise NotFound(f"the subscription of order {row.id} has not begun", order_id=row.id)
    return plan


def taken_by(registered: Row | None) -> datetime | None:
    """When a registration took money; None where it took none."""
    payment = None if registered is None else payment_of(registered)
    if registered is None or payment is None or payment.for_key or not payment.status.took_money:
        return None
    return payment.paid_at or dated.instant(registered.opened_at)
