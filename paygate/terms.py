"""The terms of a subscription that paygate runs: when it begins and ends, and what a decline or downtime leads to."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from attrs import Attribute, field, frozen

from .errors import BadCommand
from .model import DeclineReason, aware

_NEVER_AGAIN = (DeclineReason.EXPIRED, DeclineReason.BLOCKED, DeclineReason.INVALID_METHOD)
"""Reasons that do not pass by themselves: the payer must choose another means of payment first."""


def _days(value: object) -> tuple[int, ...]:
    if not isinstance(value, (list, tuple)) or len(value) > 9 \
            or not all(type(day) is int and 1 <= day <= 60 for day in value) or sorted(set(value)) != list(value):
        raise BadCommand("retries are at most nine rising numbers of days after the due date, such as (1, 3, 5); "
                         "nothing was sent")
    return tuple(value)


def _by_reason(value: object) -> dict[DeclineReason, tuple[int, ...]]:
    if not isinstance(value, Mapping):
        raise BadCommand("by_reason is {DeclineReason: days}; nothing was sent")
    try:
        return {DeclineReason(reason): _days(days) for reason, days in value.items()}
    except ValueError as error:
        raise error if isinstance(error, BadCommand) else BadCommand(
            "by_reason is {DeclineReason: days}; nothing was sent") from None


def _end_after(_: object, __: object, value: object) -> None:
    if type(value) is not int or not 0 <= value <= 365:
        raise BadCommand("end_after_days is a whole number of days, 0 to 365; nothing was sent")


@frozen(kw_only=True)
class Retries:
    """What follows a declined period: tried again `after_days` after it was due, under an order_id of its own.

    `by_reason` replaces `after_days` for single reasons; without it, what does not pass by itself (an expired, blocked
    or invalid means of payment) is not tried again until the payer has chosen another. The subscription is past_due
    from the first decline on, and ended `end_after_days` after the due date.
    """

    after_days: tuple[int, ...] = field(default=(1, 3, 5), converter=_days)
    by_reason: Mapping[DeclineReason, tuple[int, ...]] = field(
        factory=lambda: dict.fromkeys(_NEVER_AGAIN, ()), converter=_by_reason)
    end_after_days: int = field(default=14, validator=_end_after)

    def days(self, reason: DeclineReason) -> tuple[int, ...]:
        """Days after the due date on which a period declined for `reason` is tried again."""
        return self.by_reason.get(reason, self.after_days)


CatchUp = Literal["latest", "all", "none"]


def _catch_up(_: object, __: object, value: object) -> None:
    if value not in ("latest", "all", "none"):
        raise BadCommand("catch_up is 'latest', 'all' or 'none'; nothing was sent")


def _times(_: object, __: object, value: Any) -> None:
    if value is not None and (type(value) is not int or not 1 <= value <= 9999):
        raise BadCommand("times is how many periods are charged in all, 1 to 9999; nothing was sent")


def _zone(_: object, __: object, value: object) -> None:
    from .scheduler.calendar import zone_named

    zone_named(value)  # type: ignore[arg-type]


def _after_first(terms: Terms, _: Attribute[Any], value: datetime | None) -> None:
    if value is not None and terms.first is not None and value <= terms.first:
        raise BadCommand("until must lie after first; nothing was sent")


@frozen(kw_only=True)
class Terms:
    """How a subscription runs.

    `first`: when the first period is charged; None is at the payer's approval. A trial is a `first` in the future.
    `until`: no period that begins at or after it is charged. `times`: how many periods are charged in all.
    `zone`: whose wall clock the dates are counted on.
    `catch_up`: what is charged after downtime: the "latest" period that was missed (the others are listed), "all" of
    them, or "none".
    """

    first: datetime | None = field(default=None, validator=aware)
    until: datetime | None = field(default=None, validator=[aware, _after_first])
    times: int | None = field(default=None, validator=_times)
    zone: str = field(default="Asia/Seoul", validator=_zone)
    catch_up: CatchUp = field(default="latest", validator=_catch_up)
    retries: Retries = Retries()

