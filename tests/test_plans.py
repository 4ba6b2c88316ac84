"""Subscriptions and dated charges that paygate runs: every period once, whatever happens in between.

The PG's own journal is the judge, and a calendar made beforehand says what had to happen.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))  # tests are imported one by one, without a package around them

from drawer import Drawer
from shop import FACES, KEY, Shop, charge, schedule, unschedule, won

from paygate import (
    BadCommand,
    BillingKey,
    CancelWhole,
    ChangeInterval,
    ChangeMethod,
    ChangeMoney,
    Conflict,
    DatedCharge,
    Declined,
    DeleteKey,
    InProgress,
    Interval,
    MemoryLedger,
    MoveNext,
    NotFound,
    OutcomeUnknown,
    PaygateError,
    Retries,
    Schedule,
    ScheduleStatus,
    Subscribe,
    SubscribeKey,
    SubscriptionStatus,
    Terms,
    Unsubscribe,
    Unsupported,
)
from paygate.ledger.row import Book, Kind
from paygate.procedures import due, plan_changes
from paygate.procedures import inbox as inbox_rules
from paygate.procedures.inbox import adopt
from paygate.procedures.steps import Entry
from paygate.testing.emulator import FaultKind
from paygate.testing.fakepg import FakePG
from paygate.testing.virtual_clock import VirtualClock
from paygate.web import Inbox

DAY = 86_400.0
MONTH = Interval("month")
RETURN = "https://shop.example/back"


def open_shop(face: str = "sync", **said: Any) -> Shop:
    return Shop(face, vault=Drawer(), **said)


def begin(shop: Shop, amount: int = 14_000, *, run_by: Any = "paygate", every: Interval = MONTH,
          key: BillingKey = KEY, **terms: Any) -> Any:
    return shop.subscribe_key(SubscribeKey(order_id="sub", billing_key=key, money=won(amount), every=every,
                                           title="Tea", run_by=run_by, terms=Terms(**terms)))


def live(shop: Shop, days: float, step: float = DAY / 2) -> None:
    """Let time pass, with a worker that comes by now and then."""
    for _ in range(round(days * DAY / step)):
        shop.clock.advance(step)
        shop.clock.run_due()
        shop.run_due()


def charged(shop: Shop) -> list[tuple[str, str, int]]:
    return [(m.at.date().isoformat(), m.order_id, m.money.amount) for m in shop.pg.journal.entries]


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("run_by", ["paygate", None])
def test_a_month_is_charged_on_its_day_once_whoever_holds_the_charge(face: str, run_by: Any) -> None:
    with open_shop(face) as shop:
        told = begin(shop, run_by=run_by)
        live(shop, 91)
        assert told.status is SubscriptionStatus.ACTIVE
        assert charged(shop) == [("2026-01-05", "sub-1", 14_000), ("2026-02-05", "sub-2", 14_000),
                                 ("2026-03-05", "sub-3", 14_000), ("2026-04-05", "sub-4", 14_000)]
        assert shop.subscription("sub").next_due_at == datetime(2026, 5, 5, 3, tzinfo=UTC)


def test_what_the_pg_holds_is_charged_though_no_worker_comes() -> None:
    with open_shop() as shop:
        begin(shop, run_by=None)
        shop.run_due()
        shop.clock.advance(40 * DAY)
        assert [m.order_id for m in shop.pg.journal.entries] == ["sub-1", "sub-2"]


def test_asking_twice_begins_once_and_other_terms_are_a_conflict() -> None:
    with open_shop() as shop:
        assert begin(shop) == begin(shop)
        with pytest.raises(Conflict):
            begin(shop, 15_000)
        assert len(charged(shop)) == 1


def test_a_declined_first_charge_begins_nothing() -> None:
    with open_shop() as shop:
        with pytest.raises(Declined):
            begin(shop, 14_001)
        live(shop, 40)
        assert shop.subscription("sub").status is SubscriptionStatus.ENDED
        assert charged(shop) == []


def test_a_payers_window_begins_a_subscription_and_the_first_period_is_charged_on_confirming() -> None:
    with open_shop() as shop:
        asked = Subscribe(order_id="sub", money=won(14_000), every=MONTH, title="Tea", return_url=RETURN)
        assert shop.subscribe(asked).takes_money is False
        with pytest.raises(NotFound, match="not begun"):
            shop.subscription("sub")
        assert shop.confirm_subscription("sub", {}) is None
        shop.pg.payer("sub", "approve")
        told = shop.confirm_subscription("sub", {})
        assert told == shop.confirm_subscription("sub", {})
        assert told.last_paid_at is not None
        assert charged(shop) == [("2026-01-05", "sub-1", 14_000)]


def test_a_window_that_the_payer_finished_begins_though_nobody_came_back() -> None:
    with open_shop() as shop:
        shop.subscribe(Subscribe(order_id="sub", money=won(14_000), every=MONTH, title="Tea", return_url=RETURN))
        shop.pg.payer("sub", "approve")
        live(shop, 1)
        assert shop.subscription("sub").status is SubscriptionStatus.ACTIVE
        assert len(charged(shop)) == 1


def test_a_window_that_nobody_finished_is_let_go() -> None:
    with open_shop() as shop:
        shop.subscribe(Subscribe(order_id="sub", money=won(14_000), every=MONTH, title="Tea", return_url=RETURN))
        live(shop, 5)
        assert shop.planned(shop.clock.now() + timedelta(days=400)) == []


def test_a_trial_charges_nothing_before_its_end() -> None:
    with open_shop() as shop:
        first = shop.clock.now() + timedelta(days=14)
        assert begin(shop, first=first).next_due_at == first
        assert charged(shop) == []
        live(shop, 46)
        assert [day for day, _, _ in charged(shop)] == ["2026-01-19", "2026-02-19"]


@pytest.mark.parametrize(("catch_up", "periods"), [("latest", ["sub-1", "sub-5"]), ("none", ["sub-1"]),
                                                   ("all", ["sub-1", "sub-2", "sub-3", "sub-4", "sub-5"])])
def test_after_downtime_the_terms_say_what_is_charged(catch_up: str, periods: list[str]) -> None:
    with open_shop() as shop:
        begin(shop, every=Interval("week"), catch_up=catch_up)
        shop.clock.advance(30 * DAY)
        shop.run_due()
        assert [order_id for _, order_id, _ in charged(shop)] == periods
        live(shop, 7)
        assert charged(shop)[-1][:2] == ("2026-02-09", "sub-6")


def test_times_and_until_end_a_subscription() -> None:
    ends: list[dict[str, Any]] = [{"times": 3}, {"until": datetime(2026, 3, 20, tzinfo=UTC)}]
    for terms in ends:
        with open_shop() as shop:
            begin(shop, **terms)
            live(shop, 150)
            assert [order_id for _, order_id, _ in charged(shop)] == ["sub-1", "sub-2", "sub-3"]
            assert shop.subscription("sub").status is SubscriptionStatus.ENDED


@pytest.mark.parametrize("run_by", ["paygate", None])
def test_a_pause_charges_nothing_and_the_old_dates_come_back(run_by: Any) -> None:
    with open_shop() as shop:
        begin(shop, run_by=run_by)
        live(shop, 40)
        shop.pause("sub")
        live(shop, 60)
        assert shop.resume("sub").next_due_at == datetime(2026, 5, 5, 3, tzinfo=UTC)
        live(shop, 40)
        assert [day for day, _, _ in charged(shop)] == ["2026-01-05", "2026-02-05", "2026-05-05"]


@pytest.mark.parametrize("run_by", ["paygate", None])
def test_another_amount_holds_from_the_next_period(run_by: Any) -> None:
    with open_shop() as shop:
        begin(shop, run_by=run_by)
        live(shop, 5)
        shop.change_money(ChangeMoney(order_id="sub", money=won(20_000)))
        live(shop, 60)
        assert [amount for _, _, amount in charged(shop)] == [14_000, 20_000, 20_000]


@pytest.mark.parametrize("run_by", ["paygate", None])
def test_a_moved_date_carries_the_later_ones_with_it(run_by: Any) -> None:
    with open_shop() as shop:
        begin(shop, run_by=run_by)
        live(shop, 5)
        shop.move_next(MoveNext(order_id="sub", due_at=datetime(2026, 2, 20, 3, tzinfo=UTC)))
        live(shop, 80)
        assert [day for day, _, _ in charged(shop)] == ["2026-01-05", "2026-02-20", "2026-03-20"]


def test_another_interval_begins_with_the_next_period() -> None:
    with open_shop() as shop:
        begin(shop)
        shop.change_interval(ChangeInterval(order_id="sub", every=Interval("week", 2)))
        live(shop, 62)
        assert [day for day, _, _ in charged(shop)] == ["2026-01-05", "2026-02-05", "2026-02-19", "2026-03-05"]


@pytest.mark.parametrize("run_by", ["paygate", None])
def test_stopping_at_the_periods_end_charges_nothing_more(run_by: Any) -> None:
    with open_shop() as shop:
        begin(shop, run_by=run_by)
        live(shop, 5)
        told = shop.unsubscribe(Unsubscribe(order_id="sub"))
        assert (told.status, told.ends_at) == (SubscriptionStatus.ENDING, datetime(2026, 2, 5, 3, tzinfo=UTC))
        live(shop, 60)
        assert len(charged(shop)) == 1
        assert shop.subscription("sub").status is SubscriptionStatus.ENDED


@pytest.mark.parametrize("run_by", ["paygate", None])
def test_a_declined_period_is_tried_again_on_its_days_and_given_up_in_the_end(run_by: Any) -> None:
    with open_shop() as shop:
        begin(shop, run_by=run_by, retries=Retries(after_days=(1, 3), end_after_days=7))
        live(shop, 5)
        shop.change_money(ChangeMoney(order_id="sub", money=won(14_001)))
        live(shop, 28)
        assert shop.subscription("sub").status is SubscriptionStatus.PAST_DUE
        live(shop, 10)
        assert shop.subscription("sub").status is SubscriptionStatus.ENDED
        tried = [(p["order_id"].removeprefix("sub-2").removeprefix("c1"), p["status"])
                 for p in shop.pg.payments.values() if p["order_id"].startswith("sub-2")]
        assert tried == [("", "failed"), ("r1", "failed"), ("r2", "failed")]
        live(shop, 60)
        assert len(charged(shop)) == 1


def test_other_means_of_payment_settle_what_was_declined_at_once() -> None:
    with open_shop() as shop:
        begin(shop, retries=Retries(after_days=()))
        shop.change_money(ChangeMoney(order_id="sub", money=won(14_001)))
        live(shop, 32)
        assert shop.subscription("sub").status is SubscriptionStatus.PAST_DUE
        shop.change_money(ChangeMoney(order_id="sub", money=won(14_000)))
        shop.change_method(ChangeMethod(order_id="sub", return_url=RETURN))
        assert shop.confirm_method("sub", {}) is None
        shop.pg.payer("sub-m1", "approve")
        assert shop.confirm_method("sub", {}).status is SubscriptionStatus.PAST_DUE
        shop.run_due()
        keys = {p["key"] for p in shop.pg.payments.values() if p["order_id"].startswith("sub-2r")}
        assert keys == {"key-sub-m1"}


def test_without_a_vault_nothing_is_kept_and_nothing_begins() -> None:
    with Shop() as shop:
        with pytest.raises(Unsupported, match="vault"):
            begin(shop)
        asked = schedule(shop, "s1")
        with pytest.raises(Unsupported, match="vault"):
            shop.schedule(Schedule(billing_key=KEY, charges=asked.charges, run_by="paygate"))
        assert shop.pg.calls == []


@pytest.mark.parametrize("face", FACES)
def test_a_dated_charge_of_ours_is_charged_when_it_is_due_and_not_before(face: str) -> None:
    with open_shop(face) as shop:
        asked = schedule(shop, "s1", "s2", in_s=3600)
        asked = Schedule(billing_key=KEY, charges=asked.charges, run_by="paygate")
        first = shop.schedule(asked)
        assert [s.status for s in first] == [ScheduleStatus.SCHEDULED] * 2
        assert shop.schedule(asked) == first
        shop.clock.advance(3599)
        assert shop.run_due().taken_up == 0
        shop.clock.advance(1)
        assert sorted(shop.run_due().paid) == ["s1", "s2"]
        assert shop.run_due().taken_up == 0
        assert [s.status for s in shop.schedule(asked)] == [ScheduleStatus.EXECUTED] * 2
        assert len(charged(shop)) == 2


def test_a_dated_charge_of_ours_that_is_stopped_is_not_charged() -> None:
    with open_shop() as shop:
        shop.schedule(Schedule(billing_key=KEY, charges=schedule(shop, "s1", "s2").charges, run_by="paygate"))
        (told,) = shop.unschedule(unschedule("s1"))
        assert told.status is ScheduleStatus.REVOKED
        live(shop, 1)
        assert [order_id for _, order_id, _ in charged(shop)] == ["s2"]
        assert shop.find_schedule("s1").status is ScheduleStatus.REVOKED
        assert shop.unschedule(unschedule("s2"))[0].status is ScheduleStatus.EXECUTED


def test_the_same_dated_charge_at_another_date_is_a_conflict_and_nothing_is_scheduled() -> None:
    with open_shop() as shop:
        shop.schedule(Schedule(billing_key=KEY, charges=schedule(shop, "s1").charges, run_by="paygate"))
        later = schedule(shop, "s0", "s1", in_s=7200)
        with pytest.raises(Conflict):
            shop.schedule(Schedule(billing_key=KEY, charges=later.charges, run_by="paygate"))
        assert len(shop.planned(shop.clock.now() + timedelta(days=1))) == 1


def test_a_pg_that_cannot_be_reached_is_asked_again_later_under_the_same_id() -> None:
    with open_shop() as shop:
        shop.schedule(Schedule(billing_key=KEY, charges=schedule(shop, "s1").charges, run_by="paygate"))
        shop.clock.advance(3600)
        shop.pg.fault("refuse", on="POST /charges", times=9)
        assert shop.run_due().waiting == ["s1"]
        assert shop.run_due().taken_up == 0
        shop.pg.faults.clear()
        shop.clock.advance(61)
        assert shop.run_due().paid == ["s1"]


def test_a_lost_answer_is_looked_up_and_never_charged_again() -> None:
    with open_shop() as shop:
        begin(shop)
        shop.clock.advance(31 * DAY)
        shop.pg.fault("drop_after", on="POST /charges")
        shop.pg.fault("error_500_before", on="GET /payments", times=20)
        assert shop.run_due().unknown == ["sub-2"]
        shop.pg.faults.clear()
        live(shop, 1, 600)
        assert shop.pg.journal.charges("sub-2") == 1
        assert shop.sent("POST /charges") == 2
        assert shop.subscription("sub").next_due_at == datetime(2026, 3, 5, 3, tzinfo=UTC)


def test_of_two_workers_with_one_claim_only_the_holder_charges() -> None:
    ledger, pg = MemoryLedger(), FakePG()
    with open_shop(ledger=ledger, pg=pg) as one, open_shop(ledger=ledger, pg=pg) as two:
        begin(one)
        one.clock.advance(31 * DAY)
        (row,) = one.claim_due()
        assert two.claim_due() == []
        one.clock.advance(3600)  # The first worker is frozen past its lease.
        (again,) = two.claim_due()
        assert two.execute(again.id, again.fence).paid == ["sub-2"]
        assert one.execute(row.id, row.fence).taken_up == 0
        assert pg.journal.charges("sub-2") == 1


ACTS = st.one_of(
    st.tuples(st.just("advance"), st.floats(1.0, 40 * DAY)),
    st.tuples(st.just("work"), st.integers(0, 1)),
    st.tuples(st.just("crash"), st.integers(1, 25)),
    st.tuples(st.just("fault"), st.sampled_from([k.value for k in FaultKind if "lie" not in k and "wrong" not in k])),
    st.tuples(st.just("reconcile"), st.integers(0, 1)),
    st.tuples(st.just("jump"), st.floats(-2 * DAY, 2 * DAY)),
    st.tuples(st.just("claim"), st.integers(0, 1)),
    st.tuples(st.just("late"), st.integers(0, 9)),
    st.tuples(st.just("hook"), st.integers(0, 9)),
    st.tuples(st.sampled_from(["pause", "resume", "money", "interval", "begin"]), st.just(0)),
)


@pytest.mark.parametrize("run_by", ["paygate", None])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(acts=st.lists(ACTS, max_size=25))
def test_a_period_is_charged_at_most_once_whatever_happens_and_none_is_forgotten(run_by: Any, acts: list[Any]) -> None:
    """Reruns, crashes, a second worker whose clock jumps, claims carried out late and twice, hooks at any time."""
    ledger, pg = MemoryLedger(), FakePG()
    jumping = Jumping(pg.clock)
    shops = [open_shop(ledger=ledger, pg=pg), open_shop(ledger=ledger, pg=pg, clock=jumping)]
    claims: list[tuple[str, int]] = []
    for act, much in [("begin", 0), *acts]:
        worker = shops[int(much) % 2] if act in ("work", "reconcile", "claim", "late", "hook") else shops[0]
        try:
            if act == "jump":
                jumping.by = timedelta(seconds=much)
            elif act == "claim":
                claims += [(row.id, row.fence) for row in worker.claim_due()]
            elif act == "late" and claims:
                worker.execute(*claims[int(much) % len(claims)])
            else:
                _act(shops, worker, act, much, run_by)
        except PaygateError:
            pass
        _at_most_once(pg)
    pg.faults.clear()
    begun = shops[0].ledger.planned("fakepg/test", 1e12, 9)
    for _ in range(60):
        shops[0].clock.advance(DAY / 3)
        shops[0].clock.run_due()
        shops[0].run_due()
        shops[0].reconcile()
        _at_most_once(pg)
    _none_forgotten(shops[0], pg, bool(begun))


class Jumping:
    """The clock of another host: it is wrong by as much as it was last set to."""

    def __init__(self, true: VirtualClock) -> None:
        self.true, self.by = true, timedelta()

    def now(self) -> datetime:
        return self.true.now() + self.by

    def monotonic(self) -> float:
        return self.true.monotonic()

    def sleep(self, seconds: float) -> None:
        self.true.advance(seconds)


def _act(shops: list[Shop], shop: Shop, act: str, much: Any, run_by: Any) -> None:
    match act:
        case "advance":
            shop.clock.advance(much)
        case "work":
            shop.run_due()
        case "crash":
            steps = due.run_due(shop.gate._account, 10)
            _die_after(shop, steps, much)
            shops[0] = open_shop(ledger=shop.ledger, pg=shop.pg)
        case "fault":
            shop.pg.fault(much, on="POST /(charges|schedules|unschedule)")
        case "reconcile":
            shop.reconcile()
        case "hook" if shop.pg.payments:
            ids = list(shop.pg.payments)
            known = shop.pg.payments[ids[much % len(ids)]]
            shop.receive({}, json.dumps({"order_id": known["order_id"], "payment_id": known["id"]}).encode())
        case "pause" | "resume":
            getattr(shop, act)("sub")
        case "money":
            shop.change_money(ChangeMoney(order_id="sub", money=won(20_000)))
        case "interval":
            shop.change_interval(ChangeInterval(order_id="sub", every=Interval("week", 3)))
        case "begin":
            begin(shop, run_by=run_by)


def _die_after(shop: Shop, steps: Any, effects: int) -> None:
    """Carry out some effects of a worker's run, and no more: the process is gone."""
    value, error = None, None
    for _ in range(effects):
        try:
            effect = steps.send(value) if error is None else steps.throw(error)
        except (StopIteration, PaygateError):
            return
        value = error = None
        try:
            value = shop.gate._driver._do(effect, float("inf"))
        except Exception as raised:
            error = raised
    steps.close()


