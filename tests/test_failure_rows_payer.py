"""Rows F60 to F62: what comes from the payer's browser is a hint, and only our own order at the PG counts."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # tests are imported one by one, without a package around them

from attrs import evolve
from failure_rows import EVERYWHERE, Bench, bench, row
from shop import WON, won

from paygate import BadCommand, Declined, Forged, OutcomeUnknown, Pay, PaygateError, PaymentStatus, Register, State

__all__ = ["bench"]
PAY = Pay(order_id="w1", money=WON, title="book", return_url="https://shop.example/done")


@EVERYWHERE
@row("F60")
def test_f60_a_forged_return_confirms_nothing(bench: Bench) -> None:
    shop = bench.shop()
    for id in ("w1", "w2"):
        shop.pay(evolve(PAY, order_id=id))
    paid = bench.pg.payer("w2")
    for query in ({"status": "success"}, {"order_id": "w1", "status": "paid"}, {"payment_id": "p999"},
                  {"order_id": "w1", "payment_id": "p999"}, {"success": "true", "amount": "14000"}, {}):
        assert shop.confirm("w1", query).status is PaymentStatus.PENDING
    for query in (paid, {"payment_id": paid["payment_id"]}, {"order_id": "w1", "payment_id": paid["payment_id"]},
                  {"order_id": "w2"}):
        with pytest.raises(Forged):
            shop.confirm("w1", query)
    for query in ({"payment_id": "../keys/key-1"}, {"payment_id": "p1?x=1"}, {"payment_id": "p1\0"},
                  {"payment_id": ""}):
        try:
            assert shop.confirm("w1", query).status is PaymentStatus.PENDING
        except PaygateError as error:
            assert isinstance(error, (Forged, BadCommand))  # noqa: PT017 (either end is right)
    assert shop.row("w1").state is State.SENT
    assert shop.confirm("w2", paid).status is PaymentStatus.PAID
    assert shop.confirm("w2", paid).status is PaymentStatus.PAID  # The same return once more: the same payment.
    with pytest.raises(BadCommand, match="no payment was begun"):
        shop.confirm("w3", {"order_id": "w3", **paid})
    assert bench.pg.journal.taken("w1") == 0


@EVERYWHERE
@row("F61")
def test_f61_a_closed_window_is_pending_until_the_pg_says_otherwise(bench: Bench) -> None:
    shop = bench.shop()
    shop.pay(PAY)
    closed = bench.pg.payer("w1", "close")
    assert shop.confirm("w1", closed).status is PaymentStatus.PENDING
    assert shop.row("w1").state is State.SENT
    shop.pay(PAY)  # The window once more.
    paid = bench.pg.payer("w1")
    assert shop.confirm("w1", closed).status is PaymentStatus.PAID  # Even the old return finds the new payment.
    assert shop.confirm("w1", paid).provider_id == paid["payment_id"]
    shop.register(Register(order_id="k1", money=WON, title="plan", return_url="https://shop.example/done"))
    assert shop.confirm_key("k1", bench.pg.payer("k1", "close")) is None
    assert shop.confirm_key("k1", bench.pg.payer("k1")) is not None
    shop.pay(evolve(PAY, order_id="w2"))
    with pytest.raises(Declined):
        shop.confirm("w2", bench.pg.payer("w2", "decline"))
    shop.pay(evolve(PAY, order_id="w3"))
    for _ in range(12):
        shop.clock.advance(86_400)
        shop.reconcile()
    assert shop.row("w3").state is State.NOT_SENT  # An abandoned cart is nobody's work.
    assert shop.attention() == shop.pending() == []


@EVERYWHERE
@row("F62")
def test_f62_a_page_that_asks_for_another_amount_is_no_success_and_told_to_a_person(bench: Bench) -> None:
    shop = bench.shop()
    for id, amount in (("w1", 140), ("w2", 14_001)):
        shop.pay(evolve(PAY, order_id=id))
        bench.pg.windows[id] = {**bench.pg.windows[id], "amount": amount}
        query = bench.pg.payer(id)
        with pytest.raises(Forged, match=str(won(amount)).split()[0]):
            shop.confirm(id, query)
        with pytest.raises(OutcomeUnknown):
            shop.confirm(id, {})
        with pytest.raises(OutcomeUnknown):
            shop.find(id)
    assert {shop.row(id).state for id in ("w1", "w2")} == {State.UNKNOWN}
    assert [r.id for r in shop.attention()] == ["w1", "w2"]
