"""What a caller is told where the ledger fails and no procedure has an answer of its own."""

from __future__ import annotations

from typing import TypeVar

from ..errors import NotSent, OutcomeUnknown, without_advice
from ..ledger.row import Damaged, LedgerError
from .steps import Steps

T = TypeVar("T")


def unsent(steps: Steps[T], order_id: str | None = None) -> Steps[T]:
    """Run what must be read before anything is sent.

    Raises: NotSent where the ledger fails; Damaged.
    """
    try:
        return (yield from steps)
    except Damaged:
        raise
    except LedgerError as error:
        raise NotSent(f"nothing was sent{'' if order_id is None else f' for {order_id}'}: the ledger cannot be used "
                      f"({without_advice(str(error))}); the same call may be made again", order_id=order_id) from error


def heard(steps: Steps[T]) -> Steps[T]:
    """Run any verb; no error of the store leaves it raw.

    Raises: OutcomeUnknown where the ledger fails. Not NotSent: whoever asks what became of a charge must not take the
    ledger's trouble for an answer.
    """
    try:
        return (yield from steps)
    except LedgerError as error:
        raise OutcomeUnknown(f"the ledger cannot be used ({without_advice(str(error))}), so what was asked is not "
                             "known, and nothing new was sent; ask again later",
                             next_step="ask again later; never send it under another id") from error
