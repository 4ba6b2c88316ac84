"""Saved means of payment of a managed account: a key is bound to the order whose window saved it, or to none."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from paygate_steppay import paygate_providers
from paygate_steppay.emulator import ManagedEmulator

from paygate.assemble import connect
from paygate.commands import Customer, DeleteKey, Register
from paygate.errors import BadCommand, NotSent, OutcomeUnknown, PaygateError
from paygate.gateway import Gateway
from paygate.ledger import MemoryLedger
from paygate.ledger.row import Book, LedgerError, Note, Row, State
from paygate.model import BillingKey, Checkout
from paygate.money import Money
from paygate.subscriptions import ChangeMethod, Interval, Subscribe
from paygate.testing.emulator import Call
from paygate.testing.transport import EmulatorTransport
from paygate.wire import Response

SPEC = next(s for s in paygate_providers() if s.name == "steppay-managed")
OTHER = Customer(name="Lee", email="lee@example.com")


class Shop:
    """A merchant, one payer, and the PG."""

    def __init__(self, ledger: Any = None, **settings: Any) -> None:
        self.pg = ManagedEmulator()
        self.settings = {**self.pg.settings(), **settings}
        self.ledger = ledger or MemoryLedger()
        self.gate = self.connect()

    def connect(self) -> Gateway:
        return connect(SPEC, self.settings, ledger=self.ledger, http=EmulatorTransport(self.pg), clock=self.pg.clock)

    def command(self, order_id: str, **changes: Any) -> Register:
        asked = self.pg.story().register
        assert asked is not None
        return evolve(asked, order_id=order_id, **changes)

    def window(self, order_id: str, **changes: Any) -> Checkout:
        return self.gate.register(self.command(order_id, **changes))

    def save(self, checkout: Checkout, outcome: str = "approve") -> str:
        """The payer saves a card in a window; returns the key that really came of it."""
        before = set(self.saved())
        self.pg.browse(checkout.action.to_dict(), outcome)
        return next(iter(set(self.saved()) - before), "")

    def saved(self) -> list[str]:
        return [k["key"].replace("/", ":") for k in self.pg.controls()["keys"]()]

    def key(self, order_id: str) -> str | None:
        key = self.gate.confirm_key(order_id, {})
        return None if key is None else key.reveal()


@pytest.fixture
def shop() -> Shop:
    return Shop()


def customer_shows(pg: ManagedEmulator, change: Callable[[dict[str, Any]], Any]) -> None:
    """Let the PG change what it tells of a customer."""
    answer = pg.answer

    def told(call: Call) -> Response:
        said = answer(call)
        if call.method == "GET" and call.path.startswith("/api/v1/customers/") and said.status == 200:
            record = json.loads(said.body)
            change(record)
            return evolve(said, body=json.dumps(record).encode())
        return said

    pg.answer = told  # type: ignore[method-assign]


def test_each_registration_yields_the_card_that_its_own_window_saved(shop: Shop) -> None:
    for number in range(3):
        real = shop.save(shop.window(f"reg-{number}"))
        assert shop.key(f"reg-{number}") == real


def test_a_key_once_told_stays_the_key_of_its_order_whatever_is_saved_later(shop: Shop) -> None:
    first = shop.save(shop.window("reg-1"))
    assert shop.key("reg-1") == first
    shop.save(shop.window("reg-2"))
    assert shop.key("reg-1") == first
    assert shop.connect().confirm_key("reg-1", {}) is not None


def test_two_cards_saved_in_two_windows_at_once_are_bound_to_no_order(shop: Shop) -> None:
    one, two = shop.window("reg-1"), shop.window("reg-2")
    shop.save(two)
    assert shop.key("reg-1") is None  # Its own window is still open.
    shop.save(one)
    for order_id in ("reg-1", "reg-2"):
        with pytest.raises(OutcomeUnknown, match="another means of payment as well") as caught:
            shop.key(order_id)
        assert "register again under a new order_id" in caught.value.next_step
    real = shop.save(shop.window("reg-3"))
    assert shop.key("reg-3") == real


def test_the_first_of_two_windows_is_told_while_the_other_is_still_open_and_the_other_is_not_guessed(
        shop: Shop) -> None:
    one = shop.window("reg-1")
    two = shop.window("reg-2")
    real = shop.save(one)
    assert shop.key("reg-1") == real
    shop.save(two)
    with pytest.raises(OutcomeUnknown):
        shop.key("reg-2")
    assert shop.key("reg-1") == real


@pytest.mark.parametrize("newest_only", [False, True])
def test_a_card_of_another_window_that_shows_first_is_not_taken_for_ours(shop: Shop, newest_only: bool) -> None:
    """Both windows are finished, and the PG shows only one of the cards yet."""
    one, two = shop.window("reg-1"), shop.window("reg-2")
    shop.save(two)
    shop.save(one)
    customer_shows(shop.pg, lambda c: c["paymentMethods"].pop(0 if newest_only else -1))
    for order_id in ("reg-1", "reg-2"):
        with pytest.raises(OutcomeUnknown):
            shop.key(order_id)


def test_a_card_saved_by_a_subscription_or_a_change_of_means_meanwhile_is_not_taken_for_ours(shop: Shop) -> None:
    subscribe = Subscribe(order_id="sub-1", money=Money(9_900, "KRW"), every=Interval("month"), title="plan",
                          return_url="https://shop.example/done", customer=shop.command("x").customer)
    first, window = shop.window("reg-1"), shop.gate.subscribe(subscribe)
    shop.save(window)
    shop.save(first)
    customer_shows(shop.pg, lambda c: c["paymentMethods"].pop())
    with pytest.raises(OutcomeUnknown):
        shop.key("reg-1")
    second = shop.window("reg-2")
    shop.save(shop.gate.change_method(ChangeMethod(order_id="sub-1", return_url="https://shop.example/done")))
    shop.save(second)
    with pytest.raises(OutcomeUnknown):
        shop.key("reg-2")


def test_a_card_that_was_saved_without_any_order_leaves_a_doubt_as_well(shop: Shop) -> None:
    shop.save(shop.window("reg-1"))
    (customer,) = shop.pg.pg.customers
    shop.pg.controls()["issue_key"](key=str(customer))  # In the portal, say.
    with pytest.raises(OutcomeUnknown):
        shop.key("reg-1")


def test_a_window_that_is_finished_while_another_is_prepared_does_not_disturb_that_one(shop: Shop) -> None:
    one = shop.window("reg-1")
    answer, finished = shop.pg.answer, []

    def meanwhile(call: Call) -> Response:
        if call.path == f"/api/v1/orders/{shop.pg.controls()['orders']()[0]['orderId']}" and not finished:
            finished.append(True)  # Between the look at the customer and the look at that customer's other order.
            shop.save(one)
        return answer(call)

    shop.pg.answer = meanwhile  # type: ignore[method-assign]
    real = shop.save(shop.window("reg-2"))
    assert finished
    assert shop.key("reg-2") == real


def test_a_key_of_another_registration_is_never_told_twice(shop: Shop) -> None:
    real = shop.save(shop.window("reg-1"))
    assert shop.key("reg-1") == real
    one = shop.window("reg-2")
    shop.save(one)
    # The PG forgets that the card was there before, and lags with the new one.
    note = shop.ledger.get("steppay-managed/test", Book.EVENT, f"window:{one.provider_id}")
    assert note is not None
    customer, _, finished = (note.result or "").split(":")
    shop.ledger.change(evolve(note, result=f"{customer}::{finished}"),
                       Note(text="a note that knows of no card", at=1.0, by="host:1"))
    customer_shows(shop.pg, lambda c: c["paymentMethods"].pop())
    for _ in range(2):
        with pytest.raises(OutcomeUnknown, match="that of order reg-1"):
            shop.key("reg-2")
    assert shop.key("reg-1") == real


def test_a_key_is_not_told_while_the_ledger_cannot_say_whose_it_is(shop: Shop) -> None:
    real = shop.save(shop.window("reg-1"))
    of_key = shop.ledger.of_key

    def broken(*_: Any) -> list[Row]:
        raise LedgerError("full")

    shop.ledger.of_key = broken
    with pytest.raises(OutcomeUnknown, match="confirm again later"):
        shop.key("reg-1")
    shop.ledger.of_key = of_key
    assert shop.key("reg-1") == real


def test_a_card_that_does_not_show_yet_is_not_told_and_shows_later(shop: Shop) -> None:
    shop.save(shop.window("reg-0"))
    real = shop.save(shop.window("reg-1"))
    shows = [False]
    customer_shows(shop.pg, lambda c: None if shows[0] else c["paymentMethods"].pop())
    with pytest.raises(OutcomeUnknown, match="does not tell the billing key"):
        shop.key("reg-1")
    shows[0] = True
    assert shop.key("reg-1") == real


def test_a_window_shown_again_keeps_what_was_noted_before_it_was_first_shown(shop: Shop) -> None:
    first = shop.window("reg-1")
    elsewhere = shop.window("reg-2")
    shop.save(elsewhere)
    again = shop.window("reg-1")
    assert again.action == first.action
    shop.save(again)
    with pytest.raises(OutcomeUnknown):  # The second card was not there when the window was first shown.
        shop.key("reg-1")
    with pytest.raises(PaygateError):
        shop.window("reg-1")  # Saved already: no window is shown again.


def test_what_was_noted_survives_the_process(tmp_path: Path) -> None:
    shop = Shop(str(tmp_path / "ledger.sqlite"))
    shop.save(shop.window("reg-0"))
    shop.key("reg-0")
    real = shop.save(shop.window("reg-1"))
    shop.gate.close()
    shop.gate = shop.connect()
    assert shop.key("reg-1") == real
    shop.gate.close()


def test_the_note_is_not_shown_to_the_merchant_and_holds_no_key(tmp_path: Path) -> None:
    shop = Shop(str(tmp_path / "ledger.sqlite"))
    real = shop.save(shop.window("reg-0"))
    assert shop.key("reg-0") == real
    assert shop.window("reg-1").note is None
    shop.gate.close()
    held = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert b"window:order_" in held
    assert real.encode() not in held


def test_a_card_that_was_deleted_is_not_replaced_by_another(shop: Shop) -> None:
    real = shop.save(shop.window("reg-1"))
    assert shop.key("reg-1") == real
    shop.save(shop.window("reg-2"))
    shop.gate.delete_key(DeleteKey(billing_key=BillingKey("steppay-managed", real), reason="left"))
    with pytest.raises(OutcomeUnknown):
        shop.key("reg-1")


def test_a_card_is_never_saved_with_a_customer_that_payers_share() -> None:
    shop = Shop(customer_id=242_001)
    with pytest.raises(BadCommand, match="customerId"):
        shop.gate.register(shop.command("reg-1", customer=Customer()))
    assert shop.pg.calls == []


@pytest.mark.parametrize("fault", ["drop_after", "error_500_after", "html_after", "truncate_after", "drop_before"])
@pytest.mark.parametrize("on", ["POST .*/payment-method", "GET /api/v1/customers/"])
def test_a_window_whose_order_or_note_was_lost_is_shown_to_nobody_and_asked_for_anew(
        shop: Shop, fault: str, on: str) -> None:
    shop.pg.fault(fault, on=on, times=9)
    with pytest.raises(NotSent):
        shop.window("reg-1")
    shop.pg.faults.clear()
    real = shop.save(shop.window("reg-1"))
    assert shop.key("reg-1") == real


def test_a_payer_who_only_closed_the_window_has_no_key(shop: Shop) -> None:
    shop.save(shop.window("reg-0"))
    shop.save(shop.window("reg-1"), "close")
    assert shop.key("reg-1") is None
    (row,) = [r for r in shop.gate.pending() if r.id == "reg-1"]
    assert row.state is State.SENT


def test_another_payers_card_is_not_this_payers(shop: Shop) -> None:
    one, two = shop.window("reg-1"), shop.window("reg-2", customer=OTHER)
    real = shop.save(two)
    mine = shop.save(one)
    assert (shop.key("reg-1"), shop.key("reg-2")) == (mine, real)
