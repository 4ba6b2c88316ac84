"""Dated charges: at their instant, once, for their amount, whatever the zone; and stopped one by one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from attrs import evolve

from ....capability import Capability
from ....commands import Unschedule
from ....errors import BadCommand, PaygateError
from ....model import PaymentStatus, ScheduleStatus
from ..bench import Bench
from ..origins import SLACK_S
from ..registry import SYNC, check
from ..told import NotHere, expect
from ..zone import at_home_in

C = Capability
KST, NEW_YORK = timezone(timedelta(hours=9)), timezone(timedelta(hours=-5))
EDGES = {
    "last_second_of_a_korean_day": (2, 14, 59, 59), "first_second_of_a_korean_day": (2, 15, 0, 0),
    "last_second_of_a_utc_day": (2, 23, 59, 59), "midnight_utc": (3, 0, 0, 0),
    "month_end": (None, 14, 59, 59), "noon": (5, 3, 0, 0),
}


def _at(bench: Bench, edge: str) -> datetime:
    days, hour, minute, second = EDGES[edge]
    now = bench.clock.now()
    if days is None:
        first = (now.replace(day=1) + timedelta(days=32)).replace(day=1)
        return (first - timedelta(days=1)).replace(hour=hour, minute=minute, second=second, microsecond=0)
    return (now + timedelta(days=days)).replace(hour=hour, minute=minute, second=second, microsecond=0)


@check(C.SCHEDULE, C.FIND_SCHEDULE, cases=tuple(EDGES))
def a_dated_charge_is_taken_at_its_instant_and_not_before(bench: Bench, case: str) -> None:
    """At the edges of days and months, in UTC and in Korea."""
    due = _at(bench, case)
    command = bench.schedule(due)
    since = len(bench.journal)
    told = bench.do("schedule", command)[0]
    expect((told.order_id, told.money, told.status) == (command.charges[0].order_id, command.charges[0].money,
                                                        ScheduleStatus.SCHEDULED), f"told as {told}")
    expect(abs((told.due_at - due).total_seconds()) < 1, f"{due} was asked for, told as {told.due_at}")
    bench.clock.advance((due - bench.clock.now()).total_seconds() - 1)
    expect(bench.charges(since) == 0, f"charged before {due}: at {bench.clock.now()} or earlier")
    bench.clock.advance(1 + SLACK_S)
    expect((bench.charges(since), bench.taken(since)) == (1, command.charges[0].money.amount),
           f"due at {due}; by {bench.clock.now()} the PG took {bench.taken(since)} in {bench.charges(since)} charges")
    seen = bench.do("find_schedule", command.charges[0].order_id)
    expect((seen.status, seen.payment_status) == (ScheduleStatus.EXECUTED, PaymentStatus.PAID), f"looked at: {seen}")


@check(C.SCHEDULE, C.FIND_SCHEDULE, cases=("UTC", "Asia/Seoul", "America/New_York", "Pacific/Kiritimati"), faces=SYNC)
def the_same_instant_is_the_same_instant_in_any_zone(bench: Bench, case: str) -> None:
    """Written in UTC, in Korea or in New York, on a host anywhere: one instant."""
    with at_home_in(case):
        instant = (bench.clock.now() + timedelta(days=4)).replace(hour=20, minute=30, second=0, microsecond=0)
        for zone in (UTC, KST, NEW_YORK):
            due = instant.astimezone(zone)
            command = bench.schedule(due)
            told = bench.do("schedule", command)[0]
            expect(told.due_at == instant, f"{due} was asked for, told as {told.due_at}")
            seen = bench.do("find_schedule", command.charges[0].order_id)
            expect(seen.due_at == instant, f"{due} was asked for, found as {seen.due_at}")
        since = len(bench.journal)
        bench.clock.advance((instant - bench.clock.now()).total_seconds() - 1)
        expect(bench.charges(since) == 0, f"charged before {instant}")
        bench.clock.advance(1 + SLACK_S)
        expect(bench.charges(since) == 3, f"three charges were due at {instant}; there were {bench.charges(since)}")


@check(C.SCHEDULE, C.FIND_SCHEDULE)
def each_dated_charge_has_its_own_date_and_amount(bench: Bench) -> None:
    """Several in one command are not mixed up, and the answer is in the command's order."""
    now = bench.clock.now()
    command = bench.schedule(*(now + timedelta(days=d) for d in (9, 3, 6)))
    items = [evolve(c, money=bench.another_money(n + 1)) for n, c in enumerate(command.charges)]
    command = evolve(command, charges=items)
    since = len(bench.journal)
    told = bench.do("schedule", command)
    expect([(t.order_id, t.money) for t in told] == [(c.order_id, c.money) for c in command.charges],
           f"told: {[(t.order_id, str(t.money)) for t in told]}")
    for day, money in ((3, items[1].money), (6, items[2].money), (9, items[0].money)):
        until = now + timedelta(days=day, seconds=SLACK_S)
        bench.clock.advance((until - bench.clock.now()).total_seconds())
        last = bench.journal[-1]
        expect(last.money == money, f"after {day} days {money} were due, and {last.money} were taken")
    expect(bench.charges(since) == 3, f"three were due, {bench.charges(since)} were taken")


