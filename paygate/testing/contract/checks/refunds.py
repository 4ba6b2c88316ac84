"""Giving money back: the stated amount, once, from the payment that was named, and never more than is left."""

from __future__ import annotations

from decimal import Decimal
from typing import get_args

from attrs import evolve

from ....capability import CancelGuard, Capability
from ....commands import Cancel, RequestedBy
from ....errors import BadCommand, OutcomeUnknown, PaygateError, Refused
from ....model import Payment, PaymentStatus
from ..bench import REASON, Bench
from ..registry import SYNC, check
from ..tape import parsed, places
from ..told import NotHere, expect
from .claimed import looks

C = Capability


def _back(bench: Bench, since: int, amount: int, times: int, what: str) -> None:
    expect((bench.refunds(since), bench.given_back(since)) == (times, amount),
           f"{what}: {amount} were to be given back {times}×; the PG gave {bench.given_back(since)} in "
           f"{bench.refunds(since)} refunds")


@check(C.CANCEL, C.CANCEL_PARTLY, by_origin=True)
def a_partial_refund_gives_exactly_its_amount_back_once(bench: Bench) -> None:
    """Not the rest, not everything, not a share of it."""
    payment = bench.paid()
    since, amount = len(bench.journal), payment.money.amount // 4
    done = bench.do("cancel", bench.cancel(payment.order_id, amount))
    _back(bench, since, amount, 1, "a partial refund")
    expect(done.money.amount == amount, f"{amount} were given back, told as {done.money}")
    expect((done.payment.cancelled.amount, done.payment.status) == (amount, PaymentStatus.PARTLY_CANCELLED),
           f"after a partial refund the payment is told as {done.payment}")
    for seen in looks(bench, payment):
        expect((seen.status, seen.cancelled.amount) == (PaymentStatus.PARTLY_CANCELLED, amount), f"looked at: {seen}")


@check(C.CANCEL, C.CANCEL_PARTLY, faces=SYNC, by_origin=True)
def the_flow_of_a_refund_tells_the_payment_after_it(bench: Bench) -> None:
    """By itself, without a core that looks again where something does not fit."""
    payment = bench.paid()
    since, amount = len(bench.journal), payment.money.amount // 4
    stated = Cancel(cancel_id="kit-f", order_id=payment.order_id, money=bench.won(amount), reason=REASON)
    after = bench.say(bench.provider.cancel(stated, payment)).expected("the flow of a refund")
    _back(bench, since, amount, 1, "the flow of a refund")
    expect((after.order_id, after.provider_id, after.money) == (payment.order_id, payment.provider_id, payment.money),
           f"{payment} was given back from, and the flow tells {after}")
    expect((after.cancelled.amount, after.status) == (amount, PaymentStatus.PARTLY_CANCELLED), f"told: {after}")


@check(C.CANCEL, by_origin=True)
def a_whole_refund_gives_all_of_it_back_once(bench: Bench) -> None:
    """To the last unit."""
    payment = bench.paid(bench.another_money())
    since = len(bench.journal)
    done = bench.do("cancel_whole", bench.cancel_whole(payment.order_id))
    _back(bench, since, payment.money.amount, 1, "a whole refund")
    expect((done.money, done.payment.status) == (payment.money, PaymentStatus.CANCELLED), f"told as {done.payment}")
    for seen in looks(bench, payment):
        expect((seen.status, seen.left.amount) == (PaymentStatus.CANCELLED, 0), f"looked at after it: {seen}")


@check(C.CANCEL, C.CANCEL_PARTLY, by_origin=True)
def refunds_add_up_and_a_whole_one_takes_only_what_is_left(bench: Bench) -> None:
    """Part, part, rest: each its own, together the payment."""
    payment = bench.paid()
    since, whole = len(bench.journal), payment.money.amount
    first, second = whole // 4, whole // 7
    for amount in (first, second):
        bench.do("cancel", bench.cancel(payment.order_id, amount))
    _back(bench, since, first + second, 2, "two partial refunds")
    done = bench.do("cancel_whole", bench.cancel_whole(payment.order_id))
    expect(done.money.amount == whole - first - second, f"the rest was {whole - first - second}, told as {done.money}")
    _back(bench, since, whole, 3, "two partial refunds and the rest")


