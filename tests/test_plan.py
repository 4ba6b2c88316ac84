"""A plan as a value: every step that a subscription can take, without a clock, a ledger or a PG."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from paygate import BadCommand, DeclineReason, Interval, Money, Retries, SubscriptionStatus, Terms
from paygate.scheduler import plan as rules
from paygate.scheduler.plan import Plan

START = datetime(2026, 1, 31, 3, tzinfo=UTC)
DAY = timedelta(days=1)
MONTH = Interval("month")
S = SubscriptionStatus


def won(amount: int) -> Money:
    return Money(amount, "KRW")


def new(*, held: bool = False, every: Interval = MONTH, **terms: Any) -> Plan:
    return Plan(order_id="s", title="Tea", money=won(14_000), every=every, terms=Terms(**terms), held=held,
                anchor=START, next_at=START)


def begun(*, first_is_paid: bool = False, **said: Any) -> Plan:
    return rules.begun(new(**said), START, first_is_paid=first_is_paid)


def on_trial(**said: Any) -> Plan:
    """Approved the day before the first charge: a subscription that stands, whatever becomes of that charge."""
    return rules.begun(new(first=START, **said), START - DAY, first_is_paid=False)


def day(month: int, of: int) -> datetime:
    return datetime(2026, month, of, 3, tzinfo=UTC)


def test_before_it_has_begun_nothing_is_due() -> None:
    assert rules.due(new(), START + DAY) == "wait"


def test_a_plan_that_begins_is_due_at_once_and_after_its_payment_a_month_later() -> None:
    plan = begun()
    assert (rules.due(plan, START), plan.charge_id) == ("charge", "s-1")
    after = rules.paid(plan, START)
    assert (after.charge_id, after.charge_at, after.paid) == ("s-2", day(2, 28), 1)
    assert rules.due(after, day(2, 28) - timedelta(seconds=1)) == "wait"
    assert rules.due(after, day(2, 28)) == "charge"


def test_where_registering_paid_the_first_period_the_second_comes_next() -> None:
    plan = begun(first_is_paid=True)
    assert (plan.charge_id, plan.paid, plan.last_paid_at) == ("s-2", 1, START)


def test_a_trial_counts_its_periods_from_its_end() -> None:
    plan = begun(first=START + 14 * DAY)
    assert plan.charge_at == START + 14 * DAY
    assert rules.due(plan, START) == "wait"
    assert rules.paid(plan, START + 14 * DAY).charge_at == day(3, 14)


def test_what_the_pg_holds_is_handed_to_it_before_it_is_due() -> None:
    plan = begun(held=True, first_is_paid=True)
    assert rules.due(plan, START) == "hold"
    assert rules.due(plan, day(2, 28)) == "charge"


def test_ids_tell_periods_retries_and_changes_apart() -> None:
    assert [rules.charge_id("s", *of) for of in ((0,), (6,), (6, 1), (6, 0, 1), (6, 2, 1))] == [
        "s-1", "s-7", "s-7r1", "s-7c1", "s-7c1r2"]
    plan = evolve(begun(), period=6, attempt=1, change=1)
    assert rules.earlier_ids(plan) == ["s-7", "s-7r1", "s-7c1"]


@given(of=st.lists(st.tuples(st.integers(0, 9998), st.integers(0, 9), st.integers(0, 99)), unique=True, max_size=40))
def test_no_two_attempts_share_an_id(of: list[tuple[int, int, int]]) -> None:
    assert len({rules.charge_id("s", *one) for one in of}) == len(of)


def test_an_id_that_leaves_no_room_is_refused() -> None:
    rules.check_room("x" * 29)
    with pytest.raises(BadCommand, match="at most 30 characters"):
        rules.check_room("x" * 31)


@pytest.mark.parametrize(("catch_up", "period", "missed"), [("latest", 4, (1, 2, 3)), ("none", 5, (1, 2, 3, 4)),
                                                            ("all", 1, ())])
def test_after_downtime_the_terms_say_which_periods_are_dropped(catch_up: Any, period: int, missed: Any) -> None:
    plan = rules.paid(begun(every=Interval("week"), catch_up=catch_up), START)
    later = rules.caught_up(plan, START + 30 * DAY)
    assert (later.period, later.missed) == (period, missed)


def test_a_period_that_has_just_begun_is_not_missed_whatever_the_terms() -> None:
    plan = rules.paid(begun(catch_up="none"), START)
    assert rules.caught_up(plan, day(2, 28) + DAY) == plan


def test_an_attempt_in_hand_is_never_dropped() -> None:
    plan = rules.declined(on_trial(), DeclineReason.INSUFFICIENT_FUNDS)
    assert rules.caught_up(plan, START + 300 * DAY) == plan


def test_a_decline_is_tried_again_on_its_days_under_new_ids_and_then_waits_for_the_payer() -> None:
    plan, tried = on_trial(retries=Retries(after_days=(1, 3), end_after_days=7)), []
    for _ in range(3):
        assert plan.charge_at is not None
        tried.append(((plan.charge_at - START).days, plan.charge_id))
        plan = rules.declined(plan, DeclineReason.INSUFFICIENT_FUNDS)
        assert plan.status is S.PAST_DUE
    assert plan.waits_for_payer
    assert tried == [(0, "s-1"), (1, "s-1r1"), (3, "s-1r2")]
    assert rules.due(plan, START + 7 * DAY - timedelta(seconds=1)) == "wait"
    assert rules.due(plan, START + 7 * DAY) == "end"
    assert rules.wakes_at(plan) == START + 7 * DAY


def test_a_first_charge_that_was_due_at_once_and_declined_ends_it() -> None:
    plan = rules.declined(begun(), DeclineReason.INSUFFICIENT_FUNDS)
    assert (plan.status, plan.charge_at, plan.next_at) == (S.ENDED, None, None)
    assert rules.waits_for_its_first(plan)
    assert not rules.waits_for_its_first(rules.paid(begun(), START))
    assert not rules.waits_for_its_first(on_trial())


def test_what_does_not_pass_by_itself_is_not_tried_again_until_the_payer_acts() -> None:
    plan = rules.declined(on_trial(), DeclineReason.EXPIRED)
    assert plan.waits_for_payer
    again = rules.with_other_means(plan, START + 2 * DAY)
    assert (again.charge_at, again.charge_id, rules.due(again, START + 2 * DAY)) == (
        START + 2 * DAY, "s-1r1", "charge")
    assert rules.paid(again, START + 2 * DAY).status is S.ACTIVE
    assert rules.paid(again, START + 2 * DAY).charge_at == day(2, 28)


def test_other_means_change_nothing_where_nothing_was_declined() -> None:
    assert rules.with_other_means(begun(), START) == begun()


def test_a_changed_amount_holds_from_the_next_period_and_not_for_a_retry() -> None:
    plan = rules.with_money(rules.declined(begun(), DeclineReason.UNMAPPED), won(20_000))
    assert plan.coming == won(14_000)
    after = rules.paid(plan, START + DAY)
    assert (after.coming, rules.paid(after, day(2, 28)).money) == (won(20_000), won(20_000))


def test_a_pause_sleeps_and_what_it_swallowed_is_listed() -> None:
    paused = rules.paused(rules.paid(begun(), START))
    assert (rules.wakes_at(paused), rules.due(paused, START + 400 * DAY)) == (None, "wait")
    back = rules.resumed(paused, day(4, 1))
    assert (back.status, back.charge_at, back.missed) == (S.ACTIVE, day(4, 30), (1, 2))
    assert rules.resumed(paused, day(2, 1)).charge_at == day(2, 28)


def test_a_payment_that_arrives_in_a_pause_does_not_end_it() -> None:
    plan = rules.paid(rules.paused(begun()), START)
    assert (plan.status, plan.next_at, plan.paid) == (S.PAUSED, None, 1)


def test_stopping_ends_with_what_is_paid_for() -> None:
    plan = rules.paid(begun(), START)
    ending = rules.stopped(plan, "period_end")
    assert (ending.status, ending.ends_at) == (S.ENDING, day(2, 28))
    assert [rules.due(ending, at) for at in (day(2, 27), day(2, 28))] == ["wait", "end"]
    assert rules.subscription_of(ending).next_due_at is None
    assert rules.stopped(plan, "now").status is S.ENDED
    assert rules.stopped(begun(), "period_end").status is S.ENDED
    assert rules.stopped(rules.declined(plan, DeclineReason.UNMAPPED), "period_end").status is S.ENDED


def test_stopping_at_an_instant_charges_the_periods_until_then() -> None:
    ending = rules.stopped(rules.paid(begun(), START), day(4, 15))
    assert rules.due(ending, day(2, 28)) == "charge"
    march = rules.paid(ending, day(2, 28))
    assert (march.status, rules.due(march, day(3, 31))) == (S.ENDING, "charge")
    last = rules.paid(march, day(3, 31))
    assert (rules.wakes_at(last), rules.due(last, day(4, 15))) == (day(4, 15), "end")


@pytest.mark.parametrize("terms", [{"times": 2}, {"until": day(3, 30)}])
def test_an_end_that_was_agreed_is_kept(terms: Any) -> None:
    once = rules.paid(begun(**terms), START)
    assert once.status is S.ACTIVE
    over = rules.paid(once, day(2, 28))
    assert (over.status, over.is_over, rules.wakes_at(over)) == (S.ENDED, True, None)


def test_another_interval_or_date_counts_from_the_coming_period() -> None:
    plan = rules.paid(begun(), START)
    weekly = rules.with_interval(plan, Interval("week"))
    assert (weekly.due_at, rules.paid(weekly, day(2, 28)).due_at) == (day(2, 28), day(3, 7))
    moved = rules.moved(plan, day(3, 10))
    assert (moved.charge_at, rules.paid(moved, day(3, 10)).charge_at) == (day(3, 10), day(4, 10))


def test_a_charge_that_the_pg_let_go_comes_back_under_another_id() -> None:
    plan = evolve(begun(held=True, first_is_paid=True), revoking="s-2")
    back = rules.let_go(plan)
    assert (back.charge_id, back.revoking, rules.due(back, START)) == ("s-2c1", None, "hold")


def test_what_is_not_certain_is_taken_up_again_under_the_same_id() -> None:
    plan = rules.postponed(begun(), START + DAY)
    assert (plan.charge_id, rules.due(plan, START), rules.due(plan, START + DAY)) == ("s-1", "wait", "charge")


STEPS = st.lists(st.one_of(
    st.tuples(st.just("paid"), st.just(0)), st.tuples(st.just("declined"), st.sampled_from(list(DeclineReason))),
    st.tuples(st.just("pass"), st.integers(0, 90)), st.tuples(st.just("pause"), st.just(0)),
    st.tuples(st.just("resume"), st.just(0)), st.tuples(st.just("interval"), st.integers(1, 5)),
), max_size=30)


@given(steps=STEPS, catch_up=st.sampled_from(["latest", "all", "none"]))
def test_periods_are_each_paid_or_missed_and_never_both(steps: Any, catch_up: Any) -> None:
    plan, now, paid = begun(catch_up=catch_up), START, list[int]()
    for step, much in steps:
        is_due = rules.due(plan, now) == "charge"
        before = plan
        match step:
            case "paid" if is_due:
                paid.append(plan.period)
                plan = rules.paid(plan, now)
            case "declined" if is_due:
                plan = rules.declined(plan, much)
            case "pass":
                now += much * DAY
                plan = rules.caught_up(plan, now)
            case "pause":
                plan = rules.paused(plan)
            case "resume" if plan.status is S.PAUSED:
                plan = rules.resumed(plan, now)
            case "interval":
                plan = rules.with_interval(plan, Interval("week", much))
        assert plan.period >= before.period
        assert sorted([*paid, *plan.missed])[:plan.period] == list(range(plan.period))
        assert plan.paid == len(paid) == len(set(paid))
