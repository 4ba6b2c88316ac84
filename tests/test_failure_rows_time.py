"""Rows F30 to F37: what comes late, comes first, comes twice or never, and clocks that jump."""

from __future__ import annotations

import itertools
import json
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # tests are imported one by one, without a package around them

from attrs import evolve
from failure_rows import EVERYWHERE, Bench, bench, in_a_thread, row, while_the_pg_works
from shop import WON, Shop, charge

from paygate import (
    Capability,
    Declined,
    Event,
    Forged,
    InProgress,
    OutcomeUnknown,
    Pay,
    PaymentStatus,
    State,
)
from paygate.testing.emulator import Call
from paygate.testing.fakepg import FAKEPG

__all__ = ["bench"]
CHARGES = "POST /charges"
PAY = Pay(order_id="w1", money=WON, title="book", return_url="https://shop.example/done")


def hook(payment_id: str, order_id: str = "o1", **more: Any) -> bytes:
    return json.dumps({"order_id": order_id, "payment_id": payment_id, **more}).encode()


def lost(shop: Shop, kind: str = "drop_after", order_id: str = "o1") -> None:
    """A charge whose answer is lost while the PG cannot be asked either."""
    shop.pg.fault(kind, CHARGES)
    shop.pg.fault("error_500_before", "^GET ", times=3)
    with pytest.raises(OutcomeUnknown):
        shop.charge(charge(order_id))
    shop.pg.faults.clear()


@EVERYWHERE
@row("F30")
def test_f30_what_the_pg_does_after_we_hung_up_is_found_and_never_sent_again(bench: Bench) -> None:
    shop = bench.shop()
    bench.pg.fault("late", CHARGES)  # After 70 s.
    with pytest.raises(OutcomeUnknown):
        shop.charge(charge())
    shop.clock.advance(60)
    shop.reconcile()
    with pytest.raises(OutcomeUnknown):
        shop.charge(charge())
    assert shop.row("o1").state is State.UNKNOWN
    shop.settle()
    assert shop.row("o1").state is State.ANSWERED
    assert shop.charge(charge()).status == "paid"
    assert (shop.sent(CHARGES), bench.pg.journal.charges("o1")) == (1, 1)


@EVERYWHERE
@row("F31")
def test_f31_a_look_up_that_lags_is_not_believed_before_the_settle_window_is_over(bench: Bench) -> None:
    shop = bench.shop()
    lost(shop)
    hidden = dict(bench.pg.payments)
    bench.pg.payments.clear()
    for _ in range(3):
        shop.clock.advance(35)
        shop.reconcile()
        for ask in (lambda: shop.find("o1"), lambda: shop.charge(charge())):
            with pytest.raises(OutcomeUnknown):
                ask()
        assert shop.row("o1").state is State.UNKNOWN
    bench.pg.payments.update(hidden)
    shop.settle()
    assert shop.row("o1").state is State.ANSWERED
    assert shop.sent(CHARGES) == 1


@EVERYWHERE
@row("F31")
def test_f31_another_process_does_not_believe_it_either(bench: Bench) -> None:
    lost(bench.shop())
    hidden = dict(bench.pg.payments)
    bench.pg.payments.clear()
    for _ in range(3):
        bench.pg.clock.advance(35)
        other = bench.shop()  # It has not seen the doubt begin: it has the row alone to go by.
        other.reconcile()
        with pytest.raises(OutcomeUnknown):
            other.charge(charge())
        assert other.row("o1").state is State.UNKNOWN
    bench.pg.payments.update(hidden)
    other.settle()
    assert other.row("o1").state is State.ANSWERED
    assert other.sent(CHARGES) == 1


@EVERYWHERE
@row("F31")
def test_f31_one_miss_after_the_window_proves_nothing(bench: Bench) -> None:
    shop = bench.shop()
    lost(shop, "drop_before")
    shop.clock.advance(10_000)
    shop.reconcile()
    assert shop.row("o1").state is State.UNKNOWN
    shop.clock.advance(10_000)
    shop.reconcile()
    assert shop.row("o1").state is State.NOT_SENT


