"""What a row of the ledger says happened, as an event: the same fact has the same id, whoever found it out.

Nothing is written here.
"""

from __future__ import annotations

from ..codec import load
from ..ledger.row import Book, Kind, Row, State
from ..model import Cancellation, Event, EventKind, Payment, PaymentStatus, ScheduledCharge, ScheduleStatus, Subject
from ..scheduler.plan import Plan
from ..subscriptions import SubscriptionStatus
from .account import Account
from .outcome import refusal_from
from .receive import as_renewal, event, renewal_event
from .settle import payment_of
from .steps import Steps, get_row
from .timetable import is_captured


def of_order(account: Account, order_id: str) -> Steps[Event | None]:
    """What the ledger says became of an order by now."""
    row = yield from get_row(account.scope, Book.PAYMENT, order_id)
    happened = None if row is None else fact(account, row)
    return None if happened is None else (yield from as_renewal(account, happened))


def version(account: Account, order_id: str) -> Steps[tuple[int | None, int | None]]:
    """What changes with everything that the ledger says of an order."""
    row = yield from get_row(account.scope, Book.PAYMENT, order_id)
    plan = yield from get_row(account.scope, Book.PLAN, order_id)
    return None if row is None else row.fence, None if plan is None else plan.fence


def fact(account: Account, row: Row) -> Event | None:
    """What a row says happened; None where nothing has yet. The same fact has the same id, whoever found it out."""
    if is_captured(account, row):
        return None  # What it holds is what was asked for, and no record of the PG.
    match row.kind:
        case Kind.EVENT:
            return None if row.result is None else event_of(row)
        case Kind.CANCEL:
            if row.state is not State.ANSWERED or row.result is None:
                return None
            return event(account, row, load(row.result, Cancellation).payment, is_news=True)
        case Kind.PLAN:
            return _standing(account, row)
        case Kind.SCHEDULE:
            payment = _executed(row)
        case Kind.RENEWAL:
            payment = payment_of(row)
            return None if payment is None else renewal_event(account, payment, is_news=True)
        case Kind.PAY | Kind.REGISTER | Kind.CHARGE | Kind.SUBSCRIBE | Kind.RENEW | Kind.STRAY:
            payment = _ended(row)
        case _:
            payment = None
    return None if payment is None else event(account, row, payment, is_news=True)


def _ended(row: Row) -> Payment | None:
    held = payment_of(row)
    match row.state:
        case State.ANSWERED:
            return held
        case State.REFUSED:
            return held or _refused(row)
        case State.SENT | State.UNKNOWN if held is not None and held.status is PaymentStatus.PENDING:
            return held
    return None


def _refused(row: Row) -> Payment | None:
    """A payment that a PG declined without keeping a record that can be asked for."""
    if row.money is None:
        return None
    said = refusal_from(row)
    return Payment(order_id=row.order_id, provider_id=row.provider_id, status=PaymentStatus.FAILED, money=row.money,
                   reason=getattr(said, "reason", None), code=said.code, message=said.message)


def _standing(account: Account, row: Row) -> Event | None:
    """That a subscription which paygate runs is past due, once for each period, or has ended."""
    plan = None if row.result is None else load(row.result, Plan)
    if plan is None or plan.begun_at is None:
        return None
    match plan.status:
        case SubscriptionStatus.PAST_DUE:
            which = f"past_due:{plan.period + 1}"
        case SubscriptionStatus.ENDED:
            which = "ended"
        case _:
            return None
    return Event(id=f"{account.name}:{row.id}:{which}", kind=EventKind.SUBSCRIPTION_CHANGED, gateway=account.name,
                 order_id=row.id, payment=None, is_news=True,
                 subject=Subject(kind="subscription", provider_id=None, event=plan.status.value))


def _executed(row: Row) -> Payment | None:
    """The payment of a dated charge that the PG has carried out."""
    if row.state is not State.ANSWERED or row.result is None:
        return None
    held = load(row.result, ScheduledCharge)
    if held.status is not ScheduleStatus.EXECUTED or held.payment_status is None:
        return None
    if held.payment_status not in (PaymentStatus.PAID, PaymentStatus.FAILED):
        return None
    return Payment(order_id=row.order_id, provider_id=held.provider_id, status=held.payment_status, money=held.money,
                   code=held.code, message=held.message)


def event_of(row: Row) -> Event:
    """The event that a row holds."""
    assert row.result is not None
    return load(row.result, Event)
