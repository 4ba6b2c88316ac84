"""Taking money and giving it back. Nothing else in the emulator writes to the journal."""

from __future__ import annotations

from datetime import timedelta

from paygate.money import Money

from . import hooks, words
from .ids import letters
from .pg import Outcome, Pg
from .reading import wrong
from .state import Payment, Refund


def take(pg: Pg, p: Payment, *, lag_s: float = 0.0) -> None:
    """The payer's means pays `p.total`. Look-ups show it after `lag_s`."""
    p.attempted, p.status, p.paid_at = True, words.COMPLETE, pg.now
    p.seen_at = pg.now + timedelta(seconds=lag_s)
    p.error_code = p.error_message = None
    if p.method.startswith("CARD"):
        p.card = p.card or "541600******1234"
    p.is_key = p.method.endswith("_BILL")
    if not p.total.is_zero:
        pg.emulator.move("charge", p.ref, p.id_key, p.total)
    hooks.payment_event(pg, p, "completed")


def wait_for_deposit(pg: Pg, p: Payment) -> None:
    """The payer was given an account to pay into; nothing is paid yet."""
    p.attempted, p.status = True, words.WAITS_FOR_DEPOSIT[p.method]
    hooks.payment_event(pg, p, "standby")


def fail(pg: Pg, p: Payment, outcome: Outcome) -> None:
    """The payer's means was declined; the record says so."""
    p.attempted, p.status = True, words.FAILED
    p.error_code, p.error_message = outcome.code, outcome.message
    hooks.payment_event(pg, p, "failed")


def close(pg: Pg, p: Payment) -> None:
    """The payer closed the window."""
    p.status = words.USER_CANCELED
    hooks.payment_event(pg, p, "closed")


def give_back(pg: Pg, p: Payment, amount: Money) -> Refund:
    """Refund part or all of what is left.

    Raises: Rejected for a payment that was not paid, for nothing, and for more than is left.
    """
    if p.status not in words.TOOK_MONEY:
        raise wrong("the payment was not paid", "PAYMENT_NOT_PAID")
    if amount.is_zero and not p.total.is_zero:
        raise wrong("requestPrice must be above 0", "CANCEL_AMOUNT_INVALID")
    if amount > p.left or (p.status == words.CANCELED):
        raise wrong("requestPrice is more than is left", "CANCEL_AMOUNT_EXCEEDED")
    refund = Refund(money=amount, at=pg.now, tid=letters(f"{p.id_key}/{len(p.refunds)}", 20),
                    seen_at=pg.now + timedelta(seconds=pg.switches.refund_lag_s))
    p.refunds.append(refund)
    p.status = words.CANCELED if p.left.is_zero else words.PARTIAL_CANCELED
    if not amount.is_zero:
        pg.emulator.move("refund", p.ref, p.id_key, amount)
    hooks.payment_event(pg, p, "canceled")
    return refund