def _period(order_id: str) -> int:
    return int(order_id.removeprefix("sub-").partition("c")[0].partition("r")[0])


def _at_most_once(pg: FakePG) -> None:
    taken = Counter(_period(m.order_id) for m in pg.journal.entries)
    assert all(times == 1 for times in taken.values()), taken


def _none_forgotten(shop: Shop, pg: FakePG, is_begun: bool) -> None:
    """Every period before the coming one was charged, or is listed as missed."""
    if not is_begun:
        return
    from paygate.procedures.roll import plan_of

    row = shop.ledger.get("fakepg/test", Book.PLAN, "sub")
    assert row is not None
    plan = plan_of(row)
    taken = {_period(m.order_id) - 1 for m in pg.journal.entries}
    assert taken | set(plan.missed) >= set(range(plan.period))
    assert not taken & set(plan.missed)
    assert plan.paid == len(taken - {plan.period})
    if plan.status is SubscriptionStatus.ACTIVE:
        assert plan.due_at > shop.clock.now() - timedelta(days=1) or row.attention is not None


def test_a_subscription_in_the_hands_of_a_worker_is_not_changed_under_it() -> None:
    with open_shop() as shop:
        begin(shop)
        shop.clock.advance(31 * DAY)
        shop.claim_due()
        with pytest.raises(InProgress):
            shop.pause("sub")


