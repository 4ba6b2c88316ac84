"""Renewals that the merchant asks for: one of a subscription at a time, and told apart from those the PG makes itself.

No PG is known to name our order in a renewal. So while the outcome of one is not known, another could charge the same
period twice; and a renewal that shows up meanwhile is taken for the one that was asked for if it can be that one.
"""

from __future__ import annotations

from ..errors import InProgress, OutcomeUnknown
from ..ledger.row import Book, Kind, Row, State
from ..ledger.rules import UNRESOLVED, renewals_digest
from ..model import Payment
from .account import Account
from .settle import look, payment_of
from .steps import Entry, Steps, get_row
from .talk import Talk

_CLOCKS_APART_S = 30.0
"""How far the PG's clock may be behind ours."""


def none_in_doubt(account: Account, fresh: Row) -> Steps[None]:
    """Refuse a new renewal while the outcome of another of the same subscription is not known; look that one up first.

    Raises: InProgress, which names it.
    """
    known = yield from get_row(account.scope, Book.PAYMENT, fresh.id)
    if known is not None and known.state is not State.NOT_SENT:
        return  # It is judged by its own row.
    for row in (yield from _others(account, fresh)):
        held = account.is_held(row)
        try:
            settled = row if held else (yield from look(account, row, Talk(account)))
        except OutcomeUnknown:
            settled = row
        if settled.state in UNRESOLVED:
            raise _blocked(fresh, row, held=held)


def alone(account: Account, row: Row) -> Steps[None]:
    """The same once more, now that `row` is written down: of two workers at least one sees the other's, and gives way.

    Raises: InProgress.
    """
    for other in (yield from _others(account, row)):
        raise _blocked(row, other, held=True)


def _others(account: Account, row: Row) -> Steps[list[Row]]:
    rows: list[Row] = yield Entry("of_key", (account.scope, row.key_digest))
    return [r for r in rows if r.kind is Kind.RENEW and r.id != row.id and r.state in UNRESOLVED]


def _blocked(row: Row, other: Row, *, held: bool) -> InProgress:
    then = "ask again when it is" if held else f"settle {other.id} first: look at the PG's record, then resolve() it"
    return InProgress(f"the renewal {other.id} of the same subscription is not settled yet, and nothing was sent for "
                      f"{row.id}; {then}", order_id=row.order_id)


def by_hand(account: Account, payment: Payment, talk: Talk) -> Steps[Row | None]:
    """The row of the renewal that was asked for and that `payment` is; None where the PG made it by itself.

    It is the payment that a row names; or, where the answer to one has not come or was lost, a renewal of the same
    subscription, for the same amount, paid while that one may have been at work.
    """
    if payment.renews is None:
        return None
    rows: list[Row] = yield Entry("of_key", (account.scope, renewals_digest(payment.renews)))
    waiting: list[Row] = []
    for row in (r for r in rows if r.kind is Kind.RENEW):
        if row.state in UNRESOLVED and row.provider_id is not None and not account.is_held(row):
            row = yield from look(account, row, talk)
        named = payment_of(row)
        if payment.provider_id in (row.provider_id, None if named is None else named.provider_id):
            return row
        if row.state in UNRESOLVED and row.provider_id is None and _can_be(account, row, payment):
            waiting.append(row)
    if len(waiting) != 1 or (yield from get_row(account.scope, Book.STRAY, payment.provider_id or "")) is not None:
        return None  # Also where it was told before as one that the PG made.
    return waiting[0]


def _can_be(account: Account, row: Row, payment: Payment) -> bool:
    if row.money != payment.money:
        return False
    if payment.paid_at is None:
        return account.is_held(row)
    until = account.now() if row.sent_at is None else row.sent_at
    return row.opened_at - _CLOCKS_APART_S <= payment.paid_at.timestamp() <= until + account.settle_s
