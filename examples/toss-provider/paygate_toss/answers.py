"""What the PG's answers say, read into values. Whatever is not understood is OutcomeUnknown; nothing is guessed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar

from paygate import (
    Cancelled,
    Declined,
    DeclineReason,
    Money,
    OutcomeUnknown,
    Payment,
    PaymentStatus,
    RateLimited,
    Response,
    Unauthorized,
)
from paygate.codec import Unreadable, read_object

from .words import DECLINES, REFUSALS, STATUSES

T = TypeVar("T")
Said = Mapping[str, Any]


def accepted(reply: Response, *, may_decline: bool = False) -> Said:
    """The object in an answer.

    Raises: Refused or a class under it where the PG says no in its own words, else OutcomeUnknown.
    """
    try:
        said = read_object(reply)
    except Unreadable:
        said = {}
        if reply.status == 200:
            raise OutcomeUnknown("the PG's answer cannot be read") from None
    if reply.status == 200:
        return said
    code, message = (value if isinstance(value, str) else None for value in (said.get("code"), said.get("message")))
    if reply.status == 429:
        raise RateLimited("the PG asks for fewer requests", code=code, pg_message=message)
    if reply.status == 401:
        raise Unauthorized("the PG does not accept the key", code=code, pg_message=message)
    if 400 <= reply.status < 500 and code is not None:
        if may_decline and code in DECLINES:
            raise Declined("declined", reason=DECLINES[code], code=code, pg_message=message)
        if code in REFUSALS:
            raise REFUSALS[code]("the PG refused", code=code, pg_message=message)
    raise OutcomeUnknown(f"the PG answered {reply.status}", code=code, pg_message=message)


def understood(read: Callable[[], T]) -> T:
    """`read()`, where what does not fit is OutcomeUnknown."""
    try:
        return read()
    except (KeyError, TypeError, ValueError):
        raise OutcomeUnknown("the PG's record is not understood") from None


def read_payment(said: Said) -> Payment:
    """A Payment object. Raises: KeyError, TypeError, ValueError.

    Where money was taken, `balanceAmount` says what was given back. A word that does not fit it is not understood:
    the whole given back in two parts has been seen as PARTIAL_CANCELED, so that word goes with any balance but all.
    """
    currency, word = text(said["currency"]), text(said["status"])
    money, left = Money(said["totalAmount"], currency), Money(said["balanceAmount"], currency)
    status, back = STATUSES[word], Money(0, currency)
    if status.took_money:
        back = money - left
        status = PaymentStatus.PAID if back.is_zero else PaymentStatus.CANCELLED if left.is_zero \
            else PaymentStatus.PARTLY_CANCELLED
        fits = {"DONE": back.is_zero, "CANCELED": left.is_zero, "PARTIAL_CANCELED": not back.is_zero}
        if not fits[word]:
            raise ValueError
    cancels = tuple(read_cancel(one, currency) for one in array_or_none(said["cancels"]))
    if sum(one.money.amount for one in cancels) != back.amount:
        raise ValueError  # Two places of one record that do not agree.
    failure = said["failure"] if status is PaymentStatus.FAILED else None
    code, message = (None, None) if failure is None else (text(failure["code"]), text_or_none(failure["message"]))
    return Payment(
        order_id=text(said["orderId"]), provider_id=text(said["paymentKey"]), status=status, money=money,
        cancelled=back, paid_at=instant(said["approvedAt"]) if status.took_money else None,
        method=text_or_none(said["method"]), code=code, message=message,
        reason=DECLINES.get(code or "", DeclineReason.UNMAPPED) if status is PaymentStatus.FAILED else None,
        cancellations=cancels)


def read_cancel(said: Said, currency: str) -> Cancelled:
    """One element of `cancels`. Raises: KeyError, TypeError, ValueError."""
    return Cancelled(money=Money(said["cancelAmount"], currency), at=instant(said["canceledAt"]),
                     reason=text_or_none(said["cancelReason"]), provider_id=text_or_none(said["transactionKey"]))


def array_or_none(value: object) -> list[Any]:
    """A list; null is an empty one. Raises: TypeError."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise TypeError
    return value


def text(value: object) -> str:
    """Text that is there. Raises: TypeError."""
    if not isinstance(value, str) or not value:
        raise TypeError
    return value


def text_or_none(value: object) -> str | None:
    """Text, or nothing. Raises: TypeError."""
    return None if value is None else text(value)


def instant(value: object) -> datetime:
    """ISO 8601 with its offset from UTC. Raises: TypeError, ValueError."""
    made = datetime.fromisoformat(text(value))
    if made.utcoffset() is None:
        raise ValueError
    return made
