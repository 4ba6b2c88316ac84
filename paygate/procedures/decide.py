"""What only a person may do: say what became of an order nobody can look up, and put an attention aside.

Both need a name and a reason, which stay in the trail.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal

from ..codec import dump
from ..errors import BadCommand, Refused
from ..ledger.row import Book, Kind, Row, State
from ..ledger.rules import UNRESOLVED, is_recorded
from ..model import Cancellation, Payment, PaymentStatus, ScheduledCharge, ScheduleStatus
from ..money import Money
from ..text import check_text
from .account import Account
from .outcome import refusal_text
from .refunds import accounted, is_stopped
from .settle import payment_of
from .steps import Entry, Steps, change, get_row, open_rows
from .timetable import AWAITS_PAYER

Resolution = Literal["paid", "failed", "not_sent"]
_STATES = {"paid": State.ANSWERED, "failed": State.REFUSED, "not_sent": State.NOT_SENT}


def resolve(account: Account, id: str, as_: Resolution, *, by: str, why: str) -> Steps[Row]:
    """Decide what became of the unknown order or refund `id`. For a refund, "paid" means that it was given back.

    A payment that the PG never finished may be decided too, once a person is asked to look at it.

    Raises: BadCommand (no such id, it is not in doubt, the PG shows otherwise, or no reason is given).
    """
    if as_ not in _STATES:
        raise BadCommand(f"as_ is one of {', '.join(_STATES)}; nothing was changed")
    row = yield from _row(account, id, lambda row: _is_open(account, row), by=by, why=why)
    if not _is_open(account, row):
        raise BadCommand(f"{id} is {row.state.value} and needs no decision; " + (
            "paygate looks again by itself; ask again once it stands under attention" if row.state in UNRESOLVED
            and row.attention is None else "acknowledge() puts an attention aside"))
    if is_recorded(row) and as_ != "not_sent":
        raise BadCommand(f"{id} was recorded and never sent, so nothing can have come of it: resolve it as not_sent, "
                         "or give its command to send it; nothing was changed")
    if as_ != "paid" and not is_stopped(row) and row.sent_at is not None \
            and (left := row.sent_at + account.settle_s - account.now()) > 0:
        raise BadCommand(f"the PG may still carry {id} out: look again in {left:.0f} s; nothing was changed")
    beyond = (yield from _beyond(row)) if is_stopped(row) else None
    if as_ == "paid" and beyond is not None and (row.money is None or beyond < row.money):
        raise BadCommand(f"the PG has given back {beyond} of order {row.order_id} that this ledger knows nothing of, "
                         f"so {id} was not among it; nothing was changed")
    result = (yield from _decided(row)) if as_ == "paid" else row.result
    note = f"resolved as {as_} by {by}: {why}"
    done = _done(id, (yield from change(
        row, note, by=by, state=_STATES[as_], lease_until=None, attention=None, result=result, checks=0,
        # A person may err: what the PG shows later is still heard.
        check_at=None if row.kind is Kind.SCHEDULE else account.now() + 5 * account.settle_s,
        refusal=refusal_text(Refused(note)) if as_ == "failed" else None)))
    if as_ != "paid" and beyond is not None:
        yield from open_rows([_elsewhere(account, row, beyond)], f"given back elsewhere, says {by}: {why}", by=by)
    return done


def _beyond(row: Row) -> Steps[Money]:
    """What the PG had given back beyond this ledger's refunds when `row` was stopped, as far as nobody has told yet."""
    assert row.before is not None
    assert row.money is not None
    refunds: list[Row] = yield Entry("refunds", (row.gateway, row.order_id))
    return Money(max(0, row.before - accounted(refunds)), row.money.currency)


def _elsewhere(account: Account, row: Row, money: Money) -> Row:
    """A refund that was made elsewhere, as a person says: from now on it is accounted for."""
    return Row(gateway=row.gateway, kind=Kind.CANCEL, id=f"{row.id}:elsewhere-{row.fence}", order_id=row.order_id,
               digest="", state=State.ANSWERED, opened_at=account.now(), money=money)


def acknowledge(account: Account, id: str, *, by: str, why: str) -> Steps[Row]:
    """Put the attention of a settled order, refund or stray payment aside. Nothing else about it changes.

    Raises: BadCommand (no such id, nothing to acknowledge, still in doubt, or no reason is given).
    """
    row = yield from _row(account, id, lambda row: row.attention is not None, by=by, why=why)
    if row.attention is None or (row.state in UNRESOLVED and not _is_open_window(row)):
        raise BadCommand(f"{id} is {row.state.value} and has nothing to acknowledge; resolve() ends a doubt")
    note = f"acknowledged by {by}: {why}"[:500]
    return _done(id, (yield from change(row, note, by=by, state=row.state, attention=None)))


def _row(account: Account, id: str, fits: Callable[[Row], bool], *, by: str, why: str) -> Steps[Row]:
    """The row called `id` that fits, else the first one called so: payments, refunds, then stray payments."""
    for said in (by, why):
        if not isinstance(said, str) or not said.strip():
            raise BadCommand("deciding needs who decided it and why; nothing was changed")
    check_text("by", by, 80)
    check_text("why", why, 300)
    found: list[Row] = []
    for book in Book:
        row = yield from get_row(account.scope, book, id)
        if row is not None:
            found.append(row)
    if not found:
        raise BadCommand(f"nothing called {id[:40]!r} is in the ledger")
    return next(filter(fits, found), found[0])


def _is_open(account: Account, row: Row) -> bool:
    """Whether a person may say what became of it: in doubt, or left to a person though the PG calls it unfinished."""
    if account.is_held(row):
        return False
    return row.state is State.UNKNOWN or is_recorded(row) or (row.state is State.SENT and row.attention is not None
                                          and not _is_open_window(row))


def _is_open_window(row: Row) -> bool:
    return row.state is State.SENT and row.kind in AWAITS_PAYER


def _done(id: str, row: Row | None) -> Row:
    if row is None:
        raise BadCommand(f"{id} was changed meanwhile; look again")
    return row


def _decided(row: Row) -> Steps[str]:
    """The result to record where a person says that the money moved."""
    assert row.money is not None
    if row.kind is Kind.SCHEDULE:
        assert row.due_at is not None
        due_at = datetime.fromtimestamp(row.due_at, UTC)
        return dump(ScheduledCharge(order_id=row.order_id, due_at=due_at, money=row.money,
                                    status=ScheduleStatus.EXECUTED, payment_status=PaymentStatus.PAID))
    if row.kind is not Kind.CANCEL:
        return dump(Payment(order_id=row.order_id, provider_id=row.provider_id, status=PaymentStatus.PAID,
                            money=row.money))
    owner = yield from get_row(row.gateway, Book.PAYMENT, row.order_id)
    payment = None if owner is None or owner.kind is Kind.SCHEDULE else payment_of(owner)
    if payment is None:
        payment = Payment(order_id=row.order_id, provider_id=None, status=PaymentStatus.CANCELLED, money=row.money,
                          cancelled=row.money)
    return dump(Cancellation(cancel_id=row.id, order_id=row.order_id, money=row.money, payment=payment))
