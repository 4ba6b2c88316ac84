"""Do what the payer approved, where the PG waits to be told: at most once, and only for the return of their browser.

The intent is a doubt, written down before the first byte: the window's row becomes UNKNOWN. From then on its order is
looked up like any other doubt and never captured again, unless it is proven that nothing was captured.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from ..capability import Capability
from ..clock import Deadline
from ..codec import dump
from ..errors import Forged, InProgress
from ..ledger.row import Kind, LedgerError, Row, State
from ..ledger.rules import payer_digest
from ..model import Hint, Payment, PaymentStatus
from .account import Account
from .begin import lease_until
from .charge import send_held
from .outcome import not_sent
from .steps import Steps, change
from .talk import Talk

_OPEN = (State.SENT, State.NOT_SENT)
"""A window in which the payer may still act, or of whose approval it is proven that nothing was done."""


def is_approved(account: Account, row: Row, hint: Hint) -> bool:
    """Whether what the payer approved in the window of `row`, just looked up, is still to be done."""
    return hint.approval is not None and account.supports(Capability.CAPTURE) and row.state in _OPEN \
        and not account.is_held(row)


def capture(account: Account, row: Row, hint: Hint, deadline: Deadline) -> Steps[Payment]:
    """Have it done, for the order and the money that the ledger holds.

    Raises: Declined, Refused, NotSent, InProgress, OutcomeUnknown; Forged, with nothing sent.
    """
    if hint.payer is not None and (row.payer_digest is None or payer_digest(hint.payer) != row.payer_digest):
        raise Forged(f"the browser came back to {row.order_id} with another payer; nothing was changed",
                     order_id=row.order_id)
    held = yield from _written(account, row, hint)
    money = row.money if row.kind is Kind.PAY else None
    asking = partial(account.provider.capture, row.order_id, money, hint)
    talk = Talk(account, deadline, hide=hint.approval)
    return (yield from account.sending([row.id], send_held(account, asking, held, talk)))


def _written(account: Account, row: Row, hint: Hint) -> Steps[Row]:
    """The row, held by this call alone from now on, with what is about to be captured."""
    assert row.money is not None
    until = lease_until(account)
    named = Payment(order_id=row.order_id, provider_id=hint.provider_id, status=PaymentStatus.PENDING, money=row.money)
    fresh: dict[str, Any] = {"lease_until": until, "sent_at": until, "check_at": until, "checks": 0, "missed_at": None,
             "result": dump(named), "refusal": None}
    moved: Row | None = row
    try:
        if row.state is State.NOT_SENT:
            moved = yield from change(row, "taken up: the payer is back", state=State.SENT, **fresh)
        if moved is not None:
            moved = yield from change(moved, "the payer approved: asking for it", state=State.UNKNOWN, **fresh)
    except LedgerError as error:
        raise not_sent(row, f"the ledger cannot be written ({error})") from None
    if moved is None:
        raise InProgress(f"another worker holds {row.id}; ask again later, do not use a new id", order_id=row.order_id)
    return moved
