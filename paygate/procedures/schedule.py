"""Dated charges held by the PG: each item is written down, asked for once, and looked up one by one when in doubt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attrs import evolve

from ..capability import Capability
from ..codec import dump
from ..commands import DatedCharge, Schedule, SchedulesOf, Unschedule
from ..errors import BadCommand, InProgress, NotFound, NotSent, OutcomeUnknown, PaygateError, Refused
from ..ledger.row import Book, Kind, LedgerError, Row, State
from ..ledger.rules import Verdict, key_digest, next_check
from ..model import ScheduledCharge, ScheduleStatus
from .account import Account
from .begin import check_verdict, judge_row, new_row, retake
from .charge import as_not_sent
from .executed import held, proven, taken_down
from .outcome import (
    credentials,
    not_asked,
    not_sent,
    noted,
    refusal_from,
    refusal_text,
    unknown,
    unrecorded_doubt,
)
from .settle import in_doubt, interrupted
from .steps import Steps, change, get_row, open_rows, reread
from .talk import Talk
from .timetable import missed, watch

Judged = tuple[Row, Row, Verdict, bool]
"""The row wanted, the row stored, what the id means, and whether it is new."""

_OTHER_TERMS = "the PG holds another amount or date under this order"
_GONE = "the PG does not know this dated charge any more"


def schedule(account: Account, command: Schedule) -> Steps[tuple[ScheduledCharge, ...]]:
    """Have the PG hold every charge of `command`; the answer is in the command's order.

    An item whose order_id is known already with the same parameters is not asked for again.

    Raises: BadCommand (a due_at that is not in the future), Conflict, InProgress, Refused, NotSent, OutcomeUnknown
    (naming the first item in doubt).
    """
    account.require(Capability.SCHEDULE)
    account.check(command)
    now, talk = account.clock.now(), Talk(account, hide=command.billing_key.value)
    if any(item.due_at <= now for item in command.charges):
        raise BadCommand("due_at must lie in the future; nothing was sent")
    rows, mine = yield from _begin(account, command, talk)
    to_send = [item for item in command.charges if item.order_id in mine]
    if to_send:
        rows |= yield from account.sending([item.order_id for item in to_send],
                                           _send(account, evolve(command, charges=to_send), rows, talk))
    return tuple([told(rows[item.order_id]) for item in command.charges])


def _begin(account: Account, command: Schedule, talk: Talk) -> Steps[tuple[dict[str, Row], set[str]]]:
    """Rows for every item, and the ids of those that this call holds and must send; all others were looked at.

    Raises: NotSent, Conflict, InProgress; then no item is sent.
    """
    wanted = [_row(account, command, item) for item in command.charges]
    try:
        opened = yield from open_rows(wanted, "opened")
        judged = [(row, stored, Verdict.SEND if is_new else judge_row(account, stored, row), is_new)
                  for row, (stored, is_new) in zip(wanted, opened, strict=True)]
        try:
            for _, stored, said, _ in judged:
                check_verdict(stored, said)
        except PaygateError:
            for _, stored, _, is_new in judged:
                if is_new:
                    yield from change(stored, "given up: another item cannot be sent", state=State.NOT_SENT,
                                      lease_until=None, check_at=None)
            raise
        return (yield from _taken(account, judged, talk))
    except LedgerError as error:
        raise NotSent(f"nothing was sent: the ledger cannot be written ({error}); the same order_ids may be sent again",
                      order_id=wanted[0].id) from None


def _taken(account: Account, judged: list[Judged], talk: Talk) -> Steps[tuple[dict[str, Row], set[str]]]:
    """Look at what is in doubt and take what may be sent. Where one cannot be looked at, none is sent."""
    rows: dict[str, Row] = {}
    mine: set[str] = set()
    try:
        for row, stored, said, is_new in judged:
            if said is Verdict.LOOK:
                stored = yield from look_at_schedule(account, stored, talk)
            if stored.state is State.NOT_SENT or (said is Verdict.SEND and not is_new):
                stored = yield from retake(row, stored)
                mine.add(row.id)
            elif said is Verdict.SEND:
                mine.add(row.id)
            rows[row.id] = stored
    except PaygateError:
        ours = {row.id: stored for row, stored, _, is_new in judged if is_new} | {i: rows[i] for i in mine & set(rows)}
        for stored in ours.values():
            yield from change(stored, "given up: another item cannot be sent", state=State.NOT_SENT, lease_until=None,
                              check_at=None)
        raise
    return rows, mine


def _row(account: Account, command: Schedule, item: DatedCharge) -> Row:
    return new_row(account, Kind.SCHEDULE, item.order_id, evolve(command, charges=(item,)), money=item.money,
                   due_at=item.due_at.timestamp(), key_digest=key_digest(command.billing_key.value))


def _send(account: Account, command: Schedule, rows: dict[str, Row], talk: Talk) -> Steps[dict[str, Row]]:
    promised: Sequence[ScheduledCharge] = ()
    fault: Exception = OutcomeUnknown("the PG's answer does not name every item")
    try:
        promised = yield from talk.say(account.provider.schedule(command))
    except Exception as error:
        fault = error
        if not talk.sent:
            raise (yield from _never_left(rows, command, error)) from None
    except GeneratorExit:
        raise  # Dropped, like a crash: the rows stay as they stand and are looked up later.
    except BaseException:
        for item in command.charges:
            yield from interrupted(account, rows[item.order_id], talk)
        raise
    named = {answer.order_id: answer for answer in promised}
    done: dict[str, Row] = {}
    for item in command.charges:
        answer = named.get(item.order_id)
        done[item.order_id] = yield from _settle_item(account, rows[item.order_id], answer, fault, talk)
    return done


def _never_left(rows: dict[str, Row], command: Schedule, fault: Exception) -> Steps[PaygateError]:
    error: PaygateError = as_not_sent(rows[command.charges[0].order_id], fault)
    for item in command.charges:
        row = rows[item.order_id]
        try:
            moved = yield from change(row, "nothing was sent", state=State.NOT_SENT, lease_until=None, check_at=None,
                                      refusal=refusal_text(error) if isinstance(error, Refused) else None)
            if moved is None and (yield from reread(row)).state is not State.NOT_SENT:
                error = InProgress(f"another worker holds {row.id}; ask again later, do not use a new id",
                                   order_id=row.order_id)
        except LedgerError:
            error.unrecorded = True
    return error


def _settle_item(account: Account, row: Row, answer: ScheduledCharge | None, fault: Exception,
                 talk: Talk) -> Steps[Row]:
    try:
        if answer is not None and _fits(row, answer):
            return (yield from _recorded(account, row, answer))
        row = yield from in_doubt(account, row, f"schedule in doubt: {noted(fault)}")
        try:
            return (yield from look_at_schedule(account, row, talk, mine=True))
        except PaygateError:
            return row
    except LedgerError:
        # It may be held by the PG. Its row is still leased to this call: so `told` knows that nothing was recorded.
        return evolve(row, state=State.UNKNOWN)


def _recorded(account: Account, row: Row, answer: ScheduledCharge) -> Steps[Row]:
    """Write a positive answer down; if the ledger fails now, the caller still learns of it, and the row stays sent."""
    try:
        return (yield from taken_down(account, row, answer))
    except LedgerError:
        return evolve(row, state=State.ANSWERED, result=dump(evolve(answer, unrecorded=True)))


def _fits(row: Row, answer: ScheduledCharge) -> bool:
    return (answer.order_id == row.order_id and answer.money == row.money
            and row.due_at is not None and abs(answer.due_at.timestamp() - row.due_at) < 1.0)


def look_at_schedule(account: Account, row: Row, talk: Talk, *, mine: bool = False) -> Steps[Row]:
    """Ask the PG about one dated charge and move its row as far as the answer proves.

    Raises: OutcomeUnknown where the PG could not be asked.
    """
    now = account.now()
    if not mine and account.is_held(row):
        return row
    answer, why = yield from _judged(account, row, (yield from _asked(account, row.order_id, talk)), talk)
    return (yield from _settle(account, row, answer, why, now))


def _asked(account: Account, order_id: str, talk: Talk) -> Steps[ScheduledCharge | None]:
    try:
        return (yield from talk.say(account.provider.find_schedule(order_id)))
    except (NotSent, Refused, OutcomeUnknown) as error:
        raise not_asked(f"order {order_id}", error, order_id=order_id) from credentials(error)


def _judged(account: Account, row: Row, answer: ScheduledCharge | None,
            talk: Talk) -> Steps[tuple[ScheduledCharge | None, str | None]]:
    """What the PG's answer proves of `row`, and why it proves nothing, if so."""
    if answer is None:
        return None, _GONE
    return (yield from proven(account, row, answer, talk)) if _fits(row, answer) else (answer, _OTHER_TERMS)


