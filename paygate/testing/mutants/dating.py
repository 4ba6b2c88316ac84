"""Wrong about dates and keys: another instant, another zone, everything stopped, somebody else's key."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from attrs import evolve

from ...capability import Capability
from ...commands import Unschedule
from ...errors import OutcomeUnknown, PaygateError
from ...flow import Flow
from ...model import PaymentStatus, ScheduledCharge, ScheduleStatus
from ...provider import Provider
from ...secret import Secret
from ..contract.subject import Subject
from .bending import bent, mutant, on_error, on_request, on_value

C = Capability


def _shifted(subject: Subject, by: timedelta) -> Subject:
    """Asks for another instant, and tells the one that was asked for."""
    def schedule(right: Any, self: Any, command: Any) -> Flow[Any]:
        moved = evolve(command, charges=[evolve(c, due_at=c.due_at + by) for c in command.charges])
        held = yield from right(moved)
        return tuple(evolve(h, due_at=h.due_at - by) for h in held)

    back = on_value(lambda h, *_: None if h is None else evolve(h, due_at=h.due_at - by))
    return bent(subject, schedule=schedule, find_schedule=back)


@mutant(C.SCHEDULE, C.FIND_SCHEDULE)
def takes_utc_for_korean_time(subject: Subject) -> Subject:
    """Dated charges come nine hours late, and are told as asked for."""
    return _shifted(subject, timedelta(hours=9))


@mutant(C.SCHEDULE, C.FIND_SCHEDULE)
def charges_a_day_early(subject: Subject) -> Subject:
    """Dated charges come the day before, and are told as asked for."""
    return _shifted(subject, timedelta(days=-1))


@mutant(C.SCHEDULE, C.FIND_SCHEDULE)
def charges_at_midnight(subject: Subject) -> Subject:
    """The time of day is lost on the way, and told as asked for."""
    def schedule(right: Any, self: Any, command: Any) -> Flow[Any]:
        at = {c.order_id: c.due_at for c in command.charges}
        moved = [evolve(c, due_at=c.due_at.replace(hour=0, minute=0, second=0) + timedelta(days=1))
                 for c in command.charges]
        held = yield from right(evolve(command, charges=moved))
        self._kit_due = {**getattr(self, "_kit_due", {}), **at}
        return tuple(evolve(h, due_at=at[h.order_id]) for h in held)

    def find(h: ScheduledCharge | None, self: Any, *_: Any) -> ScheduledCharge | None:
        return None if h is None else evolve(h, due_at=getattr(self, "_kit_due", {}).get(h.order_id, h.due_at))
    return bent(subject, schedule=schedule, find_schedule=on_value(find))


@mutant(C.SCHEDULE, C.FIND_SCHEDULE)
def forgets_the_zone(subject: Subject) -> Subject:
    """Takes the wall time for UTC, whatever zone it was written in."""
    from datetime import UTC

    return bent(subject, schedule=lambda right, self, command: right(evolve(command, charges=[
        evolve(c, due_at=c.due_at.replace(tzinfo=UTC)) for c in command.charges])))


@mutant(C.SCHEDULE, C.FIND_SCHEDULE)
def says_held_whatever_the_pg_says(subject: Subject) -> Subject:
    """Dated charges are told as held without reading the answer."""
    def held(error: Any, self: Any, command: Any) -> tuple[ScheduledCharge, ...]:
        return tuple(ScheduledCharge(order_id=c.order_id, due_at=c.due_at, money=c.money,
                                     status=ScheduleStatus.SCHEDULED) for c in command.charges)
    return bent(subject, schedule=on_error(PaygateError, held))


@mutant(C.SCHEDULE, C.FIND_SCHEDULE)
def marks_the_schedule_as_repeatable(subject: Subject) -> Subject:
    """Tells the core that dated charges may be asked for twice."""
    return bent(subject, schedule=on_request(lambda r, *_: evolve(r, repeatable=True)))


@mutant(C.SCHEDULE, C.FIND_SCHEDULE)
def dates_every_charge_alike(subject: Subject) -> Subject:
    """All of a command's dated charges get the first one's amount and date."""
    def schedule(right: Any, self: Any, command: Any) -> Flow[Any]:
        first = command.charges[0]
        alike = [evolve(c, money=first.money, due_at=first.due_at) for c in command.charges]
        yield from right(evolve(command, charges=alike))
        self._kit_asked = {**getattr(self, "_kit_asked", {}), **{c.order_id: c for c in command.charges}}
        return tuple(ScheduledCharge(order_id=c.order_id, due_at=c.due_at, money=c.money,
                                     status=ScheduleStatus.SCHEDULED) for c in command.charges)
    return bent(subject, schedule=schedule)


@mutant(C.SCHEDULE, C.FIND_SCHEDULE)
def calls_executed_paid(subject: Subject) -> Subject:
    """A dated charge that was tried is told as paid."""
    return bent(subject, find_schedule=on_value(
        lambda h, *_: evolve(h, payment_status=PaymentStatus.PAID)
        if h is not None and h.status is ScheduleStatus.EXECUTED else h))


@mutant(C.UNSCHEDULE, C.SCHEDULES, C.SCHEDULE)
def stops_everything_of_the_payer(subject: Subject) -> Subject:
    """Stopping one dated charge stops all of them."""
    def unschedule(right: Any, self: Any, command: Any) -> Flow[Any]:
        from datetime import UTC, datetime

        start = datetime(2017, 1, 1, tzinfo=UTC)
        held = yield from self.schedules(command.billing_key.value, start, start + timedelta(days=4_000))
        every = tuple(h.order_id for h in held if h.status is ScheduleStatus.SCHEDULED) or command.order_ids
        yield from right(Unschedule(billing_key=command.billing_key, order_ids=every))
        return command.order_ids
    return bent(subject, unschedule=unschedule)


@mutant(C.UNSCHEDULE, C.SCHEDULE, C.FIND_SCHEDULE)
def says_stopped_whatever_the_pg_says(subject: Subject) -> Subject:
    """Every name it was given is told as stopped."""
    def unschedule(right: Any, self: Any, command: Any) -> Flow[Any]:
        try:
            yield from right(command)
        except PaygateError:
            pass
        return command.order_ids
    return bent(subject, unschedule=unschedule)


@mutant(C.UNSCHEDULE, C.SCHEDULE, C.FIND_SCHEDULE)
def stops_only_the_first(subject: Subject) -> Subject:
    """Of several dated charges to be stopped, one is."""
    def unschedule(right: Any, self: Any, command: Any) -> Flow[Any]:
        yield from right(evolve(command, order_ids=command.order_ids[:1]))
        return command.order_ids

    def find(h: ScheduledCharge | None, self: Any, *_: Any) -> ScheduledCharge | None:
        return h
    return bent(subject, unschedule=unschedule, find_schedule=on_value(find))


@mutant(C.DELETE_KEY, C.REGISTER, C.LOOKUP_KEY)
def says_deleted_whatever_the_pg_says(subject: Subject) -> Subject:
    """A key is told as deleted, also where nobody answered."""
    return bent(subject, delete_key=on_error(OutcomeUnknown, lambda *_: None))


@mutant(C.DELETE_KEY, C.REGISTER, C.LOOKUP_KEY)
def deletes_nothing(subject: Subject) -> Subject:
    """A key is told as deleted, and the PG was never asked."""
    def delete_key(right: Any, self: Any, command: Any) -> Flow[None]:
        yield from ()
    return bent(subject, delete_key=delete_key)


def _names_keys(subject: Subject) -> bool:
    """Whether the merchant's side names the key."""
    from ..contract.bench import Bench

    with Bench(subject) as bench:
        return type(bench.provider).key_of is not Provider.key_of


