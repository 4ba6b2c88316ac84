"""Commands: what a merchant asks for. Verbs only; each one is checked when it is made, before anything is sent."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from urllib.parse import urlsplit

from attrs import Attribute, field, frozen

from .errors import BadCommand
from .model import BillingKey, aware
from .money import LIMIT, Money
from .secret import Secret, secret_or_none
from .text import check_text

ORDER_ID = re.compile(r"[A-Za-z0-9_-]{1,40}")
_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""32 that a person can read out without mistaking one for another."""
Extra = Mapping[str, Mapping[str, Any]]


def new_order_id(prefix: str = "") -> str:
    """A fresh, unguessable id: `prefix`, at most 8 characters, and 20 others (100 random bits) without O, I, L or U.

    It is fit for `order_id` and `cancel_id`, also for the `order_id` of a subscription, which is at most 30 long.

    Raises: BadCommand for a prefix that may not stand in an id.
    """
    made = prefix + "".join(secrets.choice(_LETTERS) for _ in range(20))
    if len(prefix) > 8 or not ORDER_ID.fullmatch(made):
        raise BadCommand("an id prefix is at most 8 of A-Z a-z 0-9 _ -")
    return made


def check_id(name: str, value: object) -> None:
    """Refuse what is no id of ours.

    Raises: BadCommand.
    """
    if not isinstance(value, str) or not ORDER_ID.fullmatch(value):
        raise BadCommand(f"{name} must be 1 to 40 of A-Z a-z 0-9 _ -; nothing was sent")


def _id(_: object, attribute: Attribute[Any], value: object) -> None:
    check_id(attribute.name, value)


def limited_text(limit: int) -> Any:
    """Validator: at most `limit` clean characters, in a str or a Secret; None is left alone."""

    def check(_: object, attribute: Attribute[Any], value: object) -> None:
        if value is not None:
            check_text(attribute.name, value.reveal() if isinstance(value, Secret) else value, limit)
    return check


def check_some_money(_: object, attribute: Attribute[Any], value: object) -> None:
    if not isinstance(value, Money) or value.is_zero:
        hint = f': write Money({value}, "KRW")' if type(value) is int and 0 < value <= LIMIT else ""
        raise BadCommand(f"{attribute.name} must be Money above zero{hint}; nothing was sent")


def _tax_free(command: Any, _: Attribute[Any], value: Money | None) -> None:
    if value is not None and (not isinstance(value, Money) or value > command.money):
        raise BadCommand("tax_free is the untaxed part of money, so at most as much; nothing was sent")


def check_key(_: object, attribute: Attribute[Any], value: object) -> None:
    if not isinstance(value, BillingKey):
        raise BadCommand(f"{attribute.name} must be a BillingKey; nothing was sent")


def _is_loopback(host: str) -> bool:
    return host in ("localhost", "127.0.0.1", "::1")


def check_url(name: str, value: object) -> None:
    """Refuse a URL that a payer's browser or a PG should not be sent to.

    https only (http for this machine itself), no user part, no fragment, at most 2,000 clean characters.

    Raises: BadCommand.
    """
    check_text(name, value, 2000)
    try:
        parts = urlsplit(str(value))
        _ = parts.port
    except ValueError:
        raise BadCommand(f"{name} is not a URL; nothing was sent") from None
    host = parts.hostname or ""
    if parts.scheme not in ("https", "http") or not host or not str(value).isascii() or " " in str(value) \
            or "\\" in str(value):
        raise BadCommand(f"{name} must be an https URL in ASCII; nothing was sent")
    if parts.scheme == "http" and not _is_loopback(host):
        raise BadCommand(f"{name} must be https; nothing was sent")
    if "@" in parts.netloc or "#" in str(value):
        raise BadCommand(f"{name} must have neither a user part nor a fragment; nothing was sent")


def check_url_field(_: object, attribute: Attribute[Any], value: object) -> None:
    check_url(attribute.name, value)


def _extra(_: object, attribute: Attribute[Any], value: object) -> None:
    if not isinstance(value, Mapping) \
            or not all(isinstance(k, str) and isinstance(v, Mapping) for k, v in value.items()):
        raise BadCommand("extra is {provider name: {field: value}}; nothing was sent")


def extra_field() -> Any:
    """The field for what only one PG knows, keyed by provider name; it may hold personal data, so it never prints."""
    return field(factory=dict, repr=False, validator=_extra)


@frozen(kw_only=True)
class Customer:
    """The payer. Every field but `id` (your own name for them) is personal data: it never prints and is not stored."""

    id: str | None = field(default=None, validator=limited_text(80))
    name: Secret | None = field(default=None, converter=secret_or_none, validator=limited_text(100))
    phone: Secret | None = field(default=None, converter=secret_or_none, validator=limited_text(40))
    email: Secret | None = field(default=None, converter=secret_or_none, validator=limited_text(200))
    address: Secret | None = field(default=None, converter=secret_or_none, validator=limited_text(200))
    postcode: Secret | None = field(default=None, converter=secret_or_none, validator=limited_text(20))


@frozen(kw_only=True)
class Pay:
    """A one-off payment of `money` (일반결제).

    `order_id` is used once, ever; `return_url` is your page after the window.
    """

    order_id: str = field(validator=_id)
    money: Money = field(validator=check_some_money)
    title: str = field(validator=limited_text(200))
    return_url: str = field(validator=check_url_field)
    customer: Customer = Customer()
    tax_free: Money | None = field(default=None, validator=_tax_free)
    extra: Extra = extra_field()