@check(C.SCHEDULE, C.FIND_SCHEDULE)
def a_dated_charge_asked_for_again_is_held_once(bench: Bench) -> None:
    """The same order id means the same dated charge."""
    command = bench.schedule(bench.clock.now() + timedelta(days=3))
    since = len(bench.journal)
    bench.do("schedule", command)
    bench.do("schedule", command)
    bench.clock.advance(5 * 86_400)
    expect(bench.charges(since) == 1, f"asked for twice, taken {bench.charges(since)} times")


@check(C.SCHEDULE, C.FIND_SCHEDULE, faces=SYNC)
def a_dated_charge_that_the_pg_refuses_is_not_told_as_held(bench: Bench) -> None:
    """Under an order id that the PG holds already, for another amount, whatever its status says."""
    command = bench.schedule(bench.clock.now() + timedelta(days=3))
    bench.do("schedule", command)
    since = len(bench.journal)
    more = bench.another_money()
    other = evolve(command, charges=[evolve(command.charges[0], money=more)])
    told = bench.say(bench.provider.schedule(other))
    bench.clock.advance(5 * 86_400)
    taken = [m.money for m in bench.journal[since:]]
    if told.is_yes and other.charges[0].money not in taken:
        held = [t.money for t in told.value]
        expect(other.charges[0].money not in held, f"the PG took {taken}, and the flow told {held} as held")


@check(C.SCHEDULE, faces=SYNC)
def a_date_that_is_past_or_without_a_zone_is_refused_and_nothing_is_sent(bench: Bench) -> None:
    """A moment ago, or now."""
    good = bench.schedule(bench.clock.now() + timedelta(days=1))
    for due in (bench.clock.now() - timedelta(seconds=1), bench.clock.now()):
        command = evolve(good, charges=[evolve(good.charges[0], due_at=due)])
        mark = bench.mark
        told = bench.ask("schedule", command)
        expect(isinstance(told.error, BadCommand), f"a dated charge for {due}, at {bench.clock.now()}, {told}")
        bench.silent(mark, "the date was refused")


@check(C.SCHEDULE, C.FIND_SCHEDULE)
def a_dated_charge_that_is_declined_is_executed_and_not_paid(bench: Bench) -> None:
    """Executed only says that it was tried."""
    command = bench.schedule(bench.clock.now() + timedelta(days=3))
    bench.do("schedule", command)
    since = len(bench.journal)
    bench.decline_next()
    bench.clock.advance(3 * 86_400 + SLACK_S)
    expect(bench.charges(since) == 0, "a declined dated charge took money")
    seen = bench.do("find_schedule", command.charges[0].order_id)
    expect(seen.status is ScheduleStatus.EXECUTED and seen.payment_status is PaymentStatus.FAILED,
           f"a dated charge was declined, and it is told as {seen.status.value}, {seen.payment_status}")