@mutant(C.REGISTER, C.CHARGE, when=_names_keys)
def gives_every_payer_one_key(subject: Subject) -> Subject:
    """The key's name is a constant."""
    one = Secret("key-kanari-0001")
    return bent(subject, key_of=lambda right, self, order_id: one, key_value=lambda right, self, command: one)


@mutant(C.PAY)
def tells_times_nine_hours_off(subject: Subject) -> Subject:
    """Takes the PG's Korean times for UTC, or the other way round."""
    def off(p: Any) -> Any:
        return p if p is None or p.paid_at is None else evolve(p, paid_at=p.paid_at + timedelta(hours=9))
    looks: dict[str, Any] = {"lookup": on_value(lambda p, *_: off(p))} if subject.claims(C.LOOKUP) else {}
    if subject.claims(C.FIND):
        looks["find"] = on_value(lambda found, *_: tuple(map(off, found)))
    if subject.claims(C.CHARGE):
        looks["charge"] = on_value(lambda p, *_: off(p))
    return bent(subject, **looks)


@mutant(C.PAY)
def tells_times_in_the_hosts_zone(subject: Subject) -> Subject:
    """Reads the PG's UTC times as the machine's own: right in London, wrong in Seoul."""
    from datetime import UTC

    def local(p: Any) -> Any:
        if p is None or p.paid_at is None:
            return p
        return evolve(p, paid_at=p.paid_at.astimezone(UTC).replace(tzinfo=None).astimezone())
    looks: dict[str, Any] = {"lookup": on_value(lambda p, *_: local(p))} if subject.claims(C.LOOKUP) else {}
    if subject.claims(C.FIND):
        looks["find"] = on_value(lambda found, *_: tuple(map(local, found)))
    if subject.claims(C.CHARGE):
        looks["charge"] = on_value(lambda p, *_: local(p))
    return bent(subject, **looks)