@frozen(kw_only=True)
class Register:
    """Obtain a billing key (빌링키 발급).

    `money` is what the payer is shown; whether it is charged says the profile.
    """

    order_id: str = field(validator=_id)
    money: Money = field(validator=check_some_money)
    title: str = field(validator=limited_text(200))
    return_url: str = field(validator=check_url_field)
    customer: Customer = Customer()
    extra: Extra = extra_field()


@frozen(kw_only=True)
class Charge:
    """Charge a billing key now."""

    order_id: str = field(validator=_id)
    billing_key: BillingKey = field(validator=check_key)
    money: Money = field(validator=check_some_money)
    title: str = field(validator=limited_text(200))
    customer: Customer = Customer()
    tax_free: Money | None = field(default=None, validator=_tax_free)
    extra: Extra = extra_field()


_EARLIEST, _LATEST = datetime(2001, 9, 9, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


def _due(_: object, attribute: Attribute[Any], value: datetime) -> None:
    aware(_, attribute, value)
    if not isinstance(value, datetime) or not _EARLIEST <= value < _LATEST:
        raise BadCommand(f"{attribute.name} must lie before the year 2100; nothing was sent")


@frozen(kw_only=True)
class DatedCharge:
    """One charge of a `Schedule`: `due_at` is an instant with a time zone, in the future when it is sent."""

    order_id: str = field(validator=_id)
    due_at: datetime = field(validator=_due)
    money: Money = field(validator=check_some_money)
    title: str = field(validator=limited_text(200))
    tax_free: Money | None = field(default=None, validator=_tax_free)
    extra: Extra = extra_field()


def _as_tuple(charges: Iterable[DatedCharge]) -> tuple[DatedCharge, ...]:
    return tuple(charges)


RunBy = Literal["pg", "paygate"]


def check_run_by(_: object, attribute: Attribute[Any], value: object) -> None:
    if value not in (None, "pg", "paygate"):
        raise BadCommand(f"{attribute.name} is 'pg' or 'paygate'; nothing was sent")


def _distinct(names: list[str]) -> bool:
    return bool(names) and len(set(names)) == len(names)


@frozen(kw_only=True)
class Schedule:
    """Charge a billing key at stated instants (예약결제); every dated charge has an order_id of its own.

    `run_by` is "pg" or "paygate"; None leaves it to the PG where it can.
    """

    billing_key: BillingKey = field(validator=check_key)
    charges: tuple[DatedCharge, ...] = field(converter=_as_tuple)
    customer: Customer = Customer()
    run_by: RunBy | None = field(default=None, validator=check_run_by)

    @charges.validator
    def _charges(self, _: Attribute[Any], value: tuple[DatedCharge, ...]) -> None:
        if not all(isinstance(c, DatedCharge) for c in value) or not _distinct([c.order_id for c in value]):
            raise BadCommand("a schedule needs at least one DatedCharge, each with its own order_id; nothing was sent")


@frozen(kw_only=True)
class Unschedule:
    """Stop dated charges that are named one by one (예약취소). There is no "all of them"."""

    billing_key: BillingKey = field(validator=check_key)
    order_ids: tuple[str, ...] = field()

    @order_ids.validator
    def _ids(self, attribute: Attribute[Any], value: tuple[str, ...]) -> None:
        if not isinstance(value, (tuple, list)):
            raise BadCommand("unschedule needs the order_ids to stop, each once; nothing was sent")
        for order_id in value:
            _id(self, attribute, order_id)
        if not _distinct(list(value)):
            raise BadCommand("unschedule needs the order_ids to stop, each once; nothing was sent")


RequestedBy = Literal["customer", "admin"]


def _requested_by(_: object, attribute: Attribute[Any], value: object) -> None:
    if value not in ("customer", "admin"):
        raise BadCommand(f"{attribute.name} is 'customer' or 'admin'; nothing was sent")


@frozen(kw_only=True)
class Cancel:
    """Give `money` back (부분취소): never the rest, always a stated amount.

    `cancel_id` names this refund, once, ever. `order_id` is yours, or the PG's id of a payment that was never asked for
    here: a renewal that the PG made by itself, a second payment under one order.
    """

    cancel_id: str = field(validator=_id)
    order_id: str = field(validator=_id)
    money: Money = field(validator=check_some_money)
    reason: str = field(validator=limited_text(200))
    requested_by: RequestedBy = field(default="customer", validator=_requested_by)
    extra: Extra = extra_field()


@frozen(kw_only=True)
class CancelWhole:
    """Give back all that is left of a payment (전액취소). A call of its own, so that no missing amount can mean it."""

    cancel_id: str = field(validator=_id)
    order_id: str = field(validator=_id)
    reason: str = field(validator=limited_text(200))
    requested_by: RequestedBy = field(default="customer", validator=_requested_by)
    extra: Extra = extra_field()


@frozen(kw_only=True)
class DeleteKey:
    """Delete a billing key at the PG. Refused while subscriptions, dated charges or unknown outcomes hang on it, unless
    `force`.
    """

    billing_key: BillingKey = field(validator=check_key)
    reason: str = field(validator=limited_text(200))
    requested_by: RequestedBy = field(default="customer", validator=_requested_by)
    force: bool = False


@frozen(kw_only=True)
class SchedulesOf:
    """List the dated charges of a billing key with `start <= due_at < end`."""

    billing_key: BillingKey = field(validator=check_key)
    start: datetime = field(validator=_due)
    end: datetime = field(validator=_due)

    @end.validator
    def _after(self, _: Attribute[Any], value: datetime) -> None:
        if not timedelta() < value - self.start:
            raise BadCommand("end must lie after start; nothing was sent")


@frozen(kw_only=True)
class KeysOf:
    """List the means of payment that the PG has saved for one payer (저장된 결제수단)."""

    customer: Customer
    extra: Extra = extra_field()
