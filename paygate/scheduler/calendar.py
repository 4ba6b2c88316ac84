"""When a subscription's periods begin: pure arithmetic on a merchant's wall clock. No clock is read here.

The rules, in full:

- Every date is counted from the anchor, never from the date before: 31 January, 28 February, 31 March.
- A month that lacks the anchor's day takes its last day; 29 February falls on 28 February in common years.
- The wall clock's time stays the same across a change of summer time. A time that does not exist is moved forward by
  the gap (02:30 becomes 03:30); of one that comes twice the first is meant.
"""

from __future__ import annotations

from calendar import monthrange
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ..errors import BadCommand
from ..subscriptions import Interval, Unit

_MONTHS = {Unit.MONTH: 1, Unit.YEAR: 12}
_DAYS = {Unit.DAY: 1, Unit.WEEK: 7}
_LONGEST = {Unit.DAY: 1, Unit.WEEK: 7, Unit.MONTH: 31, Unit.YEAR: 366}


def zone_named(name: str) -> ZoneInfo:
    """The time zone of an IANA name such as "Asia/Seoul".

    Raises: BadCommand.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError, TypeError):
        raise BadCommand(f"{ascii(name)[:60]} is no time zone of this machine's table, such as Asia/Seoul; "
                         "nothing was sent") from None


def period_start(anchor: datetime, every: Interval, n: int, zone: ZoneInfo) -> datetime:
    """The instant (UTC) at which period `n` begins; period 0 begins at `anchor`.

    Raises: BadCommand for a negative `n` or a date past the year 9999.
    """
    if n < 0:
        raise BadCommand("a subscription has no period before its first; nothing was sent")
    if n == 0:
        return anchor.astimezone(UTC)
    wall = anchor.astimezone(zone).replace(tzinfo=None)
    try:
        moved = (_months_later(wall, n * every.count * _MONTHS[every.unit]) if every.unit in _MONTHS
                 else wall + timedelta(days=n * every.count * _DAYS[every.unit]))
        # fold=0: of two readings the first; in a gap the offset before it, which moves the time forward.
        return moved.replace(tzinfo=zone, fold=0).astimezone(UTC)
    except (OverflowError, ValueError):
        raise BadCommand("a period would begin after the year 9999; nothing was sent") from None


def _months_later(wall: datetime, months: int) -> datetime:
    years, month = divmod(wall.month - 1 + months, 12)
    last_day = monthrange(wall.year + years, month + 1)[1]
    return wall.replace(year=wall.year + years, month=month + 1, day=min(wall.day, last_day))


def period_at(anchor: datetime, every: Interval, now: datetime, zone: ZoneInfo) -> int:
    """The number of the last period that has begun by `now`; -1 before the anchor."""
    if now < anchor:
        return -1
    # A lower bound that is a few periods short at most, then forward.
    longest_days = every.count * _LONGEST[every.unit]
    n = max(0, int((now - anchor) / timedelta(days=longest_days)) - 1)
    while period_start(anchor, every, n + 1, zone) <= now:
        n += 1
    return n
