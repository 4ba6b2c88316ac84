"""What NaverPay through PortOne V1 could not take, refused before anything is sent. Pure.

Lengths, the minimum, the currency and the fields of `extra`; what only the PG can judge (is a date past in Korea, is a
product category real, does the contract ask for naverUseCfm) is left to the PG.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from paygate.commands import (
    Cancel,
    CancelWhole,
    Charge,
    Customer,
    DatedCharge,
    DeleteKey,
    Extra,
    Pay,
    Register,
    Schedule,
    SchedulesOf,
    Unschedule,
    check_url,
)
from paygate.errors import BadCommand, Unsupported
from paygate.model import BillingKey
from paygate.money import Money
from paygate.secret import Secret
from paygate.text import check_text

from . import words


def check(command: Any, tier: str | None) -> None:
    """Raises: BadCommand naming the field, never its value; Unsupported for a window under a tier."""
    match command:
        case Pay() | Register():
            if tier is not None:
                raise Unsupported("a payment window cannot be opened for a tier; nothing was sent")
            _amount(command)
            _customer(command.customer, phone_needed=isinstance(command, Register))
            _extra("pay" if isinstance(command, Pay) else "register", command.extra)
        case Charge():
            _key(command.billing_key)
            _amount(command)
            _customer(command.customer)
            _extra("charge", command.extra)
        case Schedule():
            _key(command.billing_key)
            _customer(command.customer)
            for charge in command.charges:
                _amount(charge)
                _extra("schedule", charge.extra)
        case Cancel() | CancelWhole():
            _extra("cancel", command.extra)
            free = command.extra.get(words.NAME, {}).get("tax_free")
            if free is not None and isinstance(command, Cancel) and free > command.money:
                raise BadCommand("tax_free is the untaxed part of money, so at most as much; nothing was sent")
        case Unschedule() | DeleteKey() | SchedulesOf():
            _key(command.billing_key)


def _amount(command: Pay | Register | Charge | DatedCharge) -> None:
    check_text("title", command.title, words.TITLE_LIMIT)
    if command.money.currency != words.MINIMUM.currency:
        raise BadCommand("only KRW is taken; nothing was sent", order_id=command.order_id)
    if command.money < words.MINIMUM:
        raise BadCommand(f"the minimum is {words.MINIMUM.amount} won; nothing was sent", order_id=command.order_id)


def _customer(customer: Customer, *, phone_needed: bool = False) -> None:
    if phone_needed and not customer.phone:
        raise BadCommand("customer.phone is needed to register a billing key (buyer_tel); nothing was sent")
    for name, (_, limit) in words.BUYER_LIMITS.items():
        value = getattr(customer, name)
        if value is not None:
            check_text(f"customer.{name}", value.reveal(), limit)


def _key(key: BillingKey) -> None:
    check_text("billing_key", key.reveal(), words.KEY_LIMIT)


def _extra(command: str, extra: Extra) -> None:
    fields = extra.get(words.NAME, {})
    _fields(f"extra[{words.NAME!r}]", fields, words.EXTRA[command])


def _fields(where: str, given: Mapping[str, Any], kinds: Mapping[str, str]) -> None:
    for name, value in given.items():
        if name not in kinds:
            raise BadCommand(f"{where} has no field {str(name)[:40]!r}; nothing was sent")
        _KINDS[kinds[name]](f"{where}.{name}", value)


def _plain(value: Any) -> Any:
    return value.reveal() if isinstance(value, Secret) else value


def _day(name: str, value: Any) -> None:
    text = _plain(value)
    try:
        if not isinstance(text, str) or not re.fullmatch(r"[0-9]{8}", text):
            raise ValueError
        date.fromisoformat(text)
    except ValueError:
        raise BadCommand(f"{name} must be a date written yyyyMMdd; nothing was sent") from None


def _count(name: str, value: Any) -> None:
    if type(value) is not int or not 0 < value <= 1_000_000:
        raise BadCommand(f"{name} must be a whole number above zero; nothing was sent")


def _won(name: str, value: Any) -> None:
    if not isinstance(value, Money) or value.currency != words.MINIMUM.currency:
        raise BadCommand(f"{name} must be Money in KRW; nothing was sent")


def _flag(name: str, value: Any) -> None:
    if type(value) is not bool:
        raise BadCommand(f"{name} must be True or False; nothing was sent")


def _action(name: str, value: Any) -> None:
    if value not in ("NEW", "CHANGE"):
        raise BadCommand(f"{name} is 'NEW' or 'CHANGE'; nothing was sent")


def _products(name: str, value: Any) -> None:
    if not isinstance(value, (list, tuple)) or not value:
        raise BadCommand(f"{name} must be a list of products; nothing was sent")
    for number, product in enumerate(value):
        where = f"{name}[{number}]"
        if not isinstance(product, Mapping):
            raise BadCommand(f"{where} must be a mapping; nothing was sent")
        _fields(where, product, words.PRODUCT)
        if lacking := [needed for needed in words.PRODUCT_NEEDS if needed not in product]:
            raise BadCommand(f"{where} lacks {', '.join(lacking)}; nothing was sent")


def _text(limit: int) -> Callable[[str, Any], None]:
    return lambda name, value: check_text(name, _plain(value), limit)


_KINDS: Mapping[str, Callable[[str, Any], None]] = {
    "text": _text(200),
    "long text": _text(2000),
    "key": _text(words.KEY_LIMIT),
    "url": check_url,
    "day": _day,
    "count": _count,
    "won": _won,
    "yes or no": _flag,
    "action": _action,
    "products": _products,
}
