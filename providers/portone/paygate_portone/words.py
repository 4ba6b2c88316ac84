"""PortOne V1's own words for NaverPay, as tables: status words, texts that refine an error, extra fields, limits.

Data only. Nothing here decides that money moved: a status word does, through `STATUSES`; a text only names a reason.
Texts are compared with all spaces taken out, because the PG writes the same sentence with and without them.
Marks: documented (PortOne's pages or schema), observed (public code that quotes live answers), assumed (ours).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from paygate.errors import Conflict, NotFound, Refused
from paygate.model import DeclineReason, PaymentStatus, ScheduleStatus
from paygate.money import Money

NAME = "portone-naverpay"
PG = "naverpay"
"""What a payment's record calls this PG (documented: pg_provider)."""

MINIMUM = Money(10, "KRW")
"""Since 2024-01-24 (documented: PortOne V1 guide, NaverPay; the V2 page still says 100)."""

TITLE_LIMIT = 40
KEY_LIMIT = 80
"""Characters of merchant-named billing keys (documented: schema, customer_uid)."""

BUYER_LIMITS: Mapping[str, tuple[str, int]] = {
    "name": ("buyer_name", 16),
    "phone": ("buyer_tel", 16),
    "email": ("buyer_email", 64),
    "address": ("buyer_addr", 128),
    "postcode": ("buyer_postcode", 8),
}
"""Customer field → the PG's field and its length (documented: schema)."""

STATUSES: Mapping[str, PaymentStatus] = {
    "ready": PaymentStatus.PENDING,
    "paid": PaymentStatus.PAID,
    "failed": PaymentStatus.FAILED,
    "cancelled": PaymentStatus.CANCELLED,
}
"""`status` of a payment (documented). "cancelled" also stands for a partial refund: amounts decide (observed)."""

SCHEDULE_STATUSES: Mapping[str, ScheduleStatus] = {
    "scheduled": ScheduleStatus.SCHEDULED,
    "executed": ScheduleStatus.EXECUTED,
    "revoked": ScheduleStatus.REVOKED,
}
"""`schedule_status` (documented). "executed" says nothing about payment."""

EXECUTED_STATUSES: Mapping[str, PaymentStatus] = {
    "paid": PaymentStatus.PAID,
    "failed": PaymentStatus.FAILED,
    "cancelled": PaymentStatus.CANCELLED,
}
"""`payment_status` of a dated charge (documented). "cancelled" here: paid, later given back in part or whole."""

ABSENT = (
    "존재하지않는결제정보",  # observed: GET /payments/{imp_uid}, find, findAll
    "등록된정보를찾을수없",  # observed: GET and DELETE /subscribe/customers/{customer_uid}
    "등록되지않은구매자",  # observed: POST /subscribe/payments/again with an unknown customer_uid
    "등록된고객정보가없",  # observed: POST /subscribe/payments/schedule with an unknown customer_uid
    "예약결제기록이존재하지않",  # observed: POST /subscribe/payments/unschedule with nothing to revoke
    "사전등록된결제정보가존재하지않",  # observed: GET /payments/prepare/{merchant_uid}
    "취소할결제건이존재하지않",  # observed: POST /payments/cancel with an unknown uid
)
"""Texts by which an answer with code != 0 says that it knows nothing under an id."""

REFUSALS: tuple[tuple[str, type[Refused]], ...] = (
    ("이미주문이이루어진", Conflict),  # observed: a merchant_uid that has been paid or cancelled
    ("이미등록된merchant_uid", Conflict),  # observed: POST /payments/prepare twice
    *((text, NotFound) for text in ABSENT),
)
"""Texts of an answer with code != 0 → the error class; no match is plain Refused. First match wins."""

