"""What an answer of PortOne V1 holds, read into values. Pure; raises Unreadable for whatever does not fit.

Fields that decide something about money are required and strict; fields that only tell are taken if they are text.
A record tells its channel kind (test or live); whether it is the right one is for the core to judge.

Source: PortOne V1 REST, PaymentAnnotation, ScheduleResultAnnotation, CustomerAnnotation (documented).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TypeVar

from paygate.codec import Unreadable
from paygate.errors import BadCommand
from paygate.model import BillingKey, Cancelled, KeyInfo, Payment, PaymentStatus, ScheduledCharge
from paygate.money import Money
from paygate.secret import Secret
from paygate.text import is_clean

from . import words

T = TypeVar("T")

IMP_UID = re.compile(r"[A-Za-z0-9_-]{1,40}")
"""imp_ or imps_ and 12 digits (observed); at most 32 (documented)."""
PAGE_SIZE = 20
"""Length of a page where none was asked for (documented: limit, default 20)."""
_YEAR_2100 = 4_102_444_800


def payment(content: Any) -> Payment:
    """Read a PaymentAnnotation. Partial and whole refunds share one status word, so amounts tell them apart.

    Raises: Unreadable; BadCommand where the amounts contradict the status.
    """
    record = _record(content)
    status = _listed(words.STATUSES, record.get("status"), "status")
    money, back = _money(record, "amount"), _money(record, "cancel_amount")
    if status in (PaymentStatus.PAID, PaymentStatus.CANCELLED) and not back.is_zero:
        status = PaymentStatus.CANCELLED if back == money else PaymentStatus.PARTLY_CANCELLED
    failed = status is PaymentStatus.FAILED
    says = words.verbatim(record.get("fail_reason")) if failed else None
    key = record.get("customer_uid")
    return Payment(
        order_id=_id(record, "merchant_uid"), provider_id=_imp_uid(record.get("imp_uid")), status=status,
        money=money, cancelled=back, paid_at=_instant(record.get("paid_at")),
        method=words.verbatim(record.get("pay_method")), card_number=words.verbatim(record.get("card_number")),
        test=_channel(record), for_key=record.get("customer_uid_usage") == "issue",
        key=key if isinstance(key, str) and key else None,
        reason=words.decline_reason(says) if failed else None, message=says,
        receipt_url=words.verbatim(record.get("receipt_url")),
        cancellations=tuple(_cancelled(item, money.currency) for item in array(record.get("cancel_history") or [])),
    )


def is_through(content: Any, pg: str) -> bool:
    """Whether a PaymentAnnotation is of `pg`; one that does not say so may be."""
    return not isinstance(content, dict) or content.get("pg_provider") in (None, "", pg)


def scheduled(content: Any) -> tuple[Secret, ScheduledCharge]:
    """Read a ScheduleResultAnnotation: whose billing key it charges, and the dated charge.

    Raises: Unreadable.
    """
    record = _record(content)
    due_at, paid, imp_uid = _instant(record.get("schedule_at")), record.get("payment_status"), record.get("imp_uid")
    if due_at is None:
        raise Unreadable("a dated charge without a date")
    return Secret(_id(record, "customer_uid", words.KEY_LIMIT)), ScheduledCharge(
        order_id=_id(record, "merchant_uid"), due_at=due_at, money=_money(record, "amount"),
        status=_listed(words.SCHEDULE_STATUSES, record.get("schedule_status"), "schedule_status"),
        payment_status=None if paid is None else _listed(words.EXECUTED_STATUSES, paid, "payment_status"),
        provider_id=None if imp_uid is None else _imp_uid(imp_uid),
        message=words.verbatim(record.get("fail_reason")),
    )


def key_info(content: Any, gateway: str) -> KeyInfo:
    """Read a CustomerAnnotation.

    Raises: Unreadable.
    """
    record = _record(content)
    return KeyInfo(
        billing_key=BillingKey(gateway, _id(record, "customer_uid", words.KEY_LIMIT)),
        method=words.verbatim(record.get("pg_provider")), card_name=words.verbatim(record.get("card_name")),
        card_number=words.verbatim(record.get("card_number")), created_at=_instant(record.get("inserted")),
        test=_channel(record),
    )


def prepared(content: Any) -> tuple[str, Money]:
    """Read a prepared order: merchant_uid and amount; a null currency is won, as the PG compares none then.

    Raises: Unreadable.
    """
    record = _record(content)
    currency = {"currency": "KRW"} if record.get("currency") is None else {}
    return _id(record, "merchant_uid"), _money({**record, **currency}, "amount")


def page(content: Any, number: int) -> tuple[list[Any], bool]:
    """The items of page `number`, and whether to ask for the next one.

    Lists of dated charges come as {"list": …, "next": …} or as a plain array: the sources disagree, so both are read.

    Raises: Unreadable.
    """
    if isinstance(content, list):
        return content, len(content) >= PAGE_SIZE
    record = _record(content)
    after = record.get("next")
    if type(after) is not int or after not in (0, number + 1):
        raise Unreadable("its page numbers do not follow each other")
    return array(record.get("list")), after != 0


def array(content: Any) -> list[Any]:
    """A plain array.

    Raises: Unreadable.
    """
    if not isinstance(content, list):
        raise Unreadable("a list is missing")
    return content


def _record(content: Any) -> Mapping[str, Any]:
    if not isinstance(content, dict):
        raise Unreadable("a record is missing")
    return content


def _listed(table: Mapping[str, T], word: Any, name: str) -> T:
    if isinstance(word, str) and word in table:
        return table[word]
    shown = word if isinstance(word, str) and len(word) <= 40 and is_clean(word) else "of another kind"
    raise Unreadable(f"{name} {shown} is not known")


def _id(record: Mapping[str, Any], name: str, limit: int = 40) -> str:
    value = record.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= limit or not is_clean(value):
        raise Unreadable(f"{name} is missing")
    return value


def _imp_uid(value: Any) -> str:
    if not isinstance(value, str) or not IMP_UID.fullmatch(value):
        raise Unreadable("imp_uid is missing")
    return value


def _money(record: Mapping[str, Any], name: str) -> Money:
    number: Any = record.get(name)
    currency = record.get("currency")
    if type(number) not in (int, Decimal) or not isinstance(currency, str):
        raise Unreadable(f"{name} or currency is missing")
    try:
        return Money.parse(number, currency)
    except BadCommand:
        raise Unreadable(f"{name} is no amount of money") from None


def _instant(seconds: Any) -> datetime | None:
    """Unix seconds, UTC; 0 where it has not happened (documented: schema)."""
    if seconds is None or seconds == 0:
        return None
    if type(seconds) is not int or not 0 < seconds < _YEAR_2100:
        raise Unreadable("a time is not in unix seconds")
    return datetime.fromtimestamp(seconds, UTC)


def _channel(record: Mapping[str, Any]) -> bool | None:
    """`sandbox`: on every payment and billing key since 2026-01-26 (documented: help centre notice)."""
    said = record.get("sandbox")
    if said is None:
        return None
    if type(said) is not bool:
        raise Unreadable("sandbox is neither true nor false")
    return said


def _cancelled(content: Any, currency: str) -> Cancelled:
    record = _record(content)
    return Cancelled(money=_money({**record, "currency": currency}, "amount"), at=_instant(record.get("cancelled_at")),
                     reason=words.verbatim(record.get("reason")),
                     provider_id=words.verbatim(record.get("cancellation_id")))
