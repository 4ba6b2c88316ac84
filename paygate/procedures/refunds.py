"""What the PG's balance says of a refund: whether it was done, is not done, or is for a person to tell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from attrs import evolve, frozen

from ..capability import CancelGuard, Capability
from ..codec import dump, load
from ..errors import BadCommand, NotFound, NotSent, OutcomeUnknown, Refused
from ..ledger.row import Book, Kind, LedgerError, Row, State
from ..ledger.rules import UNRESOLVED
from ..model import Cancellation, Payment
from ..money import Money
from .account import Account
from .outcome import (
    contradiction,
    credentials,
    hidden,
    is_elsewhere,
    not_asked,
    not_sent,
    refusal_from,
    standing,
    unknown,
)
from .settle import ask, payment_of
from .steps import Entry, Steps, change, get_row, reread
from .talk import Talk
from .timetable import UNRESOLVED as UNRESOLVED_BY
from .timetable import missed, watch

SAID_DONE = "the PG said that it gave the money back, and its record does not show it"
NAMED_ANOTHER = "the PG's answer to the refund names another payment"
CHANGED = "the balance at the PG changed by something else than this refund"


@frozen(kw_only=True)
class Asked:
    """What a refund is measured against while its outcome is not known: the payment before it, and its reason."""

    payment: Payment
    reason: str


def is_stopped(row: Row) -> bool:
    """Whether a refund was never asked for by this ledger, because the PG had given more back than it knows of."""
    return row.before is not None and row.result is None


def stopped(row: Row) -> OutcomeUnknown:
    """The error that tells that a person must say whether this refund is what the PG had given back."""
    return OutcomeUnknown(f"nothing was sent for refund {row.id}: {row.attention}, and this refund may be among it; "
                          f"compare with the PG's console, then resolve({row.id!r}, …)", order_id=row.order_id,
                          next_step="compare with the PG's console, then resolve(cancel_id, …); never send it again")


def accounted(refunds: Sequence[Row]) -> int:
    """Minor units given back for an order by `refunds`, those among them that a person said were made elsewhere."""
    return sum(r.money.amount for r in refunds if r.state is State.ANSWERED and r.money is not None)


def may_hold(money: Money, refunds: Sequence[Row], payment: Payment) -> bool:
    """Whether a refund of `money` may be among what the PG gave back beyond `refunds`: one of that amount is listed and
    not ours, or it does not list everything.
    """
    listed = Counter(c.money.amount for c in payment.cancellations)
    if listed.total() == 0 or sum(listed.elements()) != payment.cancelled.amount:
        return True
    ours = Counter(r.money.amount for r in refunds if r.state is State.ANSWERED and r.money is not None)
    return (listed - ours)[money.amount] > 0


def foreign(more: Money) -> str:
    """The attention for money given back by others (the PG's console, a worker whose ledger was lost)."""
    return f"the PG has given back {more} that this ledger knows nothing of"


def told(row: Row) -> Cancellation:
    """What a refund's row tells the caller.

    Raises: what was recorded; OutcomeUnknown where nothing is certain.
    """
    if row.state is State.UNKNOWN and is_stopped(row):
        raise stopped(row)
    if row.state is State.ANSWERED and row.result is not None:
        return load(row.result, Cancellation)
    if row.state is State.REFUSED:
        raise refusal_from(row)
    if row.state is State.NOT_SENT:
        raise not_sent(row, "the balance at the PG shows that it did not happen")
    raise unknown(row)


def balance(account: Account, row: Row, talk: Talk) -> Steps[Payment]:
    """The payment to give back from, as the PG has it now.

    Raises: NotFound, BadCommand (it took no money), OutcomeUnknown.
    """
    owner = yield from owner_of(account.scope, row.order_id)
    if owner is not None and owner.book is Book.STRAY:
        records = yield from _alone(account, owner, talk)
    else:
        records = yield from ask(account, owner or evolve(row, kind=Kind.CHARGE, money=None, provider_id=None), talk)
    if records is None:
        raise BadCommand(f"order {row.order_id} is not in the ledger, and this PG cannot be asked by our order_id")
    if not records:
        raise NotFound(f"the PG has no payment for order {row.order_id}; nothing was sent", order_id=row.order_id)
    records = tuple([p for p in records if not is_elsewhere(p, is_test=account.is_test)]) or records
    takers: Sequence[Payment] = list({p.provider_id: p for p in records if p.status.took_money}.values())
    takers = takers if owner is None else standing(owner, takers)
    if not takers:
        raise BadCommand(f"order {row.order_id} is {records[-1].status.value}, so there is nothing to give back")
    if len(takers) > 1:
        raise OutcomeUnknown(f"the PG has more than one paid record for order {row.order_id}; a person must decide",
                             order_id=row.order_id)
    payment = takers[0]
    why = contradiction(evolve(owner, state=State.SENT) if owner else evolve(row, money=None), payment,
                        is_test=account.is_test)
    if why is not None:
        raise OutcomeUnknown(f"{why}; nothing was sent for order {row.order_id}", order_id=row.order_id)
    if payment.cancelled.amount < (yield from known(account, row)):
        raise OutcomeUnknown(f"the PG shows order {row.order_id} as it was before an earlier refund; ask again later",
                             order_id=row.order_id)
    return payment


def owner_of(scope: str, order_id: str) -> Steps[Row | None]:
    """The row of the payment that a refund names: by our order_id, else by the PG's id of one that this ledger never
    asked for (a renewal that the PG made, a second payment under an order).
    """
    return (yield from get_row(scope, Book.PAYMENT, order_id)) or (yield from get_row(scope, Book.STRAY, order_id))


def _alone(account: Account, owner: Row, talk: Talk) -> Steps[tuple[Payment, ...] | None]:
    """The one payment that `owner` is, and no other under the same order."""
    assert owner.provider_id is not None
    if not account.supports(Capability.LOOKUP):
        return None
    try:
        found = yield from talk.say(account.provider.lookup(owner.provider_id, owner.order_id))
    except (NotSent, Refused, OutcomeUnknown) as error:
        raise not_asked(f"payment {owner.id}", error, order_id=owner.order_id) from credentials(error)
    if found is None:
        return ()
    shown = hidden(account.provider, owner, found)
    return (shown,) if shown.provider_id == owner.provider_id else ()


def known(account: Account, row: Row) -> Steps[int]:
    """Minor units given back for the order as far as this ledger knows."""
    refunds: list[Row] = yield Entry("refunds", (account.scope, row.order_id))
    ours = accounted(refunds)
    owner = yield from owner_of(account.scope, row.order_id)
    noted = payment_of(owner) if owner is not None and owner.kind is not Kind.SCHEDULE else None
    return max(ours, 0 if noted is None else noted.cancelled.amount)


def shows(row: Row, payment: Payment, later: Sequence[Row] = ()) -> bool:
    """Whether `payment` shows this very refund: beside `later` ones of ours the balance is lower by exactly its amount
    and, where the PG lists refunds, by one new one; where the PG had refused it, that one must also give our reason.
    """
    if row.money is None or given(row, payment) - accounted(later) != row.money.amount:
        return False
    if row.result is None or not payment.cancellations:
        return row.refusal is None
    asked = load(row.result, Asked)
    listed = {c.provider_id for c in asked.payment.cancellations}
    new = [c for c in payment.cancellations if c.provider_id is None or c.provider_id not in listed]
    ours = Counter(c.money.amount for c in new) - Counter(r.money.amount for r in later if r.money is not None)
    return ours == {row.money.amount: 1} and (row.refusal is None or any(
        c.money == row.money and c.reason == asked.reason for c in new))


def given(row: Row, payment: Payment) -> int:
    """Minor units given back since the refund was measured."""
    return payment.cancelled.amount - (row.before or 0)


def later_than(account: Account, row: Row) -> Steps[list[Row]]:
    """Refunds of the same order that were done after this one was measured: they began at no smaller a balance."""
    refunds: list[Row] = yield Entry("refunds", (account.scope, row.order_id))
    return [r for r in refunds if r.id != row.id and r.state is State.ANSWERED and r.before is not None
            and r.before >= (row.before or 0)]


def recorded(row: Row, payment: Payment, *, attention: str | None = None) -> Steps[Cancellation]:
    """Write a refund down as done; if the ledger fails now, the caller still learns of it."""
    assert row.money is not None
    done = Cancellation(cancel_id=row.id, order_id=row.order_id, money=row.money, payment=payment)
    try:
        is_over = row.attention is None or row.attention == SAID_DONE or row.attention.startswith(UNRESOLVED_BY)
        kept = None if is_over else row.attention
        moved = yield from change(row, "given back", state=State.ANSWERED, lease_until=None, check_at=None,
                                  result=dump(done), attention=attention or kept)
        if moved is None:
            return told((yield from reread(row)))
    except LedgerError:
        return evolve(done, unrecorded=True)
    yield from _note_on_payment(row, payment)
    return done


def _note_on_payment(row: Row, payment: Payment) -> Steps[None]:
    """Let the payment's own row say what was given back (best effort: the PG's record is the truth)."""
    try:
        owner = yield from owner_of(row.gateway, row.order_id)
        if owner is not None and owner.state is State.ANSWERED and owner.kind is not Kind.SCHEDULE:
            yield from change(owner, f"refund {row.id}", state=owner.state, result=dump(payment))
    except LedgerError:
        pass  # The refund itself is written down.


def look_at_refund(account: Account, row: Row, talk: Talk, *, mine: bool = False) -> Steps[Row]:
    """Compare the balance with the one before: reduced by exactly the amount is done, unchanged (twice, after the
    settle window) is not sent, anything else is for a person.

    Raises: OutcomeUnknown where the PG could not be asked.
    """
    now = account.now()
    if not mine and account.is_held(row):
        return row
    if row.state is State.UNKNOWN and is_stopped(row):
        return row  # Nothing was asked of the PG, so no look-up can tell: a person does.
    if row.state is State.OPENED:
        moved = yield from change(row, "its worker is gone; nothing was asked", state=State.NOT_SENT, lease_until=None,
                                  check_at=None)
        return moved if moved is not None else (yield from reread(row))
    if row.money is None or row.before is None or is_stopped(row) or row.state not in (*UNRESOLVED, State.NOT_SENT):
        return (yield from _watched(account, row, now))
    payment, is_gone = None, False
    try:
        payment = yield from balance(account, row, talk)
    except (NotFound, BadCommand) as error:
        is_gone = isinstance(error, NotFound)
    later = yield from later_than(account, row)
    if payment is not None and shows(row, payment, later):
        late = "late: the PG gave it back after it was thought not sent" if row.state is State.NOT_SENT else None
        yield from recorded(evolve(row, lease_until=None), payment, attention=late)
        return (yield from reread(row))
    if row.state is State.NOT_SENT:
        return (yield from _watched(account, row, now))
    guard = account.spec.profile.cancel_guard.value
    if payment is not None and given(row, payment) == accounted(later):
        # What the PG called done, or its record has shown, is never proven not done by one that does not show it.
        was_shown = row.attention == CHANGED or (row.attention in (SAID_DONE, NAMED_ANOTHER)
                                                 and guard is CancelGuard.COMPARE)
        note, changes = missed(account, evolve(row, missed_at=None) if was_shown else row, now)
    else:
        note, changes = missed(account, evolve(row, missed_at=None), now)
        if not is_gone:  # A payment that cannot be found is old books of the PG's, and no other balance.
            changes["attention"] = CHANGED
    moved = yield from change(row, note, lease_until=None, **changes)
    return moved if moved is not None else (yield from reread(row))


def _watched(account: Account, row: Row, now: float) -> Steps[Row]:
    """One look more of those that follow an end; after the last one the row rests."""
    changes = watch(row, account, now)
    if not changes:
        return row
    return (yield from change(row, "checked", state=row.state, **changes)) or (yield from reread(row))
