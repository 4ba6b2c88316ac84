"""Charge a billing key: written down, sent at most once, believed only when the answer names what was asked for."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from attrs import evolve

from ..capability import Capability
from ..commands import Charge
from ..errors import Declined, InProgress, OutcomeUnknown, PaygateError, Refused
from ..flow import Flow
from ..ledger.row import Book, Kind, LedgerError, Row, State
from ..ledger.rules import Verdict, key_digest
from ..model import Payment, PaymentStatus
from ..secret import Secret
from .account import Account
from .advice import advise
from .begin import begin, new_row
from .outcome import (
    Finding,
    Seen,
    declined,
    judge,
    not_sent,
    noted,
    reason,
    refusal_from,
    refusal_text,
    stray_mark,
    unknown,
    unrecorded_doubt,
)
from .settle import ask, in_doubt, interrupted, look, payment_of, settle, unrecorded
from .steps import Steps, change, get_row, reread, takes, via
from .talk import Talk


@takes(Charge)
def charge(account: Account, command: Charge) -> Steps[Payment]:
    """Charge `command.billing_key` now, at most once, ever.

    Raises: Declined, Refused, NotSent, InProgress, Conflict, OutcomeUnknown, SetupError.
    """
    account.require(Capability.CHARGE)
    account.check(command)
    row = new_row(account, Kind.CHARGE, command.order_id, command, money=command.money,
                  key_digest=key_digest(command.billing_key.value))
    return (yield from take(account, row, partial(account.provider.charge, command), hide=command.billing_key.value))


def take(account: Account, fresh: Row, asking: Callable[[], Flow[Payment]], *, hide: Secret | None = None,
         ready: Callable[[Row], Steps[None]] | None = None) -> Steps[Payment]:
    """Write `fresh` down and take money with the flow of `asking`, or tell what became of it before.

    `ready` may still refuse to, once `fresh` is written down.

    Raises: as `charge`.
    """
    try:
        return (yield from _take(account, fresh, asking, Talk(account, hide=hide), ready))
    except OutcomeUnknown as doubt:
        yield from advise(account, fresh.id, doubt)
        raise


def _take(account: Account, fresh: Row, asking: Callable[[], Flow[Payment]], talk: Talk,
          ready: Callable[[Row], Steps[None]] | None) -> Steps[Payment]:
    begun = yield from begin(account, fresh)
    if begun.verdict is Verdict.SEND:
        return (yield from account.sending([fresh.id], send_held(account, asking, begun.row, talk, ready)))
    if begun.verdict is Verdict.LOOK:
        return told((yield from _looked(account, begun.row, talk)))
    return told(begun.row)


def _looked(account: Account, row: Row, talk: Talk, *, mine: bool = False) -> Steps[Row]:
    try:
        return (yield from via("asked again", look(account, row, talk, mine=mine)))
    except OutcomeUnknown as error:
        raise unknown(row, error) from error.__cause__
    except LedgerError:
        raise unrecorded_doubt(row) from None


def told(row: Row, cause: PaygateError | None = None) -> Payment:
    """What a row tells the caller.

    Raises: what was recorded; OutcomeUnknown where nothing is certain.
    """
    payment = payment_of(row)
    if row.state is State.ANSWERED and payment is not None:
        return payment
    if row.state is State.REFUSED:
        raise refusal_from(row)
    if row.state is State.NOT_SENT:
        raise not_sent(row, "the PG is proven to know nothing of it")
    if row.state is State.SENT and payment is not None and payment.status is PaymentStatus.PENDING:
        return payment
    raise unknown(row, cause)


def send_held(account: Account, asking: Callable[[], Flow[Payment]], row: Row, talk: Talk,
              ready: Callable[[Row], Steps[None]] | None = None) -> Steps[Payment]:
    """Take money for a row that this call holds, and write down what came of it."""
    fault: Exception
    try:
        if ready is not None:
            yield from ready(row)
        payment = None if (yield from _is_taken(account, row)) else (yield from talk.say(asking()))
    except Exception as error:
        fault = error
    except GeneratorExit:
        raise  # Dropped, like a crash: the row stays as it stands and is looked up later.
    except BaseException:
        yield from interrupted(account, row, talk)
        raise
    else:
        if payment is None:
            return told((yield from _looked(account, row, talk, mine=True)))
        return (yield from _answered(account, row, talk, payment))
    if not talk.sent:
        raise (yield from never_left(account, row, fault))
    return (yield from _doubted(account, row, talk, fault))


def _is_taken(account: Account, row: Row) -> Steps[bool]:
    """Whether the PG, which would not notice a second one, is known to have taken money under this order that this
    ledger never asked for: after a backup was restored it is what the order's forgotten charge took.
    """
    if account.spec.profile.refuses_reused_order_id.value:
        return False
    return (yield from get_row(account.scope, Book.STRAY, stray_mark(row.order_id))) is not None


def never_left(account: Account, row: Row, fault: Exception) -> Steps[PaygateError]:
    """Nothing left this machine: write that down and say it."""
    error = as_not_sent(row, fault)
    try:
        moved = yield from change(row, "nothing was sent", state=State.NOT_SENT, lease_until=None, check_at=None,
                                  refusal=refusal_text(error) if isinstance(error, Refused) else None)
        if moved is None and (yield from reread(row)).state is not State.NOT_SENT:
            # This call sent nothing, and that says nothing of the worker that has the row by now.
            return InProgress(f"another worker holds {row.id}; ask again later, do not use a new id",
                              order_id=row.order_id)
    except LedgerError:
        error.unrecorded = True
    return error


def as_not_sent(row: Row, fault: Exception) -> PaygateError:
    """The error for a fault before anything was sent: what says so already, or NotSent."""
    if isinstance(fault, PaygateError) and (fault.moved is False or isinstance(fault, InProgress)):
        fault.order_id = fault.order_id or row.order_id
        return fault
    error = not_sent(row, reason(fault))
    error.__cause__ = fault
    return error


def _answered(account: Account, row: Row, talk: Talk, payment: Payment) -> Steps[Payment]:
    finding = judge(row, [payment], is_test=account.is_test)
    if finding.seen is Seen.CONTRADICTED:
        return (yield from _doubted(account, row, talk, OutcomeUnknown(finding.why or ""), attention=finding.why))
    if finding.seen is Seen.FAILED:
        return (yield from _doubted(account, row, talk, Declined("declined"), answer=finding))
    return (yield from _recorded(account, row, finding))


def _recorded(account: Account, row: Row, finding: Finding, *, cause: PaygateError | None = None,
              attention: str | None = None) -> Steps[Payment]:
    """Write what the PG says down; if the ledger fails now, the caller still learns of it."""
    try:
        row = yield from settle(account, row, finding, mine=True)
        row = yield from _flagged(row, attention)
    except LedgerError:
        if finding.payment is None or finding.seen is Seen.CONTRADICTED:
            raise unrecorded_doubt(row, cause) from None
        if finding.seen is Seen.FAILED:
            raise _unrecorded(declined(finding.payment)) from None
        return unrecorded(finding.payment)
    return told(row, cause)


def _unrecorded(error: Declined) -> Declined:
    error.unrecorded = True
    return error


def _doubted(account: Account, row: Row, talk: Talk, fault: Exception, *, answer: Finding | None = None,
             attention: str | None = None) -> Steps[Payment]:
    """It may have happened, or the PG says no: one look-up decides what can be said now."""
    cause = fault if isinstance(fault, PaygateError) else None
    if answer is not None and answer.payment is not None:
        cause = declined(answer.payment)
    try:
        try:
            records, heard = (yield from _confirmed(account, row, talk, answer)), True
        except Exception:
            records, heard = None, False
        finding = None if records is None else judge(row, records, is_test=account.is_test)
        if finding is not None and finding.seen is not Seen.ABSENT:
            return (yield from _recorded(account, row, finding, cause=cause, attention=attention))
        if isinstance(fault, Declined) and heard and records is None:
            # This PG cannot be asked, and its complete answer, which names our order, says declined.
            return (yield from _declined(account, row, fault, answer, talk))
        row = yield from in_doubt(account, row, _note(cause or fault), cause)
        if row.state in (State.ANSWERED, State.REFUSED):
            return told(row)  # A webhook was quicker than the look-up.
        if finding is not None:
            row = yield from settle(account, row, finding, mine=True)
        row = yield from _flagged(row, attention)
    except LedgerError:
        raise unrecorded_doubt(row, cause) from None
    except (Exception, GeneratorExit):
        raise
    except BaseException:
        yield from interrupted(account, row, talk)
        raise
    raise unknown(row, cause) from None


def _confirmed(account: Account, row: Row, talk: Talk, answer: Finding | None) -> Steps[tuple[Payment, ...] | None]:
    """Every record of the order; where the PG cannot be asked by our order, a second look at the one it named."""
    records = yield from ask(account, row, talk)
    named = None if answer is None or answer.payment is None else answer.payment.provider_id
    if records is not None or named is None or not account.supports(Capability.LOOKUP):
        return records
    return (yield from ask(account, evolve(row, provider_id=named), talk))


def _flagged(row: Row, attention: str | None) -> Steps[Row]:
    if attention is None or row.attention is not None:
        return row
    return (yield from change(row, "contradiction", state=row.state, attention=attention)) or row


def _declined(account: Account, row: Row, fault: Declined, answer: Finding | None, talk: Talk) -> Steps[Payment]:
    if answer is not None:
        return (yield from _recorded(account, row, answer))
    fault.order_id = row.order_id
    try:
        moved = yield from change(row, "the PG declined", state=State.REFUSED, lease_until=None, checks=0,
                                  refusal=refusal_text(fault), check_at=account.now() + 5 * account.settle_s)
    except LedgerError:
        raise _unrecorded(fault) from None
    if moved is not None:
        raise fault
    return told((yield from look(account, row, talk, mine=True)))


def _note(fault: Exception) -> str:
    return f"outcome unknown: {noted(fault)}"
