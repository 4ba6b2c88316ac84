"""Give money back: never more than is left, never twice, one refund of an order at a time.

The balance is read and written down before the refund is asked for, so that a lost answer can be settled by comparing.
"""

from __future__ import annotations

from attrs import frozen

from ..capability import CancelGuard, Capability
from ..codec import dump
from ..commands import Cancel, CancelWhole
from ..errors import BadCommand, InProgress, NotSent, OutcomeUnknown, PaygateError
from ..ledger.row import Book, Damaged, Kind, LedgerError, Row, State
from ..ledger.rules import UNRESOLVED, Verdict, is_recorded
from ..model import Cancellation, Payment
from ..money import Money
from .account import Account
from .advice import advise
from .begin import Begun, begin, new_row
from .charge import never_left
from .outcome import not_sent, noted, unknown, unrecorded_doubt
from .refunds import (
    NAMED_ANOTHER,
    SAID_DONE,
    Asked,
    accounted,
    balance,
    foreign,
    given,
    is_stopped,
    known,
    later_than,
    look_at_refund,
    may_hold,
    owner_of,
    recorded,
    shows,
    stopped,
    told,
)
from .schedule import look_at_schedule
from .settle import in_doubt, interrupted, look
from .steps import Entry, Steps, change, takes, via
from .talk import Talk


@takes(Cancel, CancelWhole)
def cancel(account: Account, command: Cancel | CancelWhole) -> Steps[Cancellation]:
    """Give `command.money`, or all that is left, back.

    Raises: BadCommand (more than is left, other currency, not paid), InProgress (another refund is not settled),
    Refused, NotSent, Conflict, OutcomeUnknown (the payment's or this refund's outcome is not known).
    """
    account.require(Capability.CANCEL, *([Capability.CANCEL_PARTLY] if isinstance(command, Cancel) else []))
    account.check(command)
    talk = Talk(account)
    try:
        yield from _resolved_payment(account, command.order_id, talk)
        begun = yield from _begin(account, command, talk)
    except Damaged:
        raise
    except LedgerError as error:
        raise NotSent(f"nothing was sent for {command.cancel_id}: the ledger cannot be used ({error}); "
                      "the same id may be sent again", order_id=command.order_id) from None
    if begun.verdict is Verdict.LOOK:
        return told((yield from _looked(account, begun.row, talk)))
    if begun.verdict is not Verdict.SEND:
        return told(begun.row)
    return (yield from account.sending([command.cancel_id], _send(account, command, begun.row, talk)))


def _looked(account: Account, row: Row, talk: Talk) -> Steps[Row]:
    try:
        return (yield from via("asked again", look_at_refund(account, row, talk)))
    except LedgerError:
        raise unrecorded_doubt(row) from None


def _resolved_payment(account: Account, order_id: str, talk: Talk) -> Steps[None]:
    """Refuse to touch an order whose payment is in doubt (one look-up may end the doubt)."""
    row = yield from owner_of(account.scope, order_id)
    if row is None or row.book is Book.STRAY:
        return
    if row.kind is Kind.REGISTER and not account.spec.profile.register_takes_money.value:
        raise BadCommand(f"order {order_id} registered a billing key; there is no money to give back")
    if row.state in UNRESOLVED:
        if account.is_held(row):
            raise InProgress(f"the payment of order {order_id} is not settled yet; ask again later", order_id=order_id)
        row = yield from (look_at_schedule if row.kind is Kind.SCHEDULE else look)(account, row, talk)
        if is_recorded(row):
            raise BadCommand(f"order {order_id} is recorded and was not sent yet; there is no money to give back")
        if row.state in UNRESOLVED:
            doubt = unknown(row)
            yield from advise(account, order_id, doubt)
            raise doubt


def _begin(account: Account, command: Cancel | CancelWhole, talk: Talk) -> Steps[Begun]:
    fresh = new_row(account, Kind.CANCEL, command.cancel_id, command, order_id=command.order_id, state=State.OPENED,
                    money=command.money if isinstance(command, Cancel) else None)
    try:
        return (yield from begin(account, fresh))
    except InProgress:
        if not (yield from _settle_blocking(account, command, talk)):
            raise
    return (yield from begin(account, fresh))


