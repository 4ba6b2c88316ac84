"""StepPay's own words, as tables: status words of items, payments and subscriptions, texts that name a reason, limits.

Data only. Unknown words are never guessed: whoever reads a record treats them as not understood.
Marks: documented (guides, reference site, specification), observed (public code), assumed (ours).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from typing import Any

from paygate.model import DeclineReason
from paygate.subscriptions import SubscriptionStatus, Unit

MANAGED = "steppay-managed"
UNMANAGED = "steppay-unmanaged"
CURRENCY = "KRW"


class Group(Enum):
    """What the status of an order's item means for its payment. An order as such has no status (documented)."""

    WAITING = auto()
    PAID = auto()
    FAILED = auto()
    DROPPED = auto()
    PARTLY_BACK = auto()
    BACK = auto()
    GIVING_BACK = auto()
    """A refund is under way, so nobody can say what is left."""


def _table(**groups: str) -> dict[str, Group]:
    return {word: Group[group] for group, words in groups.items() for word in words.split()}


ITEM_STATUSES: Mapping[str, Group] = _table(
    WAITING="CREATED DEPOSIT_WAITING",
    FAILED="PAYMENT_FAILURE",
    DROPPED="CANCELLED",
    PARTLY_BACK="CANCELLATION_REFUNDED_PARTIALLY RETURN_REFUNDED_PARTIALLY",
    BACK="CANCELLATION_REFUNDED RETURN_REFUNDED",
    GIVING_BACK="CANCELLATION_REFUNDING RETURN_REFUNDING",
    PAID="PAID CANCELLATION_REQUEST CANCELLATION_REQUEST_CANCELLED CANCELLATION_REQUEST_DENIED "
         "ORDER_DELIVERY_PREPARING ORDER_DELIVERY_SUSPENDED ORDER_DELIVERY_ON_THE_WAY ORDER_DELIVERY_COMPLETED "
         "EXCHANGE_REQUEST EXCHANGE_REQUEST_CANCELLED EXCHANGE_REQUEST_REJECTED EXCHANGE_COLLECTION_PREPARING "
         "EXCHANGE_COLLECTION_ON_THE_WAY EXCHANGE_COLLECTION_COMPLETED EXCHANGE_DELIVERY_PREPARING "
         "EXCHANGE_DELIVERY_ON_THE_WAY EXCHANGE_DELIVERY_COMPLETED EXCHANGE_REJECT_DELIVERY_PREPARING "
         "EXCHANGE_REJECT_DELIVERY_ON_THE_WAY EXCHANGE_REJECT_DELIVERY_COMPLETED EXCHANGE_PENDING EXCHANGE_REJECTED "
         "RETURN_REQUEST RETURN_REQUEST_CANCELLED RETURN_REQUEST_REJECTED RETURN_COLLECTION_PREPARING "
         "RETURN_COLLECTION_ON_THE_WAY RETURN_COLLECTION_COMPLETED RETURN_REJECT_DELIVERY_PREPARING "
         "RETURN_REJECT_DELIVERY_ON_THE_WAY RETURN_REJECT_DELIVERY_COMPLETED RETURN_PENDING RETURN_REJECTED "
         "FINISHED_EXCHANGE_AVAILABLE FINISHED_RETURN_AVAILABLE FINISHED_SUCCESSFULLY",
)
"""Item status words, all of them (documented: specification; meanings: order guide, state diagram)."""

ORDER_TYPES = ("ONE_TIME", "RECURRING_INITIAL", "RECURRING", "PAYMENT_METHOD", "ADD_USAGE")
"""Order types (documented)."""


class Standing(Enum):
    """What a payment's status word says."""

    PENDING = auto()
    PAID = auto()
    PARTLY_BACK = auto()
    BACK = auto()
    GIVING_BACK = auto()
    """A refund is under way, so nobody can say what is left."""
    FAILED = auto()
    ABORTED = auto()