@check(C.CANCEL, C.CANCEL_PARTLY, by_origin=True)
def a_refund_asked_for_again_is_told_again_and_not_made_again(bench: Bench) -> None:
    """The same cancel_id means the same refund."""
    payment = bench.paid()
    command = bench.cancel(payment.order_id, payment.money.amount // 4)
    since = len(bench.journal)
    first, again = bench.do("cancel", command), bench.do("cancel", command)
    expect((first.money, first.payment.cancelled) == (again.money, again.payment.cancelled),
           f"told first as {first.payment}, then as {again.payment}")
    _back(bench, since, command.money.amount, 1, "a refund asked for twice")


@check(C.CANCEL, C.CANCEL_PARTLY)
def a_refund_comes_from_the_order_that_it_names(bench: Bench) -> None:
    """Not from the last one, not from the first one."""
    orders = [bench.paid(), bench.paid(bench.another_money()), bench.paid()]
    for payment in (orders[1], orders[0], orders[2]):
        since = len(bench.journal)
        bench.do("cancel", bench.cancel(payment.order_id, payment.money.amount // 14))
        charged = [m for m in bench.journal if m.kind == "charge" and m.money == payment.money]
        last = bench.journal[-1]
        expect(len(bench.journal) == since + 1 and last.kind == "refund", "one refund was asked for")
        mine = {payment.provider_id, payment.order_id} | {m.provider_id for m in charged if m.order_id in (
            payment.order_id, payment.provider_id)}
        expect({last.order_id, last.provider_id} & mine,
               f"{payment.order_id} was to be given back from; the PG gave back from {last.order_id}")


@check(C.CANCEL, C.CANCEL_PARTLY, by_origin=True)
def more_than_is_left_is_refused_and_nothing_is_given_back(bench: Bench) -> None:
    """By one unit, and after earlier refunds too."""
    payment = bench.paid()
    whole = payment.money.amount
    told = bench.ask("cancel", bench.cancel(payment.order_id, whole + 1))
    expect(told.is_no, f"a refund of more than was paid {told}")
    bench.do("cancel", bench.cancel(payment.order_id, whole // 2))
    since = len(bench.journal)
    told = bench.ask("cancel", bench.cancel(payment.order_id, whole - whole // 2 + 1))
    expect(told.is_no and isinstance(told.error, PaygateError), f"a refund of more than is left {told}")
    _back(bench, since, 0, 0, "a refund of more than is left")


@check(C.CANCEL, C.CANCEL_PARTLY, faces=SYNC, by_origin=True)
def the_flow_of_a_refund_that_the_pg_refuses_does_not_say_that_it_was_done(bench: Bench) -> None:
    """The balance on our side may be old; the PG's no has to come through, whatever its status."""
    payment = bench.paid()
    bench.do("cancel", bench.cancel(payment.order_id, payment.money.amount // 2))
    since, more = len(bench.journal), payment.money.amount - payment.money.amount // 100
    told = bench.say(bench.provider.cancel(Cancel(cancel_id="kit-x", order_id=payment.order_id, money=bench.won(more),
                                                  reason=REASON), payment))
    given = bench.given_back(since)
    expect(given <= payment.money.amount - payment.money.amount // 2, f"more than was left was given back: {given}")
    if given == 0:
        expect(isinstance(told.error, (Refused, OutcomeUnknown, BadCommand)), f"the PG refused, and the flow {told}")


@check(C.CANCEL, faces=SYNC, by_origin=True)
def every_refund_states_its_amount_to_the_pg(bench: Bench) -> None:
    """At many PGs a refund without an amount, or of 0, is a refund of everything."""
    amounts = [bench.money.amount // 4] if bench.claims(C.CANCEL_PARTLY) else []
    payment = bench.paid()
    for amount in [*amounts, None]:
        mark, since = bench.mark, len(bench.journal)
        if amount is None:
            bench.do("cancel_whole", bench.cancel_whole(payment.order_id))
        else:
            bench.do("cancel", bench.cancel(payment.order_id, amount))
        given = bench.given_back(since)
        asking = next((s for s in bench.sent(mark) if any(m.kind == "refund" for m in s.moved)), None)
        expect(asking is not None, "a refund was made by no request")
        expect(asking is not None and _states(asking.call.body, asking.call.target, given),
               f"{given} were given back, and the request does not say so")


def _states(body: bytes, target: str, amount: int) -> bool:
    from ....wire import Response

    said = parsed(Response(200, {}, body)) if body else None
    values = [v for _, v in places(said)] if said is not None else []
    numbers = [str(v) for v in values if isinstance(v, (int, str, Decimal)) and not isinstance(v, bool)]
    text = str(amount)
    return text in numbers or f"{text}.0" in numbers or f"={text}" in body.decode("latin-1") or f"={text}" in target


@check(C.CANCEL, C.CANCEL_PARTLY, faces=SYNC)
def a_refund_that_reaches_the_pg_twice_is_given_back_twice_only_where_the_profile_says_so(bench: Bench) -> None:
    """The declared guard, tried: the very same request arrives once more."""
    payment = bench.paid()
    mark, since = bench.mark, len(bench.journal)
    amount = payment.money.amount // 4
    bench.do("cancel", bench.cancel(payment.order_id, amount))
    asking = next((s for s in bench.sent(mark) if any(m.kind == "refund" for m in s.moved)), None)
    if asking is None:
        raise NotHere("the refund is made by no single request")
    bench.wire.truth(asking.call)
    if bench.subject.spec.profile.cancel_guard.value is CancelGuard.CHECKSUM:
        _back(bench, since, amount, 1, "a refund that arrived twice at a PG which is said to compare the balance")
    else:
        expect(bench.refunds(since) == 2, "the profile says that nothing guards a repeated refund, and something does")


@check(C.CANCEL)
def an_order_without_money_has_nothing_to_give_back(bench: Bench) -> None:
    """Unpaid, unknown, given back already: refused, and the PG is not asked to."""
    since = len(bench.journal)
    told = bench.ask("cancel_whole", bench.cancel_whole(bench.order("never")))
    expect(told.is_no, f"a refund of an order that never was {told}")
    if bench.claims(C.PAY):
        command = bench.pay()
        bench.do("pay", command)
        told = bench.ask("cancel_whole", bench.cancel_whole(command.order_id))
        expect(not told.is_yes, f"a refund of a window that nobody paid in {told}")
    expect(len(bench.journal) == since, "money moved for orders that have none")
    payment = bench.paid()
    bench.do("cancel_whole", bench.cancel_whole(payment.order_id))
    since = len(bench.journal)
    told = bench.ask("cancel_whole", bench.cancel_whole(payment.order_id))
    expect(told.is_no and bench.refunds(since) == 0, f"a refund of what was given back already {told}")


@check(C.CANCEL, C.CANCEL_PARTLY, C.LOOKUP, faces=SYNC, by_origin=True)
def a_refund_listed_by_the_pg_is_told_with_its_amount_and_time(bench: Bench) -> None:
    """Where the record lists its refunds, the list adds up."""
    payment = bench.paid()
    given = [payment.money.amount // 14, payment.money.amount // 7]
    for amount in given:
        bench.do("cancel", bench.cancel(payment.order_id, amount))
    seen: Payment = bench.do("lookup", str(payment.provider_id))
    if not seen.cancellations:
        raise NotHere("this PG's record lists no refunds")
    expect(sum(c.money.amount for c in seen.cancellations) == seen.cancelled.amount == sum(given),
           f"refunds of {given} are listed as {[c.money.amount for c in seen.cancellations]}")
    for cancelled in seen.cancellations:
        if cancelled.at is not None:
            off = min(abs((cancelled.at - m.at).total_seconds()) for m in bench.journal if m.kind == "refund")
            expect(off <= 60, f"a refund is told {off:.0f} seconds away from when it was made")


@check(C.CANCEL, C.CANCEL_PARTLY, by_origin=True)
def a_refund_that_the_pg_made_by_itself_is_seen_and_not_taken_for_ours(bench: Bench) -> None:
    """Somebody clicks in the PG's console, or another process gives back: the next look shows it."""
    payment = bench.paid()
    with bench.another() as shop:
        if not shop.claims(C.FIND):
            raise NotHere("another process cannot find the order here")
        amount = payment.money.amount // 14
        shop.do("cancel", shop.cancel(payment.order_id, amount))
    for seen in looks(bench, payment):
        expect(seen.cancelled.amount == amount, f"{amount} were given back elsewhere, and the look shows {seen}")
    since = len(bench.journal)
    bench.ask("cancel_whole", bench.cancel_whole(payment.order_id))
    expect(bench.given_back() <= payment.money.amount, f"in all {bench.given_back()} were given back")
    expect(bench.refunds(since) <= 1, "one refund was asked for")


@check(C.CANCEL, C.CANCEL_PARTLY, faces=SYNC, by_origin=True)
def an_old_balance_never_gives_more_back_than_there_is(bench: Bench) -> None:
    """Two processes read the balance, then both ask: together they give at most what was paid."""
    payment = bench.paid()
    stated = Cancel(cancel_id="kit-x", order_id=payment.order_id, money=payment.money, reason=REASON)
    for cancel_id in ("kit-x1", "kit-x2"):
        bench.say(bench.provider.cancel(evolve(stated, cancel_id=cancel_id), payment))
    given = bench.given_back()
    expect(given <= payment.money.amount, f"{given} of {payment.money.amount} were given back")


@check(C.CANCEL, C.CANCEL_PARTLY, faces=SYNC, by_origin=True)
def a_refund_that_meets_an_old_balance_is_not_asked_for_at_the_new_one(bench: Bench) -> None:
    """The guard is worth nothing where the flow reads the balance again and states that one."""
    if bench.subject.spec.profile.cancel_guard.value is not CancelGuard.CHECKSUM:
        raise NotHere("this PG compares no balance")
    payment = bench.paid()
    since, amount = len(bench.journal), payment.money.amount // 4
    stated = Cancel(cancel_id=bench.order("back"), order_id=payment.order_id, money=bench.won(amount), reason=REASON)
    first, again = (bench.say(bench.provider.cancel(stated, payment)) for _ in range(2))
    _back(bench, since, amount, 1, "a refund asked for twice at one balance")
    expect(first.is_yes and (again.error is not None or again.value.cancelled.amount == amount),
           f"one refund was made; the second time the flow {again}")


@check(C.CANCEL, faces=SYNC, cases=get_args(RequestedBy))
def whoever_asked_for_a_refund_it_is_made(bench: Bench, case: str) -> None:
    """The payer, the merchant or the system: at most it is a word for the PG's books."""
    payment = bench.paid()
    since = len(bench.journal)
    bench.do("cancel_whole", bench.cancel_whole(payment.order_id, requested_by=case))
    _back(bench, since, payment.money.amount, 1, f"a refund requested by {case}")
