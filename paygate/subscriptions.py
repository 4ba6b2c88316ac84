"""Subscriptions as values: a payer is charged every interval, until it is stopped. One set of words for every PG."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from attrs import Attribute, field, frozen

from .commands import (
    Customer,
    Extra,
    RunBy,
    check_id,
    check_key,
    check_run_by,
    check_some_money,
    check_url_field,
    extra_field,
    limited_text,
)
from .errors import BadCommand
from .model import BillingKey, aware
from .money import Money
from .terms import Terms


class Unit(StrEnum):
    """What an interval is counted in."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"


def _count(_: object, __: object, value: Any) -> None:
    if type(value) is not int or not 1 <= value <= 366:
        raise BadCommand("an interval's count is 1 to 366; nothing was sent")


def _unit(unit: str | Unit) -> Unit:
    try:
        return Unit(unit)
    except ValueError:
        raise BadCommand("an interval is counted in day, week, month or year; nothing was sent") from None


@frozen
class Interval:
    """`Interval("month")`, `Interval("week", 2)`."""

    unit: Unit = field(converter=_unit)
    count: int = field(default=1, validator=_count)


def _id(_: object, attribute: Attribute[Any], value: object) -> None:
    check_id(attribute.name, value)


def _interval(_: object, attribute: Attribute[Any], value: object) -> None:
    if not isinstance(value, Interval):
        raise BadCommand(f"{attribute.name} must be an Interval; nothing was sent")


def _terms(_: object, attribute: Attribute[Any], value: object) -> None:
    if not isinstance(value, Terms):
        raise BadCommand(f"{attribute.name} must be Terms; nothing was sent")


@frozen(kw_only=True)
class Subscribe:
    """Charge `money` `every` interval, the first time when the payer approves (정기결제).

    `order_id` names the first order and, from then on, the subscription; where paygate runs it, it is at most 30
    characters long, as `new_order_id()` makes them. `run_by` is "pg" or "paygate"; None
    leaves it to the PG where it can. `terms` are for what paygate runs. `extra` goes into the payer's windows.
    """

    order_id: str = field(validator=_id)
    money: Money = field(validator=check_some_money)
    every: Interval = field(validator=_interval)
    title: str = field(validator=limited_text(200))
    return_url: str = field(validator=check_url_field)
    customer: Customer = Customer()
    terms: Terms = field(default=Terms(), validator=_terms)
    run_by: RunBy | None = field(default=None, validator=check_run_by)
    extra: Extra = extra_field()


@frozen(kw_only=True)
class SubscribeKey:
    """Charge a billing key `every` interval: as `Subscribe`, for a payer who has registered already. No window.

    `extra` goes into each charge.
    """

    order_id: str = field(validator=_id)
    billing_key: BillingKey = field(validator=check_key)
    money: Money = field(validator=check_some_money)
    every: Interval = field(validator=_interval)
    title: str = field(validator=limited_text(200))
    customer: Customer = Customer()
    terms: Terms = field(default=Terms(), validator=_terms)
    run_by: RunBy | None = field(default=None, validator=check_run_by)
    extra: Extra = extra_field()


class SubscriptionStatus(StrEnum):
    """Where a subscription stands."""

    ACTIVE = "active"
    PAUSED = "paused"
    PAST_DUE = "past_due"
    """A charge failed; it is being tried again."""
    ENDING = "ending"
    """Stopped, but paid until `ends_at`."""
    ENDED = "ended"


@frozen(kw_only=True)
class Subscription:
    """A subscription as the PG knows it."""

    order_id: str
    provider_id: str | None
    """The PG's id of the subscription."""
    status: SubscriptionStatus
    money: Money
    every: Interval
    next_due_at: datetime | None = field(default=None, validator=aware)
    last_paid_at: datetime | None = field(default=None, validator=aware)
    ends_at: datetime | None = field(default=None, validator=aware)
    unrecorded: bool = False
    renewed_by: tuple[str, ...] = field(default=(), repr=False)
    """The PG's ids of the payments by which it renewed it, where it names them: none of them is missed then."""


When = Literal["now", "period_end"]


def _when(_: object, attribute: Attribute[Any], value: object) -> None:
    if isinstance(value, datetime):
        aware(_, attribute, value)
    elif value not in ("now", "period_end"):
        raise BadCommand("when is 'now', 'period_end' or a datetime with a time zone; nothing was sent")


@frozen(kw_only=True)
class Unsubscribe:
    """Stop a subscription (구독 해지). It gives no money back: that is `cancel`."""

    order_id: str = field(validator=_id)
    when: When | datetime = field(default="period_end", validator=_when)
    reason: str = field(default="customer request", validator=limited_text(200))


@frozen(kw_only=True)
class MoveNext:
    """Move a subscription's next charge to `due_at`, which lies in the future."""

    order_id: str = field(validator=_id)
    due_at: datetime = field(validator=[aware])


@frozen(kw_only=True)
class ChangeInterval:
    """Charge a subscription at another interval from the next period on."""

    order_id: str = field(validator=_id)
    every: Interval = field(validator=_interval)


@frozen(kw_only=True)
class ChangeMoney:
    """Charge a subscription another amount from the next period on."""

    order_id: str = field(validator=_id)
    money: Money = field(validator=check_some_money)


@frozen(kw_only=True)
class Renew:
    """Charge a subscription's next period now, and begin it. `order_id` names this charge, once, ever.

    `subscription` is the order_id that began it; `money` is what one period costs, to the unit.
    """

    order_id: str = field(validator=_id)
    subscription: str = field(validator=_id)
    money: Money = field(validator=check_some_money)


@frozen(kw_only=True)
class ChangeMethod:
    """Let the payer choose another means of payment for a subscription: a window of its own, without a charge."""

    order_id: str = field(validator=_id)
    return_url: str = field(validator=check_url_field)
