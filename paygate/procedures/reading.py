"""Ask the PG: a payment by our id or by theirs, a billing key. Reading heals what the ledger was in doubt about."""

from __future__ import annotations

from datetime import timedelta

from ..capability import Capability
from ..commands import DeleteKey, KeysOf, check_id
from ..errors import BadCommand, NotFound, NotSent, OutcomeUnknown, Refused, Unauthorized
from ..ledger.row import Book, Kind, Row, State
from ..ledger.rules import UNRESOLVED, is_recorded, key_digest
from ..model import BillingKey, KeyInfo, Payment, ScheduledCharge, ScheduleStatus
from .account import Account
from .executed import contradicted, judged
from .outcome import OTHER_MODE, Seen, credentials, hidden, is_elsewhere, judge, not_asked, unknown
from .schedule import told as told_schedule
from .settle import ask, settle, whole_story
from .steps import Entry, Steps, get_row, reread, takes, via
from .talk import Talk
from .timetable import AWAITS_PAYER
from .unheard import unsent


def find(account: Account, order_id: str) -> Steps[Payment]:
    """The payment under our `order_id`, as the PG has it now.

    Raises: NotFound (proven, or an order this ledger never sent), OutcomeUnknown (not found, but not yet proven absent;
    or the PG could not be asked).
    """
    check_id("order_id", order_id)
    row = yield from get_row(account.scope, Book.PAYMENT, order_id)
    if row is None or row.provider_id is None:
        account.require(Capability.FIND)
    asked = row or _stranger(account, order_id)
    talk, asked_at = Talk(account), account.now()
    records = (yield from ask(account, asked, talk)) or ()
    is_dated = asked.kind is Kind.SCHEDULE
    finding = judged(account, asked, records) if is_dated else judge(asked, records, is_test=account.is_test)
    if is_dated and finding.seen is Seen.CONTRADICTED:
        yield from via("find", contradicted(account, asked, finding.why))
    elif row is not None and not is_dated:
        row = yield from via("find", settle(account, row, finding, asked_at=asked_at))
    if finding.seen is Seen.CONTRADICTED:
        raise OutcomeUnknown(f"{finding.why}; order {order_id} needs a person", order_id=order_id)
    if finding.payment is not None:
        return finding.payment
    if row is not None and (row.state is State.ANSWERED or (
            row.state in UNRESOLVED and row.kind not in AWAITS_PAYER)) and row.kind is not Kind.SCHEDULE:
        if is_recorded(row) and is_recorded((yield from reread(row))):
            raise NotFound(f"order {order_id} is recorded and was not sent yet; giving its command sends it",
                           order_id=order_id)
        raise unknown(row)
    raise NotFound(f"the PG has no payment under order {order_id}", order_id=order_id)


def _stranger(account: Account, order_id: str) -> Row:
    """A row that states nothing: for an order which this ledger did not send."""
    return Row(gateway=account.scope, kind=Kind.REGISTER, id=order_id, order_id=order_id, digest="",
               state=State.NOT_SENT, opened_at=account.now())


def lookup(account: Account, provider_id: str) -> Steps[Payment]:
    """The payment under the PG's own id, as the PG has it now.

    Raises: NotFound, OutcomeUnknown (the PG could not be asked, or its record contradicts our order).
    """
    account.require(Capability.LOOKUP)
    talk = Talk(account)
    payment = yield from look_up(account, provider_id, talk)
    if payment is None:
        known: Row | None = yield Entry("by_provider_id", (account.scope, provider_id))
        if known is not None and known.state is State.ANSWERED:
            raise OutcomeUnknown(f"the PG does not show the payment of order {known.order_id} now; ask again later",
                                 order_id=known.order_id)
        raise NotFound("the PG has no payment under that id")
    row = yield from get_row(account.scope, Book.PAYMENT, payment.order_id)
    payment = hidden(account.provider, row, payment)
    if row is not None:
        records = yield from whole_story(account, row, payment, talk)
        if row.kind is Kind.SCHEDULE:
            finding = judged(account, row, records)
            if finding.seen is Seen.CONTRADICTED:
                yield from via("lookup", contradicted(account, row, finding.why))
        else:
            finding = judge(row, records, is_test=account.is_test)
            yield from via("lookup", settle(account, row, finding))
        if finding.seen is Seen.CONTRADICTED:
            raise OutcomeUnknown(f"{finding.why}; order {row.order_id} needs a person", order_id=row.order_id)
    if is_elsewhere(payment, is_test=account.is_test):
        raise OutcomeUnknown(OTHER_MODE, order_id=payment.order_id)
    return payment