DECLINES: tuple[tuple[str, DeclineReason], ...] = (
    ("MaintenanceOngoing", DeclineReason.PG_UNAVAILABLE),  # documented: help centre
    ("시스템점검", DeclineReason.PG_UNAVAILABLE),  # documented: help centre
    ("잔액", DeclineReason.INSUFFICIENT_FUNDS),  # documented: NaverPay guide, example of error_msg
    ("잔고", DeclineReason.INSUFFICIENT_FUNDS),  # assumed: the banks' word for it
    ("한도", DeclineReason.LIMIT_EXCEEDED),  # documented: NaverPay guide
    ("10원미만", DeclineReason.BELOW_MINIMUM),  # documented: NaverPay guide
    ("최소결제", DeclineReason.BELOW_MINIMUM),  # documented: NaverPay guide
    ("유효기간", DeclineReason.EXPIRED),  # assumed: card companies' word
    ("분실", DeclineReason.BLOCKED),  # assumed: lost
    ("도난", DeclineReason.BLOCKED),  # assumed: stolen
    ("거래정지", DeclineReason.BLOCKED),  # assumed: suspended
    ("사용정지", DeclineReason.BLOCKED),  # assumed: suspended
    ("정지카드", DeclineReason.BLOCKED),  # assumed: suspended
    ("유효하지않은카드", DeclineReason.INVALID_METHOD),  # observed: card data rejected
    ("등록되지않은구매자", DeclineReason.INVALID_METHOD),  # assumed: a dated charge of a key deleted meanwhile
    ("결제를취소", DeclineReason.PAYER_CANCELLED),  # assumed: the window's own cancel button
)
"""Texts of `fail_reason` → why; no match is UNMAPPED. First match wins."""

_WINDOW = {
    "naverProductCode": "text",
    "naverProductCount": "count",
    "naverChainId": "text",
    "notice_url": "url",
    "custom_data": "long text",
}
_SERVER = {
    "naverUseCfm": "day",
    "product_count": "count",
    "notice_url": "url",
    "custom_data": "long text",
}

EXTRA: Mapping[str, Mapping[str, str]] = {
    "pay": {
        **_WINDOW,
        "naverUseCfm": "day",
        "naverProducts": "products",
        "naverPurchaserName": "text",
        "naverPurchaserBirthday": "day",
        "naverCultureBenefit": "yes or no",
        "naverMerchantUserKey": "text",
        "escrow": "yes or no",
        "confirm_url": "url",
    },
    "register": {**_WINDOW, "customer_uid": "key", "naverActionType": "action"},
    "charge": _SERVER,
    "schedule": _SERVER,
    "cancel": {"tax_free": "won", "enable_webhook": "yes or no"},
}
"""Command → the fields it takes in `extra["portone-naverpay"]` → kind of value (documented: NaverPay guide, schema)."""

PRODUCT: Mapping[str, str] = {
    "categoryType": "text",
    "categoryId": "text",
    "uid": "text",
    "name": "text",
    "count": "count",
    "payReferrer": "text",
    "sellerId": "text",
    "startDate": "day",
    "endDate": "day",
}
"""Fields of one of `naverProducts` (documented: NaverPay guide)."""

PRODUCT_NEEDS = ("categoryType", "categoryId", "uid", "name", "count")


def verbatim(value: Any) -> str | None:
    """A PG's text as it is; only half characters, which nothing can store, become "?". None for what is no text."""
    return value[:2000].encode("utf-8", "replace").decode("utf-8") if isinstance(value, str) else None


def squeezed(text: str | None) -> str:
    """`text` without spaces, as the tables above hold it."""
    return "".join((text or "").split())


def says_absent(text: str | None) -> bool:
    """Whether an answer's message says that nothing is known under the id asked for."""
    return any(known in squeezed(text) for known in ABSENT)


def refusal(text: str | None) -> type[Refused]:
    """The error class for an answer with code != 0."""
    return next((kind for known, kind in REFUSALS if known in squeezed(text)), Refused)


def decline_reason(text: str | None) -> DeclineReason:
    """Why a charge failed, as far as `fail_reason` tells."""
    return next((why for known, why in DECLINES if known in squeezed(text)), DeclineReason.UNMAPPED)
