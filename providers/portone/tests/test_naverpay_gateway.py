"""The provider behind a gateway, against the emulator: what only shows when both work together."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from attrs import evolve
from paygate_portone.emulator import PortOneEmulator

from paygate import (
    Cancel,
    Customer,
    Forged,
    Gateway,
    MemoryLedger,
    Money,
    OutcomeUnknown,
    Pay,
    PaymentStatus,
    Register,
    Response,
    State,
    connect,
)
from paygate.testing import EmulatorTransport
from paygate.testing.emulator import Call

PAYER = Customer(name="Hong", phone="010-0000-0000")
PAY = Pay(order_id="order-1", money=Money(14_000, "KRW"), title="book", return_url="https://shop.test/back",
          customer=PAYER)
REGISTER = Register(order_id="order-2", money=Money(14_000, "KRW"), title="plan", return_url="https://shop.test/back",
                    customer=PAYER)


@pytest.fixture
def pg() -> PortOneEmulator:
    return PortOneEmulator()


@pytest.fixture
def gate(pg: PortOneEmulator) -> Iterator[Gateway]:
    with connect("portone-naverpay", pg.settings(), ledger=MemoryLedger(), http=EmulatorTransport(pg),
                 clock=pg.clock) as gate:
        yield gate


def test_a_payer_who_closes_one_window_and_pays_in_the_next_has_paid(gate: Gateway, pg: PortOneEmulator) -> None:
    closed = pg.browse(gate.pay(PAY).action.to_dict(), "close")
    assert gate.confirm("order-1", closed).status is PaymentStatus.PENDING

    paid = pg.browse(gate.pay(PAY).action.to_dict(), "approve")

    assert gate.confirm("order-1", paid).status is PaymentStatus.PAID
    assert pg.journal.charges("order-1") == 1


def test_a_payer_who_closes_one_window_and_registers_in_the_next_has_a_key(gate: Gateway, pg: PortOneEmulator) -> None:
    closed = pg.browse(gate.register(REGISTER).action.to_dict(), "close")
    assert gate.confirm_key("order-2", closed) is None

    done = pg.browse(gate.register(REGISTER).action.to_dict(), "approve")

    key = gate.confirm_key("order-2", done)
    assert key is not None
    assert gate.lookup_key(key).billing_key == key


def test_a_browser_that_never_came_back_is_made_up_for_by_just_looking(gate: Gateway, pg: PortOneEmulator) -> None:
    pg.browse(gate.pay(PAY).action.to_dict(), "approve")
    pg.browse(gate.register(REGISTER).action.to_dict(), "approve")

    assert gate.confirm("order-1", {}).status is PaymentStatus.PAID
    assert gate.confirm_key("order-2", {}) is not None


def as_if_live(pg: PortOneEmulator) -> None:
    """From now on every record says that it is from a live channel."""
    truly = pg.answer

    def answer(call: Call) -> Response:
        said = truly(call)
        return evolve(said, body=said.body.replace(b'"sandbox": true', b'"sandbox": false'))
    pg.answer = answer  # type: ignore[method-assign]


def test_a_payment_of_the_other_mode_is_for_a_person_at_once_and_never_a_success(gate: Gateway,
                                                                                 pg: PortOneEmulator) -> None:
    paid = pg.browse(gate.pay(PAY).action.to_dict(), "approve")
    as_if_live(pg)

    with pytest.raises(Forged, match="test and live"):
        gate.confirm("order-1", paid)
    assert [(row.id, row.state) for row in gate.attention()] == [("order-1", State.SENT)]
    with pytest.raises(OutcomeUnknown, match="test and live"):
        gate.find("order-1")
    with pytest.raises(OutcomeUnknown, match="test and live"):
        gate.lookup(paid["imp_uid"])
    hook = json.dumps({"imp_uid": paid["imp_uid"], "merchant_uid": "order-1", "status": "paid"}).encode()
    with pytest.raises(Forged, match="test and live"):
        gate.receive({"content-type": "application/json"}, hook)
    assert gate.pending()[0].state is State.SENT


def test_a_billing_key_of_the_other_mode_is_for_a_person_at_once_and_never_handed_out(gate: Gateway,
                                                                                      pg: PortOneEmulator) -> None:
    done = pg.browse(gate.register(REGISTER).action.to_dict(), "approve")
    key = gate.confirm_key("order-2", done)
    assert key is not None
    as_if_live(pg)

    with pytest.raises(OutcomeUnknown, match="test and live"):
        gate.lookup_key(key)
    with pytest.raises(Forged):
        gate.confirm_key("order-2", done)
    assert [row.id for row in gate.attention()] == ["order-2"]


def test_what_a_restored_ledger_has_forgotten_is_found_by_listing(gate: Gateway, pg: PortOneEmulator) -> None:
    began = pg.clock.now()
    with connect("portone-naverpay", pg.settings(), ledger=MemoryLedger(), http=EmulatorTransport(pg),
                 clock=pg.clock) as lost:
        for order_id in ("order-8", "order-9"):
            pg.browse(lost.pay(evolve(PAY, order_id=order_id)).action.to_dict(), "approve")
        back = Cancel(cancel_id="back-9", order_id="order-9", money=Money(4_000, "KRW"), reason="too large")
        assert lost.cancel(back).payment.status is PaymentStatus.PARTLY_CANCELLED
    paid = pg.browse(gate.pay(PAY).action.to_dict(), "approve")
    assert gate.confirm("order-1", paid).status is PaymentStatus.PAID
    pg.clock.advance(86_400)

    report = gate.reconcile(since=began)

    assert (report.listed, len(report.orphans), report.failed) == (3, 2, {})
    assert {row.order_id for row in gate.attention()} == {"order-8", "order-9"}
    with pytest.raises(OutcomeUnknown, match="knows nothing of"):
        gate.cancel(back)
    assert pg.journal.given_back("order-9") == 4_000