def test_several_dated_charges_are_listed_by_their_dates() -> None:
    with open_shop() as shop:
        now = shop.clock.now()
        dates = [now + timedelta(days=d) for d in (3, 1, 2)]
        shop.schedule(Schedule(billing_key=KEY, run_by="paygate", charges=[
            DatedCharge(order_id=f"s{n}", due_at=at, money=won(1000), title="Tea") for n, at in enumerate(dates)]))
        assert [row.id for row in shop.planned(now + timedelta(days=2, seconds=1))] == ["s1", "s2"]


# What hangs on a key, and what the merchant is told


@pytest.mark.parametrize("run_by", ["paygate", None])
def test_a_key_that_a_subscription_charges_is_deleted_only_by_force(run_by: Any) -> None:
    delete = DeleteKey(billing_key=KEY, reason="asked to")
    with open_shop() as shop:
        begin(shop, run_by=run_by)
        shop.pause("sub")
        with pytest.raises(BadCommand, match="subscription sub still charges this key"):
            shop.delete_key(delete)
        assert KEY.reveal() in shop.pg.keys
        shop.unsubscribe(Unsubscribe(order_id="sub", when="now"))
        shop.delete_key(delete)
        assert KEY.reveal() not in shop.pg.keys


def test_a_key_of_a_dated_charge_of_ours_is_deleted_only_once_that_is_stopped() -> None:
    delete = DeleteKey(billing_key=KEY, reason="asked to")
    with open_shop() as shop:
        shop.schedule(Schedule(billing_key=KEY, charges=schedule(shop, "s1").charges, run_by="paygate"))
        with pytest.raises(BadCommand, match="s1 is still to be charged"):
            shop.delete_key(delete)
        shop.clock.advance(3600)
        shop.pg.fault("refuse", on="POST /charges", times=9)
        assert shop.run_due().waiting == ["s1"]
        with pytest.raises(BadCommand, match="s1 is still to be charged"):
            shop.delete_key(delete)
        shop.pg.faults.clear()
        shop.clock.advance(61)
        shop.unschedule(unschedule("s1"))
        shop.delete_key(delete)
        assert KEY.reveal() not in shop.pg.keys


