"""What can be done about a doubt where the PG finds nothing by our id: wait for its webhook, then for a person."""

from __future__ import annotations

from ..capability import Capability
from ..errors import OutcomeUnknown, without_advice
from ..ledger.row import Book, Kind, LedgerError, Row
from .account import Account
from .steps import Steps, get_row

WAIT = ("this PG finds nothing by your id: wait for its webhook; after 15 minutes ask the PG and use "
        "`paygate resolve`; never send it again, under this id or another")


def can_ask(account: Account, row: Row) -> bool:
    """Whether the PG can be asked what became of `row`: by our order id, or by an id that it has told."""
    if row.kind is Kind.CANCEL or account.supports(Capability.FIND):
        return True
    return row.provider_id is not None and account.supports(Capability.LOOKUP)


def advise(account: Account, id: str, doubt: OutcomeUnknown) -> Steps[None]:
    """Have `doubt` about the payment `id` say so where no look-up can help."""
    if account.supports(Capability.FIND):
        return
    try:
        row = yield from get_row(account.scope, Book.PAYMENT, id)
    except LedgerError:
        return
    if row is not None and not can_ask(account, row):
        doubt.args = (f"{without_advice(str(doubt))}; {WAIT}",)
        doubt.next_step = WAIT
