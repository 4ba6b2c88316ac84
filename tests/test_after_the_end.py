"""What turns out after an end was written down: a person erred, the PG was late, its books were old, a clock jumped."""

from __future__ import annotations

import copy
import json
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # tests are imported one by one, without a package around them

from attrs import evolve
from shop import FACES, Shop, cancel, charge, store, won

from paygate import BadCommand, Capability, Declined, NotSent, OutcomeUnknown
from paygate.cli.reconcile import walk
from paygate.ledger.row import State
from paygate.testing.fakepg import FAKEPG, FakePG
from paygate.testing.transport import EmulatorTransport

CHARGES = "^POST /charges$"


@pytest.fixture(params=FACES)
def shop(request: pytest.FixtureRequest) -> Any:
    with Shop(request.param) as shop:
        yield shop


def lost(shop: Shop, order_id: str = "o1") -> None:
    """A charge whose answer is lost and that the PG has not taken (yet)."""
    shop.pg.fault("drop_before", CHARGES)
    with pytest.raises(OutcomeUnknown):
        shop.charge(charge(order_id))
    shop.pg.faults.clear()


def taken_late(shop: Shop, order_id: str = "o1", amount: int = 14_000) -> None:
    """The PG carries out what it was asked for long ago."""
    shop.pg._take({"order_id": order_id, "amount": amount, "currency": "KRW", "key": "key-1"}, "paid")


def days(shop: Shop, number: int) -> None:
    for _ in range(24 * number):
        shop.clock.advance(3_600)
        shop.reconcile()


# A person


@pytest.mark.parametrize("as_", ["not_sent", "failed"])
def test_what_a_person_said_of_a_charge_is_compared_with_the_pg_for_a_day(shop: Shop, as_: str) -> None:
    lost(shop)
    shop.clock.advance(130)
    shop.resolve("o1", as_, by="kim", why="the console shows nothing")
    shop.clock.advance(700)
    taken_late(shop)
    days(shop, 2)
    assert shop.row("o1").state is State.ANSWERED
    assert [row.attention for row in shop.attention()] == [
        f"late approval: the PG took the money after this was {'not_sent' if as_ == 'not_sent' else 'refused'}"]


@pytest.mark.parametrize("as_", ["not_sent", "failed"])
def test_nobody_can_say_that_it_did_not_happen_while_the_pg_may_still_do_it(shop: Shop, as_: str) -> None:
    lost(shop)
    shop.clock.advance(5)
    with pytest.raises(BadCommand, match="may still carry o1 out"):
        shop.resolve("o1", as_, by="kim", why="the console shows nothing")
    assert shop.row("o1").state is State.UNKNOWN
    shop.clock.advance(120)
    assert shop.resolve("o1", as_, by="kim", why="the console shows nothing").state is not State.UNKNOWN


def test_a_payment_that_only_a_person_has_seen_is_for_a_person_again(shop: Shop) -> None:
    lost(shop)
    shop.resolve("o1", "paid", by="kim", why="misread")
    days(shop, 2)
    assert [row.attention for row in shop.attention()] == [
        "a person said that it was paid, and the PG does not show it"]


def test_a_payment_that_a_person_was_right_about_is_for_nobody(shop: Shop) -> None:
    lost(shop)
    shop.resolve("o1", "paid", by="kim", why="the console shows it")
    taken_late(shop)
    days(shop, 2)
    assert shop.row("o1").provider_id is not None
    assert shop.attention() == []


# The PG


def test_a_second_payment_that_our_own_answer_names_is_told_to_a_person_though_a_webhook_was_quicker() -> None:
    pg = FakePG()
    pg.is_used = lambda order_id: False  # type: ignore[method-assign]
    with Shop(pg=pg) as other:
        class Twice(EmulatorTransport):
            def handle_request(self, request: httpx.Request) -> httpx.Response:
                answer = super().handle_request(request)
                if request.url.path != "/charges":
                    return answer
                first = next(iter(pg.payments))
                other.receive({}, json.dumps({"order_id": "o1", "payment_id": first}).encode())
                second = pg._take(json.loads(request.read()), "paid")
                return httpx.Response(200, json=second, request=request)

        with Shop(pg=pg, ledger=other.ledger, http=Twice(pg)) as shop:
            assert shop.charge(charge()).provider_id == next(iter(pg.payments))
            assert [row.attention for row in shop.attention()] == ["the PG has a second payment under this order"]


