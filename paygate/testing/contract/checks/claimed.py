"""Every claimed verb that takes money does what it says, and what it says equals the PG's own journal."""

from __future__ import annotations

from typing import Any

from attrs import evolve

from ....capability import Capability
from ....errors import BadCommand, Conflict, PaygateError
from ....model import Payment, PaymentStatus
from ....money import EXPONENT, Money
from ..bench import Bench
from ..registry import SYNC, check
from ..subject import Subject
from ..told import NotHere, expect

C = Capability
MINUTE_S = 60.0


def _once(bench: Bench, since: int, money: Money, what: str) -> None:
    expect((bench.charges(since), bench.taken(since)) == (1, money.amount),
           f"{what}: {money} were to be taken once; the PG took {bench.taken(since)} in {bench.charges(since)} charges")
    expect(all(m.money.currency == money.currency for m in bench.journal[since:]), f"{what}: in another currency")


def _named(bench: Bench, order_id: str, payment: Payment, since: int, what: str) -> None:
    names = {m.order_id for m in bench.journal[since:]} | {m.provider_id for m in bench.journal[since:]}
    expect({order_id, payment.provider_id} & names, f"{what}: the PG's journal holds it under {sorted(names)}")
    if bench.claims(C.FIND):
        expect(order_id in names, f"{what}: the PG knows it under {sorted(names)}, not under our order {order_id}")


@check(C.CHARGE)
def a_charge_takes_exactly_its_money_once(bench: Bench) -> None:
    """What is told is what the journal holds: this order, this amount, once."""
    command = bench.charge()
    since = len(bench.journal)
    payment = bench.do("charge", command)
    expect(payment.status.took_money, f"the charge is told as {payment.status.value}")
    expect((payment.order_id, payment.money) == (command.order_id, command.money),
           f"{command.money} were charged for {command.order_id}, and the result says {payment}")
    expect(payment.cancelled.is_zero, f"a charge just made says that {payment.cancelled} were given back")
    _once(bench, since, command.money, "a charge")
    _named(bench, command.order_id, payment, since, "a charge")


@check(C.CHARGE, faces=SYNC)
def the_flow_of_a_charge_tells_what_the_journal_holds(bench: Bench) -> None:
    """By itself, without a core that looks again where something does not fit."""
    for currency in bench.subject.spec.profile.currencies.value:
        command = bench.charge(money=Money(10 ** EXPONENT[currency] * 1_300 + 40, currency))
        since = len(bench.journal)
        told = bench.say(bench.provider.charge(command)).expected("the flow of a charge")
        _once(bench, since, command.money, "the flow of a charge")
        expect((told.order_id, told.money) == (command.order_id, command.money), f"{command.money} charged: {told}")
        expect(told.status.took_money or told.status is PaymentStatus.PENDING, f"paid, and the flow tells {told}")
        expect(told.cancelled.is_zero and not told.for_key, f"a charge just made is told as {told}")
        _named(bench, command.order_id, told, since, "the flow of a charge")


@check(C.CHARGE, faces=SYNC)
def a_currency_that_is_not_declared_is_refused_and_nothing_is_sent(bench: Bench) -> None:
    """The PG would take it for its own."""
    other = next(c for c in ("KRW", "USD", "JPY", "EUR", "KWD", "CLF")
                 if c not in bench.subject.spec.profile.currencies.value)
    command = bench.charge(money=Money(12_000, other))
    mark = bench.mark
    told = bench.ask("charge", command)
    expect(isinstance(told.error, BadCommand), f"a charge in {other} {told}")
    bench.silent(mark, f"a charge in {other} was refused")


@check(C.CHARGE)
def a_charge_asked_for_again_is_told_again_and_not_made_again(bench: Bench) -> None:
    """The same order id means the same charge."""
    command = bench.charge()
    first = bench.do("charge", command)
    since, mark = len(bench.journal), bench.mark
    again = bench.do("charge", command)
    expect(again == first, f"asked for again, the charge is told as {again}, not as {first}")
    expect(bench.charges(since) == 0, "asked for again, the charge was made again")
    bench.silent(mark, "the charge is known")
    told = bench.ask("charge", evolve(command, money=bench.another_money()))
    expect(isinstance(told.error, Conflict), f"the same order id with another amount {told}")
    expect(bench.charges(since) == 0, "the same order id with another amount was charged")


