"""What a call asks for, in neutral words, for a judge who counts what was sent twice. Nothing here acts or answers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from paygate.testing.asks import Asks, Dated, fields
from paygate.testing.emulator import Call

from .routes import segments

_LOOKS = ("find", "findAll")


def asks(call: Call) -> Asks:
    """Read a call's path and JSON body. A call that is none of these moves no money."""
    said, parts = fields(call.body), segments(call.path) or ()
    match call.method, parts:
        case "POST", ("users", "getToken"):
            return Asks(kind="token")
        case "POST", ("subscribe", "payments", "again" | "onetime"):
            return Asks(kind="charge", orders=_ids(said), amount=_won(said), currency=said.get("currency"),
                        key=said.get("customer_uid"))
        case "POST", ("payments", "cancel"):
            return Asks(kind="refund", orders=_ids(said), provider_id=said.get("imp_uid"), amount=_won(said),
                        guarded=said.get("checksum") is not None, note=said.get("reason"))
        case "POST", ("subscribe", "payments", "schedule"):
            dated = tuple([_dated(id, item) for item in said.get("schedules", ()) for id in _ids(item)])
            return Asks(kind="schedule", orders=tuple([one.order for one in dated]), key=said.get("customer_uid"),
                        dated=dated)
        case "POST", ("subscribe", "payments", "unschedule"):
            return Asks(kind="unschedule", orders=_ids(said))
        case "GET", ("payments", word, order, *_) if word in _LOOKS:
            return Asks(kind="look", orders=(order,))
        case "GET", ("payments", imp_uid) if imp_uid != "prepare":
            return Asks(kind="look", provider_id=imp_uid)
        case "GET", ("subscribe", "payments", "schedule", order):
            return Asks(kind="look", orders=(order,))
        case "GET", _:
            return Asks(kind="look")
    return Asks(kind="other")


def _ids(said: dict[str, Any]) -> tuple[str, ...]:
    given = said.get("merchant_uid")
    return tuple(given) if isinstance(given, list) else () if given is None else (str(given),)


def _dated(order: str, item: dict[str, Any]) -> Dated:
    due = item.get("schedule_at")
    return Dated(order, _won(item), item.get("currency"),
                 datetime.fromtimestamp(due, UTC) if type(due) is int else None)


def _won(said: dict[str, Any]) -> int | None:
    """Won have no minor unit, so the number on the wire is the amount."""
    amount = said.get("amount")
    return amount if type(amount) is int else None
