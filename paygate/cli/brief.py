"""Commands and results in one line, as a person reads them. Secrets do not print, so nothing here has to hide them."""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from typing import Any

import attrs

from ..model import ClientCall, Payment, Redirect
from ..money import Money
from ..secret import Secret

_LEFT_OUT = ("extra", "customer", "cancellations", "receipt_url", "card_number", "return_url", "key")


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


def _is_said(value: Any, field: attrs.Attribute[Any]) -> bool:
    held = getattr(value, field.name)
    # What stands at its default was not asked for, such as terms where the PG has its own.
    return field.name not in _LEFT_OUT and held is not None and held is not False and held not in ((), field.default)
