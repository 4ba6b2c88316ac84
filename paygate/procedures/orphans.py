"""A payment as the PG lists it, compared with the ledger: known, healed, or kept for a person. Nothing is ever sent."""

from __future__ import annotations

from ..ledger.row import Book, Kind, Row, State
from ..model import Payment
from ..money import Money
from .account import Account
from .executed import contradicted, judged
from .outcome import Seen, hidden, is_elsewhere, judge
from .receive import unasked
from .refunds import accounted, foreign
from .schedule import look_at_schedule
from .settle import payment_of, settle, whole_story
from .steps import Entry, Steps, change, get_row, reread
from .talk import Talk


def known_or_kept(account: Account, payment: Payment, talk: Talk) -> Steps[Row | None]:
    """The row that `payment` belongs to, as far as it could be healed; None where it took no money of this account.

    A payment of no order of ours gets a row of its own, under attention.

    Raises: OutcomeUnknown where the PG could not be asked further.
    """
    if not payment.status.took_money or is_elsewhere(payment, is_test=account.is_test):
        return None
    row = yield from get_row(account.scope, Book.PAYMENT, payment.order_id)
    payment = hidden(account.provider, row, payment)
    if row is None:
        yield from unasked(account, payment)
        assert payment.provider_id is not None
        return (yield from get_row(account.scope, Book.STRAY, payment.provider_id))
    if row.kind is Kind.SCHEDULE:
        return (yield from _dated(account, row, payment, talk))
    more = yield from _forgotten(account, row, payment)
    finding = judge(row, (yield from whole_story(account, row, payment, talk)), is_test=account.is_test)
    row = yield from settle(account, row, finding)
    if more is None or row.attention is not None:
        return row
    return (yield from change(row, "compared with the PG's list", state=row.state, attention=more)) \
        or (yield from reread(row))


def _dated(account: Account, row: Row, payment: Payment, talk: Talk) -> Steps[Row]:
    finding = judged(account, row, [payment])
    if finding.seen is Seen.CONTRADICTED:
        return (yield from contradicted(account, row, finding.why))
    if row.state is State.ANSWERED and row.provider_id == payment.provider_id:
        return row
    return (yield from look_at_schedule(account, row, talk))


def _forgotten(account: Account, row: Row, payment: Payment) -> Steps[str | None]:
    """What a person is told of a refund that neither the ledger's refunds nor the payment's row know of."""
    refunds: list[Row] = yield Entry("refunds", (account.scope, row.order_id))
    noted = payment_of(row)
    more = payment.cancelled.amount - max(accounted(refunds), 0 if noted is None else noted.cancelled.amount)
    return None if more <= 0 else foreign(Money(more, payment.money.currency))