@check(C.CHARGE)
def two_orders_are_two_charges_and_never_mixed_up(bench: Bench) -> None:
    """Each result belongs to its own command."""
    first, second = bench.charge(), bench.charge(money=bench.another_money())
    since = len(bench.journal)
    for command in (first, second):
        payment = bench.do("charge", command)
        expect((payment.order_id, payment.money) == (command.order_id, command.money), f"told as {payment}")
    ids = {m.provider_id for m in bench.journal[since:]}
    expect(len(ids) == 2, f"two charges are {len(ids)} payments at the PG")


@check(C.CHARGE)
def every_way_of_looking_tells_the_same_of_a_charge(bench: Bench) -> None:
    """What the charge told, what find tells and what lookup tells are one record."""
    payment = bench.do("charge", bench.charge())
    for seen in looks(bench, payment):
        expect((seen.order_id, seen.provider_id, seen.status, seen.money, seen.cancelled)
               == (payment.order_id, payment.provider_id, payment.status, payment.money, payment.cancelled),
               f"the charge told {payment}, and looked at again it is {seen}")


def looks(bench: Bench, payment: Payment) -> list[Payment]:
    """The payment in every way in which this provider can look at it."""
    found: list[Payment] = []
    if bench.claims(C.FIND):
        found.append(bench.do("find", payment.order_id))
    if bench.claims(C.LOOKUP) and payment.provider_id is not None:
        found.append(bench.do("lookup", payment.provider_id))
    return found


def _takes(subject: Subject) -> str | None:
    return None if subject.claims(C.CHARGE) or subject.claims(C.PAY) else "it takes no one-off money"


@check(when=_takes, cases=("UTC", "Asia/Seoul", "America/New_York", "Pacific/Kiritimati"), faces=SYNC)
def the_time_of_a_payment_is_the_pgs_wherever_the_host_stands(bench: Bench, case: str) -> None:
    """A PG's zone-less or local time is converted once, in the provider, and never by the machine's own zone."""
    from ..zone import at_home_in

    with at_home_in(case):
        payment = bench.do("charge", bench.charge()) if bench.claims(C.CHARGE) else bench.paid()
        for seen in (payment, *looks(bench, payment)):
            if seen.paid_at is not None:
                off = abs((seen.paid_at - bench.journal[-1].at).total_seconds())
                expect(off <= MINUTE_S, f"the PG took the money at {bench.journal[-1].at}, told as {seen.paid_at}")


@check(C.CHARGE)
def an_order_that_the_pg_has_already_is_never_told_as_a_charge_of_ours(bench: Bench) -> None:
    """Another process, with another ledger, used the id for another amount: the PG's answer must not be misread."""
    command = bench.charge()
    bench.do("charge", command)
    since = len(bench.journal)
    with bench.another() as shop:
        told = shop.ask("charge", evolve(command, money=bench.another_money()))
        if bench.charges(since) == 0:
            expect(not told.is_yes, f"the PG refused a used order id, and the charge {told}")
            return
        expect(not told.is_no, f"the PG charged a used order id again, and the charge {told}")
        expect(not bench.subject.spec.profile.refuses_reused_order_id.value,
               f"the PG refuses used order ids, and money was taken all the same: the charge {told}")


@check(C.CHARGE)
def requests_go_to_the_pgs_own_host_over_https(bench: Bench) -> None:
    """Every one of them, seen at the transport."""
    payment = bench.do("charge", bench.charge())
    looks(bench, payment)
    for sent in bench.sent():
        expect(sent.scheme == "https" and sent.host in bench.subject.spec.hosts, f"a request went to {sent.host}")


@check(faces=SYNC)
def the_same_commands_make_the_same_requests(bench: Bench) -> None:
    """A flow has no dice and no clock: an id made up on the way would be another one after a lost answer."""
    with bench.fresh() as again:
        _walk(bench)
        _walk(again)
        _same(bench, again, "a second time")


