"""Commands that are well formed and need no PG: what is handed to a verb that has to refuse it by itself."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from ....capability import Capability
from ....commands import (
    Cancel,
    CancelWhole,
    Charge,
    Customer,
    DatedCharge,
    DeleteKey,
    KeysOf,
    Pay,
    Register,
    Schedule,
    SchedulesOf,
    Unschedule,
)
from ....model import BillingKey
from ....subscriptions import (
    ChangeInterval,
    ChangeMethod,
    Interval,
    MoveNext,
    Renew,
    Subscribe,
    Unsubscribe,
)
from ..bench import BACK, REASON, Bench

C = Capability
VERBS: tuple[tuple[str, Capability], ...] = (
    ("pay", C.PAY), ("register", C.REGISTER), ("charge", C.CHARGE), ("cancel", C.CANCEL_PARTLY),
    ("cancel_whole", C.CANCEL), ("schedule", C.SCHEDULE), ("unschedule", C.UNSCHEDULE),
    ("find_schedule", C.FIND_SCHEDULE), ("schedules", C.SCHEDULES), ("find", C.FIND), ("lookup", C.LOOKUP),
    ("lookup_key", C.LOOKUP_KEY), ("keys", C.KEYS), ("delete_key", C.DELETE_KEY), ("subscribe", C.SUBSCRIBE),
    ("unsubscribe", C.UNSUBSCRIBE), ("pause", C.PAUSE), ("resume", C.PAUSE), ("move_next", C.MOVE_NEXT),
    ("change_interval", C.CHANGE_INTERVAL), ("change_method", C.CHANGE_METHOD), ("renew", C.RENEW),
)
"""Verbs of the gateway with one argument, and the capability each needs."""


def command(bench: Bench, verb: str) -> Any:
    """A well-formed argument for a verb of the gateway."""
    key, now, won = BillingKey(bench.gate.name, "kit-key"), bench.clock.now(), bench.money
    order_id = bench.order()
    bought: dict[str, Any] = {"order_id": order_id, "money": won, "title": "Tea"}
    made: dict[str, Any] = {
        "pay": lambda: Pay(**bought, return_url=BACK), "register": lambda: Register(**bought, return_url=BACK),
        "charge": lambda: Charge(**bought, billing_key=key),
        "cancel": lambda: Cancel(cancel_id="kit-back", order_id=order_id, money=won, reason=REASON),
        "cancel_whole": lambda: CancelWhole(cancel_id="kit-back", order_id=order_id, reason=REASON),
        "schedule": lambda: Schedule(billing_key=key, charges=[
            DatedCharge(order_id=order_id, due_at=now + timedelta(days=1), money=won, title="Tea")]),
        "unschedule": lambda: Unschedule(billing_key=key, order_ids=(order_id,)),
        "schedules": lambda: SchedulesOf(billing_key=key, start=now, end=now + timedelta(days=1)),
        "lookup_key": lambda: key, "keys": lambda: KeysOf(customer=Customer(name="Kim", email="kim@example.com")),
        "delete_key": lambda: DeleteKey(billing_key=key, reason=REASON),
        "subscribe": lambda: Subscribe(**bought, every=Interval("month"), return_url=BACK),
        "unsubscribe": lambda: Unsubscribe(order_id=order_id),
        "move_next": lambda: MoveNext(order_id=order_id, due_at=now + timedelta(days=9)),
        "change_interval": lambda: ChangeInterval(order_id=order_id, every=Interval("week")),
        "change_method": lambda: ChangeMethod(order_id=order_id, return_url=BACK),
        "renew": lambda: Renew(order_id=order_id, subscription=bench.order(), money=won),
    }
    return made[verb]() if verb in made else order_id

