"""What the PG does late, in its console, or tells from an old copy: nothing is paid twice, nothing stays untold."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # tests are imported one by one, without a package around them

from attrs import evolve
from shop import FACES, KEY, WON, Shop, charge, schedule, won

from paygate import (
    Cancel,
    CancelGuard,
    Charge,
    EventKind,
    MemoryLedger,
    Money,
    NotSent,
    OutcomeUnknown,
    Pay,
    PaymentStatus,
    ScheduleStatus,
    State,
    assumed,
    connect,
)
from paygate.testing.emulator import Call, json_response
from paygate.testing.fakepg import FAKEPG, FakePG
from paygate.testing.transport import EmulatorTransport

PAY = Pay(order_id="w1", money=WON, title="book", return_url="https://shop.example/done")


@pytest.fixture(params=FACES)
def shop(request: pytest.FixtureRequest) -> Iterator[Shop]:
    with Shop(request.param) as made:
        yield made


def cancel(id: str, amount: int = 3_000) -> Cancel:
    return Cancel(cancel_id=id, order_id="o1", money=won(amount), reason=f"reason of {id}")


def until_settled(shop: Shop, seconds: int = 400) -> None:
    for _ in range(seconds // 10):
        shop.clock.advance(10)
        shop.reconcile()


def refund_call(shop: Shop, amount: int, left: int, reason: str) -> Call:
    token = next(iter(shop.pg.valid_tokens))
    body = f'{{"amount": {amount}, "left": {left}, "reason": "{reason}"}}'.encode()
    return Call("POST", "/payments/p1/refunds", {"authorization": f"Bearer {token}"}, body)


def test_a_refund_done_late_is_not_given_again_under_the_same_id(shop: Shop) -> None:
    shop.charge(charge("o1"))
    shop.pg.fault("drop_before", "refunds")
    with pytest.raises(OutcomeUnknown):
        shop.cancel(cancel("c1"))
    until_settled(shop)
    assert shop.ledger.get("fakepg/test", "cancel", "c1").state is State.NOT_SENT
    shop.pg.answer(refund_call(shop, 3_000, 14_000, "reason of c1"))  # The PG does it after all.

    done = shop.cancel(cancel("c1"))

    assert done.money == won(3_000)
    assert shop.pg.journal.given_back("o1") == 3_000
    assert "late" in shop.attention()[0].attention


def test_a_refund_done_late_is_found_by_reconciling(shop: Shop) -> None:
    shop.charge(charge("o1"))
    shop.pg.fault("drop_before", "refunds")
    with pytest.raises(OutcomeUnknown):
        shop.cancel(cancel("c1"))
    until_settled(shop)
    shop.pg.answer(refund_call(shop, 3_000, 14_000, "reason of c1"))

    until_settled(shop, 1_000)

    assert shop.ledger.get("fakepg/test", "cancel", "c1").state is State.ANSWERED
    assert "late" in shop.attention()[0].attention


def test_a_refund_in_the_console_is_not_taken_for_a_refused_one_of_ours(shop: Shop) -> None:
    shop.charge(charge("o1"))
    true_answer = shop.pg.answer

    def console_first(call: Call) -> Any:
        if call.path.endswith("/refunds") and call.method == "POST":
            shop.pg.answer = true_answer
            true_answer(refund_call(shop, 3_000, 14_000, "by hand"))
        return true_answer(call)

    shop.find("o1")
    shop.pg.answer = console_first

    with pytest.raises(OutcomeUnknown):
        shop.cancel(cancel("c1"))

    assert shop.pg.journal.given_back("o1") == 3_000
    row = shop.ledger.get("fakepg/test", "cancel", "c1")
    assert row.state is State.UNKNOWN
    assert row.attention is not None


def test_without_a_checksum_what_the_pg_called_done_is_never_proven_not_done() -> None:
    pg = FakePG()
    pg.issue_key(KEY.reveal())
    profile = evolve(FAKEPG.profile, cancel_guard=assumed(CancelGuard.COMPARE, "for this test"))
    gate = connect(evolve(FAKEPG, profile=profile), pg.settings(), ledger=MemoryLedger(), clock=pg.clock,
                   http=EmulatorTransport(pg))
    gate.charge(charge("o1"))
    true_answer = pg.answer

    def unseen(call: Call) -> Any:
        answer = true_answer(call)
        if call.path == "/payments/p1/refunds":
            pg.payments["p1"] |= {"given_back": 0, "refunds": []}  # Its look-ups never show the refund.
            return json_response(200, json.dumps(pg.payments["p1"]).encode())
        return answer

    pg.answer = unseen  # type: ignore[method-assign]
    for _ in range(2):
        with pytest.raises(OutcomeUnknown):
            gate.cancel(cancel("c1"))
        for _ in range(100):
            pg.clock.advance(10)
            gate.reconcile()
    assert pg.journal.given_back("o1") == 3_000
    assert "said that it gave the money back" in str(gate.attention()[0].attention)


def test_a_refund_that_the_ledger_did_not_know_of_is_told_to_a_person(shop: Shop) -> None:
    shop.charge(charge("o1"))
    shop.pg.answer(refund_call(shop, 1_000, 14_000, "by hand"))

    shop.cancel(cancel("c1"))

    assert shop.pg.journal.given_back("o1") == 4_000
    assert "knows nothing of" in shop.attention()[0].attention


def test_an_old_copy_of_the_balance_is_not_refunded_from(shop: Shop) -> None:
    shop.charge(charge("o1"))
    shop.cancel(cancel("c1"))
    shop.pg.payments["p1"] |= {"given_back": 0, "refunds": []}  # A replica from before the refund.

    with pytest.raises(NotSent, match="before an earlier refund"):
        shop.cancel(cancel("c2", 12_000))

    assert shop.pg.journal.given_back("o1") == 3_000


def test_an_old_copy_does_not_set_the_ledger_back(shop: Shop) -> None:
    paid = shop.charge(charge("o1"))
    shop.cancel(cancel("c1"))
    shop.pg.payments["p1"] |= {"given_back": 0, "refunds": []}

    told = shop.receive({}, f'{{"order_id": "o1", "payment_id": "{paid.provider_id}"}}'.encode())

    assert told.payment.cancelled == won(3_000)
    assert not told.is_news
    assert shop.charge(charge("o1")).cancelled == won(3_000)


def test_what_is_settled_does_not_starve_what_is_not(shop: Shop) -> None:
    shop.charge(charge("o1"))
    shop.pg.fault("drop_before", "refunds")
    with pytest.raises(OutcomeUnknown):
        shop.cancel(cancel("c1"))
    until_settled(shop)
    shop.clock.advance(2 * 86_400)
    for _ in range(5):
        shop.reconcile()
    shop.pg.fault("drop_before", "POST /charges")
    with pytest.raises(OutcomeUnknown):
        shop.charge(charge("o2"))
    shop.clock.advance(60)
    assert "o2" in shop.reconcile(limit=1).still_open


def test_the_return_of_a_failed_first_attempt_does_not_decline_a_paid_order(shop: Shop) -> None:
    shop.pay(PAY)
    failed = shop.pg.payer("w1", "decline")
    shop.pg.payer("w1", "approve")

    assert shop.confirm("w1", failed).status is PaymentStatus.PAID


def test_the_hook_of_a_failed_first_attempt_does_not_fail_a_paid_order(shop: Shop) -> None:
    shop.pay(PAY)
    failed = shop.pg.payer("w1", "decline")
    shop.pg.payer("w1", "approve")
    hook = f'{{"order_id": "w1", "payment_id": "{failed["payment_id"]}"}}'.encode()

    first, second = shop.receive({}, hook), shop.receive({}, hook)

    assert (first.kind, second.kind) == (EventKind.PAYMENT_PAID, EventKind.PAYMENT_PAID)
    assert (first.is_news, second.is_news) == (True, False)
    assert shop.attention() == []


def test_what_was_paid_and_is_not_shown_now_is_not_called_absent(shop: Shop) -> None:
    paid = shop.charge(charge("o1"))
    hidden = shop.pg.payments.pop(paid.provider_id)

    for ask in (lambda: shop.find("o1"), lambda: shop.lookup(paid.provider_id)):
        with pytest.raises(OutcomeUnknown):
            ask()

    shop.pg.payments[paid.provider_id] = hidden
    assert shop.find("o1").status is PaymentStatus.PAID


def test_a_decline_without_a_record_is_not_believed_at_once(shop: Shop) -> None:
    true_answer = shop.pg.answer

    def unseen(call: Call) -> Any:
        answer = true_answer(call)
        if call.path == "/charges":
            shop.pg.payments.clear()  # Its look-ups lag.
        return answer

    shop.pg.answer = unseen
    with pytest.raises(OutcomeUnknown):
        shop.charge(Charge(order_id="o1", billing_key=KEY, money=Money(14_001, "KRW"), title="plan"))


def test_a_dated_charge_that_vanished_is_told_to_a_person(shop: Shop) -> None:
    shop.schedule(schedule(shop))
    shop.pg.items.pop("s1")

    with pytest.raises(OutcomeUnknown):
        shop.find_schedule("s1")

    assert shop.attention()[0].id == "s1"


def test_a_dated_charge_of_another_amount_is_told_to_a_person(shop: Shop) -> None:
    shop.schedule(schedule(shop))
    shop.pg.items["s1"]["amount"] += 50
    with pytest.raises(OutcomeUnknown):
        shop.find_schedule("s1")
    assert "another amount" in shop.attention()[0].attention


def test_a_failed_dated_charge_that_is_paid_later_is_told_to_a_person(shop: Shop) -> None:
    shop.schedule(schedule(shop))
    made = shop.pg._take(shop.pg.items["s1"], "failed")
    shop.pg.items["s1"] |= {"status": "executed", "payment_status": "failed", "payment_id": made["id"]}
    assert shop.find_schedule("s1").payment_status is PaymentStatus.FAILED
    made["status"] = shop.pg.items["s1"]["payment_status"] = "paid"

    until_settled(shop, 1_000)

    assert "late approval" in shop.attention()[0].attention
    assert shop.find_schedule("s1").status is ScheduleStatus.EXECUTED


def test_a_wall_clock_that_jumps_proves_nothing(shop: Shop) -> None:
    shop.pg.fault("drop_before", "POST /charges")
    with pytest.raises(OutcomeUnknown):
        shop.charge(charge("o1"))
    wall = shop.clock.now
    shop.clock.now = lambda: wall() + timedelta(hours=1)  # The wall clock jumps; time did not pass.

    for _ in range(3):
        with pytest.raises(OutcomeUnknown):
            shop.charge(charge("o1"))
    assert shop.pending()[0].state is State.UNKNOWN
