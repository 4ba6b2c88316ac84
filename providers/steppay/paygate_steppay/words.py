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


def _table(**groups: str) -> dict[str, Group]:
    return {word: Group[group] for group, words in groups.items() for word in words.split()}


ITEM_STATUSES: Mapping[str, Group] = _table(
    WAITING="CREATED DEPOSIT_WAITING",
    FAILED="PAYMENT_FAILURE",
    DROPPED="CANCELLED",
    PARTLY_BACK="CANCELLATION_REFUNDED_PARTIALLY RETURN_REFUNDED_PARTIALLY",
    BACK="CANCELLATION_REFUNDED RETURN_REFUNDED",
    PAID="PAID CANCELLATION_REQUEST CANCELLATION_REQUEST_CANCELLED CANCELLATION_REQUEST_DENIED CANCELLATION_REFUNDING",
)
"""Item status words (documented: order guide, state diagram)."""
PAID_FAMILIES = ("ORDER_DELIVERY_", "FINISHED_", "EXCHANGE_", "RETURN_")
"""Beginnings of the words for where paid goods are (documented)."""

ORDER_TYPES = ("ONE_TIME", "RECURRING_INITIAL", "RECURRING", "PAYMENT_METHOD", "ADD_USAGE")
"""Order types (documented)."""


class Standing(Enum):
    """What a payment's status word says."""

    PENDING = auto()
    PAID = auto()
    PARTLY_BACK = auto()
    BACK = auto()
    FAILED = auto()
    ABORTED = auto()


PAYMENT_STATUSES: Mapping[str, Standing] = {
    "STANDBY": Standing.PENDING,
    "VIRTUAL_BANK_STANDBY": Standing.PENDING,
    "CMS_STANDBY": Standing.PENDING,
    "COMPLETE": Standing.PAID,
    "SUCCESS": Standing.PAID,  # documented: the guide of June 2023 says SUCCESS where today's says COMPLETE
    "CANCELED_FAIL": Standing.PAID,  # a refund failed, so the money is still with the merchant
    "CANCEL_PROGRESS": Standing.PAID,  # a refund is under way: not given back yet
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
    if not isinstance(word, str):
        return None
    family = Group.PAID if word.startswith(PAID_FAMILIES) else None
    return ITEM_STATUSES.get(word, family)


def verbatim(value: Any) -> str | None:
    """A PG's text as it is; only half characters, which nothing can store, become "?". None for what is no text."""
    return value[:2000].encode("utf-8", "replace").decode("utf-8") if isinstance(value, str) else None


def decline_reason(text: str | None) -> DeclineReason:
    """Why a charge failed, as far as `errorMessage` tells."""
    squeezed = "".join((text or "").split())
    return next((why for known, why in DECLINES if known in squeezed), DeclineReason.UNMAPPED)
