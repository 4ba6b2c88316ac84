"""Commands and results in one line, as a person reads them. Secrets do not print, so nothing here has to hide them."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from enum import Enum
from typing import Any

import attrs

from ..model import Cancellation, Checkout, ClientCall, Event, Payment, Redirect, ScheduledCharge
from ..money import Money
from ..secret import Secret
from ..subscriptions import Subscription

_LEFT_OUT = ("extra", "customer", "cancellations", "receipt_url", "card_number", "return_url", "key")


class Doubted(str):
    """What became of a doubt that only the PG's webhook could end, in words."""

    __slots__ = ()


def brief(value: Any) -> str:
    """One line that says what it is and what matters of it."""
    if isinstance(value, (tuple, list)):
        return "; ".join(brief(item) for item in value) or "nothing"
    if isinstance(value, Redirect):
        return "redirect the payer"
    if isinstance(value, ClientCall):
        return f"call {value.function} in the payer's browser"
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="minutes")
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, (Money, Secret)):
        return str(value)
    if isinstance(value, Payment):
        back = "" if value.cancelled.is_zero else f", {value.cancelled} given back"
        return f"Payment {value.status.value} {value.money}{back} (order {value.order_id}, theirs {value.provider_id})"
    if attrs.has(type(value)):
        said = [f"{f.name}={brief(getattr(value, f.name))}" for f in attrs.fields(type(value)) if _is_said(value, f)]
        return f"{type(value).__name__}({', '.join(said)})"
    return str(value)


def ended(value: Any) -> str:
    """How a step ended, in the few words of a table's cell."""
    match value:
        case Checkout(action=action, takes_money=takes_money):
            where = "redirect" if isinstance(action, Redirect) else "window"
            return f"{where}, takes money" if takes_money else where
        case Payment():
            return value.status.value
        case Cancellation():
            return f"{value.money} back"
        case Subscription():
            return value.status.value
        case Event():
            return value.kind.value
        case Doubted():
            return "unknown, then its webhook"
        case (ScheduledCharge(), *_):
            return ", ".join(f"{n} {status.value}" for status, n in Counter(held.status for held in value).items())
    return "yes"


def _is_said(value: Any, field: attrs.Attribute[Any]) -> bool:
    held = getattr(value, field.name)
    # What stands at its default was not asked for, such as terms where the PG has its own.
    return field.name not in _LEFT_OUT and held is not None and held is not False and held not in ((), field.default)
