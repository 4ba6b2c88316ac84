"""What only a person may do: end a doubt, and put an attention aside. Name and reason stay in the trail."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # tests are imported one by one, without a package around them

from shop import KEY, WON, Shop

from paygate import BadCommand, Cancel, Charge, Forged, Money, OutcomeUnknown, Pay, PaymentStatus, State
from paygate.errors import PaygateError


def charge(order_id: str) -> Charge:
    return Charge(order_id=order_id, billing_key=KEY, money=WON, title="plan")


def in_doubt(shop: Shop, order_id: str = "o1") -> None:
    shop.pg.fault("drop_before", "POST /charges")
    with pytest.raises(OutcomeUnknown):
        shop.charge(charge(order_id))


@pytest.mark.parametrize("face", ["sync", "async"])
def test_a_person_who_says_paid_ends_the_doubt_and_nothing_is_sent(face: str) -> None:
    with Shop(face) as shop:
        in_doubt(shop)
        sent = len(shop.pg.calls)
        assert shop.resolve("o1", "paid", by="kim", why="the PG's support says so").state is State.ANSWERED
        assert shop.charge(charge("o1")).status is PaymentStatus.PAID
        assert len(shop.pg.calls) == sent
        assert "kim" in shop.trail("o1")[-1].note
        assert "support" in shop.trail("o1")[-1].note


def test_a_person_who_says_not_sent_lets_the_same_order_be_sent_again() -> None:
    with Shop() as shop:
        in_doubt(shop)
        shop.clock.advance(120)
        shop.resolve("o1", "not_sent", by="kim", why="the PG knows nothing")
        assert shop.charge(charge("o1")).status is PaymentStatus.PAID
        assert shop.pg.journal.charges("o1") == 1


def test_a_person_who_says_failed_makes_it_a_refusal() -> None:
    with Shop() as shop:
        in_doubt(shop)
        shop.clock.advance(120)
        shop.resolve("o1", "failed", by="kim", why="the card company says so")
        with pytest.raises(PaygateError) as caught:
            shop.charge(charge("o1"))
        assert caught.value.moved is False


def test_a_refund_in_doubt_can_be_resolved_too() -> None:
    with Shop() as shop:
        shop.charge(charge("o1"))
        shop.pg.fault("drop_before", "refunds")
        refund = Cancel(cancel_id="c1", order_id="o1", money=Money(4_000, "KRW"), reason="asked")
        with pytest.raises(OutcomeUnknown):
            shop.cancel(refund)
        assert shop.resolve("c1", "paid", by="kim", why="seen in the console").state is State.ANSWERED
        assert shop.cancel(refund).money == Money(4_000, "KRW")


def test_what_is_settled_cannot_be_decided_again() -> None:
    with Shop() as shop:
        shop.charge(charge("o1"))
        for as_ in ("paid", "failed", "not_sent"):
            with pytest.raises(BadCommand, match="needs no decision"):
                shop.resolve("o1", as_, by="kim", why="by mistake")
        assert shop.charge(charge("o1")).status is PaymentStatus.PAID


@pytest.mark.parametrize(("by", "why"), [("", "because"), ("kim", " ")])
def test_a_decision_without_name_or_reason_is_refused(by: str, why: str) -> None:
    with Shop() as shop:
        in_doubt(shop)
        with pytest.raises(BadCommand, match="who decided it and why"):
            shop.resolve("o1", "paid", by=by, why=why)
        assert [row.id for row in shop.pending()] == ["o1"]


def test_an_acknowledged_attention_goes_and_nothing_else_changes() -> None:
    with Shop() as shop:
        shop.pg.fault("wrong_order", "POST /charges")
        shop.charge(charge("o1"))
        before, = shop.attention()
        after = shop.acknowledge("o1", by="kim", why="compared with the console")
        assert (after.state, after.result, after.attention) == (before.state, before.result, None)
        assert shop.attention() == []


def test_a_stray_payment_can_be_acknowledged_by_the_pgs_id() -> None:
    with Shop() as shop:
        with Shop(pg=shop.pg) as other:
            theirs = other.charge(charge("elsewhere"))
        hook = f'{{"order_id": "elsewhere", "payment_id": "{theirs.provider_id}"}}'.encode()
        shop.receive({}, hook)
        assert [row.id for row in shop.attention()] == [theirs.provider_id]
        shop.acknowledge(theirs.provider_id, by="kim", why="of the old shop")
        assert shop.attention() == []


def test_a_doubt_cannot_be_acknowledged_away() -> None:
    with Shop() as shop:
        in_doubt(shop)
        with pytest.raises(BadCommand, match=r"resolve\(\)"):
            shop.acknowledge("o1", by="kim", why="tired of it")


def test_what_is_not_in_the_ledger_is_not_decided() -> None:
    with Shop() as shop:
        for verb in (shop.acknowledge, lambda id, **said: shop.resolve(id, "paid", **said)):
            with pytest.raises(BadCommand, match="nothing called"):
                verb("nobody", by="kim", why="because")


def test_a_payment_that_the_pg_never_finished_can_be_decided_once_a_person_is_asked() -> None:
    with Shop() as shop:
        shop.charge(Charge(order_id="o1", billing_key=KEY, money=Money(102, "KRW"), title="plan"))
        with pytest.raises(BadCommand, match="needs no decision"):
            shop.resolve("o1", "failed", by="kim", why="impatient")
        for _ in range(20):
            shop.clock.advance(86_400)
            shop.reconcile()
        assert shop.attention()[0].state is State.SENT
        assert shop.resolve("o1", "failed", by="kim", why="the PG's support says so").state is State.REFUSED
        assert shop.attention() == shop.pending() == []


def test_a_flag_on_an_open_window_is_acknowledged_and_the_window_stays_open() -> None:
    with Shop() as shop:
        shop.pay(Pay(order_id="w1", money=WON, title="book", return_url="https://shop.example/done"))
        query = shop.pg.payer("w1")
        shop.pg.payments[query["payment_id"]]["test"] = False
        with pytest.raises(Forged):
            shop.confirm("w1", query)
        with pytest.raises(BadCommand, match="needs no decision"):
            shop.resolve("w1", "paid", by="kim", why="it looked paid")
        assert shop.acknowledge("w1", by="kim", why="somebody paid in the test channel").state is State.SENT
        assert shop.attention() == []
        assert [row.id for row in shop.pending()] == ["w1"]


@pytest.mark.parametrize(("as_", "by", "why"), [
    ("done", "kim", "because"), ("paid", 7, "because"), ("paid", "kim", None), ("paid", "kim\x1b[31m", "because"),
    ("paid", "k" * 81, "because"), ("paid", "kim", "w" * 301),
])
def test_a_decision_that_could_not_be_read_later_is_refused(as_: object, by: object, why: object) -> None:
    with Shop() as shop:
        in_doubt(shop)
        with pytest.raises(BadCommand):
            shop.resolve("o1", as_, by=by, why=why)
        assert shop.pending()[0].state is State.UNKNOWN
