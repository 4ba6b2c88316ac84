"""StepPay's times: zone-less ISO 8601, taken to be UTC; and the calendar arithmetic of its intervals."""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import UTC, datetime, timedelta, timezone

_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:T[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?"
                   r"(?:Z|[+-][0-9]{2}:[0-9]{2})?)?")
LONGEST = {"DAY": 3650, "WEEK": 520, "MONTH": 120, "YEAR": 10}
"""The longest interval this emulator takes, per unit: ten years."""


def write(when: datetime, hours: int, *, fine: bool = False) -> str:
    """A time without its zone; `fine` writes microseconds, as creation answers do (documented samples)."""
    local = when.astimezone(timezone(timedelta(hours=hours))).replace(tzinfo=None)
    return local.isoformat(timespec="microseconds" if fine else "seconds")


def read(text: str, hours: int) -> datetime:
    """A time as clients send it: zone-less (read in the merchant's zone), with Z, or with an offset; or a date.

    Raises: ValueError, also for years before 1970 and after 2200.
    """
    if not _TIME.fullmatch(text):
        raise ValueError("not an ISO 8601 time")
    try:
        when = datetime.fromisoformat(re.sub(r"(\.[0-9]{6})[0-9]+", r"\1", text))
        if when.tzinfo is None:
            when = when.replace(tzinfo=timezone(timedelta(hours=hours)))
        when = when.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("out of range") from error
    if not 1970 <= when.year <= 2200:
        raise ValueError("out of range")
    return when


def after(when: datetime, unit: str, count: int, day: int | None = None) -> datetime:
    """`count` units later. Months keep `day` of the month (default: that of `when`), or the month's last day."""
    if unit in ("DAY", "WEEK"):
        return when + timedelta(days=count * (7 if unit == "WEEK" else 1))
    months = when.year * 12 + when.month - 1 + count * (12 if unit == "YEAR" else 1)
    year, month = divmod(months, 12)
    return when.replace(year=year, month=month + 1, day=min(day or when.day, monthrange(year, month + 1)[1]))