def _settle_blocking(account: Account, command: Cancel | CancelWhole, talk: Talk) -> Steps[bool]:
    """Try to end the doubt about an earlier refund of the same order, whose worker is gone."""
    blocking = (yield from _open_refund(account, command.order_id))
    if blocking is None:
        return True
    if blocking.id == command.cancel_id or account.is_held(blocking):
        return False
    if is_recorded(blocking):
        raise InProgress(f"another refund ({blocking.id}) of order {command.order_id} is recorded and not sent yet; "
                         "nothing was sent; give its command first, or resolve it as not_sent",
                         order_id=command.order_id)
    return (yield from look_at_refund(account, blocking, talk)).state not in UNRESOLVED


def _open_refund(account: Account, order_id: str) -> Steps[Row | None]:
    rows: list[Row] = yield Entry("refunds", (account.scope, order_id))
    return next((r for r in rows if r.state in UNRESOLVED), None)


def _send(account: Account, command: Cancel | CancelWhole, row: Row, talk: Talk) -> Steps[Cancellation]:
    beyond = Beyond()
    try:
        payment = yield from balance(account, row, talk)
        if row.before is not None and not is_stopped(row) and (done := (
                yield from _late(account, row, payment))) is not None:
            return done
        beyond = yield from _beyond(account, command, row, payment)
        money = None if beyond.may_be_this else _amount(command, payment)
    except GeneratorExit:
        raise  # Dropped, like a crash: an opened refund is given up once its lease is over.
    except BaseException as error:
        if not (yield from _given_up(row, beyond.attention)):
            raise InProgress(f"another worker holds {row.id}; ask again later", order_id=row.order_id) from None
        if isinstance(error, OutcomeUnknown | NotSent | LedgerError):
            raise not_sent(row, f"the balance could not be read ({error})") from None
        raise
    if money is None:
        raise (yield from _stop(command, row, payment, beyond))
    try:
        held = yield from change(row, "balance read; asking", state=State.SENT, money=money,
                                 result=dump(Asked(payment=payment, reason=command.reason)),
                                 before=payment.cancelled.amount, attention=beyond.attention)
    except LedgerError as error:
        yield from _given_up(row)
        raise not_sent(row, f"the ledger cannot be written ({error})") from None
    if held is None:
        raise InProgress(f"another worker holds {row.id}; ask again later", order_id=row.order_id)
    return (yield from _refund(account, command, held, payment, talk))


def _given_up(row: Row, attention: str | None = None) -> Steps[bool]:
    """Let go of a refund that was not asked for; False where another worker holds it by now."""
    try:
        moved = yield from change(row, "nothing was asked of the PG", state=State.NOT_SENT, lease_until=None,
                                  check_at=None, attention=attention)
    except LedgerError:
        return True  # It stays opened, and whoever finds it after its lease gives it up.
    return moved is not None


def _late(account: Account, row: Row, payment: Payment) -> Steps[Cancellation | None]:
    """A refund that was proven not done, asked for again: what the PG did with the first asking comes first.

    Raises: OutcomeUnknown where the balance moved by something else meanwhile: then only a person can tell.
    """
    later = yield from later_than(account, row)
    if given(row, payment) == accounted(later):
        return None
    if shows(row, payment, later):
        return (yield from recorded(row, payment, attention="late: the PG gave it back after it was thought not sent"))
    raise OutcomeUnknown(f"the balance of order {row.order_id} moved since this refund was first asked for; look at "
                         "the PG's record, then use a new cancel_id", order_id=row.order_id)


@frozen(kw_only=True)
class Beyond:
    """What the PG has given back beyond the refunds of this ledger (in its console, before a backup was restored)."""

    why: str | None = None
    may_be_this: bool = False
    attention: str | None = None
    """The same, where nobody has been told of it yet."""
    money: Money | None = None