@check(C.UNSCHEDULE, C.FIND_SCHEDULE, C.SCHEDULE)
def stopping_one_dated_charge_leaves_every_other_alone(bench: Bench) -> None:
    """At some PGs a call without ids stops everything the payer has."""
    now = bench.clock.now()
    command = bench.schedule(now + timedelta(days=2), now + timedelta(days=3), now + timedelta(days=4))
    other = bench.schedule(now + timedelta(days=2))
    bench.do("schedule", command)
    bench.do("schedule", other)
    stop = Unschedule(billing_key=command.billing_key, order_ids=(command.charges[1].order_id,))
    told = bench.do("unschedule", stop)
    expect([(t.order_id, t.status) for t in told] == [(command.charges[1].order_id, ScheduleStatus.REVOKED)],
           f"one was to be stopped, told: {[(t.order_id, t.status.value) for t in told]}")
    since = len(bench.journal)
    bench.clock.advance(6 * 86_400)
    expect(bench.charges(since) == 3, f"one of four was stopped; the PG took {bench.charges(since)}")
    seen = bench.do("find_schedule", command.charges[1].order_id)
    expect(seen.status is ScheduleStatus.REVOKED, f"the stopped one is told as {seen.status.value}")


@check(C.UNSCHEDULE, C.FIND_SCHEDULE, C.SCHEDULE)
def several_dated_charges_are_stopped_at_once_and_nothing_is_taken(bench: Bench) -> None:
    """All that are named, and stopping them again changes nothing."""
    now = bench.clock.now()
    command = bench.schedule(now + timedelta(days=2), now + timedelta(days=3))
    bench.do("schedule", command)
    stop = Unschedule(billing_key=command.billing_key, order_ids=tuple(c.order_id for c in command.charges))
    for _ in range(2):
        told = bench.do("unschedule", stop)
        expect([t.status for t in told] == [ScheduleStatus.REVOKED] * 2, f"told: {[t.status.value for t in told]}")
    since = len(bench.journal)
    bench.clock.advance(6 * 86_400)
    expect(bench.charges(since) == 0, f"all were stopped; the PG took {bench.charges(since)}")


@check(C.UNSCHEDULE, C.FIND_SCHEDULE, C.SCHEDULE)
def what_was_charged_already_is_not_told_as_stopped(bench: Bench) -> None:
    """Too late is told as executed; no money comes back by itself."""
    command = bench.schedule(bench.clock.now() + timedelta(days=2))
    bench.do("schedule", command)
    bench.clock.advance(2 * 86_400 + SLACK_S)
    since = len(bench.journal)
    stop = Unschedule(billing_key=command.billing_key, order_ids=(command.charges[0].order_id,))
    told = bench.ask("unschedule", stop)
    if told.is_yes:
        status = told.value[0].status
        expect(status is ScheduleStatus.EXECUTED, f"charged already, told as {status.value}")
    expect(len(bench.journal) == since, "stopping what was charged already moved money")
    flow = bench.say(bench.provider.unschedule(stop))
    if flow.is_yes:
        expect(command.charges[0].order_id not in flow.value, "the flow says that it stopped what was charged already")


@check(C.UNSCHEDULE, C.FIND_SCHEDULE, C.SCHEDULE, faces=SYNC)
def stopping_what_never_was_stops_nothing_else(bench: Bench) -> None:
    """An unknown id is no "all of them"."""
    command = bench.schedule(bench.clock.now() + timedelta(days=2))
    bench.do("schedule", command)
    since = len(bench.journal)
    told = bench.ask("unschedule", Unschedule(billing_key=command.billing_key, order_ids=(bench.order("never"),)))
    expect(not told.is_yes and isinstance(told.error, PaygateError), f"stopping what never was {told}")
    bench.clock.advance(4 * 86_400)
    expect(bench.charges(since) == 1, "stopping what never was stopped another one")


@check(C.SCHEDULE, C.FIND_SCHEDULE)
def the_ledger_learns_what_became_of_a_dated_charge(bench: Bench) -> None:
    """By looking when it is due, if no webhook comes."""
    command = bench.schedule(bench.clock.now() + timedelta(days=2))
    bench.do("schedule", command)
    bench.clock.advance(3 * 86_400)
    for _ in range(3):
        bench.clock.advance(3_700)
        bench.do("reconcile")
    row = bench.row(command.charges[0].order_id)
    if row is None or row.result is None:
        raise NotHere("the ledger keeps no such row")
    expect('"executed"' in row.result and '"paid"' in row.result, f"a day after it was paid: {row.result}")