def _settle(account: Account, row: Row, answer: ScheduledCharge | None, why: str | None, now: float) -> Steps[Row]:
    if answer is not None and why is None:
        return (yield from taken_down(account, row, answer))
    if row.state is State.ANSWERED:
        # One odd answer does not end the looks: what the PG takes on the date must still be written down.
        later: dict[str, Any] = {} if row.check_at is None or now < row.check_at else {
            "checks": row.checks + 1, "check_at": next_check(row.checks + 1, now, account.settle_s)}
        changes = {**later, "attention": row.attention or why}
        moved = row if evolve(row, **changes) == row else (
            yield from change(row, why or "checked", state=row.state, **changes))
        return moved if moved is not None else (yield from reread(row))
    was_taken = answer is not None and why != _OTHER_TERMS
    if row.state not in (State.SENT, State.UNKNOWN):
        changes = {**watch(row, account, now), **({"attention": row.attention or why} if was_taken else {})}
        if evolve(row, **changes) == row:
            return row
        return (yield from change(row, "checked", state=row.state, **changes)) or row
    note, changes = missed(account, row if answer is None else evolve(row, missed_at=None), now)
    if answer is not None:
        changes |= {"missed_at": None, "attention": why}
    moved = yield from change(row, note, lease_until=None, **changes)
    return moved if moved is not None else (yield from reread(row))


