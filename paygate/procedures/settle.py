"""Look at what the PG says of a row, and write down what that proves. Nothing here ever sends money anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attrs import evolve

from ..capability import Absence, Capability
from ..codec import dump, load
from ..errors import NotSent, OutcomeUnknown, PaygateError, Refused
from ..ledger.chain import altered
from ..ledger.row import LedgerError, Line, Row, State, Taken
from ..ledger.rules import next_check
from ..model import Payment
from .account import Account
from .outcome import Finding, Seen, credentials, declined, judge, not_asked, refusal_text
from .steps import Entry, Steps, change, reread
from .talk import Talk
from .timetable import AWAITS_PAYER, UNRESOLVED, again, doubt, given_up, is_captured, missed, watch

UNNAMED = "handed to the payer; only the PG's answer will name the payment"
"""How the trail tells that a window was shown which cannot be asked about."""

def ask(account: Account, row: Row, talk: Talk) -> Steps[tuple[Payment, ...] | None]:
    """Every record the PG has of the row's order; None where this PG cannot be asked.

    Raises: OutcomeUnknown where it did not answer, or not to us (a refused question says nothing about the money).
    """
    try:
        if account.supports(Capability.FIND):
            return (yield from talk.say(account.provider.find(row.order_id)))
        if (theirs := _known_as(account, row)) is not None and account.supports(Capability.LOOKUP):
            found = yield from talk.say(account.provider.lookup(theirs, row.order_id))
            return () if found is None else (found,)
    except (NotSent, Refused, OutcomeUnknown) as error:
        raise not_asked(f"order {row.order_id}", error, order_id=row.order_id) from credentials(error)
    return None


def whole_story(account: Account, row: Row, payment: Payment, talk: Talk) -> Steps[tuple[Payment, ...]]:
    """`payment`, or every record under its order where it took no money: a later attempt of the payer may have."""
    if payment.status.took_money or not account.supports(Capability.FIND):
        return (payment,)
    return (yield from ask(account, row, talk)) or (payment,)


def _known_as(account: Account, row: Row) -> str | None:
    """The PG's id of the row's payment: the row's own, else that of a failed record, which may still be approved, or of
    the payment that was to be captured.
    """
    is_told = row.state is State.REFUSED or is_captured(account, row)
    if row.provider_id is not None or not is_told or row.result is None:
        return row.provider_id
    return load(row.result, Payment).provider_id


def look(account: Account, row: Row, talk: Talk, *, mine: bool = False) -> Steps[Row]:
    """Ask the PG about a charge, a one-off payment or a registration, and move its row as far as the answer proves.

    `mine`: the caller holds the row's lease.
    """
    asked_at = account.now()
    records = yield from ask(account, row, talk)
    if records is None:
        return (yield from unanswerable(account, row))
    finding = judge(row, records, is_test=account.is_test)
    return (yield from settle(account, row, finding, mine=mine, asked_at=asked_at))


def settle(account: Account, row: Row, finding: Finding, *, mine: bool = False,
           asked_at: float | None = None) -> Steps[Row]:
    """Move `row` as far as `finding` proves. Returns the row as it stands afterwards, whoever moved it.

    `asked_at` is when the PG was asked: a process may stand still before it reads the answer, and what was not there
    then proves nothing of the time since.
    """
    now = account.now() if asked_at is None else asked_at
    if finding.seen is Seen.FAILED and (yield from _may_be_another_window(account, row, finding)):
        finding = Finding(seen=Seen.ABSENT)
    if not mine and account.is_held(row) and finding.seen is not Seen.PAID:
        return row  # Another worker holds it, and nothing but "paid" is certain before that worker is done.
    if (step := _step(account, row, finding, now)) is None:
        return row
    note, changes = step
    if altered(row, lease_until=None, **changes) == row:
        return row  # Nothing new: a repeated webhook or question costs no write.
    try:
        moved = yield from change(row, note, lease_until=None, **changes)
    except Taken:
        in_doubt = row.state in (State.SENT, State.UNKNOWN)
        kept = doubt(account, row, now) if in_doubt else {"state": row.state, **watch(row, account, now)}
        moved = yield from change(row, "the PG's payment id belongs to another order", **{
            **kept, "attention": "the PG's payment belongs to another order already"})
    if moved is not None:
        return moved
    fresh = yield from reread(row)
    if fresh.fence != row.fence and finding.seen is Seen.PAID and finding.payment is not None \
            and is_doubted(fresh, finding.payment):
        # Another record was written meanwhile: two that took money are never told as one.
        again = judge(fresh, [finding.payment], is_test=account.is_test)
        return (yield from settle(account, fresh, again, mine=mine, asked_at=asked_at))
    return fresh


def is_doubted(row: Row, payment: Payment) -> bool:
    """Whether `row` does not tell of `payment`, which took money."""
    return row.state is not State.ANSWERED or row.provider_id != payment.provider_id


def _may_be_another_window(account: Account, row: Row, finding: Finding) -> Steps[bool]:
    """Whether a payment that failed says nothing of its order: the payer was shown more than one window, and nobody can
    ask the PG what was paid in the others; or it is not the one that was to be captured.
    """
    if is_captured(account, row):
        return _id_of(finding) != getattr(payment_of(row), "provider_id", None)
    if row.kind not in AWAITS_PAYER or row.state is not State.SENT or account.supports(Capability.FIND):
        return False
    lines: list[Line] = yield Entry("trail", (account.scope, row.id))
    return sum(line.note.endswith(UNNAMED) for line in lines) > 1


def _step(account: Account, row: Row, finding: Finding, now: float) -> tuple[str, dict[str, Any]] | None:
    """What a finding makes of a row, as (note, changes)."""
    match finding.seen:
        case Seen.PAID:
            return _paid(account, row, finding, now)
        case Seen.PENDING if row.state in (State.SENT, State.UNKNOWN):
            assert finding.payment is not None
            return "the PG has not finished", _pending(account, row, finding.payment, now)
        case Seen.FAILED if row.state in (State.SENT, State.UNKNOWN):
            assert finding.payment is not None
            return "the PG's record says failed", refused_changes(account, finding.payment, now)
        case Seen.FAILED if row.state is State.ANSWERED and row.provider_id == _id_of(finding):
            return "the PG now says failed", {"state": row.state,
                                              "attention": "the PG says failed after it had said paid"}
        case Seen.FAILED | Seen.ABSENT if _is_a_persons_word(account, row, finding):
            return "not as a person said", {"state": row.state, **watch(row, account, now), "attention": SAID_PAID}
        case Seen.CONTRADICTED if finding.is_elsewhere and row.kind in AWAITS_PAYER and row.state is State.SENT:
            # The payer's window stays open: who pays in the other mode does not close it, but a person is told.
            return "contradiction", {**missed(account, row, now)[1], "attention": finding.why}
        case Seen.CONTRADICTED if row.state in (State.SENT, State.UNKNOWN):
            return "contradiction", {**doubt(account, row, now), "attention": finding.why}
        case Seen.CONTRADICTED:
            return "contradiction", {"state": row.state, **watch(row, account, now), "attention": finding.why}
        case Seen.ABSENT if row.state in (State.SENT, State.UNKNOWN):
            return missed(account, row, now)
    return "checked", {"state": row.state, **watch(row, account, now)}


SAID_PAID = "a person said that it was paid, and the PG does not show it"


def _is_a_persons_word(account: Account, row: Row, finding: Finding) -> bool:
    """Whether a row was resolved as paid, the PG never named its payment, and the PG's records speak against it."""
    said = payment_of(row) if row.state is State.ANSWERED and row.provider_id is None else None
    proves = finding.seen is Seen.FAILED or account.spec.profile.absence.value is not Absence.NOTHING
    return said is not None and said.status.took_money and not said.money.is_zero and proves


