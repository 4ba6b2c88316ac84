"""Verbs that tell many at once: each entry is what the single look-up tells, none is missing, and none is made up."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from ....capability import Capability
from ....commands import SchedulesOf, Unschedule
from ....errors import PaygateError
from ....model import Payment
from .. import origins
from ..bench import Bench
from ..registry import SYNC, check
from ..subject import Subject
from ..tape import facts
from ..told import Broke, NotHere, expect
from ..troubles import CASES

C = Capability


# Dated charges of a key

def _listed(bench: Bench, command: Any, start: datetime, end: datetime) -> list[Any]:
    return list(bench.do("schedules", SchedulesOf(billing_key=command.billing_key, start=start, end=end)))


@check(C.SCHEDULES, C.SCHEDULE, C.FIND_SCHEDULE)
def every_dated_charge_is_listed_as_it_is_found(bench: Bench) -> None:
    """Held, taken, declined or stopped: the list and the single look-up say the same of it."""
    start = bench.clock.now()
    command = bench.schedule(*(start + timedelta(days=d) for d in (2, 3, 4, 5)))
    bench.do("schedule", command)
    end = start + timedelta(days=30)

    def agree(when: str) -> None:
        listed = {s.order_id: facts(s) for s in _listed(bench, command, start, end)}
        found = {c.order_id: facts(bench.do("find_schedule", c.order_id)) for c in command.charges}
        expect(listed == found, f"{when}, {found} are found, and {listed} are listed")
        alone = bench.say(bench.provider.schedules(command.billing_key.value, start, end))
        told = {s.order_id: facts(s) for s in alone.expected("the flow of schedules")}
        single = {c.order_id: facts(bench.say(bench.provider.find_schedule(c.order_id)).value) for c in command.charges}
        expect(told == single, f"{when}, the provider finds {single} and lists {told}")

    agree("when they are held")
    bench.clock.advance(2 * 86_400 + origins.SLACK_S)
    agree("when the first was taken")
    try:
        bench.decline_next()
        bench.clock.advance(86_400)
        agree("when the second was declined")
    except NotHere:
        pass
    if bench.claims(C.UNSCHEDULE):
        bench.do("unschedule", Unschedule(billing_key=command.billing_key, order_ids=(command.charges[3].order_id,)))
        agree("when the last was stopped")


@check(C.SCHEDULES, C.SCHEDULE, faces=SYNC)
def a_list_of_dated_charges_that_fails_is_not_an_empty_one(bench: Bench) -> None:
    """Otherwise a key with charges to come would be deleted, and each of them fail."""
    start = bench.clock.now()
    command = bench.schedule(start + timedelta(days=2), start + timedelta(days=3))
    bench.do("schedule", command)
    bench.warm()
    wanted = SchedulesOf(billing_key=command.billing_key, start=start, end=start + timedelta(days=9))
    for trouble in (t for name in CASES for t in CASES[name] if not t.is_answer and t.name != "list_after"):
        for by in ("the flow", "the gateway"):
            bench.wire.plan(trouble, times=50)
            told = bench.ask("schedules", wanted) if by == "the gateway" else bench.say(
                bench.provider.schedules(command.billing_key.value, wanted.start, wanted.end))
            bench.wire.calm()
            expect(isinstance(told.error, PaygateError), f"a list of dated charges met {trouble.name}: {by} {told}")


# Payments of a time

def _listing(bench: Bench, start: datetime, end: datetime) -> list[Payment]:
    told = bench.say(bench.provider.listing(start, end)).expected(f"a listing from {start} to {end}")
    return list(told)


def _named(listed: list[Payment], payment: Payment) -> list[Payment]:
    return [p for p in listed if p.provider_id == payment.provider_id]


def _lists(subject: Subject) -> str | None:
    return None if origins.origins(subject) else "it takes no one-off money"


@check(C.LISTING, when=_lists, faces=SYNC, cases=origins.origins)
def every_payment_is_listed_as_it_is_looked_up(bench: Bench, case: str) -> None:
    """Taken, given back in part, given back whole: the list and the look-up say the same of it."""
    start = bench.clock.now()
    payment = origins.paid(bench, case, bench.money)

    def agree(when: str) -> None:
        look = bench.provider.find(payment.order_id) if bench.claims(C.FIND) else bench.provider.lookup(
            str(payment.provider_id))
        seen = bench.say(look).value
        single = {facts(p) for p in (seen if isinstance(seen, tuple) else (seen,))}
        listed = {facts(p) for p in _named(_listing(bench, start, bench.clock.now() + timedelta(seconds=1)), payment)}
        expect(listed and listed <= single, f"{when}, {single} are found, and {listed} are listed")

    agree("when it was paid")
    if bench.claims(C.CANCEL, C.CANCEL_PARTLY):
        bench.do("cancel", bench.cancel(payment.order_id, payment.money.amount // 7))
        agree("when a part was given back")
    if bench.claims(C.CANCEL):
        bench.do("cancel_whole", bench.cancel_whole(payment.order_id))
        agree("when all was given back")


@check(C.LISTING, C.CANCEL, when=_lists, faces=SYNC)
def a_refund_is_listed_when_it_is_made_however_old_its_payment_is(bench: Bench) -> None:
    """Money moved that day: a list by the day of payment would never show it."""
    payment = bench.paid()
    bench.clock.advance(5 * 86_400)
    start = bench.clock.now() - timedelta(seconds=1)
    bench.do("cancel_whole", bench.cancel_whole(payment.order_id))
    found = _named(_listing(bench, start, bench.clock.now() + timedelta(seconds=1)), payment)
    expect(found, "a refund of a payment of five days ago is not listed on its day")
    expect(all(p.cancelled == payment.money for p in found), f"given back whole, listed as {[str(p) for p in found]}")


@check(C.LISTING, when=_lists, faces=SYNC)
def what_moved_days_before_or_after_is_not_listed(bench: Bench) -> None:
    """A listing may hold a neighbour of its time, and not everything that ever was."""
    bench.paid()
    taken = bench.clock.now()
    bench.clock.advance(20 * 86_400)
    for when in (taken - timedelta(days=4), taken + timedelta(days=4)):
        listed = _listing(bench, when, when + timedelta(days=1))
        expect(not listed, f"nothing moved within three days of {when}, and {[str(p) for p in listed]} are listed")


# Attempts of an order

@check(C.PAY, C.FIND)
def an_order_that_was_tried_many_times_is_found_with_the_payment_that_succeeded(bench: Bench) -> None:
    """However many failed records lie before it."""
    command = bench.pay()
    action = bench.do("pay", command).action
    for tries in range(25):
        try:
            bench.browse(action, "decline")
        except Broke:
            expect(tries, "a window that was just opened cannot be declined")
            raise NotHere("this PG closes an order for good once it was declined") from None
    query = bench.browse(action)
    if bench.claims(C.CAPTURE):
        bench.do("confirm", command.order_id, query)
    expect(bench.charges() == 1, f"declined 25 times and then approved, it took money {bench.charges()} times")
    found = bench.say(bench.provider.find(command.order_id)).expected("find of an order")
    expect(sum(p.status.took_money for p in found) == 1, f"paid at last, and of {len(found)} records none says so")
    expect(bench.do("confirm", command.order_id, query).status.took_money, "paid at last, and not told as paid")
    expect(bench.do("find", command.order_id).status.took_money, "paid at last, and not found as paid")
