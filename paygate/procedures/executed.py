"""What a dated charge that the PG has carried out must show before it counts: a payment that is what was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attrs import evolve

from ..codec import dump, load
from ..ledger.row import Row, State
from ..model import Payment, PaymentStatus, ScheduledCharge, ScheduleStatus
from .account import Account
from .outcome import Finding, Seen, judge
from .settle import ask
from .steps import Steps, change, reread
from .talk import Talk
from .timetable import UNRESOLVED, watch


def held(row: Row) -> ScheduledCharge | None:
    """What the row of a dated charge recorded last."""
    return None if row.result is None else load(row.result, ScheduledCharge)


def judged(account: Account, row: Row, records: Sequence[Payment]) -> Finding:
    """What the PG's payments say of the dated charge `row`. A payment that failed binds it to nothing: a PG tries again
    under another id.
    """
    known = held(row)
    is_bound = known is not None and known.payment_status is not None and known.payment_status.took_money
    return judge(row if is_bound else evolve(row, provider_id=None), records, is_test=account.is_test)


def proven(account: Account, row: Row, answer: ScheduledCharge,
           talk: Talk) -> Steps[tuple[ScheduledCharge, str | None]]:
    """The PG's record of the dated charge, as far as its payment bears it out; and why that cannot be ours, if so.

    A success without a payment is one that the PG has not finished. Nothing is asked about what the ledger knows.

    Raises: OutcomeUnknown where the PG could not be asked.
    """
    said, known = answer.payment_status, held(row) if row.state is State.ANSWERED else None
    if answer.status is not ScheduleStatus.EXECUTED or said in (None, PaymentStatus.PENDING):
        return answer, None
    if known is not None and (known.payment_status, known.provider_id) == (said, answer.provider_id):
        return answer, None
    records = yield from ask(account, evolve(row, provider_id=answer.provider_id or row.provider_id), talk)
    if records is None:
        return answer, None  # All there is to ask: it names the order, the amount and the currency.
    says_paid = said is not None and said.took_money
    named = evolve(row, state=State.ANSWERED, provider_id=answer.provider_id if says_paid else None)
    finding = judge(named, records, is_test=account.is_test)
    if finding.seen is Seen.CONTRADICTED:
        return answer, finding.why
    if finding.seen is Seen.PAID and finding.payment is not None:
        shown = answer if says_paid else evolve(answer, payment_status=finding.payment.status, code=None, message=None)
        return evolve(shown, provider_id=finding.payment.provider_id), None
    return evolve(answer, payment_status=PaymentStatus.PENDING) if says_paid else answer, None


def taken_down(account: Account, row: Row, answer: ScheduledCharge) -> Steps[Row]:
    """Write down what the PG says of a dated charge, and when to look again."""
    before = held(row) if row.state is State.ANSWERED else None
    attention = row.attention
    if row.state is State.NOT_SENT:
        attention = "late: the PG held it after all"
    elif before is not None and (before.payment_status, answer.payment_status) == (
            PaymentStatus.FAILED, PaymentStatus.PAID):
        attention = "late approval: the PG took the money after it had failed"
    elif attention is not None and attention.startswith(UNRESOLVED) and not _is_under_way(answer):
        attention = None
    changes = {"result": dump(answer), "provider_id": answer.provider_id or row.provider_id, "attention": attention,
               **_next_look(account, row, answer, before)}
    if evolve(row, state=State.ANSWERED, lease_until=None, **changes) == row:
        return row
    moved = yield from change(row, f"the PG says {answer.status.value}", state=State.ANSWERED, lease_until=None,
                              **changes)
    return moved if moved is not None else (yield from reread(row))


def _is_under_way(answer: ScheduledCharge) -> bool:
    """Whether it was carried out, and the PG has not said how it ended."""
    return answer.status is ScheduleStatus.EXECUTED and answer.payment_status in (None, PaymentStatus.PENDING)


def _next_look(account: Account, row: Row, answer: ScheduledCharge, before: ScheduledCharge | None) -> dict[str, Any]:
    """When to look at a dated charge next: when it is overdue; while the PG has not finished it, hourly and then daily
    for a week; after a failure for a day, as PGs try again by hand.
    """
    assert row.due_at is not None
    now = account.now()
    if _is_under_way(answer) and before is not None and _is_under_way(before):
        if row.check_at is None or now < row.check_at:
            return {}
        checks = row.checks + 1
        wait = 30 * account.settle_s if checks < 24 else 86_400.0 if checks < 31 else None
        given_up = {} if wait is not None else {"attention": row.attention or f"{UNRESOLVED}the PG never finished it"}
        return {"checks": checks, "check_at": None if wait is None else now + wait, **given_up}
    if answer.status is ScheduleStatus.SCHEDULED or _is_under_way(answer):
        return {"checks": 0, "check_at": max(now, row.due_at) + 30 * account.settle_s}
    if answer.payment_status is not PaymentStatus.FAILED:
        return {"checks": 0, "check_at": None}
    is_known = before is not None and before.payment_status is PaymentStatus.FAILED
    return watch(row, account, now) if is_known else {"checks": 0, "check_at": now + 5 * account.settle_s}


def contradicted(account: Account, row: Row, why: str | None) -> Steps[Row]:
    """Have a person told why the PG's payment cannot be this dated charge, however that was found out."""
    if account.is_held(row) or row.attention == why:
        return row
    return (yield from change(row, "contradiction", state=row.state, lease_until=None, attention=why)) \
        or (yield from reread(row))
