"""FakePG's example commands, and what a call of its provider asks for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, unquote

from ...commands import Charge, DatedCharge, Pay, Register, Schedule
from ...money import Money
from ..asks import Asks, Dated, fields
from ..emulator import Call
from ..story import Story


def story() -> Story:
    """Commands that FakePG accepts."""
    start = datetime(2026, 1, 5, 3, 0, tzinfo=UTC)
    won = Money(14_000, "KRW")
    dated = [DatedCharge(order_id=f"story-dated-{n}", due_at=start + timedelta(days=n), money=won, title="plan")
             for n in (1, 2)]
    return Story(
        start=start, cancel_part=Money(4_000, "KRW"),
        pay=Pay(order_id="story-pay", money=won, title="book", return_url="https://shop.example/done"),
        register=Register(order_id="story-register", money=won, title="plan", return_url="https://shop.example/done"),
        charge=lambda key, order_id: Charge(order_id=order_id, billing_key=key, money=won, title="plan"),
        schedule=lambda key: Schedule(billing_key=key, charges=dated))


def asked(call: Call) -> Asks | None:
    """What a call asks for; None where it is nothing that a judge counts."""
    said, parts = fields(call.body), [unquote(p) for p in call.path.strip("/").split("/")]
    match call.method, parts:
        case "POST", ["token"]:
            return Asks(kind="token")
        case "POST", ["charges"]:
            return Asks(kind="charge", orders=(str(said.get("order_id")),), amount=said.get("amount"),
                        currency=said.get("currency"), key=said.get("key"))
        case "POST", ["payments", id, "refunds"]:
            return Asks(kind="refund", provider_id=id, amount=said.get("amount"), guarded=True,
                        note=said.get("reason"))
        case "POST", ["schedules"]:
            dated = tuple([_dated(item) for item in said.get("items", ())])
            return Asks(kind="schedule", orders=tuple([one.order for one in dated]), key=said.get("key"), dated=dated)
        case "POST", ["unschedule"]:
            return Asks(kind="unschedule", orders=tuple(said.get("order_ids", ())))
        case "GET", ["payments"]:
            return Asks(kind="look", orders=(dict(parse_qsl(call.query)).get("order_id", ""),))
        case "GET", ["payments", id]:
            return Asks(kind="look", provider_id=id)
        case "GET", ["schedules", id]:
            return Asks(kind="look", orders=(id,))
    return None


def _dated(item: dict[str, Any]) -> Dated:
    return Dated(str(item.get("order_id")), item.get("amount"), item.get("currency"),
                 _instant(item.get("due_at")))


def _instant(said: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(said)
    except (TypeError, ValueError):
        return None  # FakePG refuses it; here it is only not judged.
