"""The PG's own words and limits. What is not in these tables is not understood, and nothing is guessed."""

from __future__ import annotations

import re
from collections.abc import Mapping

from paygate import Conflict, DeclineReason, Money, NotFound, PaymentStatus, Refused, Unauthorized

NAME = "toss"
MINIMUM = Money(100, "KRW")
"""For a card; 200 for an account. Error list, BELOW_MINIMUM_AMOUNT."""
TITLE_LIMIT = 100
CUSTOMER_KEY = re.compile(r"[A-Za-z0-9_=.@-]{2,50}")
"""고객 키. The charge of a billing key (빌링키) must name the one it was issued for. API reference, billing."""

ANONYMOUS = "ANONYMOUS"
"""The customerKey of a payer without a name, for one-off payments. SDK reference, TossPayments.ANONYMOUS."""

# API reference, the Payment object. IN_PROGRESS: the payer has approved, and nothing is taken before it is confirmed.
# Where money is on its way to the payer, `read_payment` compares the balance too.
STATUSES: Mapping[str, PaymentStatus] = {
    "READY": PaymentStatus.PENDING,
    "IN_PROGRESS": PaymentStatus.PENDING,
    "WAITING_FOR_DEPOSIT": PaymentStatus.PENDING,
    "DONE": PaymentStatus.PAID,
    "PARTIAL_CANCELED": PaymentStatus.PARTLY_CANCELLED,
    "CANCELED": PaymentStatus.CANCELLED,
    "ABORTED": PaymentStatus.FAILED,
    "EXPIRED": PaymentStatus.FAILED,
}

# Error list, of the codes that the charge of a billing key (카드 자동결제 승인) may be answered with: the card said no.
DECLINES: Mapping[str, DeclineReason] = {
    "REJECT_ACCOUNT_PAYMENT": DeclineReason.INSUFFICIENT_FUNDS,
    "REJECT_CARD_PAYMENT": DeclineReason.UNMAPPED,  # One code for limit and balance (한도초과 혹은 잔액부족).
    "REJECT_CARD_COMPANY": DeclineReason.UNMAPPED,
    "INVALID_REJECT_CARD": DeclineReason.UNMAPPED,
    "EXCEED_MAX_AMOUNT": DeclineReason.LIMIT_EXCEEDED,
    "EXCEED_MAX_DAILY_PAYMENT_COUNT": DeclineReason.LIMIT_EXCEEDED,
    "EXCEED_MAX_PAYMENT_AMOUNT": DeclineReason.LIMIT_EXCEEDED,
    "INVALID_CARD_EXPIRATION": DeclineReason.EXPIRED,
    "INVALID_STOPPED_CARD": DeclineReason.BLOCKED,
    "INVALID_CARD_LOST_OR_STOLEN": DeclineReason.BLOCKED,
    "INVALID_CARD_NUMBER": DeclineReason.INVALID_METHOD,
    "NOT_SUPPORTED_CARD_TYPE": DeclineReason.INVALID_METHOD,
    "BELOW_MINIMUM_AMOUNT": DeclineReason.BELOW_MINIMUM,
}

# Error list, of the codes that say no without a doubt. Left out on purpose, so that the core looks them up:
# PROVIDER_ERROR ("a temporary error"), IDEMPOTENT_REQUEST_PROCESSING (the first of two is still at work),
# ALREADY_CANCELED_PAYMENT and ALREADY_PROCESSED_PAYMENT (perhaps by us), FORBIDDEN_CONSECUTIVE_REQUEST, everything
# with 5xx, and every code that is not known here.
REFUSALS: Mapping[str, type[Refused]] = {
    "UNAUTHORIZED_KEY": Unauthorized,
    "INVALID_API_KEY": Unauthorized,
    "INCORRECT_BASIC_AUTH_FORMAT": Unauthorized,
    "NOT_FOUND_PAYMENT": NotFound,
    "NOT_FOUND": NotFound,
    "NOT_FOUND_PAYMENT_SESSION": Refused,  # Too late (observed: ten minutes), or another order id.
    "DUPLICATED_ORDER_ID": Conflict,
    "INVALID_REQUEST": Refused,
    "INVALID_BILL_KEY_REQUEST": Refused,
    "NOT_MATCHES_CUSTOMER_KEY": Refused,
    "NOT_MATCHES_REFUNDABLE_AMOUNT": Refused,
    "NOT_CANCELABLE_AMOUNT": Refused,
    "NOT_CANCELABLE_PAYMENT": Refused,
    "NOT_ALLOWED_PARTIAL_REFUND": Refused,
    "EXCEED_MAX_REFUND_DUE": Refused,
    "REFUND_REJECTED": Refused,
}