def test_a_refund_that_is_gone_from_the_pgs_record_is_lag_at_first_and_then_for_a_person(shop: Shop) -> None:
    shop.charge(charge())
    shop.cancel(cancel())
    shop.pg.payments["p1"].update(given_back=0, refunds=[])
    shop.find("o1")
    assert shop.attention() == []
    shop.clock.advance(130)
    shop.reconcile()
    assert [row.attention for row in shop.attention()] == [
        "a refund is gone from the PG's record: 4,000 KRW were given back, and now it shows 0 KRW"]
    assert shop.cancel(cancel()).payment.cancelled == won(4_000)


def test_a_replica_that_catches_up_with_a_refund_is_for_nobody(shop: Shop) -> None:
    shop.charge(charge())
    before = dict(shop.pg.payments["p1"])
    shop.cancel(cancel())
    after = shop.pg.payments["p1"]
    shop.pg.payments["p1"] = {**before, "given_back": 0, "refunds": []}
    shop.find("o1")
    shop.clock.advance(60)
    shop.pg.payments["p1"] = after
    shop.find("o1")
    days(shop, 1)
    assert shop.attention() == []
    assert shop.row("o1").missed_at is None


def test_what_the_pg_has_shown_once_is_never_proven_absent_by_an_old_copy_of_its_books(shop: Shop) -> None:
    shop.pg.next_charge("pending")
    assert shop.charge(charge()).status == "pending"
    kept = dict(shop.pg.payments)
    shop.pg.payments.clear()
    for _ in range(6):
        shop.clock.advance(100)
        shop.reconcile()
    asked = shop.sent("POST /charges")
    with pytest.raises(OutcomeUnknown):
        shop.charge(charge())
    assert shop.sent("POST /charges") == asked
    shop.pg.payments.update(kept)
    shop.pg.finish("o1")
    days(shop, 2)
    assert shop.charge(charge()).status == "paid"
    assert shop.pg.journal.charges("o1") == 1


def test_a_contradiction_stays_with_a_person_when_the_pgs_books_are_old_for_a_while(shop: Shop) -> None:
    take = shop.pg._take
    shop.pg._take = lambda body, status, **said: take({**body, "amount": 5_000}, status, **said)
    with pytest.raises(OutcomeUnknown):
        shop.charge(charge())
    shop.pg._take = take
    shop.pg.payments.clear()
    for _ in range(6):
        shop.clock.advance(100)
        shop.reconcile()
    assert [row.attention for row in shop.attention()] == ["the PG took 5,000 KRW, not 14,000 KRW"]
    with pytest.raises(OutcomeUnknown):
        shop.charge(charge())
    assert shop.sent("POST /charges") == 1


def test_a_balance_that_moved_by_another_amount_is_with_a_person_though_old_books_do_not_show_it(shop: Shop) -> None:
    shop.charge(charge())
    before = copy.deepcopy(shop.pg.payments)
    refund = shop.pg._refund
    shop.pg._refund = lambda payment, body: refund(payment, {**body, "amount": 5_000})
    shop.pg.fault("drop_after", "refunds$")
    with pytest.raises(OutcomeUnknown):
        shop.cancel(cancel())
    shop.pg._refund = refund
    after, shop.pg.payments = copy.deepcopy(shop.pg.payments), before
    for _ in range(6):
        shop.clock.advance(100)
        shop.reconcile()
    assert [row.id for row in shop.attention()] == ["c1"]
    shop.pg.payments = after
    with pytest.raises(OutcomeUnknown):
        shop.cancel(cancel())
    assert shop.pg.journal.given_back("o1") == 5_000


