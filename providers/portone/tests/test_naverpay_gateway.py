"""The provider behind a gateway, against the emulator: what only shows when both work together."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from paygate_portone.emulator import PortOneEmulator

from paygate import Customer, Gateway, MemoryLedger, Money, Pay, PaymentStatus, Register, connect
from paygate.testing import EmulatorTransport

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
