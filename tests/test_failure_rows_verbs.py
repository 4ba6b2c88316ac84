"""Rows F50 to F59: schedules, refunds and billing keys."""

from __future__ import annotations

import json
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # tests are imported one by one, without a package around them

from attrs import evolve
from drawer import Drawer
from failure_rows import EVERYWHERE, Bench, bench, in_a_thread, row, while_the_pg_works
from shop import KEY, Shop, cancel, charge, schedule, unschedule, won

from paygate import (
    BadCommand,
    CancelGuard,
    CancelWhole,
    DatedCharge,
    DeleteKey,
    InProgress,
    Interval,
    Money,
    NotFound,
    OutcomeUnknown,
    PaymentStatus,
    Schedule,
    ScheduleStatus,
    State,
    SubscribeKey,
    Unschedule,
    assumed,
)
from paygate.testing.emulator import json_response
from paygate.testing.fakepg import FAKEPG

__all__ = ["bench"]
COMPARES = evolve(FAKEPG, profile=evolve(FAKEPG.profile, cancel_guard=assumed(CancelGuard.COMPARE, "for these tests")))


@EVERYWHERE
@row("F50")
def test_f50_each_item_of_a_schedule_whose_answer_is_lost_is_looked_up_under_its_own_id(bench: Bench) -> None:
    shop = bench.shop()
    asked = schedule(shop, "s1", "s2", "s3", in_s=86_400)
    bench.pg.fault("drop_after", "^POST /schedules$")
    assert [s.status for s in shop.schedule(asked)] == [ScheduleStatus.SCHEDULED] * 3
    other = schedule(shop, "t1", "t2", in_s=86_400)
    bench.pg.fault("drop_before", "^POST /schedules$")
    with pytest.raises(OutcomeUnknown):
        shop.schedule(other)
    shop.settle()
    assert {shop.row(id).state for id in ("t1", "t2")} == {State.NOT_SENT}
    assert [s.order_id for s in shop.schedule(other)] == ["t1", "t2"]
    assert len(bench.pg.items) == 5
    assert shop.sent("POST /schedules") == 3


@EVERYWHERE
@row("F50")
def test_f50_an_answer_that_names_some_items_settles_those_and_the_rest_is_looked_up(bench: Bench) -> None:
    shop = bench.shop()
    truly = bench.pg.answer

    def some(call: Any) -> Any:
        told = truly(call)
        if (call.method, call.path) != ("POST", "/schedules"):
            return told
        del bench.pg.items["s3"]  # It took two of three.
        return json_response(200, json.dumps({"items": json.loads(told.body)["items"][:1]}).encode())
    bench.pg.answer = some  # type: ignore[method-assign]
    with pytest.raises(OutcomeUnknown, match="s3"):
        shop.schedule(schedule(shop, "s1", "s2", "s3", in_s=86_400))
    bench.pg.answer = truly  # type: ignore[method-assign]
    assert [shop.row(id).state for id in ("s1", "s2", "s3")] == [State.ANSWERED, State.ANSWERED, State.UNKNOWN]
    shop.settle()
    assert shop.row("s3").state is State.NOT_SENT


@EVERYWHERE
@row("F51")
def test_f51_a_date_that_cannot_be_meant_is_refused_here(bench: Bench) -> None:
    shop = bench.shop()
    now = bench.pg.clock.now()
    for due_at in (datetime(2026, 3, 1), now.timestamp(), None, "2026-03-01T00:00:00Z", now.date(),  # noqa: DTZ001
                   datetime(2100, 1, 1, tzinfo=UTC), datetime(1970, 1, 1, tzinfo=UTC),
                   datetime.fromtimestamp(now.timestamp() * 1000 / 400, UTC)):  # Milliseconds, and a year far away.
        with pytest.raises(BadCommand):
            DatedCharge(order_id="s1", due_at=due_at, money=won(100), title="Tea")  # type: ignore[arg-type]
    for due_at in (now, now - timedelta(seconds=1)):
        dated = DatedCharge(order_id="s1", due_at=due_at, money=won(100), title="Tea")
        with pytest.raises(BadCommand, match="future"):
            shop.schedule(Schedule(billing_key=KEY, charges=[dated]))
    assert bench.pg.calls == []
    assert shop.row("s1") is None


INSTANTS = ["2026-01-31T14:59:59", "2026-01-31T15:00:00", "2026-02-28T14:59:59", "2026-02-28T15:00:00",
            "2027-12-31T23:59:59", "2028-02-28T15:00:00", "2028-02-29T14:59:59", "2028-02-29T15:00:00",
            "2028-02-29T23:59:59", "2028-03-12T07:30:00", "2028-11-05T06:30:00"]
ZONES = ("UTC", "Asia/Seoul", "America/New_York", "Pacific/Kiritimati")


