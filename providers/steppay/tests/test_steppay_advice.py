"""What a merchant at StepPay is told to do, and that it can be done."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from paygate_steppay import paygate_providers
from paygate_steppay.emulator import ManagedEmulator, UnmanagedEmulator

from paygate.assemble import connect
from paygate.cli.group import group
from paygate.commands import CancelWhole, Customer, Pay, Register
from paygate.errors import BadCommand, OutcomeUnknown, Unsupported
from paygate.ledger import MemoryLedger
from paygate.money import Money
from paygate.testing.transport import EmulatorTransport

SPECS = {spec.name: spec for spec in paygate_providers()}


def lost_charge(ledger: Path) -> list[OutcomeUnknown]:
    """A charge whose answer is lost, asked for twice and then given back, where nothing is found by our id."""
    pg = UnmanagedEmulator()
    story = pg.story()
    doubts = []
    with connect(SPECS[pg.name], pg.settings(), ledger=ledger, http=EmulatorTransport(pg), clock=pg.clock) as gate:
        assert story.register is not None
        assert story.charge is not None
        checkout = gate.register(story.register)
        key = gate.confirm_key(checkout.order_id, pg.browse(checkout.action.to_dict()))
        assert key is not None
        pg.fault("drop_after", on="POST /api/payment/billing")
        for _ in range(2):
            with pytest.raises(OutcomeUnknown) as doubt:
                gate.charge(story.charge(key, "order-1"))
            doubts.append(doubt.value)
        with pytest.raises(OutcomeUnknown) as doubt:
            gate.cancel_whole(CancelWhole(cancel_id="c-1", order_id="order-1", reason="asked"))
        doubts.append(doubt.value)
        with pytest.raises(Unsupported):
            gate.find("order-1")
    return doubts


def test_a_doubt_that_no_look_up_can_end_says_to_wait_for_the_webhook(tmp_path: Path) -> None:
    for doubt in lost_charge(tmp_path / "books.db"):
        assert "find(" not in doubt.next_step
        for said in (doubt.next_step, str(doubt)):
            assert "wait for its webhook" in said
            assert "`paygate resolve`" in said
            assert "reconcile" not in said
            assert "never send it again" in said


def test_pending_and_trace_promise_no_look_up_that_cannot_be_made(tmp_path: Path,
                                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    lost_charge(tmp_path / "books.db")
    for name, value in {"PROVIDER": "steppay-unmanaged", "LEDGER": str(tmp_path / "books.db"),
                        "SETTINGS": json.dumps(UnmanagedEmulator().settings())}.items():
        monkeypatch.setenv(f"PAYGATE_{name}", value)
    pending, trace = (CliRunner().invoke(group, arguments) for arguments in (["pending"], ["trace", "order-1"]))
    assert (pending.exit_code, trace.exit_code) == (4, 4)
    assert "webhook" in pending.output
    assert "looks again" not in pending.output + trace.output
    assert "charge order-1: unknown; this PG finds nothing by our id: its webhook settles it" in trace.output


@pytest.mark.parametrize(("kind", "otherwise"), [(Register, "customerId in extra"),
                                                 (Pay, "customerId in extra, or customer_id in the settings")])
def test_a_nameless_payer_is_refused_with_what_would_help(kind: type[Pay | Register], otherwise: str) -> None:
    pg = ManagedEmulator()
    command = kind(order_id="order-1", money=Money(14_000, "KRW"), title="Tea", return_url="https://shop.example/back",
                   customer=Customer(phone="010-1234-5678"))
    with connect(SPECS[pg.name], pg.settings(), ledger=MemoryLedger(), http=EmulatorTransport(pg)) as gate, \
            pytest.raises(BadCommand) as refused:
        gate.pay(command) if isinstance(command, Pay) else gate.register(command)
    assert str(refused.value) == f"customer.name and .email are needed, or {otherwise}; nothing was sent"


def test_a_refund_that_ends_a_subscription_is_refused_with_the_words_to_copy() -> None:
    pg = ManagedEmulator()
    begin = pg.story().subscribe
    assert begin is not None
    with connect(SPECS[pg.name], pg.settings(), ledger=MemoryLedger(), http=EmulatorTransport(pg),
                 clock=pg.clock) as gate:
        checkout = gate.subscribe(begin)
        gate.confirm_subscription(checkout.order_id, pg.browse(checkout.action.to_dict()))
        whole = CancelWhole(cancel_id="back-1", order_id=checkout.order_id, reason="changed my mind")
        with pytest.raises(BadCommand) as refused:
            gate.cancel_whole(whole)
        words = str(refused.value).partition("say so with extra=")[2].partition(" under a new cancel_id;")[0]
        gate.cancel_whole(CancelWhole(cancel_id="back-2", order_id=checkout.order_id, reason="changed my mind",
                                      extra={"steppay-managed": {"ends_subscription": True}}))
    assert words == '{"steppay-managed": {"ends_subscription": True}}'
