"""Every declared currency, in amounts on which arithmetic shows: whatever bears an amount bears it to the unit.

What is told, looked at and written in the PG's journal is one amount, for every verb and not for the charge alone.
"""

from __future__ import annotations

from datetime import timedelta

from ....capability import Capability
from ....model import Payment, PaymentStatus
from ....money import Money
from .. import origins
from ..acts_of_subscriptions import begun
from ..amounts import moneys
from ..bench import Bench
from ..registry import SYNC, check
from ..subject import Subject
from ..told import expect
from .claimed import looks

C = Capability


def _currencies(subject: Subject) -> tuple[str, ...]:
    return subject.spec.profile.currencies.value


def _amounts(bench: Bench, currency: str, *, few: bool = False) -> list[Money]:
    return [m for m in moneys(bench.subject.spec.profile, few=few) if m.currency == currency]


def _ready(bench: Bench) -> None:
    """A key at hand: at some PGs its registration takes money."""
    if bench.claims(C.CHARGE) or bench.claims(C.SCHEDULE):
        bench.key()


def _taken(bench: Bench, since: int, money: Money, what: str) -> None:
    taken = [str(m.money) for m in bench.journal[since:] if m.kind == "charge"]
    expect(taken == [str(money)], f"{what} was of {money}; the PG took {taken}")


def _shown(bench: Bench, payment: Payment, money: Money, what: str) -> None:
    for seen in (payment, *looks(bench, payment)):
        expect(seen.money == money and seen.cancelled == Money(0, money.currency),
               f"{what} was of {money}, and it is told as {seen}")


def _origins(subject: Subject) -> list[str]:
    return [f"{origin}-{currency}" for origin in origins.origins(subject) for currency in _currencies(subject)]


@check(cases=_origins, faces=SYNC)
def whatever_takes_money_takes_it_to_the_unit_in_every_declared_currency(bench: Bench, case: str) -> None:
    """A charge, a window and a dated charge: the command, the PG's journal and every way of looking agree."""
    origin, currency = case.split("-")
    _ready(bench)
    for money in _amounts(bench, currency):
        since = len(bench.journal)
        payment = origins.paid(bench, origin, money)
        _taken(bench, since, money, f"a {origin}")
        _shown(bench, payment, money, f"a {origin}")


@check(C.CHARGE, cases=_currencies, faces=SYNC)
def the_flow_of_a_charge_tells_every_amount_as_it_is(bench: Bench, case: str) -> None:
    """By itself, without a core that looks again where something does not fit."""
    _ready(bench)
    for money in _amounts(bench, case):
        since = len(bench.journal)
        told = bench.say(bench.provider.charge(bench.charge(money=money))).expected(f"the flow of a charge of {money}")
        _taken(bench, since, money, "the flow of a charge")
        expect(told.money == money, f"{money} were charged, and the flow tells {told}")


@check(C.CANCEL, cases=_origins, faces=SYNC)
def whatever_gives_money_back_gives_it_to_the_unit_in_every_declared_currency(bench: Bench, case: str) -> None:
    """A part and then the rest: what was asked for, what the PG gave, and what every way of looking shows."""
    origin, currency = case.split("-")
    for money in _amounts(bench, currency, few=True):
        payment, since, given = origins.paid(bench, origin, money), len(bench.journal), 0
        if bench.claims(C.CANCEL_PARTLY):
            part = Money(money.amount * 2 // 7 + 1, currency)
            done = bench.do("cancel", bench.cancel(payment.order_id, part.amount, money=part))
            given = part.amount
            _given(bench, since, given, done.money, part, done.payment, PaymentStatus.PARTLY_CANCELLED)
        done = bench.do("cancel_whole", bench.cancel_whole(payment.order_id))
        _given(bench, since, money.amount, done.money, Money(money.amount - given, currency), done.payment,
               PaymentStatus.CANCELLED)


def _given(bench: Bench, since: int, given: int, told: Money, wanted: Money, payment: Payment,
           status: PaymentStatus) -> None:
    moved = [m.money for m in bench.journal[since:] if m.kind == "refund"]
    expect(moved[-1:] == [wanted] and sum(m.amount for m in moved) == given,
           f"{wanted} were to be given back, {given} minor units in all; the PG gave {[str(m) for m in moved]}")
    expect(told == wanted, f"{wanted} were given back, told as {told}")
    for seen in (payment, *looks(bench, payment)):
        expect((seen.status, seen.cancelled) == (status, Money(given, wanted.currency)),
               f"{given} minor units of {payment.money} were given back, and it is told as {seen}")


@check(C.SCHEDULE, C.FIND_SCHEDULE, cases=_currencies, faces=SYNC)
def a_dated_charge_is_held_and_taken_to_the_unit_in_every_declared_currency(bench: Bench, case: str) -> None:
    """What is told when it is held, when it is looked at and listed, and what the PG takes in the end."""
    from ....commands import SchedulesOf

    _ready(bench)
    now = bench.clock.now()
    for number, money in enumerate(_amounts(bench, case)):
        due, since = now + timedelta(days=2 + number), len(bench.journal)
        command = bench.schedule(due, money=money)
        order_id = command.charges[0].order_id
        told = [bench.do("schedule", command)[0], bench.do("find_schedule", order_id)]
        bench.clock.advance((due - bench.clock.now()).total_seconds() + origins.SLACK_S)
        told.append(bench.do("find_schedule", order_id))
        if bench.claims(C.SCHEDULES):
            between = SchedulesOf(billing_key=command.billing_key, start=due, end=due + timedelta(seconds=1))
            told += bench.do("schedules", between)
        for seen in told:
            expect((seen.order_id, seen.money) == (order_id, money), f"{money} on a date are told as {seen}")
        _taken(bench, since, money, "a dated charge")


@check(C.SUBSCRIBE, cases=_currencies, faces=SYNC)
def a_subscription_takes_its_price_to_the_unit_in_every_declared_currency(bench: Bench, case: str) -> None:
    """What is told of it is what the PG takes."""
    for money in _amounts(bench, case, few=True):
        since = len(bench.journal)
        running = begun(bench, money=money)
        expect(running.money == money, f"a subscription of {money} is told as one of {running.money}")
        _taken(bench, since, money, "the first period of a subscription")