@EVERYWHERE
@row("F52")
def test_f52_a_dated_charge_is_carried_out_at_its_instant_in_whatever_zone_it_was_stated(bench: Bench) -> None:
    shop = bench.shop()
    wanted = {}
    for n, text in enumerate(INSTANTS):
        at = datetime.fromisoformat(text).replace(tzinfo=UTC)
        stated = at.astimezone(ZoneInfo(ZONES[n % len(ZONES)]))
        wanted[f"s{n}"] = at
        held, = shop.schedule(Schedule(billing_key=KEY, charges=[
            DatedCharge(order_id=f"s{n}", due_at=stated, money=won(14_000), title="Tea")]))
        assert held.due_at == at
    for at in sorted(wanted.values()):
        shop.clock.advance((at - shop.clock.now()).total_seconds() - 1)
        early = len(bench.pg.journal.entries)
        shop.clock.advance(1)
        assert len(bench.pg.journal.entries) == early + 1
    assert {m.order_id: m.at for m in bench.pg.journal.entries} == wanted
    assert {shop.find_schedule(id).payment_status for id in wanted} == {PaymentStatus.PAID}


@EVERYWHERE
@row("F54")
def test_f54_unscheduling_nothing_is_refused_here(bench: Bench) -> None:
    shop = bench.shop()
    shop.schedule(schedule(shop, in_s=86_400))
    sent = len(bench.pg.calls)
    for nothing in ((), [], "", None, ("",), ("s1", "s1")):
        with pytest.raises(BadCommand):
            shop.unschedule(Unschedule(billing_key=KEY, order_ids=nothing))  # type: ignore[arg-type]
    assert len(bench.pg.calls) == sent
    assert bench.pg.items["s1"]["status"] == "scheduled"


@EVERYWHERE
@row("F55")
def test_f55_unscheduled_too_late_it_says_executed_and_gives_nothing_back(bench: Bench) -> None:
    shop = bench.shop()
    shop.schedule(schedule(shop, "s1", in_s=60))
    while_the_pg_works(bench, "POST /unschedule", lambda: shop.clock.advance(60))
    stopped, = shop.unschedule(unschedule())
    assert (stopped.status, stopped.payment_status) == (ScheduleStatus.EXECUTED, PaymentStatus.PAID)
    assert [m.kind for m in bench.pg.journal.entries] == ["charge"]
    shop.schedule(schedule(shop, "s2", in_s=60))
    bench.pg.fault("drop_after", "^POST /unschedule$")
    assert [s.status for s in shop.unschedule(unschedule("s2"))] == [ScheduleStatus.REVOKED]
    shop.clock.advance(120)
    assert bench.pg.journal.charges("s2") == 0


@EVERYWHERE
@pytest.mark.parametrize("spec", [FAKEPG, COMPARES], ids=["checksum", "compare"])
@row("F56")
def test_f56_a_refund_whose_answer_is_lost_is_told_by_the_balance_and_never_given_twice(spec: Any,
                                                                                       bench: Bench) -> None:
    shop = bench.shop(spec=spec)
    shop.charge(charge())
    bench.pg.fault("drop_after", "refunds")
    assert shop.cancel(cancel("c1")).payment.left == won(10_000)
    bench.pg.fault("drop_before", "refunds")
    with pytest.raises(OutcomeUnknown):
        shop.cancel(cancel("c2", amount=3_000))
    with pytest.raises(InProgress):
        shop.cancel(cancel("c3", amount=1_000))
    assert shop.sent("POST /payments/p1/refunds") == 2
    shop.settle()
    assert shop.refund("c2").state is State.NOT_SENT
    assert shop.cancel(cancel("c2", amount=3_000)).payment.left == won(7_000)
    bench.pg.fault("late", "refunds")
    with pytest.raises(OutcomeUnknown):
        shop.cancel(cancel("c4", amount=2_000))
    shop.settle()
    assert shop.refund("c4").state is State.ANSWERED
    assert shop.cancel(cancel("c4", amount=2_000)).money == won(2_000)
    assert bench.pg.journal.given_back("o1") == 9_000
    assert shop.attention() == []