def test_another_key_may_be_deleted_once_the_subscription_charges_a_new_one() -> None:
    with open_shop() as shop:
        begin(shop)
        shop.change_method(ChangeMethod(order_id="sub", return_url=RETURN))
        shop.pg.payer("sub-m1", "approve")
        shop.confirm_method("sub", {})
        shop.delete_key(DeleteKey(billing_key=KEY, reason="another card"))
        live(shop, 40)
        assert len(charged(shop)) == 2


@pytest.mark.parametrize("run_by", ["paygate", None])
def test_handlers_are_told_once_that_it_is_past_due_and_once_that_it_has_ended(run_by: Any) -> None:
    with open_shop() as shop:
        inbox, told = Inbox(shop.gate), list[tuple[str | None, str | None]]()
        inbox.on("subscription_changed")(lambda e: told.append((e.order_id, e.subject and e.subject.event)))
        begin(shop, run_by=run_by, retries=Retries(after_days=(1, 3), end_after_days=7))
        shop.change_money(ChangeMoney(order_id="sub", money=won(14_001)))
        for _ in range(45):
            live(shop, 1)
            inbox.work()
        assert told == [("sub", "past_due"), ("sub", "ended")]


@pytest.mark.parametrize("first", ["me", "worker"])
def test_a_first_charge_that_was_declined_is_told_so_whoever_asks_again(first: str) -> None:
    with open_shop() as shop:
        shop.subscribe(Subscribe(order_id="sub", money=won(14_000), every=MONTH, title="Tea", return_url=RETURN))
        query = shop.pg.payer("sub")
        shop.pg.next_charge("failed")
        if first == "worker":
            shop.clock.advance(3_600)
            assert shop.gate.run_due().declined == ["sub-1"]  # It is the first to learn of the decline.
        for _ in range(3):
            with pytest.raises(Declined):
                shop.confirm_subscription("sub", query)
        assert shop.subscription("sub").status is SubscriptionStatus.ENDED
        live(shop, 40)
        assert charged(shop) == []


