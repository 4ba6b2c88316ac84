"""Records older than what the PG has said or shown: none makes a no of a yes, and none has money moved again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from paygate_steppay import paygate_providers
from paygate_steppay.emulator import ManagedEmulator, UnmanagedEmulator

from paygate.assemble import connect
from paygate.commands import Cancel, CancelWhole, Pay
from paygate.errors import BadCommand, Declined, OutcomeUnknown, PaygateError
from paygate.gateway import Gateway
from paygate.ledger import MemoryLedger
from paygate.ledger.row import Ledger, State
from paygate.ledger.sqlite import SqliteLedger
from paygate.model import Event, EventKind, PaymentStatus
from paygate.money import Money
from paygate.subscriptions import Interval, Subscribe, SubscriptionStatus
from paygate.testing.emulator import Call
from paygate.testing.transport import EmulatorTransport
from paygate.wire import Response

SPECS = {spec.name: spec for spec in paygate_providers()}
BOTH = (ManagedEmulator, UnmanagedEmulator)
Bend = Callable[[Call, Response], Response]


class Bent(EmulatorTransport):
    """A way to the PG on which answers are changed."""

    bend: Bend | None = None

    def exchange(self, call: Call, request: Any) -> Response:
        came = super().exchange(call, request)
        return came if self.bend is None else self.bend(call, came)


class Shop:
    """A merchant, the emulated PG, and what lies between."""

    def __init__(self, kind: type[ManagedEmulator | UnmanagedEmulator], ledger: Ledger | None = None) -> None:
        self.pg = kind()
        self.wire = Bent(self.pg)
        self.gate: Gateway = connect(SPECS[kind.name], self.pg.settings(), ledger=ledger or MemoryLedger(),
                                     http=self.wire, clock=self.pg.clock)

    def command(self, order_id: str) -> Pay:
        story = self.pg.story()
        assert story.pay is not None
        return evolve(story.pay, order_id=order_id)

    def window(self, order_id: str = "order-1") -> Callable[[str], dict[str, str]]:
        """Show the payer a window; they do in it what they are asked to."""
        action = self.gate.pay(self.command(order_id)).action.to_dict()
        return lambda outcome: self.pg.browse(action, outcome)

    def moved(self, kind: str) -> int:
        return sum(m.money.amount for m in self.pg.journal.entries if m.kind == kind)


@pytest.fixture(params=BOTH, ids=lambda k: str(k.name))
def shop(request: pytest.FixtureRequest) -> Shop:
    return Shop(request.param)


def test_a_failed_attempt_that_is_still_shown_after_the_approval_ends_nothing() -> None:
    shop = Shop(ManagedEmulator)
    checkout = shop.gate.pay(shop.command("order-1"))
    shop.pg.browse(checkout.action.to_dict(), "decline")
    where = f"/api/v1/orders/{checkout.provider_id}"
    older = shop.pg.handle(Call("GET", where, {"secret-token": shop.pg.pg.token}))
    assert b"PAYMENT_FAILURE" in older.body
    shop.wire.bend = lambda call, came: older if call.path == where else came
    query = shop.pg.browse(checkout.action.to_dict(), "approve")
    assert query["status"] == "success"
    assert shop.gate.confirm("order-1", query).status is PaymentStatus.PENDING
    shop.wire.bend = None
    assert shop.gate.confirm("order-1", query).status is PaymentStatus.PAID
    assert shop.moved("charge") == 14_000


def test_a_browser_that_says_success_of_a_declined_payment_gets_no_goods_and_the_decline_is_told_in_the_end() -> None:
    shop = Shop(ManagedEmulator)
    checkout = shop.gate.pay(shop.command("order-1"))
    query = shop.pg.browse(checkout.action.to_dict(), "decline")
    lied = {**query, "status": "success"}
    assert shop.gate.confirm("order-1", lied).status is PaymentStatus.PENDING
    with pytest.raises(Declined):
        shop.gate.confirm("order-1", query)


def test_a_refund_that_the_pg_called_done_is_not_asked_for_again_though_nothing_shows_it(shop: Shop) -> None:
    shop.gate.confirm("order-1", shop.window()("approve"))
    older: dict[str, Response] = {}
    state = {"done": False, "spoilt": False}

    def bend(call: Call, came: Response) -> Response:
        if call.method != "GET":
            state["done"] |= call.path.endswith("/cancel")
            return came
        if not state["done"]:
            return older.setdefault(call.path, came)
        if not state["spoilt"]:
            state["spoilt"] = True
            return Response(200, {"content-type": "text/html"}, b"<html>")
        return older[call.path]

    command = Cancel(cancel_id="c-1", order_id="order-1", money=Money(4_000, "KRW"), reason="asked")
    shop.wire.bend = bend
    with pytest.raises(OutcomeUnknown):
        shop.gate.cancel(command)
    for seconds in (5, 35, 130, 60, 600, 4_000):
        shop.pg.clock.advance(seconds)
        shop.gate.reconcile()
        with pytest.raises(OutcomeUnknown):
            shop.gate.cancel(command)
    assert shop.moved("refund") == 4_000
    assert "said that it gave the money back" in str(shop.gate.attention()[0].attention)
    shop.wire.bend = None
    assert shop.gate.cancel(command).money == command.money
    assert (shop.moved("refund"), shop.gate.attention()) == (4_000, [])


@pytest.mark.parametrize("how", ["return", "webhook"])
def test_a_second_payment_of_an_order_keeps_its_only_handle_and_is_for_a_person(how: str) -> None:
    shop = Shop(UnmanagedEmulator)
    first, second = shop.window(), shop.window()
    assert shop.gate.confirm("order-1", first("approve")).status is PaymentStatus.PAID
    query = second("approve")
    if how == "return":
        with pytest.raises(OutcomeUnknown, match="paid twice") as caught:
            shop.gate.confirm("order-1", query)
        assert query["idKey"] in caught.value.next_step
    else:
        body = json.dumps({"webHookType": "PAYMENT", "orderId": "x", "idKey": query["idKey"]}).encode()
        event = shop.gate.receive({"content-type": "application/json"}, body)
        assert event.kind is EventKind.UNMATCHED
    kept = {row.id: row for row in shop.gate.attention()}
    assert kept["order-1"].attention == "the PG has a second payment under this order"
    assert kept[query["idKey"]].state is State.ANSWERED
    second = CancelWhole(cancel_id="c-1", order_id=query["idKey"], reason="paid twice")
    done = shop.gate.cancel_whole(second)
    assert (done.payment.provider_id, done.money) == (query["idKey"], Money(14_000, "KRW"))
    assert shop.gate.cancel_whole(second).payment.status is PaymentStatus.CANCELLED
    with pytest.raises(BadCommand, match="already"):
        shop.gate.cancel_whole(evolve(second, cancel_id="c-2"))
    assert (shop.moved("charge"), shop.moved("refund")) == (28_000, 14_000)
    assert shop.gate.find("order-1").status is PaymentStatus.PAID


def test_a_renewal_that_the_pg_made_is_given_back_by_the_pgs_own_id_in_parts() -> None:
    shop = Shop(ManagedEmulator)
    command = Subscribe(order_id="sub-1", money=Money(9_900, "KRW"), every=Interval("month"), title="plan",
                        return_url="https://shop.example/done", customer=shop.command("x").customer)
    assert shop.gate.confirm_subscription("sub-1", shop.pg.browse(shop.gate.subscribe(command).action.to_dict()))
    heard: list[Event] = []
    shop.pg.on_hook = lambda hook: heard.append(shop.gate.receive(hook.headers, hook.body))
    shop.pg.clock.advance(32 * 86_400)
    renewed = next(event.payment for event in heard if event.kind is EventKind.SUBSCRIPTION_RENEWED)
    assert renewed is not None
    assert renewed.provider_id is not None
    part = Cancel(cancel_id="c-1", order_id=renewed.provider_id, money=Money(4_000, "KRW"), reason="asked")
    assert shop.gate.cancel(part).payment.left == Money(5_900, "KRW")
    assert shop.gate.cancel(part).payment.left == Money(5_900, "KRW")
    rest = CancelWhole(cancel_id="c-2", order_id=renewed.provider_id, reason="asked")
    assert shop.gate.cancel_whole(rest).money == Money(5_900, "KRW")
    assert (shop.moved("charge"), shop.moved("refund")) == (19_800, 9_900)
    assert shop.gate.find("sub-1").cancelled.is_zero
    assert shop.gate.subscription("sub-1").status is SubscriptionStatus.ACTIVE


def test_a_decline_in_one_of_two_windows_does_not_end_the_order_that_was_paid_in_the_other() -> None:
    shop = Shop(UnmanagedEmulator)
    paid = shop.window()("approve")
    declined = shop.window()("decline")
    told = shop.gate.confirm("order-1", declined)
    assert (told.status, told.message) == (PaymentStatus.PENDING, declined["errorMessage"])
    assert shop.gate.confirm("order-1", paid).status is PaymentStatus.PAID
    assert (shop.moved("charge"), shop.gate.attention()) == (14_000, [])


def test_a_decline_in_the_only_window_is_told() -> None:
    shop = Shop(UnmanagedEmulator)
    with pytest.raises(Declined):
        shop.gate.confirm("order-1", shop.window()("decline"))


def test_a_subscription_that_was_paid_and_does_not_show_is_unknown_and_never_not_begun() -> None:
    shop = Shop(ManagedEmulator)
    command = Subscribe(order_id="sub-1", money=Money(9_900, "KRW"), every=Interval("month"), title="plan",
                        return_url="https://shop.example/done", customer=shop.command("x").customer)
    query = shop.pg.browse(shop.gate.subscribe(command).action.to_dict())

    def hide(call: Call, came: Response) -> Response:
        if call.method != "GET" or "/orders/" not in call.path:
            return came
        return Response(200, came.headers, json.dumps({**json.loads(came.body), "subscriptions": []}).encode())

    shop.wire.bend = hide
    with pytest.raises(OutcomeUnknown, match="never subscribe again"):
        shop.gate.confirm_subscription("sub-1", query)
    with pytest.raises(OutcomeUnknown, match="never subscribe again"):
        shop.gate.subscription("sub-1")
    shop.wire.bend = None
    assert shop.gate.confirm_subscription("sub-1", query) is not None


@pytest.mark.parametrize("status", [400, 403])
@pytest.mark.parametrize("kind", BOTH, ids=lambda k: str(k.name))
def test_a_credential_that_the_pg_quotes_is_written_down_and_told_nowhere(
        kind: type[ManagedEmulator | UnmanagedEmulator], status: int, tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path / "ledger.db")
    shop = Shop(kind, ledger)
    token = shop.pg.pg.token

    def quote(call: Call, came: Response) -> Response:
        if call.method == "GET":
            return came
        said = {"errorCode": "FORBIDDEN", "errorMessage": f"invalid Secret-Token {call.headers.get('secret-token')}"}
        return Response(status, {"content-type": "application/json"}, json.dumps(said).encode())

    if kind is ManagedEmulator:
        shop.wire.bend = quote
        with pytest.raises(PaygateError) as caught:
            shop.gate.pay(shop.command("order-1"))
    else:
        shop.gate.confirm("order-1", shop.window()("approve"))
        shop.wire.bend = quote
        with pytest.raises(PaygateError) as caught:
            shop.gate.cancel(Cancel(cancel_id="c-1", order_id="order-1", money=Money(1_000, "KRW"), reason="asked"))
    assert str(caught.value.message) == "invalid Secret-Token ***"
    shop.gate.close()
    ledger.close()
    assert all(token.encode() not in file.read_bytes() for file in tmp_path.iterdir())
