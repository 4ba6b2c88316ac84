"""Conversations worth looking at twice: what the PG says of a payment in each of its states, as tapes of flows."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from functools import partial
from typing import Any

from attrs import frozen

from ...capability import Capability
from ...commands import Schedule
from ...model import Payment
from .acts import Cancels, Charges, Schedules
from .acts_of_subscriptions import Renews, begun
from .bench import Bench
from .origins import SLACK_S, origins
from .subject import Subject, why_not
from .tape import Making, Tape, recorded
from .told import NotHere

C = Capability


@frozen
class Tale:
    """A flow and the state of the PG in which it is spoken. `took`: whether the PG holds money for it then."""

    name: str
    needs: tuple[Capability, ...]
    making: Callable[[Bench], Making]
    asks: bool = False
    """Whether the flow itself moves money."""
    origin: str | None = None
    """Where its payment comes from, where that is not the plainest origin of all."""

    def tape(self, bench: Bench) -> Tape:
        """Record it."""
        return recorded(bench, self.making(bench))


def _charge(bench: Bench) -> Making:
    return Charges(bench).flow


def _declined_charge(bench: Bench) -> Making:
    act = Charges(bench)
    bench.decline_next()
    return act.flow


def _cancel(bench: Bench) -> Making:
    return Cancels(bench).flow


def _renew(bench: Bench) -> Making:
    return Renews(bench).flow


def _schedule(bench: Bench) -> Making:
    return Schedules(bench).flow


def _found(state: Callable[[Bench], Payment]) -> Callable[[Bench], Making]:
    def making(bench: Bench) -> Making:
        return partial(bench.provider.find, state(bench).order_id)
    return making


def _looked_up(state: Callable[[Bench], Payment]) -> Callable[[Bench], Making]:
    def making(bench: Bench) -> Making:
        payment = state(bench)
        bound = payment.order_id if not bench.claims(C.FIND) else None
        return partial(bench.provider.lookup, str(payment.provider_id), bound)
    return making


def _paid(bench: Bench, origin: str | None = None) -> Payment:
    bench.origin = origin or bench.origin
    return bench.paid()


def _partly_back(bench: Bench, origin: str | None = None) -> Payment:
    payment = _paid(bench, origin)
    part = bench.story.cancel_part or bench.won(payment.money.amount // 2)
    made: Payment = bench.do("cancel", bench.cancel(payment.order_id, part.amount)).payment
    return made


def _all_back(bench: Bench) -> Payment:
    made: Payment = bench.do("cancel_whole", bench.cancel_whole(bench.paid().order_id)).payment
    return made


def _failed(bench: Bench) -> Payment:
    """A payment that failed: a charge that the PG declined, or a window in which the payer was."""
    if bench.claims(C.CHARGE):
        try:
            bench.decline_next()
        except NotHere:
            pass
        else:
            command = bench.charge()
            tape = recorded(bench, lambda: bench.provider.charge(command))
            return _record_of(bench, command.order_id, tape)
    if not bench.claims(C.PAY):
        raise NotHere("nothing can fail here")
    window = bench.pay()
    query = bench.browse(bench.do("pay", window).action, "decline")
    bench.ask("confirm", window.order_id, query)
    return _record_of(bench, window.order_id, None)


def _record_of(bench: Bench, order_id: str, tape: Tape | None) -> Payment:
    told = tape.told.value if tape is not None else None
    if isinstance(told, Payment):
        return told
    if bench.claims(C.FIND):
        found = bench.say(bench.provider.find(order_id)).value
        if found:
            made: Payment = found[-1]
            return made
    row = bench.row(order_id)
    if row is not None and row.result is not None:
        from ...codec import load

        return load(row.result, Payment)
    raise NotHere("a failed payment cannot be looked at")


def _dated(bench: Bench) -> Making:
    command = bench.schedule()
    bench.do("schedule", command)
    return partial(bench.provider.find_schedule, command.charges[0].order_id)


def _executed(bench: Bench, outcome: str = "paid") -> Schedule:
    """A dated charge whose time has come, and that ended so.

    Raises: NotHere where the emulator cannot make it end so.
    """
    command = bench.schedule(bench.clock.now() + timedelta(days=2))
    bench.do("schedule", command)
    if outcome != "paid":
        bench.next_charge(outcome)
    bench.clock.advance(2 * 86_400 + SLACK_S)
    return command


def _dated_that(outcome: str) -> Callable[[Bench], Making]:
    def making(bench: Bench) -> Making:
        command = _executed(bench, outcome)
        return partial(bench.provider.find_schedule, command.charges[0].order_id)
    return making


def _listed_that(outcome: str | None) -> Callable[[Bench], Making]:
    def making(bench: Bench) -> Making:
        start = bench.clock.now()
        command = bench.schedule() if outcome is None else _executed(bench, outcome)
        if outcome is None:
            bench.do("schedule", command)
        end = command.charges[0].due_at + timedelta(days=1)
        return partial(bench.provider.schedules, command.billing_key.value, start, end)
    return making


def _listing(bench: Bench) -> Making:
    start = bench.clock.now()
    _partly_back(bench) if bench.claims(C.CANCEL_PARTLY) else bench.paid()
    return partial(bench.provider.listing, start, bench.clock.now() + timedelta(minutes=1))


def _of(state: Callable[..., Payment], origin: str) -> Callable[[Bench], Payment]:
    return lambda bench: state(bench, origin)


def _key(bench: Bench) -> Making:
    return partial(bench.provider.lookup_key, bench.key().value, bench.gate.name)


def _subscription(bench: Bench) -> Making:
    running = begun(bench)
    row = bench.row(running.order_id)
    prepared = str(None if row is None else row.provider_id)
    return partial(bench.provider.subscription, running.order_id, prepared)


TALES: tuple[Tale, ...] = (
    Tale("charge", (C.CHARGE,), _charge, asks=True),
    Tale("declined_charge", (C.CHARGE,), _declined_charge, asks=True),
    Tale("refund", (C.CANCEL, C.CANCEL_PARTLY), _cancel, asks=True),
    Tale("renewal", (C.RENEW, C.SUBSCRIBE), _renew, asks=True),
    Tale("dated_charge", (C.SCHEDULE, C.FIND_SCHEDULE), _schedule, asks=True),
    Tale("find_of_paid", (C.FIND,), _found(_paid)),
    Tale("find_of_partly_back", (C.FIND, C.CANCEL_PARTLY), _found(_partly_back)),
    Tale("find_of_all_back", (C.FIND, C.CANCEL), _found(_all_back)),
    Tale("find_of_failed", (C.FIND,), _found(_failed)),
    Tale("lookup_of_paid", (C.LOOKUP,), _looked_up(_paid)),
    Tale("lookup_of_partly_back", (C.LOOKUP, C.CANCEL_PARTLY), _looked_up(_partly_back)),
    Tale("lookup_of_all_back", (C.LOOKUP, C.CANCEL), _looked_up(_all_back)),
    Tale("lookup_of_failed", (C.LOOKUP,), _looked_up(_failed)),
    Tale("find_of_window_partly_back", (C.FIND, C.CANCEL_PARTLY), _found(_of(_partly_back, "window")), origin="window"),
    Tale("lookup_of_window_partly_back", (C.LOOKUP, C.CANCEL_PARTLY), _looked_up(_of(_partly_back, "window")),
         origin="window"),
    Tale("lookup_of_dated_partly_back", (C.LOOKUP, C.CANCEL_PARTLY), _looked_up(_of(_partly_back, "dated")),
         origin="dated"),
    Tale("find_schedule", (C.FIND_SCHEDULE, C.SCHEDULE), _dated),
    Tale("find_schedule_of_paid", (C.FIND_SCHEDULE, C.SCHEDULE), _dated_that("paid")),
    Tale("find_schedule_of_declined", (C.FIND_SCHEDULE, C.SCHEDULE), _dated_that("failed")),
    Tale("schedules", (C.SCHEDULES, C.SCHEDULE), _listed_that(None)),
    Tale("schedules_of_paid", (C.SCHEDULES, C.SCHEDULE), _listed_that("paid")),
    Tale("schedules_of_declined", (C.SCHEDULES, C.SCHEDULE), _listed_that("failed")),
    Tale("listing", (C.LISTING,), _listing),
    Tale("lookup_key", (C.LOOKUP_KEY,), _key),
    Tale("subscription", (C.SUBSCRIBE,), _subscription),
)
BY_NAME = {tale.name: tale for tale in TALES}


def here(*wanted: str) -> Callable[[Subject], Iterable[str]]:
    """The cases of a check that looks at tales: those of the wanted ones (all) that this provider's claims allow."""
    def cases(subject: Subject) -> Iterable[str]:
        return [t.name for t in TALES if (not wanted or t.name in wanted) and why_not(subject, t.needs) is None
                and (t.origin is None or t.origin in origins(subject)[1:])]
    return cases


def listened(bench: Bench, name: str) -> Tape:
    """The tape of a tale."""
    return BY_NAME[name].tape(bench)


def value_of(tape: Tape) -> Any:
    """What the flow made of the truth."""
    return tape.told.value
