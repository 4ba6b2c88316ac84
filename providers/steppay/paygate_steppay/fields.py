"""Reading single fields of StepPay's JSON. Pure; raises Unreadable for whatever does not fit.

Amounts come as 10000, 10000.0 and, in payment answers, as text; times without a zone; ids as numbers or text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

from paygate.codec import Unreadable
from paygate.errors import BadCommand
from paygate.money import Money
from paygate.text import is_clean

from . import words

Record = Mapping[str, Any]

ID_KEY = re.compile(r"[A-Za-z0-9_-]{1,100}")
"""idKey: 29 letters and digits in every sample (observed); taken as opaque."""
CODE = re.compile(r"[A-Za-z0-9_-]{1,100}")
_TIME = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(?::[0-9]{2})?)(?:(\.[0-9]{1,6})[0-9]*)?"
                   r"(Z|[+-][0-9]{2}:[0-9]{2})?")
_DIGITS = re.compile(r"-?[0-9]{1,18}(?:\.[0-9]{1,18})?")


def record(value: Any, name: str = "a record") -> Record:
    if not isinstance(value, dict):
        raise Unreadable(f"{name} is missing")
    return value


def rows(value: Any, name: str) -> list[Record]:
    if not isinstance(value, list):
        raise Unreadable(f"{name} is missing")
    return [record(row, f"one of {name}") for row in value]


def number(value: Any, name: str) -> int:
    """An int64 id."""
    if type(value) is not int or not 0 <= value < 2**63:
        raise Unreadable(f"{name} is no number")
    return value


def code(value: Any, name: str) -> str:
    if not isinstance(value, str) or not CODE.fullmatch(value):
        raise Unreadable(f"{name} is missing")
    return value


def id_key(value: Any) -> str:
    if not isinstance(value, str) or not ID_KEY.fullmatch(value):
        raise Unreadable("idKey is missing")
    return value


def name_of(value: Any, name: str) -> str:
    """An id that may arrive as a number or as text."""
    text = str(value) if type(value) is int else value
    if not isinstance(text, str) or not 0 < len(text) <= 300 or not is_clean(text):
        raise Unreadable(f"{name} is missing")
    return text


def money(value: Any, name: str, currency: str = words.CURRENCY) -> Money:
    if not (type(value) in (int, Decimal) or (isinstance(value, str) and _DIGITS.fullmatch(value))):
        raise Unreadable(f"{name} is missing")
    try:
        return Money.parse(value, currency)
    except BadCommand:
        raise Unreadable(f"{name} is no amount of money") from None


def currency(value: Any) -> str:
    if not isinstance(value, str):
        raise Unreadable("currency is missing")
    return value


def moment(value: Any, name: str, offset_hours: int) -> datetime | None:
    """A time, without a zone as a rule: then it is `offset_hours` ahead of UTC."""
    if value is None:
        return None
    parts = _TIME.fullmatch(value) if isinstance(value, str) else None
    if parts is None:
        raise Unreadable(f"{name} is no time")
    whole, fine, zone = parts.groups()
    try:
        read = datetime.fromisoformat(f"{whole}{(fine or '').ljust(7, '0') if fine else ''}{zone or ''}")
        if read.tzinfo is None:
            read = read.replace(tzinfo=timezone(timedelta(hours=offset_hours)))
        return read.astimezone(UTC)
    except (ValueError, OverflowError):
        raise Unreadable(f"{name} is no time") from None


def written(when: datetime) -> str:
    """A time as the PG takes it: UTC, without a zone, whole seconds (documented for change-pay-datetime)."""
    return when.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds")
