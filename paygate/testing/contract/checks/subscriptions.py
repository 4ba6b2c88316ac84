"""Subscriptions that the PG runs: begun by the payer, charged every period, changed and stopped as asked."""

from __future__ import annotations

from datetime import timedelta

from ....capability import Capability
from ....commands import new_order_id
from ....errors import BadCommand, NotFound, PaygateError
from ....model import PaymentStatus
from ....subscriptions import (
    ChangeInterval,
    ChangeMethod,
    Interval,
    MoveNext,
    Renew,
    SubscriptionStatus,
    Unsubscribe,
    When,
)
from ..acts_of_subscriptions import begun
from ..bench import BACK, Bench
from ..registry import SYNC, check
from ..told import Broke, NotHere, expect

C = Capability
MONTH_S = 31 * 86_400 + 7_200


@check(C.SUBSCRIBE)
def a_subscription_begins_when_the_payer_approves_and_takes_its_first_money_once(bench: Bench) -> None:
    """Not before, and exactly its price."""
    command = bench.subscribe()
    checkout = bench.do("subscribe", command)
    expect(not bench.journal, "a subscription that nobody approved took money")
    expect(not bench.ask("subscription", command.order_id).is_yes, "a subscription is told before it began")
    found = bench.do("confirm_subscription", command.order_id, bench.browse(checkout.action))
    expect(found is not None and (found.order_id, found.money, found.every, found.status) == (
        command.order_id, command.money, command.every, SubscriptionStatus.ACTIVE), f"told as {found}")
    expect((bench.charges(), bench.taken()) == (1, command.money.amount), f"the PG took {bench.taken()}")
    expect(checkout.takes_money, "the checkout says that no money is taken")


@check(C.SUBSCRIBE)
def a_subscription_whose_payer_closes_or_fails_has_not_begun(bench: Bench) -> None:
    """And takes nothing."""
    for outcome in ("close", "decline"):
        command = bench.subscribe()
        query = bench.browse(bench.do("subscribe", command).action, outcome)
        told = bench.ask("confirm_subscription", command.order_id, query)
        expect(not told.is_yes or told.value is None, f"after {outcome}, confirm_subscription {told}")
    expect(not bench.journal, "a subscription that did not begin took money")


@check(C.SUBSCRIBE)
def a_subscription_is_charged_once_in_every_period(bench: Bench) -> None:
    """Three months, three more charges, each of its price."""
    running = begun(bench)
    if running.every != Interval("month"):
        raise NotHere("the story's subscription is not monthly")
    for month in range(1, 4):
        bench.clock.advance(MONTH_S)
        expect(bench.charges() == 1 + month, f"after {month} months the PG took money {bench.charges()} times")
    expect({m.money for m in bench.journal} == {running.money}, "a renewal took another amount")
    now = bench.do("subscription", running.order_id)
    due = now.next_due_at
    expect(due is None or due > bench.clock.now(), f"at {bench.clock.now()} the next charge is told for {due}")


@check(C.SUBSCRIBE, faces=SYNC)
def the_next_charge_is_told_for_when_it_is_made(bench: Bench) -> None:
    """A date in the wrong zone is a day off for whoever is told it."""
    running = begun(bench)
    if running.next_due_at is None:
        raise NotHere("this PG does not tell when it charges next")
    since = len(bench.journal)
    bench.clock.advance((running.next_due_at - bench.clock.now()).total_seconds() - 60)
    expect(bench.charges(since) == 0, f"told for {running.next_due_at}, charged before it")
    bench.clock.advance(60 + 1_800)
    expect(bench.charges(since) == 1, f"told for {running.next_due_at}, and by {bench.clock.now()} nothing was charged")


@check(C.UNSUBSCRIBE, C.SUBSCRIBE, cases=("now", "period_end"))
def a_subscription_that_is_stopped_is_never_charged_again(bench: Bench, case: str) -> None:
    """And gives nothing back by itself."""
    running = begun(bench)
    when: When = "now" if case == "now" else "period_end"
    told = bench.do("unsubscribe", Unsubscribe(order_id=running.order_id, when=when))
    wanted = (SubscriptionStatus.ENDED,) if case == "now" else (SubscriptionStatus.ENDING, SubscriptionStatus.ENDED)
    expect(told.status in wanted, f"stopped {case}, told as {told.status.value}")
    for _ in range(3):
        bench.clock.advance(MONTH_S)
    expect((bench.charges(), bench.refunds()) == (1, 0), f"stopped, it took {bench.charges() - 1} more")
    again = bench.ask("unsubscribe", Unsubscribe(order_id=running.order_id))
    expect(again.is_yes or again.is_no, f"stopped once more, it {again}")


@check(C.PAUSE, C.SUBSCRIBE)
def a_pause_charges_nothing_until_it_is_over(bench: Bench) -> None:
    """And then it goes on."""
    running = begun(bench)
    told = bench.do("pause", running.order_id)
    expect(told.status is SubscriptionStatus.PAUSED, f"paused, told as {told.status.value}")
    for _ in range(2):
        bench.clock.advance(MONTH_S)
    expect(bench.charges() == 1, f"during the pause the PG took money {bench.charges() - 1} times")
    told = bench.do("resume", running.order_id)
    expect(told.status is SubscriptionStatus.ACTIVE, f"resumed, told as {told.status.value}")
    bench.clock.advance(2 * MONTH_S)
    expect(bench.charges() > 1, "resumed, and never charged again")


