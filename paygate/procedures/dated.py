"""Dated charges that paygate runs itself: written down now, charged by `run_due` once they are due.

Such a charge is an ordinary payment row that is SCHEDULED. Running it is the ordinary charge of that row, so whatever
keeps a charge from happening twice keeps this one too.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial

from attrs import evolve

from ..capability import Capability
from ..commands import Charge, DatedCharge, Schedule, SchedulesOf, Unschedule
from ..errors import BadCommand, Conflict, InProgress, NotFound, NotSent, OutcomeUnknown, Unsupported
from ..ledger.row import Book, Kind, LedgerError, Row, State
from ..ledger.rules import digest, key_digest
from ..model import Payment, PaymentStatus, ScheduledCharge, ScheduleStatus
from . import schedule as native
from .account import Account
from .begin import new_row, retake
from .charge import send_held
from .sealed import require_vault, seal, unseal
from .settle import payment_of
from .steps import Entry, Steps, change, get_row, open_rows, takes
from .talk import Talk
from .unheard import unsent


def is_own(row: Row) -> bool:
    """Whether paygate runs this dated charge."""
    return row.kind is Kind.CHARGE and row.due_at is not None


@takes(Schedule)
def schedule(account: Account, command: Schedule) -> Steps[tuple[ScheduledCharge, ...]]:
    """Have `command` carried out at its dates: by the PG where it can and may, otherwise by `run_due`.

    Known charges are left as they are.

    Raises: BadCommand (not in the future), Conflict (an id with other parameters; then nothing is scheduled), NotSent,
    Unsupported; where the PG holds them, also what its `schedule` raises.
    """
    if command.run_by == "pg" or (command.run_by is None and account.supports(Capability.SCHEDULE)):
        return (yield from native.schedule(account, command))
    account.require(Capability.CHARGE)
    require_vault(account)
    charges = [_charge(command, item) for item in command.charges]
    for one in charges:
        account.check(one)
    rows = [_row(account, command, item, one) for item, one in zip(command.charges, charges, strict=True)]
    try:
        stored = yield from _written(rows, account.now())
    except LedgerError as error:
        raise NotSent(f"nothing was scheduled: the ledger cannot be written ({error}); the same call may be made again",
                      order_id=rows[0].id) from None
    return tuple([told(row) for row in stored])


def _charge(command: Schedule, item: DatedCharge) -> Charge:
    return Charge(order_id=item.order_id, billing_key=command.billing_key, money=item.money, title=item.title,
                  customer=command.customer, tax_free=item.tax_free, extra=item.extra)


def _row(account: Account, command: Schedule, item: DatedCharge, one: Charge) -> Row:
    fresh = new_row(account, Kind.CHARGE, item.order_id, one, state=State.SCHEDULED, money=item.money,
                    due_at=item.due_at.timestamp(), key_digest=key_digest(command.billing_key.value),
                    sealed=seal(account, one, item.order_id))
    # The digest is of the dated charge: the same id at another date is another promise.
    return evolve(fresh, digest=digest(evolve(command, charges=(item,))), lease_until=None, sent_at=None, check_at=None)


def _written(rows: list[Row], now: float) -> Steps[list[Row]]:
    """Write all of them or, where one id means something else already, none."""
    for row in rows:
        known = yield from get_row(row.gateway, Book.PAYMENT, row.id)
        if known is not None:
            _same(known, row)
        elif row.due_at is not None and row.due_at <= now:
            raise BadCommand("due_at must lie in the future; nothing was scheduled", order_id=row.id)
    stored: list[Row] = []
    for row, (found, is_new) in zip(rows, (yield from open_rows(rows, "scheduled")), strict=True):
        stored.append(found if is_new else (yield from _again(found, row)))
    return stored


def _again(found: Row, row: Row) -> Steps[Row]:
    """A known id: what was stopped before it was ever sent may be scheduled again."""
    _same(found, row)
    if found.state is not State.NOT_SENT or found.sealed is not None:
        return found
    moved = yield from change(found, "scheduled again", state=State.SCHEDULED, sealed=row.sealed, due_at=row.due_at,
                              lease_until=None, refusal=None, attention=None, check_at=None)
    return found if moved is None else moved


def _same(found: Row, row: Row) -> None:
    if found.digest != row.digest:
        raise Conflict(f"{row.id} was used before with other parameters ({found.state.value}); nothing was scheduled",
                       order_id=row.id)


def run(account: Account, row: Row) -> Steps[Payment]:
    """Charge a dated charge that this worker has claimed and that is due.

    Raises: as `charge`.
    """
    command = unseal(account, row, Charge)
    fresh = new_row(account, Kind.CHARGE, row.id, command, digest=row.digest, money=row.money)
    talk = Talk(account, hide=command.billing_key.value)
    taken = yield from retake(fresh, row)
    return (yield from account.sending([row.id], send_held(
        account, partial(account.provider.charge, command), taken, talk)))


@takes(Unschedule)
def unschedule(account: Account, command: Unschedule) -> Steps[tuple[ScheduledCharge, ...]]:
    """Stop the named dated charges, whoever runs them, and say of each what became of it.

    Raises: as the PG's `unschedule`; OutcomeUnknown where one is being charged right now.
    """
    rows = []
    for order_id in command.order_ids:
        row = yield from get_row(account.scope, Book.PAYMENT, order_id)
        if row is not None and is_own(row):
            if row.key_digest != key_digest(command.billing_key.value):
                raise BadCommand(f"order {order_id} charges another billing key; nothing was changed")
            rows.append(row)
    own = {row.id: row for row in rows}
    theirs = tuple([order_id for order_id in command.order_ids if order_id not in own])
    stopped = {} if not theirs else {s.order_id: s for s in (
        yield from native.unschedule(account, evolve(command, order_ids=theirs)))}
    for row in rows:
        stopped[row.id] = yield from _stop(account, row)
    return tuple([stopped[order_id] for order_id in command.order_ids])


def _stop(account: Account, row: Row) -> Steps[ScheduledCharge]:
    """Stop a dated charge of ours, unless a worker has begun with it.

    Raises: OutcomeUnknown where one has: ask again.
    """
    if row.state in (State.SCHEDULED, State.NOT_SENT) and not account.is_held(row):
        moved = yield from change(row, "unscheduled", state=State.NOT_SENT, sealed=None, lease_until=None,
                                  check_at=None)
        if moved is not None:
            return told(moved)
        row = (yield from get_row(row.gateway, Book.PAYMENT, row.id)) or row
    if row.state in (State.ANSWERED, State.REFUSED) or (row.state is State.NOT_SENT and row.sealed is None):
        return told(row)
    raise OutcomeUnknown(f"order {row.id} is being charged; unschedule it again", order_id=row.id,
                         next_step="call unschedule again with the same order_ids")


def move(account: Account, order_id: str, due_at: datetime) -> Steps[ScheduledCharge]:
    """Have a dated charge of ours made at another instant, under the same id. Its command may still be repeated.

    Raises: BadCommand (no such charge, not in the future, decided already), InProgress, Unsupported (the PG holds it),
    NotSent (nothing was changed).
    """
    row = yield from _of_ours(account, order_id, "moved")
    if due_at.utcoffset() is None or due_at <= account.clock.now():
        raise BadCommand("due_at is an instant in the future with a time zone; nothing was changed", order_id=order_id)
    if row.state is not State.SCHEDULED:
        raise BadCommand(f"order {order_id} is {row.state.value}, and so is not moved; nothing was changed",
                         order_id=order_id)
    moved = None
    if not account.is_held(row):
        moved = yield from unsent(change(row, f"moved to {due_at.astimezone(UTC).isoformat()}", state=row.state,
                                         due_at=due_at.timestamp(), lease_until=None), order_id)
    if moved is None:
        raise InProgress(f"order {order_id} is being charged right now; look again later", order_id=order_id)
    return told(moved)


def stop(account: Account, order_id: str) -> Steps[ScheduledCharge]:
    """Stop a dated charge of ours, by whoever has no billing key in hand: a person.

    Raises: as `move`; OutcomeUnknown where it is being charged right now.
    """
    return (yield from _stop(account, (yield from _of_ours(account, order_id, "stopped"))))


def _of_ours(account: Account, order_id: str, what: str) -> Steps[Row]:
    row = yield from unsent(get_row(account.scope, Book.PAYMENT, order_id), order_id)
    if row is not None and row.kind is Kind.SCHEDULE:
        raise Unsupported(f"the PG holds the charge of order {order_id}: it is {what} by unschedule(), which needs its "
                          "billing key; nothing was changed", order_id=order_id)
    if row is None or not is_own(row):
        raise BadCommand(f"there is no dated charge under order {order_id}; nothing was changed", order_id=order_id)
    return row


def told(row: Row) -> ScheduledCharge:
    """What a dated charge's row tells."""
    assert row.due_at is not None
    assert row.money is not None
    payment = payment_of(row)
    waits = row.state is State.SCHEDULED or (row.state is State.NOT_SENT and row.sealed is not None)
    status = (ScheduleStatus.SCHEDULED if waits else
              ScheduleStatus.REVOKED if row.state is State.NOT_SENT else ScheduleStatus.EXECUTED)
    seen = {State.REFUSED: PaymentStatus.FAILED, State.ANSWERED: None if payment is None else payment.status}
    return ScheduledCharge(order_id=row.id, due_at=instant(row.due_at), money=row.money, status=status,
                           payment_status=seen.get(row.state), provider_id=row.provider_id,
                           message=None if payment is None else payment.message)