def _beyond(account: Account, command: Cancel | CancelWhole, row: Row, payment: Payment) -> Steps[Beyond]:
    refunds: list[Row] = yield Entry("refunds", (account.scope, row.order_id))
    more = payment.cancelled.amount - accounted(refunds)
    if more <= 0:
        return Beyond()
    why = foreign(Money(more, payment.money.currency))
    is_told = payment.cancelled.amount <= (yield from known(account, row))
    fits = isinstance(command, CancelWhole) or may_hold(command.money, refunds, payment)
    if payment.left.is_zero:
        # Nothing could be sent; but this very refund may have been done, and then "not sent" would be untrue.
        may_be_this = fits and (not is_told or any(c.reason == command.reason for c in payment.cancellations))
    else:
        # A whole refund leaves nothing: where something is left, it was not done.
        may_be_this = fits and isinstance(command, Cancel)
    return Beyond(why=why, may_be_this=may_be_this, attention=None if is_told and not may_be_this else why,
                  money=Money(more, payment.money.currency))


def _stop(command: Cancel | CancelWhole, row: Row, payment: Payment, beyond: Beyond) -> Steps[PaygateError]:
    """Leave it to a person whether this very refund was done before; nothing is sent until then."""
    money = command.money if isinstance(command, Cancel) else beyond.money
    try:
        held = yield from change(row, "stopped before anything was asked", state=State.UNKNOWN, lease_until=None,
                                 check_at=None, money=money, before=payment.cancelled.amount, result=None,
                                 attention=beyond.attention)
    except LedgerError as error:
        return not_sent(row, f"{beyond.why}, and the ledger cannot be written ({error})")
    return InProgress(f"another worker holds {row.id}; ask again later", order_id=row.order_id) if held is None \
        else stopped(held)


def _amount(command: Cancel | CancelWhole, payment: Payment) -> Money:
    """The stated amount, or all that is left.

    Raises: BadCommand where that much is not left.
    """
    if payment.left.is_zero:
        raise BadCommand(f"everything was given back for order {command.order_id} already; nothing was sent")
    if isinstance(command, CancelWhole):
        return payment.left
    if command.money > payment.left:
        raise BadCommand(f"{command.money} is more than the {payment.left} left of order {command.order_id}; "
                         "nothing was sent")
    return command.money


def _refund(account: Account, command: Cancel | CancelWhole, row: Row, payment: Payment,
            talk: Talk) -> Steps[Cancellation]:
    assert row.money is not None
    attention: str | None = None
    stated = command if isinstance(command, Cancel) else Cancel(
        cancel_id=command.cancel_id, order_id=command.order_id, money=row.money, reason=command.reason,
        requested_by=command.requested_by, extra=command.extra)
    try:
        after = yield from talk.say(account.provider.cancel(stated, payment))
    except Exception as error:
        fault: Exception = error
        if isinstance(error, OutcomeUnknown) and error.accepted:
            attention = _contradicts(account, payment, payment)
    except GeneratorExit:
        raise
    except BaseException:
        yield from interrupted(account, row, talk)
        raise
    else:
        if _is_same(payment, after) and given(row, after) == row.money.amount:
            return (yield from recorded(row, after))
        attention = _contradicts(account, payment, after)
        fault = OutcomeUnknown(attention or SAID_DONE)
    if not talk.sent:
        raise (yield from never_left(account, row, fault))
    return (yield from _doubted(account, row, fault, talk, attention))


def _contradicts(account: Account, before: Payment, after: Payment) -> str | None:
    """What a person must know of an answer that calls a refund done and does not show it."""
    if not _is_same(before, after):
        return NAMED_ANOTHER
    # Without a checksum a refund asked for again could be given again, so such a contradiction is left to a person.
    return SAID_DONE if account.spec.profile.cancel_guard.value is CancelGuard.COMPARE else None


def _is_same(before: Payment, after: Payment) -> bool:
    return (after.provider_id, after.order_id, after.money) == (before.provider_id, before.order_id, before.money)


def _doubted(account: Account, row: Row, fault: Exception, talk: Talk, attention: str | None) -> Steps[Cancellation]:
    cause = fault if isinstance(fault, PaygateError) else None
    try:
        row = yield from in_doubt(account, row, f"refund in doubt: {noted(fault)}", cause)
        if attention is not None:
            row = (yield from change(row, "contradiction", state=row.state, attention=attention)) or row
        row = yield from look_at_refund(account, row, talk, mine=True)
    except LedgerError:
        raise unrecorded_doubt(row, cause) from None
    except PaygateError:
        raise unknown(row, cause) from None
    if row.state in UNRESOLVED:
        raise unknown(row, cause) from None
    return told(row)
