"""Twelve stories that other payment systems test, broke on, or were asked for; each says where the idea comes from."""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # tests are imported one by one, without a package around them

from attrs import evolve
from failure_rows import EVERYWHERE, Bench, bench, in_a_thread, while_the_pg_works
from shop import WON, cancel, cancel_whole, charge, won

from paygate import (
    BadCommand,
    Cancel,
    Conflict,
    InProgress,
    NotSent,
    OutcomeUnknown,
    Pay,
    PaygateError,
    PaymentStatus,
    State,
)
from paygate.testing.emulator import Call, FaultKind, json_response
from paygate.testing.transport import EmulatorTransport

__all__ = ["bench"]
CHARGES = "POST /charges"
PAY = Pay(order_id="w1", money=WON, title="book", return_url="https://shop.example/done")


def hook(payment_id: str, order_id: str) -> bytes:
    return json.dumps({"order_id": order_id, "payment_id": payment_id}).encode()


@EVERYWHERE
def test_01_a_plugin_that_fails_after_the_money_moved_leaves_unknown_and_reading_heals_it(bench: Bench) -> None:
    """Kill Bill: its test plugin throws after processing; the janitor heals the payment, and so does reading it."""
    shop = bench.shop()
    truly = shop.gate._account.provider.charge

    def failing(command: Any) -> Any:
        yield from truly(command)
        raise RuntimeError("a bug in the plugin")
    shop.gate._account.provider.charge = failing
    bench.pg.fault("error_500_before", "^GET ", times=3)
    with pytest.raises(OutcomeUnknown):
        shop.charge(charge())
    assert shop.row("o1").state is State.UNKNOWN
    bench.pg.faults.clear()
    assert shop.find("o1").status is PaymentStatus.PAID
    assert shop.row("o1").state is State.ANSWERED
    assert bench.pg.journal.charges("o1") == 1


@EVERYWHERE
def test_02_when_the_look_ups_are_exhausted_the_state_stays_and_a_person_is_told(bench: Bench) -> None:
    """Kill Bill's janitor test asserts silence at its last retry; Hyperswitch makes such a payment a failed one."""
    shop = bench.shop()
    bench.pg.fault("hang_before", "^(POST /charges|GET .*)$", times=100_000)
    with pytest.raises(OutcomeUnknown):
        shop.charge(charge())
    for _ in range(30):
        shop.clock.advance(86_400)
        shop.reconcile()
    assert [(r.id, r.state) for r in shop.attention()] == [("o1", State.UNKNOWN)]
    with pytest.raises(OutcomeUnknown):
        shop.charge(charge())
    assert shop.sent(CHARGES) == 1


@EVERYWHERE
def test_03_a_look_up_that_fails_never_overwrites_what_was_known(bench: Bench) -> None:
    """Hyperswitch: "server in maintenance", read by a look-up, turned an authorized payment into a failed one."""
    shop = bench.shop()
    shop.charge(charge("paid"))
    bench.pg.fault("drop_after", CHARGES)
    bench.pg.fault("error_500_before", "^GET ", times=3)
    with pytest.raises(OutcomeUnknown):
        shop.charge(charge("doubt"))
    bench.pg.faults.clear()
    before = {id: shop.row(id).state for id in ("paid", "doubt")}
    truly, saying = bench.pg.answer, []

    def maintenance(call: Call) -> Any:
        if call.method == "GET":
            return json_response(*saying[-1])
        return truly(call)
    bench.pg.answer = maintenance  # type: ignore[method-assign]
    for said in ((200, b'{"code": "failed", "message": "server in maintenance"}'), (422, b'{"code": "maintenance"}'),
                 (500, b"{}"), (200, b"<html>maintenance</html>"), (404, b'{"code": "not_found"}'), (403, b"{}")):
        saying.append(said)
        for id in before:
            with pytest.raises(PaygateError) as caught:
                shop.find(id)
            assert isinstance(caught.value, OutcomeUnknown)
        shop.clock.advance(3600)
        shop.reconcile()
        assert {id: shop.row(id).state for id in before} == before
    bench.pg.answer = truly  # type: ignore[method-assign]
    assert shop.find("doubt").status is PaymentStatus.PAID


@EVERYWHERE
def test_04_a_status_nobody_knows_stops_one_order_and_no_other(bench: Bench) -> None:
    """Hyperswitch Prism: one new enum value failed every payment until a hotfix."""
    shop = bench.shop()
    for n in range(4):
        bench.pg.fault("drop_after", CHARGES)
        bench.pg.fault("error_500_before", "^GET ", times=3)
        with pytest.raises(OutcomeUnknown):
            shop.charge(charge(f"o{n}"))
        bench.pg.faults.clear()
    bench.pg.payments["p2"]["status"] = "settled_by_magic"
    shop.clock.advance(60)
    report = shop.reconcile()
    assert (report.checked, list(report.failed)) == (4, ["o1"])
    assert [shop.row(f"o{n}").state for n in range(4)] == [
        State.ANSWERED, State.UNKNOWN, State.ANSWERED, State.ANSWERED]
    assert shop.charge(charge("next")).status == "paid"


