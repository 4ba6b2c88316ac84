"""Rolls a subscription forward that paygate runs: catch up, hand to the PG or charge, and write down what came of it.

Every step is safe to repeat: the order id of a charge is derived from its period, and an id moves money once.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from attrs import evolve, frozen

from ..capability import Capability
from ..codec import dump, load
from ..commands import Charge, Customer, DatedCharge, Schedule
from ..errors import Declined, InProgress, NotSent, OutcomeUnknown, PaygateError, Refused
from ..ledger.row import Book, Kind, Row, State
from ..ledger.rules import UNRESOLVED, digest
from ..model import BillingKey, DeclineReason, Payment, PaymentStatus, ScheduledCharge, ScheduleStatus
from ..scheduler import plan as plans
from ..scheduler.plan import Plan
from .account import Account
from .charge import charge, told
from .outcome import declined
from .reading import find
from .reconcile import heal
from .schedule import find_schedule, schedule
from .sealed import unseal
from .settle import payment_of
from .steps import Steps, change, get_row

Outcome = tuple[str, Payment | PaygateError | None]
"""The order id of a charge, and what came of it; None where it is still to come."""

_STEPS = 60
"""How many periods are caught up with in one go; the rest is taken up next time."""
_LATER = timedelta(minutes=5)
_NEVER = datetime(9999, 12, 31, tzinfo=UTC)
"""When somebody looks at a plan that is paused: so it is listed with those that wait, and nobody takes it up."""
_GRACE = timedelta(minutes=10)
"""How long after its date a charge that the PG holds is asked about."""


@frozen(kw_only=True)
class Kept:
    """What a subscription is charged with; it is kept encrypted."""

    billing_key: BillingKey | None
    customer: Customer
    of_window: dict[str, dict[str, Any]]
    """`extra` of the payer's windows; a PG knows other fields there than in a charge."""
    of_charge: dict[str, dict[str, Any]]


class _Revoked(OutcomeUnknown):
    """The PG has let a dated charge go."""


def plan_of(row: Row) -> Plan:
    """The plan that a row keeps."""
    assert row.result is not None
    return load(row.result, Plan)


def keep(row: Row, plan: Plan, note: str, *, lease_until: float | None = None) -> Steps[Row]:
    """Write a plan down.

    Raises: InProgress where another worker was quicker.
    """
    wakes = plans.wakes_at(plan) or (None if plan.is_over else _NEVER)
    state = State.ANSWERED if plan.is_over else State.SCHEDULED
    moved = yield from change(row, note, state=state, result=dump(plan), money=plan.coming, lease_until=lease_until,
                              due_at=None if wakes is None else wakes.timestamp(), sealed=row.sealed,
                              key_digest=row.key_digest)
    if moved is None:
        raise InProgress(f"another worker holds subscription {row.id}; ask again later", order_id=row.id)
    return moved


def forward(account: Account, row: Row, plan: Plan | None = None) -> Steps[list[Outcome]]:
    """Do all that is due for the subscription of `row`, which this worker has claimed; `plan` is what the row keeps.

    Raises: InProgress, LedgerError, Unsupported.
    """
    plan, kept, outcomes = plan or plan_of(row), unseal(account, row, Kept), list[Outcome]()
    for _ in range(_STEPS):
        after, outcome = yield from _step(account, plan, kept)
        if outcome is not None:
            outcomes.append(outcome)
        elif after != plan:
            # Another period or another id is charged from here on: whoever takes over after a crash must know.
            row = yield from keep(row, after, "caught up", lease_until=row.lease_until)
        if after == plan or isinstance(outcome and outcome[1], NotSent | OutcomeUnknown):
            plan = after
            break
        plan = after
    yield from keep(row, plan, _told(outcomes))
    return outcomes


def _told(outcomes: list[Outcome]) -> str:
    said = [f"{id}: {getattr(came, 'status', None) or type(came).__name__}" for id, came in outcomes[-3:]]
    return "; ".join(said) or "looked at"


def _step(account: Account, plan: Plan, kept: Kept) -> Steps[tuple[Plan, Outcome | None]]:
    now = account.clock.now()
    tried = yield from get_row(account.scope, Book.PAYMENT, plan.charge_id)
    if tried is None or tried.state is State.NOT_SENT:
        caught_up = plans.caught_up(plan, now)
        if caught_up.period != plan.period:
            return caught_up, None
    match plans.due(plan, now):
        case "end":
            return plans.ended(plan), None
        case "hold" if tried is None or tried.state is State.NOT_SENT:
            return (yield from _hold(account, plan, kept, tried))
        case "hold":
            assert plan.charge_at is not None
            return plans.postponed(plan, plan.charge_at + _GRACE), None
        case "charge":
            return (yield from _charge(account, plan, kept, tried))
    return plan, None