def told(row: Row) -> ScheduledCharge:
    """What a schedule row tells the caller.

    Raises: what was recorded; OutcomeUnknown where nothing is certain.
    """
    if row.state is State.ANSWERED and (answer := held(row)) is not None:
        return answer
    if row.state is State.REFUSED:
        raise refusal_from(row)
    if row.state is State.NOT_SENT:
        raise not_sent(row, "the PG is proven not to hold it")
    raise unrecorded_doubt(row) if row.state is State.UNKNOWN and row.lease_until is not None else unknown(row)


def unschedule(account: Account, command: Unschedule) -> Steps[tuple[ScheduledCharge, ...]]:
    """Stop the named dated charges, and say of each what became of it: REVOKED, or EXECUTED where it was too late.

    Nothing is given back by itself.

    Raises: NotFound (the PG holds no such charge), OutcomeUnknown (one still stands or could not be asked about; the
    same call may be made again), Refused, NotSent.
    """
    account.require(Capability.UNSCHEDULE, Capability.FIND_SCHEDULE)
    account.check(command)
    talk = Talk(account)
    yield from _all_on_its_key(account, command)
    try:
        yield from talk.say(account.provider.unschedule(command))
    except (Refused, OutcomeUnknown):
        pass  # What counts is what the PG holds now, asked next.
    except PaygateError:
        raise
    except Exception:  # noqa: S110 (a provider that fails on an answer knows no more than one that got none)
        pass
    stopped: list[ScheduledCharge] = []
    for order_id in command.order_ids:
        stopped.append((yield from _stopped(account, order_id, talk)))  # noqa: PERF401 (a comprehension cannot yield)
    return tuple(stopped)


def _all_on_its_key(account: Account, command: Unschedule) -> Steps[None]:
    try:
        for order_id in command.order_ids:
            row = yield from get_row(account.scope, Book.PAYMENT, order_id)
            if row is not None and row.key_digest is not None \
                    and row.key_digest != key_digest(command.billing_key.value):
                raise BadCommand(f"order {order_id} charges another billing key; nothing was sent")
    except LedgerError as error:
        raise NotSent(f"nothing was sent: the ledger cannot be read ({error}); the same call may be made again",
                      order_id=command.order_ids[0]) from None


def _stopped(account: Account, order_id: str, talk: Talk) -> Steps[ScheduledCharge]:
    try:
        answer = yield from find_schedule(account, order_id, talk)
    except LedgerError as error:
        raise OutcomeUnknown(f"what became of order {order_id} cannot be written down ({error}); unschedule it again",
                             order_id=order_id, next_step="call unschedule again with the same order_ids") from None
    if answer.status is ScheduleStatus.SCHEDULED:
        raise OutcomeUnknown(f"order {order_id} is still scheduled; unschedule it again", order_id=order_id,
                             next_step="call unschedule again with the same order_ids")
    return answer


def find_schedule(account: Account, order_id: str, talk: Talk | None = None) -> Steps[ScheduledCharge]:
    """Ask the PG about one dated charge; heals the ledger's row.

    Raises: NotFound, OutcomeUnknown.
    """
    account.require(Capability.FIND_SCHEDULE)
    row = yield from get_row(account.scope, Book.PAYMENT, order_id)
    talk, asked_at = talk or Talk(account), account.now()
    answer = yield from _asked(account, order_id, talk)
    if row is not None and row.kind is Kind.SCHEDULE and not account.is_held(row):
        answer, why = yield from _judged(account, row, answer, talk)
        row = yield from _settle(account, row, answer, why, asked_at)
        if answer is None and row.state is not State.NOT_SENT:
            raise unknown(row)
        if answer is not None and why is not None:
            raise OutcomeUnknown(f"{why} ({order_id}); it needs a person", order_id=order_id)
    if answer is None:
        raise NotFound(f"the PG holds no charge under order {order_id}", order_id=order_id)
    return answer


def schedules(account: Account, command: SchedulesOf) -> Steps[tuple[ScheduledCharge, ...]]:
    """The dated charges the PG holds for a billing key.

    Raises: OutcomeUnknown where the PG could not be asked.
    """
    account.require(Capability.SCHEDULES)
    account.check(command)
    try:
        return (yield from Talk(account).say(account.provider.schedules(command.billing_key.value, command.start,
                                                                          command.end)))
    except NotSent:
        raise OutcomeUnknown("the PG could not be asked for its schedules; ask again later") from None