class Fails(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """A transport whose charges fail with `error`: before anything is sent, or having sent it."""

    emits_trace = True

    def __init__(self, inner: EmulatorTransport, error: type[Exception], *, sends: bool) -> None:
        self._inner, self._error, self._sends = inner, error, sends
        self.tries = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path != "/charges":
            return self._inner.handle_request(request)
        self.tries += 1
        if self._sends:
            self._inner.handle_request(request)
        raise self._error("broken")

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path != "/charges":
            return await self._inner.handle_async_request(request)
        self.tries += 1
        if self._sends:
            await self._inner.handle_async_request(request)
        raise self._error("broken")


@EVERYWHERE
def test_05_only_what_certainly_did_not_leave_is_tried_again(bench: Bench) -> None:
    """ActiveMerchant: only a refused connection is tried again, unless the gateway declares its calls safe."""
    for n, (error, sends, tries) in enumerate((
            (httpx.ConnectError, False, 3), (httpx.ConnectTimeout, False, 3), (httpx.ReadTimeout, True, 1),
            (httpx.ReadError, True, 1), (httpx.WriteError, True, 1), (httpx.RemoteProtocolError, True, 1))):
        http = Fails(EmulatorTransport(bench.pg), error, sends=sends)
        shop, id = bench.shop(http=http), f"o{n}"
        try:
            told: Any = shop.charge(charge(id))
        except PaygateError as raised:
            told = raised
        assert http.tries == tries
        assert bench.pg.journal.charges(id) == sends
        assert isinstance(told, NotSent) != sends  # What was sent is found by the look-up that follows.


@EVERYWHERE
def test_06_one_key_means_one_command_one_sender_and_one_answer(bench: Bench) -> None:
    """Stripe's idempotency keys and the rocket-rides example: other parameters, at the same time, after a crash."""
    shop, told = bench.shop(), []

    def at_the_same_time() -> None:
        for command, error in ((charge(), InProgress), (charge(amount=9_000), Conflict)):
            with pytest.raises(error):
                bench.shop("sync").charge(command)
            told.append(error)
    while_the_pg_works(bench, CHARGES, in_a_thread(at_the_same_time))
    first = shop.charge(charge())
    assert len(told) == 2
    assert evolve(shop.charge(charge()), key=None) == evolve(first, key=None)
    with pytest.raises(Conflict):
        shop.charge(charge(amount=9_000))
    again = bench.shop()  # The process died and began anew: the key lives on.
    assert evolve(again.charge(charge()), key=None) == evolve(first, key=None)
    assert shop.sent(CHARGES) == 1


@EVERYWHERE
def test_07_zero_is_not_all(bench: Bench) -> None:
    """TigerBeetle removed "0 means the whole amount" from two-phase transfers; some PGs' cancel still has it."""
    shop = bench.shop()
    shop.charge(charge())
    for nothing in (won(0), None, 0, ""):
        with pytest.raises(BadCommand):
            shop.cancel(Cancel(cancel_id="c1", order_id="o1", money=nothing, reason="x"))  # type: ignore[arg-type]
    assert bench.pg.journal.given_back("o1") == 0
    assert shop.cancel_whole(cancel_whole()).money == won(14_000)


@EVERYWHERE
def test_08_once_the_faults_are_over_everything_comes_to_an_end(bench: Bench) -> None:
    """TigerBeetle's simulator: a phase of faults for safety, then one without for liveness; the seed is printed."""
    seed = 20260105
    dice, shop = random.Random(seed), bench.shop()
    kinds = [kind for kind in FaultKind if kind is not FaultKind.LATE]
    told: dict[str, Any] = {}
    for n in range(30):
        if dice.random() < 0.45:
            bench.pg.fault(dice.choice(kinds), dice.choice([f"^{CHARGES}$", "^GET ", "refunds"]), dice.randint(1, 4))
        id = f"o{n}"
        try:
            told[id] = shop.charge(charge(id, amount=dice.choice([14_000, 14_000, 101])))
            if dice.random() < 0.5:
                shop.cancel(cancel(f"c{n}", id, 1_000))
        except PaygateError as error:
            told.setdefault(id, error)
        shop.clock.advance(dice.choice([1, 40, 200]))
        shop.reconcile()
    for _ in range(3):
        shop.settle()
    assert shop.pending() == [], f"seed {seed}"
    for id, end in told.items():
        taken, row = bench.pg.journal.charges(id), shop.row(id)
        assert taken <= 1, f"seed {seed}: {id}"
        assert (row.state is State.ANSWERED) == bool(taken), f"seed {seed}: {id}"
        assert not (isinstance(end, PaygateError) and end.moved is False and taken), f"seed {seed}: {id}"
        assert bench.pg.journal.given_back(id) <= 1_000, f"seed {seed}: {id}"


@EVERYWHERE
def test_09_two_equal_refunds_are_two_and_the_same_one_twice_is_one(bench: Bench) -> None:
    """SmartStoreNET and others: equal partial refunds were taken for repeats, or repeats for new ones."""
    shop = bench.shop()
    shop.charge(charge())
    for id in ("c1", "c2", "c1", "c2", "c1"):
        assert shop.cancel(cancel(id, amount=3_000)).money == won(3_000)
    assert bench.pg.journal.given_back("o1") == 6_000
    bench.pg.fault("drop_after", "refunds")
    assert shop.cancel(cancel("c3", amount=3_000)).payment.left == won(5_000)
    assert [len(shop.trail(id)) for id in ("c1", "c2")] == [3, 3]


@EVERYWHERE
@pytest.mark.parametrize("first", ["return", "webhook"])
def test_10_the_browsers_return_and_the_webhook_race_and_both_tell_the_same(first: str, bench: Bench) -> None:
    """Medusa: redirect, webhook and API raced each other, and one order in twenty vanished."""
    shop, told = bench.shop(), []
    for n in range(3):
        id = f"w{n}"
        shop.pay(evolve(PAY, order_id=id))
        query = bench.pg.payer(id)
        other = bench.shop("sync")
        asked = f"GET /payments/{query['payment_id']}"
        if first == "return":
            while_the_pg_works(bench, asked, in_a_thread(
                lambda o=other, q=query, i=id: told.append(o.receive({}, hook(q["payment_id"], i)).payment.status)))
            told.append(shop.confirm(id, query).status)
        else:
            while_the_pg_works(bench, asked, in_a_thread(
                lambda o=other, q=query, i=id: told.append(o.confirm(i, q).status)))
            told.append(shop.receive({}, hook(query["payment_id"], id)).payment.status)
        assert shop.row(id).state is State.ANSWERED
    assert told == [PaymentStatus.PAID] * 6
    assert shop.attention() == shop.pending() == []


@EVERYWHERE
def test_11_a_late_event_downgrades_nothing_and_a_second_one_of_a_payment_is_not_swallowed(bench: Bench) -> None:
    """CoreShop and tutor: a late webhook made a paid order unpaid. PayBridge: one event per payment id, ever."""
    shop = bench.shop()
    shop.pay(PAY)
    failed = bench.pg.payer("w1", "decline")["payment_id"]
    paid = bench.pg.payer("w1")["payment_id"]
    events = [shop.receive({}, hook(paid, "w1"))]
    events.append(shop.receive({}, hook(failed, "w1")))  # Of the first attempt, days late.
    shop.cancel(cancel("c1", "w1"))
    events.append(shop.receive({}, hook(paid, "w1")))
    other = bench.shop()
    token = next(iter(bench.pg.valid_tokens))
    by_hand = {"amount": 1_000, "left": 10_000, "reason": "by hand"}
    bench.pg.answer(Call("POST", f"/payments/{paid}/refunds", {"authorization": f"Bearer {token}"},
                         json.dumps(by_hand).encode()))
    events.append(other.receive({}, hook(paid, "w1")))
    assert [e.kind.value for e in events] == ["payment_paid", "payment_paid", "payment_cancelled", "payment_cancelled"]
    assert [e.is_news for e in events] == [True, False, False, True]
    assert [e.payment.cancelled.amount for e in events] == [0, 0, 4_000, 5_000]
    assert shop.row("w1").state is State.ANSWERED


@EVERYWHERE
def test_12_a_billing_job_that_runs_again_bills_no_period_twice_and_pending_is_no_failure(bench: Bench) -> None:
    """OCA contract and commcare: a job that reruns billed a period twice. Omnipay: pending was reported as failed."""
    shop = bench.shop()
    payers = [f"payer{n}" for n in range(5)]

    def job(month: str, shop: Any) -> list[Any]:
        told = []
        for payer in payers:
            try:
                told.append(shop.charge(charge(f"{payer}-{month}", amount=102 if payer == "payer3" else 14_000)).status)
            except PaygateError as error:
                told.append(type(error).__name__)
        return told
    bench.pg.fault("drop_after", CHARGES, times=1)
    bench.pg.fault("drop_before", CHARGES, times=1)
    first = job("2026-01", shop)
    assert first == ["paid", "OutcomeUnknown", "paid", "pending", "paid"]
    assert job("2026-01", bench.shop()) == first
    bench.pg.finish("payer3-2026-01")
    shop.settle()
    assert job("2026-01", bench.shop()) == ["paid"] * 5
    assert [bench.pg.journal.charges(f"{payer}-2026-01") for payer in payers] == [1] * 5
    assert job("2026-02", shop)[0] == "paid"