def look_up(account: Account, provider_id: str, talk: Talk) -> Steps[Payment | None]:
    """One look-up by the PG's id. Its record may be of the other of test and live mode: that is for who asks to judge.

    Raises: OutcomeUnknown.
    """
    row: Row | None = yield Entry("by_provider_id", (account.scope, provider_id))
    try:
        return (yield from talk.say(account.provider.lookup(provider_id, None if row is None else row.order_id)))
    except (NotSent, Refused, OutcomeUnknown) as error:
        raise not_asked("that payment" if row is None else f"order {row.order_id}", error,
                        order_id=None if row is None else row.order_id) from credentials(error)


@takes(BillingKey)
def lookup_key(account: Account, billing_key: BillingKey) -> Steps[KeyInfo]:
    """What the PG knows of a billing key.

    Raises: NotFound, OutcomeUnknown (the PG could not be asked).
    """
    account.require(Capability.LOOKUP_KEY)
    if billing_key.gateway != account.name:
        raise BadCommand(f"the billing key belongs to gateway {billing_key.gateway!r}; nothing was sent")
    try:
        info = yield from Talk(account).say(account.provider.lookup_key(billing_key.value, account.name))
    except (NotSent, Unauthorized, OutcomeUnknown) as error:
        raise not_asked("the billing key", error) from credentials(error)
    if info is None:
        raise NotFound("the PG knows no such billing key")
    if is_key_elsewhere(account, info):
        raise OutcomeUnknown(OTHER_MODE)
    return info


@takes(KeysOf)
def keys(account: Account, command: KeysOf) -> Steps[tuple[KeyInfo, ...]]:
    """The billing keys that the PG has of one payer.

    Raises: OutcomeUnknown (the PG could not be asked).
    """
    account.require(Capability.KEYS)
    account.check(command)
    try:
        found = yield from Talk(account).say(account.provider.keys(command, account.name))
    except (NotSent, Unauthorized, OutcomeUnknown) as error:
        raise not_asked("the payer's billing keys", error) from credentials(error)
    if any(is_key_elsewhere(account, info) for info in found):
        raise OutcomeUnknown(OTHER_MODE)
    return found


def is_key_elsewhere(account: Account, info: KeyInfo) -> bool:
    """Whether a billing key's record says that it is from the other of test and live mode."""
    return info.test is not None and info.test is not account.is_test


@takes(DeleteKey)
def delete_key(account: Account, command: DeleteKey) -> Steps[None]:
    """Delete a billing key at the PG; deleting a deleted one changes nothing.

    Raises: BadCommand (subscriptions, dated charges or unknown outcomes hang on it, unless `force`), OutcomeUnknown (no
    answer: the same call may be made again), Refused, NotSent.
    """
    account.require(Capability.DELETE_KEY)
    account.check(command)
    talk = Talk(account)
    if not command.force:
        yield from unsent(_nothing_hangs_on(account, command, talk))
    yield from talk.say(account.provider.delete_key(command))


def _nothing_hangs_on(account: Account, command: DeleteKey, talk: Talk) -> Steps[None]:
    rows: list[Row] = yield Entry("of_key", (account.scope, key_digest(command.billing_key.value)))
    for row in rows:
        if is_recorded(row):
            raise BadCommand(f"order {row.order_id} is recorded and not sent yet; give its command, or resolve it as "
                             "not_sent, before deleting its key")
        if row.kind is not Kind.REGISTER and row.state in UNRESOLVED:
            raise BadCommand(f"the outcome of order {row.order_id} is not known yet; settle it before deleting its key")
        if row.kind is Kind.PLAN and row.state is State.SCHEDULED:
            raise BadCommand(f"subscription {row.id} still charges this key; unsubscribe it, or change its means of "
                             "payment, first")
        if row.kind is Kind.CHARGE and row.sealed is not None and row.state in (State.SCHEDULED, State.NOT_SENT):
            raise BadCommand(f"order {row.order_id} is still to be charged to this key; unschedule it first")
        if row.kind is Kind.SCHEDULE and row.state is State.ANSWERED \
                and told_schedule(row).status is ScheduleStatus.SCHEDULED:
            raise BadCommand(f"order {row.order_id} is still scheduled on this key; unschedule it first")
    if account.supports(Capability.SCHEDULES):
        now = account.clock.now()
        held: tuple[ScheduledCharge, ...] = yield from talk.say(
            account.provider.schedules(command.billing_key.value, now, now + timedelta(days=88)))
        if any(s.status is ScheduleStatus.SCHEDULED for s in held):
            raise BadCommand("the PG holds dated charges on this key; unschedule them first")