def test_a_first_charge_that_the_pg_leaves_pending_is_no_subscription_yet() -> None:
    with open_shop() as shop:
        shop.subscribe(Subscribe(order_id="sub", money=won(14_000), every=MONTH, title="Tea", return_url=RETURN))
        query = shop.pg.payer("sub")
        shop.pg.next_charge("pending")
        for _ in range(2):
            with pytest.raises(OutcomeUnknown, match="not settled yet"):
                shop.confirm_subscription("sub", query)
        assert charged(shop) == []


def test_a_first_charge_that_is_not_settled_is_no_subscription_yet() -> None:
    with open_shop() as shop:
        shop.subscribe(Subscribe(order_id="sub", money=won(14_000), every=MONTH, title="Tea", return_url=RETURN))
        query = shop.pg.payer("sub")
        shop.pg.fault(FaultKind.ERROR_500_BEFORE, "/charges|/payments", times=99)
        for _ in range(2):
            with pytest.raises(OutcomeUnknown):
                shop.confirm_subscription("sub", query)
        shop.pg.faults.clear()
        shop.settle()
        live(shop, 1)
        assert shop.confirm_subscription("sub", query).status is SubscriptionStatus.ACTIVE
        assert len(charged(shop)) == 1


@pytest.mark.parametrize("run_by", [None, "paygate"])
def test_a_later_period_is_told_as_a_renewal_of_the_subscription_whoever_runs_it(run_by: Any) -> None:
    with open_shop() as shop:
        inbox, told = Inbox(shop.gate), list[tuple[str, str | None, str | None]]()
        inbox.on("payment_paid", "payment_failed", "payment_cancelled", "subscription_renewed", "renewal_failed")(
            lambda e: told.append((e.kind.value, e.order_id, e.payment and e.payment.order_id)))
        begin(shop, run_by=run_by)
        for _ in range(40):
            live(shop, 1)
            inbox.work()
        shop.cancel_whole(CancelWhole(cancel_id="c1", order_id="sub-2", reason="asked"))
        inbox.work()
        assert told == [("payment_paid", "sub", "sub-1"), ("subscription_renewed", "sub", "sub-2"),
                        ("payment_cancelled", "sub", "sub-2")]