@check(faces=SYNC)
def both_faces_make_the_same_requests(bench: Bench) -> None:
    """Sync and async code is driven by the same flows."""
    with Bench(bench.subject, "async") as other:
        _walk(bench)
        _walk(other)
        _same(bench, other, "by the other face")


def _walk(bench: Bench) -> None:
    for needs, walk in _WALKS:
        if bench.claims(*needs):
            try:
                walk(bench)
            except NotHere:
                continue


def _walk_charge(bench: Bench) -> None:
    payment = bench.do("charge", bench.charge())
    looks(bench, payment)
    if bench.claims(C.CANCEL):
        bench.do("cancel_whole", bench.cancel_whole(payment.order_id))


def _walk_dated(bench: Bench) -> None:
    bench.do("schedule", bench.schedule())


def _walk_pay(bench: Bench) -> None:
    bench.paid_in_window(bench.pay())


def _walk_subscribe(bench: Bench) -> None:
    bench.do("subscribe", bench.subscribe())


_WALKS: tuple[tuple[tuple[Capability, ...], Any], ...] = (
    ((C.PAY,), _walk_pay), ((C.CHARGE,), _walk_charge), ((C.SCHEDULE,), _walk_dated), ((C.SUBSCRIBE,), _walk_subscribe))


def _same(first: Bench, second: Bench, how: str) -> None:
    ours, theirs = ([(s.line, s.call.query, s.call.body, sorted(s.call.headers.items())) for s in b.sent()]
                    for b in (first, second))
    expect(len(ours) == len(theirs), f"{len(ours)} requests were made, and {how} {len(theirs)}")
    for one, other in zip(ours, theirs, strict=True):
        expect(one == other, f"{one[0]} was asked, and {how} something else: {other[0]}, or with another body")


def _takes_windows_or_keys(subject: Subject) -> str | None:
    return None if subject.claims(C.CHARGE) or subject.claims(C.PAY) else "it takes no one-off money"


@check(when=_takes_windows_or_keys)
def nothing_is_taken_before_it_is_asked_for(bench: Bench) -> None:
    """Preparing, registering and looking move no money."""
    if bench.claims(C.PAY):
        bench.do("pay", bench.pay())
    if bench.claims(C.FIND):
        bench.ask("find", bench.order())
    if bench.claims(C.LOOKUP):
        bench.ask("lookup", "zz-not-there")
    bench.do("reconcile")
    expect(not bench.journal, "money moved, and nobody had asked for any")


@check(C.CHARGE, faces=SYNC)
def a_smallest_amount_that_is_declared_is_taken_and_less_is_not(bench: Bench) -> None:
    """The profile's minimum, both ways."""
    least = bench.subject.spec.profile.minimum.value
    if least is None:
        raise NotHere("the profile names no smallest amount")
    payment = bench.do("charge", bench.charge(money=least))
    expect(payment.money == least, f"the smallest amount is told as {payment.money}")
    if least.amount < 2:
        return
    since = len(bench.journal)
    told = bench.ask("charge", bench.charge(money=Money(least.amount - 1, least.currency)))
    expect(told.is_no and isinstance(told.error, PaygateError), f"less than the declared minimum {told}")
    expect(bench.charges(since) == 0, "less than the declared minimum was taken")


@check(C.CHARGE, faces=SYNC)
def a_largest_amount_that_is_declared_is_taken_and_more_is_not(bench: Bench) -> None:
    """The profile's maximum, both ways."""
    most = bench.subject.spec.profile.maximum.value
    if most is None:
        raise NotHere("the profile names no largest amount")
    payment = bench.do("charge", bench.charge(money=most))
    expect(payment.money == most, f"the largest amount is told as {payment.money}")
    mark = bench.mark
    told = bench.ask("charge", bench.charge(money=Money(most.amount + 10, most.currency)))
    expect(told.is_no and isinstance(told.error, PaygateError), f"more than the declared maximum {told}")
    bench.silent(mark, "more than the declared maximum was refused")