def _id_of(finding: Finding) -> str | None:
    """The payment that decides. Another one that failed is an earlier attempt of the payer, not this one undone."""
    return None if finding.payment is None else finding.payment.provider_id


def _paid(account: Account, row: Row, finding: Finding, now: float) -> tuple[str, dict[str, Any]]:
    assert finding.payment is not None
    known = payment_of(row) if row.state is State.ANSWERED else None
    if known is not None and known.cancelled > finding.payment.cancelled:
        return _older(account, row, f"{known.cancelled} were given back, and now it shows "
                                    f"{finding.payment.cancelled}", now)
    late = row.state in (State.REFUSED, State.NOT_SENT)
    attention = row.attention if row.attention is None or not row.attention.startswith(UNRESOLVED) else None
    if late:
        attention = f"late approval: the PG took the money after this was {row.state.value}"
    return "late approval" if late else "the PG's record says paid", {
        "state": State.ANSWERED, "result": dump(finding.payment), "provider_id": finding.payment.provider_id,
        "attention": attention, "check_at": None, "checks": 0, "missed_at": None}


def _older(account: Account, row: Row, shown: str, now: float) -> tuple[str, dict[str, Any]]:
    """A record from before a refund: a replica that lags, or, when it still does after the settle window, a refund that
    the PG or the payer's bank has undone.
    """
    if row.missed_at is None:
        return "older than what is known", {"state": row.state, "missed_at": now, "check_at": now + account.settle_s}
    if now - row.missed_at < account.settle_s:
        return "older than what is known", {"state": row.state}
    return "a refund is gone", {"state": row.state, "check_at": None, "attention":
                                f"a refund is gone from the PG's record: {shown}"}