@EVERYWHERE
@row("F32")
def test_f32_a_decline_that_is_approved_later_is_answered_and_told_to_a_person(bench: Bench) -> None:
    shop = bench.shop()
    with pytest.raises(Declined):
        shop.charge(charge(amount=101))
    assert shop.row("o1").state is State.REFUSED
    bench.pg.finish("o1")
    shop.clock.advance(86_400)
    shop.reconcile()
    assert shop.row("o1").state is State.ANSWERED
    assert "late approval" in shop.attention()[0].attention
    assert shop.charge(charge(amount=101)).status == "paid"
    assert shop.sent(CHARGES) == 1


@EVERYWHERE
@row("F33")
def test_f33_a_webhook_that_comes_before_our_answer_is_applied_once(bench: Bench) -> None:
    shop, told = bench.shop(), []
    truly = bench.pg.handle

    def handle(call: Call) -> Any:
        answer = truly(call)
        if call.path == "/charges":
            in_a_thread(lambda: told.append(bench.shop("sync").receive({}, hook("p1"))))()
        return answer
    bench.pg.handle = handle  # type: ignore[method-assign]
    paid = shop.charge(charge())
    bench.pg.handle = truly  # type: ignore[method-assign]
    assert [(e.payment.status, e.is_news) for e in told] == [(PaymentStatus.PAID, True)]
    assert paid == told[0].payment
    again = shop.receive({}, hook("p1"))
    assert (again.is_news, again.id) == (False, told[0].id)
    assert shop.row("o1").state is State.ANSWERED
    assert shop.attention() == []
    assert sum(line.state is State.ANSWERED for line in shop.trail("o1")) == 1


@EVERYWHERE
@row("F34")
def test_f34_without_any_webhook_reconcile_finds_out(bench: Bench) -> None:
    shop = bench.shop()
    shop.pay(PAY)
    bench.pg.payer("w1")
    lost(shop)
    shop.settle()  # Whatever webhooks the PG sends, none is delivered.
    shop.settle()
    assert {shop.row(id).state for id in ("w1", "o1")} == {State.ANSWERED}


@EVERYWHERE
@row("F34")
def test_f34_where_the_pg_cannot_be_asked_a_person_is_told_after_15_minutes_and_a_webhook_still_helps(
        bench: Bench) -> None:
    spec = evolve(FAKEPG, capabilities=FAKEPG.capabilities - {Capability.FIND})
    shop = bench.shop(spec=spec)
    lost(shop)
    shop.clock.advance(600)
    shop.reconcile()
    assert shop.attention() == []
    shop.clock.advance(301)
    shop.reconcile()
    assert [(r.id, r.state) for r in shop.attention()] == [("o1", State.UNKNOWN)]
    assert shop.receive({}, hook("p1")).is_news
    assert shop.row("o1").state is State.ANSWERED
    assert shop.attention() == []
    assert shop.sent(CHARGES) == 1


@EVERYWHERE
@row("F35")
def test_f35_webhooks_in_any_order_and_number_have_one_end_and_are_told_once(bench: Bench) -> None:
    shop = bench.shop()
    ends = set()
    for n, order in enumerate(itertools.permutations(("failed", "paid", "paid", "late"))):
        id = f"w{n}"
        shop.pay(evolve(PAY, order_id=id))
        failed = bench.pg.payer(id, "decline")["payment_id"]
        paid = bench.pg.payer(id, "approve")["payment_id"]
        told: list[Event] = []
        for which in order:
            if which == "late":
                shop.clock.advance(5 * 86_400)
            told.append(shop.receive({}, hook(failed if which == "failed" else paid, id)))
        ends.add((shop.row(id).state, shop.row(id).attention, tuple(sorted(e.kind.value for e in told if e.is_news)),
                  bench.pg.journal.charges(id)))
    assert ends == {(State.ANSWERED, None, ("payment_paid",), 1)}