def test_a_refund_in_doubt_is_settled_though_the_pg_did_not_find_its_payment_for_a_while(shop: Shop) -> None:
    shop.charge(charge())
    shop.pg.fault("drop_before", "refunds$")
    kept, answer, looks = shop.pg.payments, shop.pg.answer, [0]

    def forgetful(call: Any) -> Any:
        looks[0] += call.method == "GET"
        shop.pg.payments = {} if looks[0] > 1 else kept  # The first look is at the balance before.
        return answer(call)

    shop.pg.answer = forgetful
    with pytest.raises(OutcomeUnknown):
        shop.cancel(cancel())
    shop.clock.advance(10)
    shop.reconcile()
    assert shop.attention() == []
    assert looks[0] > 2
    shop.pg.answer, shop.pg.payments = answer, kept
    for _ in range(6):
        shop.clock.advance(100)
        shop.reconcile()
    assert shop.refund("c1").state is State.NOT_SENT
    assert shop.attention() == []
    assert shop.cancel(cancel()).money == won(4_000)
    assert shop.pg.journal.given_back("o1") == 4_000


def test_looks_that_fail_after_an_end_are_made_up_for(shop: Shop) -> None:
    shop.pg.next_charge("failed")
    with pytest.raises(Declined):
        shop.charge(charge())
    shop.clock.advance(610)
    shop.pg.fault("error_500_before", "^GET ", times=6)  # Two looks, each tried three times.
    for _ in range(20):
        shop.reconcile()
        shop.clock.advance(60)
    assert shop.pg.faults == []
    taken_late(shop)
    days(shop, 2)
    assert shop.row("o1").state is State.ANSWERED
    assert [row.id for row in shop.attention()] == ["o1"]


def test_declines_that_cannot_be_looked_at_stand_in_nobodys_way(shop: Shop) -> None:
    blind = evolve(FAKEPG, capabilities=FAKEPG.capabilities - {Capability.FIND, Capability.LISTING})
    with Shop(pg=shop.pg, spec=blind) as shop:
        for n in range(3):
            shop.pg.next_charge("failed")
            with pytest.raises(Declined):
                shop.charge(charge(f"d{n}"))
        shop.clock.advance(3_600)
        shop.pg.fault("drop_before", CHARGES)
        with pytest.raises(OutcomeUnknown):
            shop.charge(charge("lost"))
        for _ in range(10):
            shop.clock.advance(3_600)
            shop.reconcile(limit=3)
        assert [row.id for row in shop.attention()] == ["lost"]
        assert walk(shop.gate, 3, None).checked == 0


# A clock


@pytest.mark.parametrize("after", [0, 6, 32, 125], ids=lambda after: f"after {after} s")
def test_no_jump_of_the_wall_clock_proves_anything_to_processes_that_come_and_go(tmp_path: Path, after: int) -> None:
    pg = FakePG()
    pg.is_used = lambda order_id: False  # type: ignore[method-assign]
    wall, began = pg.clock.now, pg.clock.monotonic()

    def process() -> Shop:
        return Shop(pg=pg, ledger=store("sqlite", tmp_path))

    with process() as shop:
        lost(shop)
    jumped = False
    while pg.clock.monotonic() - began < 900:
        if not jumped and pg.clock.monotonic() - began >= after:
            pg.clock.now, jumped = (lambda: wall() + timedelta(hours=1)), True  # type: ignore[method-assign]
        with process() as shop:
            shop.reconcile()
            if shop.row("o1").state is not State.UNKNOWN:
                break
        pg.clock.advance(3)
    assert jumped
    assert 120 <= pg.clock.monotonic() - began < 900
    with process() as shop:
        assert shop.row("o1").state is State.NOT_SENT
        assert shop.charge(charge()).status == "paid"


def test_without_a_jump_a_process_that_stays_needs_no_longer_than_the_window(shop: Shop) -> None:
    lost(shop)
    for _ in range(5):
        shop.clock.advance(30)
        shop.reconcile()
    assert shop.row("o1").state is State.NOT_SENT
    shop.pg.fault("refuse", CHARGES, times=100)
    with pytest.raises(NotSent):
        shop.charge(charge())