def _hold(account: Account, plan: Plan, kept: Kept, tried: Row | None) -> Steps[tuple[Plan, Outcome | None]]:
    """Have the PG hold the coming charge."""
    assert plan.charge_at is not None
    assert kept.billing_key is not None
    if (done := (yield from _paid_before(account, plan))) is not None:
        return done
    item = DatedCharge(order_id=plan.charge_id, due_at=plan.charge_at, money=plan.coming, title=plan.title,
                       extra=kept.of_charge)
    command = Schedule(billing_key=kept.billing_key, charges=(item,), customer=kept.customer)
    if tried is not None and tried.digest != digest(command):
        return evolve(plan, change=plan.change + 1), None
    try:
        yield from schedule(account, command)
    except PaygateError as error:
        return plans.postponed(plan, account.clock.now() + _LATER), (plan.charge_id, error)
    return plans.postponed(plan, plan.charge_at + _GRACE), (plan.charge_id, None)


def _charge(account: Account, plan: Plan, kept: Kept, tried: Row | None) -> Steps[tuple[Plan, Outcome | None]]:
    """Charge the coming attempt, or learn what became of it."""
    if (done := (yield from _paid_before(account, plan))) is not None:
        return done
    now = account.clock.now()
    try:
        if tried is not None and tried.state is not State.NOT_SENT:
            payment = yield from _looked(account, tried)
        else:
            command = _command(plan, kept)
            if tried is not None and tried.digest != digest(command):
                return evolve(plan, change=plan.change + 1), None
            payment = yield from charge(account, command)
    except _Revoked as error:
        if plan.revoking == plan.charge_id:
            return plans.let_go(plan), None
        return plans.postponed(plan, now + timedelta(days=1)), (plan.charge_id, error)
    except Declined as error:
        return plans.declined(plan, error.reason or DeclineReason.UNMAPPED), (plan.charge_id, error)
    except (NotSent, InProgress, OutcomeUnknown) as error:
        return plans.postponed(plan, now + _LATER), (plan.charge_id, error)
    except Refused as error:
        stands = yield from get_row(account.scope, Book.PAYMENT, plan.charge_id)
        is_final = stands is not None and stands.state is State.REFUSED
        return (plans.declined(plan, DeclineReason.UNMAPPED) if is_final
                else plans.postponed(plan, now + _LATER)), (plan.charge_id, error)
    if payment is None or not payment.status.took_money:
        return plans.postponed(plan, now + _LATER), (plan.charge_id, payment)
    return plans.paid(plan, payment.paid_at or now), (plan.charge_id, payment)


def _command(plan: Plan, kept: Kept) -> Charge:
    assert kept.billing_key is not None
    return Charge(order_id=plan.charge_id, billing_key=kept.billing_key, money=plan.coming, title=plan.title,
                  customer=kept.customer, extra=kept.of_charge)


def _looked(account: Account, tried: Row) -> Steps[Payment | None]:
    """What became of a charge that was asked for already; None while nothing is certain.

    Raises: Declined, OutcomeUnknown, as `charge`.
    """
    if tried.kind is Kind.SCHEDULE:
        return (yield from _held_outcome(account, (yield from find_schedule(account, tried.id))))
    if tried.state in UNRESOLVED and not account.is_held(tried):
        tried = yield from heal(account, tried)
    return told(tried)


def _held_outcome(account: Account, held: ScheduledCharge) -> Steps[Payment | None]:
    if held.status is ScheduleStatus.REVOKED:
        raise _Revoked(f"the PG does not hold the charge {held.order_id} any more; it needs a person",
                             order_id=held.order_id)
    if held.status is ScheduleStatus.SCHEDULED or held.payment_status in (None, PaymentStatus.PENDING):
        return None
    assert held.payment_status is not None
    if account.supports(Capability.FIND):
        payment = yield from find(account, held.order_id)
    else:
        payment = Payment(order_id=held.order_id, provider_id=held.provider_id, status=held.payment_status,
                          money=held.money, code=held.code, message=held.message)
    if payment.status is PaymentStatus.FAILED:
        raise declined(payment)
    return payment


def _paid_before(account: Account, plan: Plan) -> Steps[tuple[Plan, Outcome | None] | None]:
    """An earlier attempt at this period, looked at again: a PG may have approved it late, or still be at it."""
    for id in plans.earlier_ids(plan):
        row = yield from get_row(account.scope, Book.PAYMENT, id)
        if row is None:
            continue
        try:
            row = yield from heal(account, row)
        except PaygateError as error:
            return plans.postponed(plan, account.clock.now() + _LATER), (id, error)
        payment = None if row.kind is Kind.SCHEDULE else payment_of(row)
        if row.state is State.ANSWERED and row.kind is Kind.SCHEDULE:
            try:
                payment = yield from _looked(account, row)
            except (Declined, _Revoked):
                continue
            except OutcomeUnknown:
                payment = None
        elif row.state in (State.REFUSED, State.NOT_SENT):
            continue
        if payment is not None and payment.status.took_money:
            return plans.paid(plan, payment.paid_at or account.clock.now()), (id, payment)
        return plans.postponed(plan, account.clock.now() + _LATER), (id, None)
    return None