@check(C.MOVE_NEXT, C.SUBSCRIBE)
def a_next_charge_that_is_moved_is_made_then_and_not_before(bench: Bench) -> None:
    """To the instant asked for, in whatever zone it was written."""
    from .dated import KST

    running = begun(bench)
    due = (bench.clock.now() + timedelta(days=45)).replace(hour=15, minute=30, second=0, microsecond=0)
    told = bench.do("move_next", MoveNext(order_id=running.order_id, due_at=due.astimezone(KST)))
    expect(told.next_due_at is None or abs((told.next_due_at - due).total_seconds()) < 60,
           f"moved to {due}, told as {told.next_due_at}")
    bench.clock.advance((due - bench.clock.now()).total_seconds() - 60)
    expect(bench.charges() == 1, f"moved to {due}, charged before it")
    bench.clock.advance(60 + 1_800)
    expect(bench.charges() == 2, f"moved to {due}, and by {bench.clock.now()} it took {bench.charges() - 1} more")


@check(C.CHANGE_INTERVAL, C.SUBSCRIBE)
def another_interval_holds_from_then_on(bench: Bench) -> None:
    """Told, and lived by."""
    running = begun(bench)
    told = bench.do("change_interval", ChangeInterval(order_id=running.order_id, every=Interval("week", 2)))
    expect(told.every == Interval("week", 2), f"every two weeks was asked for, told as {told.every}")
    expect(bench.do("subscription", running.order_id).every == Interval("week", 2), "looked at again, it is another")
    expect(bench.charges() == 1, "changing the interval took money")


@check(C.CHANGE_METHOD, C.SUBSCRIBE)
def choosing_another_means_takes_no_money(bench: Bench) -> None:
    """Neither when it is shown nor when the payer has chosen."""
    running = begun(bench)
    checkout = bench.do("change_method", ChangeMethod(order_id=running.order_id, return_url=BACK))
    expect(not checkout.takes_money, "the checkout says that it takes money")
    try:
        bench.browse(checkout.action)
    except Broke:
        pass  # The window is the PG's business; what counts is the money.
    expect(bench.charges() == 1, "choosing another means took money")
    expect(bench.do("subscription", running.order_id).status is SubscriptionStatus.ACTIVE, "the subscription is over")


@check(C.RENEW, C.SUBSCRIBE)
def a_renewal_takes_one_periods_price_once(bench: Bench) -> None:
    """Asked for again, it is told again; at another price it is refused."""
    running = begun(bench)
    command = Renew(order_id=bench.order("renew"), subscription=running.order_id, money=running.money)
    payment = bench.do("renew", command)
    expect((payment.order_id, payment.money, payment.status) == (command.order_id, running.money, PaymentStatus.PAID),
           f"told as {payment}")
    expect((bench.charges(), bench.taken()) == (2, 2 * running.money.amount), f"in all the PG took {bench.taken()}")
    again = bench.ask("renew", command)
    expect(again.is_yes and bench.charges() == 2, f"asked for again, it {again}")
    wrong = Renew(order_id=bench.order("renew"), subscription=running.order_id,
                  money=bench.another_money())
    told = bench.ask("renew", wrong)
    expect(isinstance(told.error, BadCommand) and bench.charges() == 2, f"a renewal at another price {told}")


@check(C.RENEW, C.SUBSCRIBE)
def what_does_not_run_is_not_renewed(bench: Bench) -> None:
    """Neither a subscription that was stopped nor one that never began."""
    told = bench.ask("renew", Renew(order_id=bench.order("renew"), subscription=bench.order(), money=bench.money))
    expect(isinstance(told.error, PaygateError) and not told.is_yes, f"a renewal of nothing {told}")
    if bench.claims(C.UNSUBSCRIBE):
        running = begun(bench)
        bench.do("unsubscribe", Unsubscribe(order_id=running.order_id, when="now"))
        since = len(bench.journal)
        told = bench.ask("renew", Renew(order_id=bench.order("renew"), subscription=running.order_id,
                                        money=running.money))
        expect(not told.is_yes and bench.charges(since) == 0, f"a renewal of what was stopped {told}")


@check(C.SUBSCRIBE, faces=SYNC)
def a_subscription_is_read_by_the_order_that_began_it_and_by_no_other(bench: Bench) -> None:
    """Two subscriptions are not mixed up."""
    first, second = begun(bench), begun(bench)
    expect(first.provider_id != second.provider_id, "two subscriptions have one id")
    for running in (first, second):
        seen = bench.do("subscription", running.order_id)
        expect((seen.order_id, seen.provider_id) == (running.order_id, running.provider_id), f"read as {seen}")
    told = bench.ask("subscription", new_order_id())
    expect(isinstance(told.error, (NotFound, BadCommand)), f"a subscription that never was {told}")