def refused_changes(account: Account, payment: Payment, now: float) -> dict[str, Any]:
    """A failed record. It is watched for a day: some PGs approve late."""
    return {"state": State.REFUSED, "refusal": refusal_text(declined(payment)), "result": dump(payment),
            "checks": 0, "check_at": now + 5 * account.settle_s, "attention": None}


def _pending(account: Account, row: Row, payment: Payment, now: float) -> dict[str, Any]:
    """The PG itself says that it is not done; when the timetable is, a person is asked."""
    changes = {**again(account, row, now), "result": dump(payment), "provider_id": payment.provider_id}
    if is_captured(account, row):
        # It may be another window's: which one was to be captured stays written down.
        changes |= {"result": row.result, "provider_id": row.provider_id}
    elif row.kind in AWAITS_PAYER:
        # A payer who closes one window may pay in the next: where we can ask by our order, no window is *the* one.
        if account.supports(Capability.FIND):
            changes["provider_id"] = row.provider_id
        if changes["check_at"] is None:
            changes |= given_up(account, now)
        return changes
    if changes["check_at"] is None:
        changes["attention"] = row.attention or f"{UNRESOLVED}the PG never finished it"
    return changes


def unanswerable(account: Account, row: Row) -> Steps[Row]:
    """A doubt that no look-up can resolve: a person is told, and a webhook may still help."""
    now = account.now()
    if account.is_held(row):
        return row
    if row.state not in (State.SENT, State.UNKNOWN):
        if row.check_at is None or now < row.check_at:
            return row
        # Its end would be looked at again; at this PG there is nothing to look at.
        return (yield from change(row, "cannot be looked up at this PG", state=row.state, check_at=None)) \
            or (yield from reread(row))
    patient = row.opened_at + 900.0 > now
    # A payer who has just closed a window may open it again; a charge that cannot be looked up is a doubt at once.
    state = State.SENT if patient and row.kind in AWAITS_PAYER and row.state is State.SENT else State.UNKNOWN
    moved = yield from change(row, "cannot be looked up at this PG", state=state, lease_until=None,
                              check_at=row.opened_at + 900.0 if patient else None,
                              attention=None if patient else f"{UNRESOLVED}this PG cannot be asked by our order_id")
    return moved if moved is not None else (yield from reread(row))


def in_doubt(account: Account, row: Row, note: str, cause: PaygateError | None = None) -> Steps[Row]:
    """Write down that the outcome is not known: nothing leaves for this row from now on.

    `cause` holds what the PG said, if anything.
    """
    now = account.now()
    account.doubts[row.id] = account.clock.monotonic() + account.settle_s
    changes = {**doubt(account, row, now), "sent_at": now, "checks": 0,
               "check_at": next_check(0, now, account.settle_s)}
    if isinstance(cause, Refused):
        changes["refusal"] = refusal_text(cause)
    moved = yield from change(row, note, lease_until=None, **changes)
    return moved if moved is not None else (yield from reread(row))


def interrupted(account: Account, row: Row, talk: Talk) -> Steps[None]:
    """The call is being torn down (KeyboardInterrupt, a cancelled task): leave the row telling the truth."""
    if row.state is not State.SENT:
        return
    try:
        if talk.sent:
            yield from in_doubt(account, row, "interrupted after it may have been sent")
        else:
            yield from change(row, "interrupted before anything was sent", state=State.NOT_SENT, lease_until=None,
                              check_at=None)
    except LedgerError:
        pass  # The row stays "sent" and is looked up later; what matters now is that the interrupt goes on.


def payment_of(row: Row) -> Payment | None:
    """The payment a row recorded last."""
    return None if row.result is None else load(row.result, Payment)


def latest(records: Sequence[Payment], row: Row, *, is_test: bool) -> Payment | None:
    """The record that decides, whatever it says."""
    return judge(row, records, is_test=is_test).payment


def unrecorded(payment: Payment) -> Payment:
    """The same payment, marked as not written to the ledger."""
    return evolve(payment, unrecorded=True)
