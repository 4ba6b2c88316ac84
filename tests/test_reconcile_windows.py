"""A payer's window asked for again: the PG is looked at first, whatever the ledger had made of the earlier one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # tests are imported one by one, without a package around them

from attrs import evolve
from shop import FACES, STORES, WON, Shop, store

from paygate import (
    Capability,
    Conflict,
    MemoryLedger,
    NotSent,
    OutcomeUnknown,
    Pay,
    PaymentStatus,
    State,
    assumed,
    connect,
)
from paygate.testing.fakepg import FAKEPG, FakePG
from paygate.testing.transport import EmulatorTransport

PAY = Pay(order_id="w1", money=WON, title="book", return_url="https://shop.example/done")


@pytest.fixture(params=[(f, s) for f in FACES for s in STORES], ids="-".join)
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shop]:
    face, kind = request.param
    with Shop(face, store(kind, tmp_path)) as made:
        yield made


def given_up(shop: Shop) -> None:
    """A window was shown, and the whole timetable passed."""
    shop.pay(PAY)
    for _ in range(12):
        shop.clock.advance(86_400)
        shop.reconcile()
    assert shop.row("w1").state is State.NOT_SENT


def windows(shop: Shop) -> int:
    return shop.sent("POST /windows")


def test_a_window_that_was_given_up_and_paid_in_since_is_not_shown_again(shop: Shop) -> None:
    given_up(shop)
    shop.pg.payer("w1")

    with pytest.raises(Conflict, match="not open to the payer any more"):
        shop.pay(PAY)

    assert windows(shop) == 1
    assert shop.row("w1").state is State.ANSWERED
    assert shop.pg.journal.charges("w1") == 1


def test_a_window_that_was_given_up_is_shown_again_only_after_a_look(shop: Shop) -> None:
    given_up(shop)
    looks = shop.sent("GET /payments")

    shop.pay(PAY)

    assert shop.sent("GET /payments") == looks + 1
    shop.pg.payer("w1")
    assert shop.confirm("w1", {}).status is PaymentStatus.PAID


def test_a_window_is_not_shown_again_while_the_pg_cannot_be_asked(shop: Shop) -> None:
    given_up(shop)
    shop.pg.fault("hang_before", "^GET ", times=100)

    with pytest.raises(NotSent, match="could not be looked up"):
        shop.pay(PAY)

    assert windows(shop) == 1
    assert shop.row("w1").state is State.NOT_SENT
    shop.pg.faults.clear()
    assert shop.pay(PAY).order_id == "w1"


def test_a_window_whose_payment_took_another_amount_is_not_shown_again(shop: Shop) -> None:
    given_up(shop)
    query = shop.pg.payer("w1")
    shop.pg.payments[query["payment_id"]]["amount"] = 1_400

    with pytest.raises(Conflict):
        shop.pay(PAY)

    assert windows(shop) == 1
    assert shop.row("w1").state is State.UNKNOWN
    assert [row.id for row in shop.attention()] == ["w1"]


@pytest.mark.parametrize("is_given_up", [False, True])
def test_a_payment_that_the_pg_has_not_finished_is_not_joined_by_a_second_one(is_given_up: bool) -> None:
    pg = FakePG()
    spec = evolve(FAKEPG, capabilities=FAKEPG.capabilities - {Capability.FIND},
                  profile=evolve(FAKEPG.profile, refuses_reused_order_id=assumed(False, "for this test")))
    gate = connect(spec, pg.settings(), ledger=MemoryLedger(), http=EmulatorTransport(pg), clock=pg.clock)
    gate.pay(PAY)
    query = pg.payer("w1")
    pg.payments[query["payment_id"]]["status"] = "pending"  # As a transfer that the bank has not carried out.
    assert gate.confirm("w1", query).status is PaymentStatus.PENDING
    if is_given_up:
        for _ in range(12):
            pg.clock.advance(86_400)
            gate.reconcile()

    with pytest.raises(OutcomeUnknown, match="not finished"):
        gate.pay(PAY)

    pg.payments[query["payment_id"]]["status"] = "paid"
    assert gate.confirm("w1", query).status is PaymentStatus.PAID


def test_a_window_given_up_and_paid_within_a_day_is_found_without_a_webhook(shop: Shop) -> None:
    shop.pay(PAY)
    for _ in range(40):
        shop.clock.advance(86_401)
        shop.reconcile()
        if shop.row("w1").state is State.NOT_SENT:
            break
    shop.clock.advance(3_000)
    shop.pg.payer("w1")
    assert shop.pg.journal.charges("w1") == 1
    shop.reconcile()
    assert shop.row("w1").state is State.ANSWERED
    assert "late approval" in shop.row("w1").attention


def test_a_window_given_up_is_watched_for_a_day_and_then_rests(shop: Shop) -> None:
    shop.pay(PAY)
    for _ in range(40):
        shop.clock.advance(86_401)
        shop.reconcile()
    assert (shop.row("w1").state, shop.row("w1").check_at) == (State.NOT_SENT, None)
    assert shop.attention() == []