def test_an_order_that_only_looks_like_a_period_is_told_as_what_it_is() -> None:
    with open_shop() as shop:
        inbox, told = Inbox(shop.gate), list[tuple[str, str | None]]()
        inbox.on("payment_paid", "subscription_renewed")(lambda e: told.append((e.kind.value, e.order_id)))
        shop.charge(charge("cart-2"))
        inbox.work()
        assert told == [("payment_paid", "cart-2")]


def test_what_happened_while_no_handler_listened_in_this_process_is_told_by_another() -> None:
    with open_shop() as worker, open_shop(ledger=worker.ledger, pg=worker.pg) as web:
        inbox, told = Inbox(web.gate), list[str]()
        inbox.on("subscription_changed")(lambda e: told.append(e.id))
        inbox.work()
        worker.gate._run(adopt(worker.gate._account))
        begin(worker)
        worker.unsubscribe(Unsubscribe(order_id="sub", when="now"))
        inbox.work()
        assert told == ["fakepg:sub:ended"]


def test_what_was_noted_and_never_written_is_not_told() -> None:
    with open_shop() as shop:
        inbox, told = Inbox(shop.gate), list[str]()
        inbox.on("subscription_changed")(lambda e: told.append(e.id))
        begin(shop)
        steps = inbox_rules.noting(shop.gate._account, plan_changes.unsubscribe(
            shop.gate._account, Unsubscribe(order_id="sub", when="now")))
        _die_before_change(shop, steps)
        for _ in range(30):
            shop.clock.advance(60)
            inbox.work()
        assert told == []
        assert shop.subscription("sub").status is SubscriptionStatus.ACTIVE


def _die_before_change(shop: Shop, steps: Any) -> None:
    """Carry out everything up to the plan's own change: the process is gone."""
    effect = next(steps)
    while not (isinstance(effect, Entry) and effect.verb == "change" and effect.args[0].kind is Kind.PLAN):
        effect = steps.send(shop.gate._driver._do(effect, float("inf")))
    steps.close()