@EVERYWHERE
@row("F36")
def test_f36_a_webhook_settles_nothing_that_the_pgs_own_record_does_not_say(bench: Bench) -> None:
    shop = bench.shop()
    shop.pay(PAY)
    shop.pay(evolve(PAY, order_id="w2"))
    shop.pay(evolve(PAY, order_id="w3"))
    mine = bench.pg.payer("w2")["payment_id"]
    other_mode, cheap = bench.pg.payer("w3")["payment_id"], None
    bench.pg.payments[other_mode]["test"] = False
    for forged in (hook("p99", "w1", status="paid"), hook(mine, "w1"), hook("../keys/key-1", "w1"),
                   hook("p1?test=1", "w1"), hook(other_mode, "w3"), b"", b"{", b"[]", b'{"order_id": "w1"}',
                   b"\xff", b'{"order_id": "w1", "payment_id": NaN}'):
        with pytest.raises((Forged, OutcomeUnknown)):
            shop.receive({}, forged)
    assert {shop.row(id).state for id in ("w1", "w2", "w3")} == {State.SENT}
    assert [r.id for r in shop.attention()] == ["w3"]  # Somebody did pay, in the other mode.
    bench.pg.windows["w1"] = {**bench.pg.windows["w1"], "amount": 140}
    cheap = bench.pg.payer("w1")["payment_id"]
    with pytest.raises(Forged, match="the PG took 140 KRW"):
        shop.receive({}, hook(cheap, "w1"))
    assert shop.row("w1").state is State.UNKNOWN
    with pytest.raises(OutcomeUnknown):
        shop.confirm("w1", {})
    assert bench.pg.calls[-1].path == "/payments"
    assert {call.path.split("/")[1] for call in bench.pg.calls} == {"token", "windows", "payments"}
    assert not any("test=1" in call.query for call in bench.pg.calls)


@EVERYWHERE
@row("F37")
def test_f37_a_wall_clock_that_jumps_sends_nothing_twice_and_proves_nothing(bench: Bench) -> None:
    for n, jump in enumerate((timedelta(hours=1), timedelta(days=1), timedelta(hours=-1), timedelta(days=-1))):
        shop, id = bench.shop(), f"o{n}"
        wall = shop.clock.now

        def jumps(wall: Any = wall, jump: timedelta = jump, shop: Shop = shop, id: str = id) -> None:
            shop.clock.now = lambda: wall() + jump
            with pytest.raises(InProgress):  # This very gateway is sending it, whatever the lease says.
                shop.charge(charge(id))
        if bench.face == "sync":
            while_the_pg_works(bench, CHARGES, in_a_thread(jumps))
            assert shop.charge(charge(id)).status == "paid"
        else:
            shop.clock.now = lambda wall=wall, jump=jump: wall() + jump
            assert shop.charge(charge(id)).status == "paid"
        shop.clock.now = wall
        lost(shop, "drop_before", f"d{n}")
        with pytest.raises(OutcomeUnknown):
            shop.find(f"d{n}")  # A first miss, before the clock jumps.
        shop.clock.now = lambda wall=wall, jump=jump: wall() + jump
        for _ in range(3):
            with pytest.raises(OutcomeUnknown):
                shop.charge(charge(f"d{n}"))
            shop.reconcile()
        assert shop.row(f"d{n}").state is State.UNKNOWN
        shop.clock.now = wall
    sent = [json.loads(call.body)["order_id"] for call in bench.pg.calls if call.path == "/charges"]
    assert sorted(sent) == sorted([f"{kind}{n}" for n in range(4) for kind in "od"])
    assert all(bench.pg.journal.charges(f"o{n}") == 1 for n in range(4))
