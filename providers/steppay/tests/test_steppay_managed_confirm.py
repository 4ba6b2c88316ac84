"""What a managed order must show before it is paid, and before money goes back: through a gateway, against lies."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from attrs import evolve
from paygate_steppay import orders, paygate_providers
from paygate_steppay.emulator import ManagedEmulator

from paygate.assemble import connect
from paygate.codec import Unreadable, read_json
from paygate.commands import Cancel, CancelWhole
from paygate.errors import BadCommand, Declined, Forged, NotSent, OutcomeUnknown, PaygateError
from paygate.ledger import MemoryLedger
from paygate.ledger.row import Book, State
from paygate.model import PaymentStatus
from paygate.money import Money
from paygate.subscriptions import SubscriptionStatus
from paygate.testing.emulator import Call
from paygate.testing.transport import EmulatorTransport
from paygate.wire import Response

SPEC = next(s for s in paygate_providers() if s.name == "steppay-managed")
ENDS = {"steppay-managed": {"ends_subscription": True}}
Order = dict[str, Any]


class Shop:
    """A merchant and a PG that tells of orders what a test makes of them."""

    def __init__(self) -> None:
        self.pg = ManagedEmulator()
        self.ledger = MemoryLedger()
        self.gate = connect(SPEC, self.pg.settings(), ledger=self.ledger, http=EmulatorTransport(self.pg),
                            clock=self.pg.clock)
        self.lie: Callable[[Order], Any] | None = None
        answer = self.pg.answer

        def told(call: Call) -> Response:
            said = answer(call)
            if self.lie is None or not call.path.startswith("/api/v1/orders") or said.status > 299:
                return said
            return evolve(said, body=json.dumps(self.lie(json.loads(said.body))).encode())

        self.pg.answer = told  # type: ignore[method-assign]

    def pay(self, order_id: str, outcome: str = "approve") -> dict[str, str]:
        asked = self.pg.story().pay
        assert asked is not None
        window = self.gate.pay(evolve(asked, order_id=order_id))
        return self.pg.browse(window.action.to_dict(), outcome)

    def subscribe(self, outcome: str = "approve") -> dict[str, str]:
        asked = self.pg.story().subscribe
        assert asked is not None
        window = self.gate.subscribe(evolve(asked, order_id="sub-1"))
        return self.pg.browse(window.action.to_dict(), outcome)

    def register(self, outcome: str = "approve") -> dict[str, str]:
        asked = self.pg.story().register
        assert asked is not None
        window = self.gate.register(evolve(asked, order_id="reg-1"))
        return self.pg.browse(window.action.to_dict(), outcome)

    def state(self, order_id: str) -> State:
        row = self.ledger.get("steppay-managed/test", Book.PAYMENT, order_id)
        assert row is not None
        return row.state

    def moved(self, kind: str) -> int:
        return sum(m.money.amount for m in self.pg.journal.entries if m.kind == kind)


@pytest.fixture
def shop() -> Shop:
    return Shop()


# Returns

SUCCESS = {"status": "success", "paygate_outcome": "success"}


@pytest.mark.parametrize("outcome", ["close", "decline"])
@pytest.mark.parametrize("begin", ["pay", "subscribe", "register"])
def test_a_success_that_the_pg_does_not_confirm_confirms_nothing(shop: Shop, outcome: str, begin: str) -> None:
    order_id = {"pay": "order-1", "subscribe": "sub-1", "register": "reg-1"}[begin]
    query = shop.pay(order_id, outcome) if begin == "pay" else getattr(shop, begin)(outcome)
    code = shop.pg.controls()["orders"]()[-1]["orderCode"]
    confirm = {"pay": shop.gate.confirm, "subscribe": shop.gate.confirm_subscription,
               "register": shop.gate.confirm_key}[begin]
    for forged in ({**query, **SUCCESS}, {"order_code": code, **SUCCESS}, SUCCESS,
                   {"order_code": code, "order_id": "1", "status": "success"}):
        try:
            result = confirm(order_id, forged)
            assert result is None or getattr(result, "status", None) is PaymentStatus.PENDING
        except Declined:
            assert outcome == "decline"
    assert shop.state(order_id) in (State.SENT, State.REFUSED)
    assert shop.moved("charge") == 0


def test_a_success_of_another_order_is_forged_whichever_way_it_names_it(shop: Shop) -> None:
    paid = shop.pay("order-1")
    shop.pay("order-2", "close")
    number = shop.pg.controls()["orders"]()[0]["orderId"]
    for query in (paid, {"order_code": paid["order_code"]}, {"order_code": str(number), **SUCCESS},
                  {**paid, "order_id": "999"}):
        with pytest.raises(Forged):
            shop.gate.confirm("order-2", query)
    unheard_of = {"order_code": "order_unheard1", **SUCCESS}
    assert shop.gate.confirm("order-2", unheard_of).status is PaymentStatus.PENDING
    assert shop.state("order-2") is State.SENT
    assert shop.gate.confirm("order-1", paid).status is PaymentStatus.PAID


def test_a_replayed_success_changes_nothing(shop: Shop) -> None:
    paid = shop.pay("order-1")
    first = shop.gate.confirm("order-1", paid)
    shop.gate.cancel_whole(CancelWhole(cancel_id="c-1", order_id="order-1", reason="asked"))
    again = shop.gate.confirm("order-1", paid)
    assert (first.status, again.status) == (PaymentStatus.PAID, PaymentStatus.CANCELLED)
    assert (shop.moved("charge"), shop.moved("refund")) == (14_000, 14_000)


# What an order must show

UNPAID: dict[str, Any] = {
    "no time of payment": {"paymentDate": None},
    "the time as the text null": {"paymentDate": "null"},
    "the time as the text undefined": {"paymentDate": "undefined"},
    "an empty time": {"paymentDate": ""},
    "a time that is none": {"paymentDate": "2026-13-01T00:00:00"},
    "a time that is a number": {"paymentDate": 1767225600},
    "a time that is true": {"paymentDate": True},
    "no items": {"items": []},
    "items that are missing": {"items": None},
    "nothing paid": {"paidAmount": 0, "leftAmount": 0},
    "less paid": {"paidAmount": 1400, "leftAmount": 1400},
    "more paid": {"paidAmount": 140_000, "leftAmount": 140_000},
    "an amount as text that is none": {"paidAmount": "14,000"},
    "a negative amount": {"paidAmount": -14_000, "leftAmount": -14_000},
    "amounts that do not add up": {"leftAmount": 13_999},
    "another currency": {"currency": "USD"},
    "another code": {"orderCode": "order_AnotherOne"},
    "another type": {"type": "SOMETHING_NEW"},
    "only a means of payment": {"type": "PAYMENT_METHOD"},
}


@pytest.mark.parametrize("what", UNPAID)
def test_an_order_that_does_not_show_a_payment_of_ours_is_not_paid(shop: Shop, what: str) -> None:
    query = shop.pay("order-1")
    shop.lie = lambda order: {**order, **UNPAID[what]}
    for answer in (query, {}, {**query, **SUCCESS}):
        try:
            assert shop.gate.confirm("order-1", answer).status is PaymentStatus.PENDING
        except (OutcomeUnknown, Forged):
            pass
    assert shop.state("order-1") is not State.ANSWERED
    with pytest.raises(PaygateError):
        shop.gate.cancel(Cancel(cancel_id="c-1", order_id="order-1", money=Money(4_000, "KRW"), reason="asked"))
    assert shop.moved("refund") == 0
    shop.lie = None  # The truth comes out: what was paid is never lost.
    shop.pg.clock.advance(400)
    shop.gate.reconcile()
    assert shop.gate.find("order-1").status is PaymentStatus.PAID


def test_items_of_two_currencies_are_not_added_up(shop: Shop) -> None:
    shop.pay("order-1")
    (made,) = shop.pg.controls()["orders"]()
    order = read_json(json.dumps(made).encode())
    assert orders.read(order, 0, 0).currency == "KRW"
    for change in ({"currency": "USD"}, {"items": [*order["items"], {**order["items"][0], "currency": "USD"}]}):
        with pytest.raises(Unreadable, match="currencies"):
            orders.read({**order, **change}, 0, 0)


@pytest.mark.parametrize("word", [
    "RETURN_REJECT", "ORDER_DELIVERY_", "FINISHED", "FINISHED_BADLY", "EXCHANGE_SOMETHING", "paid", "Paid", " PAID",
    "PAID_PARTIALLY", "CANCELLATION", "", None, 1, True, ["PAID"], {"PAID": 1}])
def test_an_item_status_that_nobody_has_published_is_not_paid(shop: Shop, word: Any) -> None:
    query = shop.pay("order-1")
    shop.lie = lambda order: {**order, "items": [{**i, "status": word} for i in order["items"]]}
    with pytest.raises(OutcomeUnknown):
        shop.gate.confirm("order-1", query)
    assert shop.state("order-1") is State.SENT


@pytest.mark.parametrize("word", ["CREATED", "DEPOSIT_WAITING"])
def test_an_item_that_waits_makes_the_whole_order_wait(shop: Shop, word: str) -> None:
    query = shop.pay("order-1")
    shop.lie = lambda order: {**order, "items": [
        *order["items"], {**order["items"][0], "type": "SHIPPING", "status": word}]}
    assert shop.gate.confirm("order-1", query).status is PaymentStatus.PENDING


@pytest.mark.parametrize("word", ["CANCELLATION_REFUNDING", "RETURN_REFUNDING"])
def test_while_a_refund_is_under_way_nobody_says_what_is_left_and_none_is_asked_for(shop: Shop, word: str) -> None:
    query = shop.pay("order-1")
    assert shop.gate.confirm("order-1", query).status is PaymentStatus.PAID
    shop.lie = lambda order: {**order, "items": [{**i, "status": word} for i in order["items"]]}
    with pytest.raises(NotSent):
        shop.gate.cancel(Cancel(cancel_id="c-1", order_id="order-1", money=Money(4_000, "KRW"), reason="asked"))
    assert shop.moved("refund") == 0


@pytest.mark.parametrize("change", [
    {"customer": {"id": 1}}, {"customer": None}, {"type": "RECURRING_INITIAL"}, {"paymentDate": "2026-01-05T03:00:00"},
    {"items": []}, {"orderCode": ""}, {"orderCode": "../../x"}, {"orderId": None}])
def test_an_order_that_is_not_the_one_asked_for_is_shown_to_nobody(shop: Shop, change: Order) -> None:
    shop.lie = lambda order: {**order, **change}
    with pytest.raises(NotSent):
        shop.pay("order-1")
    shop.lie = lambda order: {**order, "items": [*order["items"], {**order["items"][0], "type": "FEE"}]}
    with pytest.raises(NotSent):
        shop.pay("order-1")
    shop.lie = None
    assert shop.gate.confirm("order-1", shop.pay("order-1")).status is PaymentStatus.PAID
    assert shop.moved("charge") == 14_000


# Giving back the first order of a subscription

def refund(order_id: str = "sub-1", **more: Any) -> Cancel:
    return Cancel(cancel_id="c-1", order_id=order_id, money=Money(4_000, "KRW"), reason="asked", **more)


def test_giving_back_a_first_order_must_be_said_to_end_its_subscription_even_before_that_shows(shop: Shop) -> None:
    query = shop.subscribe()
    shop.lie = lambda order: {**order, "subscriptions": []}
    with pytest.raises(OutcomeUnknown):  # Paid, and not begun yet as far as the PG tells.
        shop.gate.confirm_subscription("sub-1", query)
    with pytest.raises(BadCommand, match="ends the subscription"):
        shop.gate.cancel(refund())
    with pytest.raises(BadCommand, match="ends the subscription"):
        shop.gate.cancel_whole(CancelWhole(cancel_id="c-2", order_id="sub-1", reason="asked"))
    assert shop.moved("refund") == 0
    said = evolve(refund(extra=ENDS), cancel_id="c-3")
    assert shop.gate.cancel(said).payment.left == Money(5_900, "KRW")


@pytest.mark.parametrize(("word", "must"), [
    ("ACTIVE", True), ("PAUSE", True), ("PENDING_CANCEL", True), ("INCOMPLETE", True), ("SOMETHING_NEW", True),
    (None, True), ("CANCELED", False), ("EXPIRED", False)])
def test_only_a_subscription_that_is_over_ends_without_a_word(shop: Shop, word: str | None, must: bool) -> None:
    shop.gate.confirm_subscription("sub-1", shop.subscribe())
    shop.lie = lambda order: {**order, "subscriptions": [{**s, "status": word} for s in order["subscriptions"]]}
    if must:
        with pytest.raises(BadCommand, match="ends the subscription"):
            shop.gate.cancel(refund())
    else:
        assert shop.gate.cancel(refund()).payment.left == Money(5_900, "KRW")
    assert shop.moved("refund") == (0 if must else 4_000)


def test_a_one_off_order_ends_nothing(shop: Shop) -> None:
    shop.gate.confirm("order-1", shop.pay("order-1"))
    assert shop.gate.cancel(refund("order-1")).payment.left == Money(10_000, "KRW")
    with pytest.raises(PaygateError):
        shop.gate.subscription("order-1")


def test_a_subscription_that_began_late_is_found_when_it_shows(shop: Shop) -> None:
    query = shop.subscribe()
    shop.lie = lambda order: {**order, "subscriptions": []}
    with pytest.raises(OutcomeUnknown, match="does not show its subscription yet"):
        shop.gate.confirm_subscription("sub-1", query)
    shop.lie = None
    begun = shop.gate.confirm_subscription("sub-1", query)
    assert begun is not None
    assert begun.status is SubscriptionStatus.ACTIVE
