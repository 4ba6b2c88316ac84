"""What FakePG's answers say, read into values. Whatever is not understood is OutcomeUnknown; nothing is guessed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

from ...codec import Unreadable, read_object
from ...errors import Conflict, NotFound, OutcomeUnknown, RateLimited, Refused, Unauthorized
from ...model import (
    BillingKey,
    Cancelled,
    DeclineReason,
    KeyInfo,
    Payment,
    PaymentStatus,
    ScheduledCharge,
    ScheduleStatus,
)
from ...money import Money
from ...secret import Secret
from ...wire import Response

T = TypeVar("T")
Body = Mapping[str, Any]

REASONS: Mapping[str, DeclineReason] = {
    "no funds": DeclineReason.INSUFFICIENT_FUNDS, "over the limit": DeclineReason.LIMIT_EXCEEDED,
    "card expired": DeclineReason.EXPIRED, "card reported lost": DeclineReason.BLOCKED,
    "card not known": DeclineReason.INVALID_METHOD, "too small": DeclineReason.BELOW_MINIMUM,
    "the payer changed their mind": DeclineReason.PAYER_CANCELLED, "maintenance": DeclineReason.PG_UNAVAILABLE,
}
"""Its words for a decline; any other is UNMAPPED."""
STATUSES: Mapping[str, PaymentStatus] = {"paid": PaymentStatus.PAID, "failed": PaymentStatus.FAILED,
                                         "pending": PaymentStatus.PENDING}
_REFUSALS: Mapping[int, type[Refused]] = {400: Refused, 401: Unauthorized, 402: Refused, 404: NotFound, 409: Conflict,
                                          422: Refused, 429: RateLimited}


def accepted(reply: Response) -> Body:
    """The object in an answer to a command.

    Raises: Refused or a class under it where the PG says no in its own words, else OutcomeUnknown.
    """
    try:
        said = read_object(reply)
    except Unreadable:
        if reply.status in (401, 429):
            raise _REFUSALS[reply.status]("the PG did not let the call in") from None
        raise OutcomeUnknown("the PG's answer cannot be read") from None
    if reply.status == 200:
        return said
    code, message = said.get("code"), said.get("message")
    words: dict[str, Any] = {"code": code if isinstance(code, str) else None,
             "pg_message": message if isinstance(message, str) else None}
    if reply.status in (401, 429) or (reply.status in _REFUSALS and words["code"] is not None):
        raise _REFUSALS[reply.status]("the PG refused", **words)
    raise OutcomeUnknown(f"the PG answered {reply.status}", **words)


def known(reply: Response) -> Body | None:
    """The object in an answer to a look-up; None where the PG says that it knows nothing under that id."""
    try:
        return accepted(reply)
    except NotFound:
        return None


def understood(read: Callable[..., T], *said: Any) -> T:
    """`read(*said)`, where what does not fit is OutcomeUnknown."""
    try:
        return read(*said)
    except (KeyError, TypeError, ValueError):
        raise OutcomeUnknown("the PG's record is not understood") from None


def payment(said: Body) -> Payment:
    """A payment's record. Raises: KeyError, TypeError, ValueError."""
    currency = said["currency"]
    money, back, status = Money(said["amount"], currency), Money(said["given_back"], currency), STATUSES[said["status"]]
    if status is PaymentStatus.PAID and not back.is_zero:
        status = PaymentStatus.CANCELLED if back == money else PaymentStatus.PARTLY_CANCELLED
    message, failed = text_or_none(said["message"]), status is PaymentStatus.FAILED
    return Payment(
        order_id=text(said["order_id"]), provider_id=text(said["id"]), status=status, money=money, cancelled=back,
        paid_at=None if said["paid_at"] is None else datetime.fromtimestamp(whole(said["paid_at"]), UTC),
        cancellations=tuple([_cancelled(r, currency) for r in said["refunds"]]), test=flag(said["test"]),
        for_key=flag(said["for_key"]), key=text_or_none(said["key"]), message=message,
        code=text_or_none(said["code"]) if failed else None,
        reason=REASONS.get(message or "", DeclineReason.UNMAPPED) if failed else None)


def _cancelled(said: Body, currency: str) -> Cancelled:
    return Cancelled(money=Money(said["amount"], currency), reason=text_or_none(said["reason"]),
                     provider_id=text(said["id"]))


def payments(said: Body) -> tuple[Payment, ...]:
    """A list of payments. Raises: KeyError, TypeError, ValueError."""
    return tuple([payment(item) for item in listed(said["items"])])


def scheduled(said: Body) -> ScheduledCharge:
    """A dated charge's record. Raises: KeyError, TypeError, ValueError."""
    paid = text_or_none(said["payment_status"])
    return ScheduledCharge(
        order_id=text(said["order_id"]), due_at=datetime.fromisoformat(text(said["due_at"])),
        money=Money(said["amount"], said["currency"]), status=ScheduleStatus(said["status"]),
        provider_id=text_or_none(said["payment_id"]), payment_status=None if paid is None else STATUSES[paid])


def scheduled_all(said: Body) -> tuple[ScheduledCharge, ...]:
    """A list of dated charges. Raises: KeyError, TypeError, ValueError."""
    return tuple([scheduled(item) for item in listed(said["items"])])


def key_info(said: Body, key: Secret, gateway: str) -> KeyInfo:
    """A billing key's record. Raises: KeyError, TypeError, ValueError, also where it is another key's."""
    if Secret(text(said["key"])) != key:
        raise ValueError
    return KeyInfo(billing_key=BillingKey(gateway, key), test=flag(said["test"]))


def listed(value: object) -> list[Any]:
    """A list. Raises: TypeError."""
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


def flag(value: object) -> bool:
    """True or False. Raises: TypeError."""
    if type(value) is not bool:
        raise TypeError
    return value


def whole(value: object) -> int:
    """A whole number of seconds since 1970. Raises: TypeError, ValueError."""
    if type(value) is not int:
        raise TypeError
    if not 0 <= value < 4_102_444_800:
        raise ValueError
    return value