def instant(seconds: float) -> datetime:
    """An instant of the ledger as a datetime in UTC."""
    return datetime.fromtimestamp(seconds, UTC)


def find_schedule(account: Account, order_id: str) -> Steps[ScheduledCharge]:
    """One dated charge, whoever runs it.

    Raises: NotFound, OutcomeUnknown.
    """
    row = yield from get_row(account.scope, Book.PAYMENT, order_id)
    if row is not None and is_own(row):
        return told(row)
    if account.offers(Capability.FIND_SCHEDULE) and not account.supports(Capability.FIND_SCHEDULE):
        raise NotFound(f"there is no dated charge under order {order_id}", order_id=order_id)
    return (yield from native.find_schedule(account, order_id))


@takes(SchedulesOf)
def schedules(account: Account, command: SchedulesOf) -> Steps[tuple[ScheduledCharge, ...]]:
    """The dated charges of a billing key, whoever runs them, by their dates.

    Raises: OutcomeUnknown where the PG could not be asked.
    """
    is_ours_alone = account.offers(Capability.SCHEDULES) and not account.supports(Capability.SCHEDULES)
    theirs = () if is_ours_alone else (yield from native.schedules(account, command))
    rows: list[Row] = yield Entry("of_key", (account.scope, key_digest(command.billing_key.value)))
    ours = [s for s in map(told, filter(is_own, rows)) if command.start <= s.due_at < command.end]
    return tuple(sorted([*theirs, *ours], key=lambda s: (s.due_at, s.order_id)))