PAYMENT_STATUSES: Mapping[str, Standing] = {
    "STANDBY": Standing.PENDING,
    "VIRTUAL_BANK_STANDBY": Standing.PENDING,
    "CMS_STANDBY": Standing.PENDING,
    "COMPLETE": Standing.PAID,
    "SUCCESS": Standing.PAID,  # documented: the guide of June 2023 says SUCCESS where today's says COMPLETE
    "CANCELED_FAIL": Standing.PAID,  # a refund failed, so the money is still with the merchant
    "CANCEL_PROGRESS": Standing.GIVING_BACK,
    "PARTIAL_CANCELED": Standing.PARTLY_BACK,
    "CANCELED": Standing.BACK,
    "FAILED": Standing.FAILED,
    "PAYMENT_FAILURE": Standing.FAILED,  # documented: the guide of June 2023
    "USER_CANCELED": Standing.ABORTED,
}
"""`paymentStatus` of a receipt (documented: payment specification; meanings of the in-between ones: assumed)."""

SUBSCRIPTION_STATUSES: Mapping[str, SubscriptionStatus] = {
    "ACTIVE": SubscriptionStatus.ACTIVE,
    "QUEUEING": SubscriptionStatus.ACTIVE,
    "UNPAID": SubscriptionStatus.PAST_DUE,
    "PENDING_PAUSE": SubscriptionStatus.PAUSED,
    "PAUSE": SubscriptionStatus.PAUSED,
    "PENDING_CANCEL": SubscriptionStatus.ENDING,
    "CANCELED": SubscriptionStatus.ENDED,
    "EXPIRED": SubscriptionStatus.ENDED,
}
"""Subscription status words (documented). INCOMPLETE is left out: nobody says what it means."""
OVER = ("CANCELED", "EXPIRED")

UNITS: Mapping[Unit, str] = {Unit.DAY: "DAY", Unit.WEEK: "WEEK", Unit.MONTH: "MONTH", Unit.YEAR: "YEAR"}

GATEWAYS = frozenset(
    "NAVER DANAL KAKAO KG KCP NICE JT GOOGLE BANKPAY BLUEWALNUT KSNET TOSS EXIMBAY SETTLE DAOUDATA WELCOME NICE_V2 "
    "STRIPE PAYPLE PAYPLE_GLOBAL KICC".split())
"""`paymentGateway` (documented: specification)."""
METHODS = frozenset("CARD VBANK BANK CELLPHONE SIMPLE_PAY CMS".split())
KEY_METHODS = frozenset("CARD_BILL CELLPHONE_BILL CMS_BILL".split())
"""`paymentMethod` (documented); only the second kind issues a billing key (documented)."""

DECLINES: tuple[tuple[str, DeclineReason], ...] = (
    ("잔액", DeclineReason.INSUFFICIENT_FUNDS),
    ("잔고", DeclineReason.INSUFFICIENT_FUNDS),
    ("한도", DeclineReason.LIMIT_EXCEEDED),
    ("유효기간", DeclineReason.EXPIRED),
    ("분실", DeclineReason.BLOCKED),
    ("도난", DeclineReason.BLOCKED),
    ("정지", DeclineReason.BLOCKED),
    ("점검", DeclineReason.PG_UNAVAILABLE),
)
"""Texts of `errorMessage` → why (assumed: StepPay lists neither codes nor texts); no match is UNMAPPED."""


def group_of(word: Any) -> Group | None:
    """What an item's status means; None for a word that nobody has published."""
    return ITEM_STATUSES.get(word) if isinstance(word, str) else None


def is_keyed(method: str | None) -> bool | None:
    """Whether a payment by `method` used or issued a billing key; None where that is not told, or not for sure."""
    if method is None or method in KEY_METHODS:
        return None if method is None else True
    return None if method.endswith("_BILL") else False


def verbatim(value: Any) -> str | None:
    """A PG's text as it is; only half characters, which nothing can store, become "?". None for what is no text."""
    return value[:2000].encode("utf-8", "replace").decode("utf-8") if isinstance(value, str) else None


def decline_reason(text: str | None) -> DeclineReason:
    """Why a charge failed, as far as `errorMessage` tells."""
    squeezed = "".join((text or "").split())
    return next((why for known, why in DECLINES if known in squeezed), DeclineReason.UNMAPPED)