@EVERYWHERE
@row("F57")
def test_f57_a_refund_that_cannot_be_right_is_refused_here(bench: Bench) -> None:
    shop = bench.shop()
    shop.charge(charge("paid"))
    with pytest.raises(Exception, match="declined"):
        shop.charge(charge("no", amount=101))
    bench.pg.fault("drop_before", "^POST /charges$")
    with pytest.raises(OutcomeUnknown):
        shop.charge(charge("doubt"))
    for amount in (0, -1, None, True, 1.5):
        with pytest.raises(ValueError, match=r"."):
            cancel(money=amount)
        with pytest.raises(ValueError, match=r"."):
            cancel(money=won(amount))  # type: ignore[arg-type]
    for refused, error in ((cancel("c1", "paid", 14_001), BadCommand), (cancel("c2", "no", 100), BadCommand),
                           (cancel("c3", "paid", money=Money(100, "USD")), BadCommand),
                           (cancel("c4", "doubt", 100), OutcomeUnknown), (cancel("c5", "nothing", 100), NotFound)):
        with pytest.raises(error):
            shop.cancel(refused)
    shop.cancel(cancel("c6", "paid", 13_999))
    with pytest.raises(BadCommand):
        shop.cancel(cancel("c7", "paid", 2))
    assert shop.cancel_whole(CancelWhole(cancel_id="c8", order_id="paid", reason="rest")).money == won(1)
    with pytest.raises(BadCommand, match="everything"):
        shop.cancel_whole(CancelWhole(cancel_id="c9", order_id="paid", reason="again"))
    assert [m.money.amount for m in bench.pg.journal.entries if m.kind == "refund"] == [13_999, 1]
    assert all(json.loads(c.body)["amount"] > 0 for c in bench.pg.calls if c.path.endswith("/refunds"))


@EVERYWHERE
@row("F58")
def test_f58_refunds_that_race_are_given_one_at_a_time_and_never_more_than_was_charged(bench: Bench) -> None:
    first, told = bench.shop(), []
    first.charge(charge())

    def other() -> None:
        with pytest.raises(InProgress) as caught:
            bench.shop("sync").cancel(cancel("c2", amount=8_000))
        told.append(caught.value)
    while_the_pg_works(bench, "POST /payments/p1/refunds", in_a_thread(other))
    assert first.cancel(cancel("c1", amount=8_000)).payment.left == won(6_000)
    assert len(told) == 1
    shops, start, ends = [bench.shop() for _ in range(4)], threading.Barrier(4, timeout=60), []

    def work(shop: Shop, n: int) -> None:
        start.wait()
        try:
            ends.append(shop.cancel(cancel(f"r{n}", amount=2_500)).money)
        except (InProgress, BadCommand, OutcomeUnknown) as error:
            ends.append(error)
    workers = [threading.Thread(target=work, args=(shop, n)) for n, shop in enumerate(shops)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    given = sum(end == won(2_500) for end in ends)
    assert len(ends) == 4
    assert 1 <= given <= 2
    assert bench.pg.journal.given_back("o1") == 8_000 + 2_500 * given <= 14_000


@EVERYWHERE
@row("F59")
def test_f59_a_key_on_which_charges_hang_is_deleted_only_by_force(bench: Bench) -> None:
    shop = bench.shop()
    delete = DeleteKey(billing_key=KEY, reason="asked to")
    shop.schedule(schedule(shop, in_s=86_400))
    with pytest.raises(BadCommand, match="scheduled"):
        shop.delete_key(delete)
    shop.unschedule(unschedule())
    bench.pg.fault("drop_before", "^POST /charges$")
    with pytest.raises(OutcomeUnknown):
        shop.charge(charge())
    with pytest.raises(BadCommand, match="o1"):
        shop.delete_key(delete)
    assert KEY.reveal() in bench.pg.keys
    shop.delete_key(evolve(delete, force=True))
    assert KEY.reveal() not in bench.pg.keys
    bench.pg.issue_key(KEY.reveal())
    shop.settle()
    shop.delete_key(delete)
    shop.delete_key(delete)  # Gone is gone.
    assert KEY.reveal() not in bench.pg.keys


@EVERYWHERE
@row("F53")
def test_f53_after_missed_ticks_workers_that_come_at_once_charge_each_occurrence_once(bench: Bench) -> None:
    shop = bench.shop(vault=Drawer())
    dated = [DatedCharge(order_id=f"s{n}", due_at=shop.clock.now() + timedelta(days=n + 1), money=won(14_000),
                         title="Tea") for n in range(3)]
    shop.schedule(Schedule(billing_key=KEY, charges=dated, run_by="paygate"))
    shop.subscribe_key(SubscribeKey(order_id="sub", billing_key=KEY, money=won(9_000), every=Interval("week"),
                                    title="Tea", run_by="paygate"))
    shop.clock.advance(30 * 86_400)  # Nobody came.
    assert [m.order_id for m in bench.pg.journal.entries] == ["sub-1"]
    workers, start = [bench.shop(vault=Drawer()) for _ in range(3)], threading.Barrier(3, timeout=60)

    def tick(worker: Shop) -> None:
        start.wait()
        for _ in range(3):  # And fires twice and more.
            worker.run_due()
    threads = [threading.Thread(target=tick, args=(worker,)) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    for _ in range(3):
        shop.clock.advance(3_600)
        shop.run_due()
    charged = [m.order_id for m in bench.pg.journal.entries]
    assert sorted(charged) == ["s0", "s1", "s2", "sub-1", "sub-5"]  # Of the subscription the latest period only.
    assert shop.pending() == []
