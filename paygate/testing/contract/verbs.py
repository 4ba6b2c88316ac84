"""Every claimed verb of a gateway with an argument for it, so that nothing is overlooked where all are looked at."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from ...capability import Capability
from ...commands import DeleteKey, KeysOf, SchedulesOf, Unschedule
from ...errors import PaygateError
from ...subscriptions import ChangeInterval, ChangeMethod, Interval, MoveNext, Renew, Unsubscribe
from .acts_of_subscriptions import begun
from .bench import BACK, REASON, Bench
from .told import NotHere

C = Capability
Asked = tuple[Any, ...]


def verbs(bench: Bench, person: Callable[[Any], Any] = lambda command: command
          ) -> list[tuple[str, Callable[[], Asked]]]:
    """(verb, what makes its arguments), in an order in which each still finds what it needs. `person` puts a payer into
    a command that names one.
    """
    now, b = bench.clock.now(), bench

    def held() -> Any:
        command = b.schedule(now + timedelta(days=20))
        b.do("schedule", command)
        return command

    def opened(verb: str, command: Any) -> Asked:
        return command.order_id, b.browse(b.do(verb, person(command)).action)

    told: list[tuple[str, tuple[Capability, ...], Callable[[], Asked]]] = [
        ("pay", (C.PAY,), lambda: (person(b.pay()),)),
        ("confirm", (C.PAY,), lambda: opened("pay", b.pay())),
        ("register", (C.REGISTER,), lambda: (person(b.register()),)),
        ("confirm_key", (C.REGISTER,), lambda: opened("register", b.register())),
        ("charge", (C.CHARGE,), lambda: (person(b.charge()),)),
        ("find", (C.FIND,), lambda: (b.paid().order_id,)),
        ("lookup", (C.LOOKUP,), lambda: (b.paid().provider_id,)),
        ("cancel", (C.CANCEL, C.CANCEL_PARTLY), lambda: (b.cancel(b.paid().order_id, b.money.amount // 4),)),
        ("cancel_whole", (C.CANCEL,), lambda: (b.cancel_whole(b.paid().order_id),)),
        ("schedule", (C.SCHEDULE,), lambda: (person(b.schedule(now + timedelta(days=20))),)),
        ("find_schedule", (C.FIND_SCHEDULE, C.SCHEDULE), lambda: (held().charges[0].order_id,)),
        ("schedules", (C.SCHEDULES, C.SCHEDULE), lambda: (SchedulesOf(
            billing_key=held().billing_key, start=now, end=now + timedelta(days=30)),)),
        ("unschedule", (C.UNSCHEDULE, C.SCHEDULE), lambda: _stopping(held())),
        ("subscribe", (C.SUBSCRIBE,), lambda: (person(b.subscribe()),)),
        ("subscription", (C.SUBSCRIBE,), lambda: (begun(b).order_id,)),
        ("renew", (C.RENEW, C.SUBSCRIBE), lambda: (_renewing(b),)),
        ("change_method", (C.CHANGE_METHOD, C.SUBSCRIBE), lambda: (ChangeMethod(
            order_id=begun(b).order_id, return_url=BACK),)),
        ("change_interval", (C.CHANGE_INTERVAL, C.SUBSCRIBE), lambda: (ChangeInterval(
            order_id=begun(b).order_id, every=Interval("week", 2)),)),
        ("move_next", (C.MOVE_NEXT, C.SUBSCRIBE), lambda: (MoveNext(
            order_id=begun(b).order_id, due_at=now + timedelta(days=9)),)),
        ("pause", (C.PAUSE, C.SUBSCRIBE), lambda: (begun(b).order_id,)),
        ("unsubscribe", (C.UNSUBSCRIBE, C.SUBSCRIBE), lambda: (Unsubscribe(order_id=begun(b).order_id),)),
        ("lookup_key", (C.LOOKUP_KEY,), lambda: (b.key(),)),
        ("keys", (C.KEYS, C.REGISTER), lambda: (_keys_of(b, person),)),
        ("delete_key", (C.DELETE_KEY,), lambda: (DeleteKey(billing_key=b.key(), reason=REASON, force=True),)),
    ]
    return [(verb, make) for verb, needs, make in told if b.claims(*needs)]


def _stopping(command: Any) -> Asked:
    return (Unschedule(billing_key=command.billing_key, order_ids=(command.charges[0].order_id,)),)


def _renewing(bench: Bench) -> Renew:
    running = begun(bench)
    return Renew(order_id=bench.order("renew"), subscription=running.order_id, money=running.money)


def _keys_of(bench: Bench, person: Callable[[Any], Any]) -> KeysOf:
    command = person(bench.register())
    listed = KeysOf(customer=command.customer, extra=command.extra)
    try:
        bench.provider.check(listed)
    except PaygateError:
        raise NotHere("this PG's payers are not told apart by what a registration says of them") from None
    return listed
