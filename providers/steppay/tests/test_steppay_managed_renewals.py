"""Renewals by hand of a managed subscription: one at a time, believed only for what they are, told once."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from attrs import evolve
from paygate_steppay import paygate_providers
from paygate_steppay.emulator import ManagedEmulator

from paygate.assemble import connect
from paygate.errors import BadCommand, Declined, InProgress, OutcomeUnknown, PaygateError
from paygate.gateway import Gateway
from paygate.ledger import MemoryLedger
from paygate.ledger.row import Book, LedgerError, Note, Row, State
from paygate.model import Checkout, Event, EventKind, Payment, PaymentStatus
from paygate.money import Money
from paygate.subscriptions import ChangeMethod, Interval, Renew, SubscriptionStatus
from paygate.testing.emulator import Call, FaultKind
from paygate.testing.transport import EmulatorTransport
from paygate.web import Inbox
from paygate.wire import Response

SPEC = next(s for s in paygate_providers() if s.name == "steppay-managed")
FEE = Money(9_900, "KRW")
MONTH = 31 * 86_400


class Overtaken(MemoryLedger):
    """A ledger in which something else happens just before one row is opened."""

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile: dict[str, Callable[[], Any]] = {}

    def open(self, rows: Sequence[Row], note: Note) -> list[tuple[Row, bool]]:
        if (happens := self.meanwhile.pop(rows[0].id, None)) is not None:
            happens()
        return super().open(rows, note)


class Shop:
    """A merchant with one subscription, and the PG."""

    def __init__(self) -> None:
        self.pg = ManagedEmulator()
        self.ledger = Overtaken()
        self.gate = self.worker()
        self.heard: list[Event] = []
        self.heard_from = 0
        self.subscribe("sub-1")
        self.first = self.taken()

    def worker(self) -> Gateway:
        return connect(SPEC, self.pg.settings(), ledger=self.ledger, http=EmulatorTransport(self.pg),
                       clock=self.pg.clock)

    def window(self, order_id: str) -> Checkout:
        story = self.pg.story().subscribe
        assert story is not None
        return self.gate.subscribe(evolve(story, order_id=order_id, money=FEE, every=Interval("month")))

    def subscribe(self, order_id: str) -> None:
        window = self.window(order_id)
        begun = self.gate.confirm_subscription(order_id, self.pg.browse(window.action.to_dict()))
        assert begun is not None
        assert begun.status is SubscriptionStatus.ACTIVE

    def renew(self, order_id: str = "r-1", gate: Gateway | None = None) -> Payment:
        return (gate or self.gate).renew(Renew(order_id=order_id, subscription="sub-1", money=FEE))

    def listen(self) -> None:
        """Another worker takes every webhook in the moment it is sent."""
        other, self.heard_from = self.worker(), len(self.pg.hooks)
        self.pg.on_hook = lambda hook: self.heard.append(other.receive(hook.headers, hook.body))

    def deliver_again(self) -> list[Event]:
        return [self.gate.receive(hook.headers, hook.body) for hook in self.pg.hooks[self.heard_from:]]

    def taken(self) -> int:
        return sum(m.money.amount for m in self.pg.journal.entries if m.kind == "charge")

    def sent(self) -> int:
        return len([c for c in self.pg.calls if c.method == "POST" and c.path.endswith("/renew")])

    def row(self, order_id: str = "r-1") -> Row:
        row = self.ledger.get("steppay-managed/test", Book.PAYMENT, order_id)
        assert row is not None
        return row

    def news(self) -> list[tuple[str, str | None]]:
        """What was told as news of money: (kind, order)."""
        return [(e.kind.value, e.order_id) for e in self.heard if e.payment is not None and e.is_news
                and e.kind is not EventKind.PAYMENT_PENDING]

    def answers(self, on: str, change: Callable[[Any], Any]) -> None:
        """Let the PG lie about what happened: the answer to `on` ("METHOD end of path") is changed."""
        method, end = on.split(" ")
        answer = self.pg.answer

        def told(call: Call) -> Response:
            said = answer(call)
            if call.method == method and call.path.endswith(end) and said.status < 300:
                return evolve(said, body=json.dumps(change(json.loads(said.body))).encode())
            return said

        self.pg.answer = told  # type: ignore[method-assign]


@pytest.fixture
def shop() -> Shop:
    return Shop()


# Once per period

@pytest.mark.parametrize("fault", ["drop_after", "error_500_after", "html_after", "truncate_after", "drop_before",
                                   "error_500_before", "hang_before", "late"])
def test_while_one_renewal_is_not_known_no_other_is_sent_and_the_refusal_names_it(shop: Shop, fault: str) -> None:
    shop.pg.fault(fault, on="POST .*/renew")
    with pytest.raises(OutcomeUnknown):
        shop.renew("r-1")
    for number in range(2, 6):
        with pytest.raises(InProgress, match=r"renewal r-1 .*nothing was sent for r-"):
            shop.renew(f"r-{number}", shop.worker())
        assert shop.ledger.get("steppay-managed/test", Book.PAYMENT, f"r-{number}") is None
        shop.pg.clock.advance(400)
        shop.gate.reconcile()
    assert shop.sent() == 1
    assert shop.taken() <= shop.first + 9_900
    assert [row.id for row in shop.gate.attention()] == ["r-1"]


def test_what_a_person_decided_about_the_lost_one_lets_the_next_one_go(shop: Shop) -> None:
    shop.pg.fault("drop_before", on="POST .*/renew")
    with pytest.raises(OutcomeUnknown):
        shop.renew("r-1")
    with pytest.raises(InProgress):
        shop.renew("r-2")
    shop.pg.clock.advance(120)
    shop.gate.resolve("r-1", "not_sent", by="Kim", why="the portal shows no renewal")
    assert shop.renew("r-2").status is PaymentStatus.PAID
    assert shop.taken() == shop.first + 9_900


def test_the_lost_one_is_looked_up_first_and_one_that_is_known_by_its_number_is_settled_so(shop: Shop) -> None:
    answer = shop.pg.answer

    def down_after_the_renewal(call: Call) -> Response:
        said = answer(call)
        if call.path.endswith("/renew"):
            shop.pg.fault("error_500_before", on="GET ", times=9)
        return said

    shop.pg.answer = down_after_the_renewal  # type: ignore[method-assign]
    assert shop.renew("r-1").status is PaymentStatus.PENDING
    shop.pg.faults.clear()
    shop.pg.answer = answer  # type: ignore[method-assign]
    assert shop.renew("r-2").status is PaymentStatus.PAID  # r-1 turned out to be paid, so the next period may follow.
    assert shop.row("r-1").state is State.ANSWERED
    assert shop.taken() == shop.first + 2 * 9_900


def test_of_two_workers_that_renew_at_once_only_one_is_sent(shop: Shop) -> None:
    def other() -> None:
        shop.pg.fault("drop_after", on="POST .*/renew")
        with pytest.raises(OutcomeUnknown):
            shop.renew("r-2", shop.worker())

    shop.ledger.meanwhile["r-1"] = other  # After r-1 was found to be alone, before it is written down.
    with pytest.raises(InProgress, match="renewal r-2"):
        shop.renew("r-1")
    assert shop.sent() == 1
    assert shop.row("r-1").state is State.NOT_SENT


def test_a_second_renewal_while_the_first_is_on_its_way_is_refused_without_a_word_to_the_pg(shop: Shop) -> None:
    answer, refused = shop.pg.answer, []

    def meanwhile(call: Call) -> Response:
        if call.path.endswith("/renew") and not refused:
            with pytest.raises(InProgress, match="ask again when it is") as caught:
                shop.renew("r-2", shop.worker())
            refused.append(caught.value)
        return answer(call)

    shop.pg.answer = meanwhile  # type: ignore[method-assign]
    assert shop.renew("r-1").status is PaymentStatus.PAID
    assert refused
    assert shop.sent() == 1


def test_one_order_id_is_one_renewal_however_often_it_is_asked_for(shop: Shop) -> None:
    for _ in range(3):
        assert shop.renew("r-1").order_id == "r-1"
    assert (shop.sent(), shop.taken()) == (1, shop.first + 9_900)


def test_a_renewal_of_another_subscription_is_not_in_the_way(shop: Shop) -> None:
    shop.subscribe("sub-2")
    shop.pg.fault("drop_after", on="POST .*/renew")
    with pytest.raises(OutcomeUnknown):
        shop.renew("r-1")
    paid = shop.gate.renew(Renew(order_id="r-2", subscription="sub-2", money=FEE))
    assert paid.status is PaymentStatus.PAID


def test_a_ledger_that_fails_sends_nothing(shop: Shop) -> None:
    def full(*_: Any) -> list[Row]:
        raise LedgerError("full")

    shop.ledger.of_key = full  # type: ignore[method-assign]
    with pytest.raises(PaygateError) as caught:
        shop.renew("r-1")
    assert caught.value.moved is False
    assert shop.sent() == 0


@pytest.mark.parametrize("word", ["QUEUEING", "UNPAID", "PENDING_CANCEL", "PAUSE", "CANCELED", "SOMETHING_NEW"])
def test_only_an_active_subscription_is_renewed_because_the_pg_renews_a_queueing_one_itself(
        shop: Shop, word: str) -> None:
    (subscription,) = shop.pg.pg.subscriptions.values()
    subscription.status = word
    with pytest.raises((BadCommand, PaygateError)) as caught:
        shop.renew("r-1")
    assert shop.sent() == 0
    assert shop.row("r-1").state is State.NOT_SENT
    assert word != "QUEUEING" or "QUEUEING" in str(caught.value)


# Believed only for what it is

def _named(number: Callable[[Shop], Any]) -> Callable[[Shop], Callable[[Any], Any]]:
    return lambda shop: lambda body: {**body, "body": {"orderId": number(shop)}}


OLD = _named(lambda shop: min(shop.pg.pg.orders))
LIES: dict[str, Callable[[Shop], Callable[[Any], Any]]] = {
    "the order that began it": OLD,
    "an order that there is not": _named(lambda shop: max(shop.pg.pg.orders) + 1),
    "no number": _named(lambda shop: "7"),
    "true": _named(lambda shop: True),
}


@pytest.mark.parametrize("lie", LIES)
def test_an_answer_that_names_no_new_order_of_this_subscription_is_not_believed(shop: Shop, lie: str) -> None:
    shop.answers("POST /renew", LIES[lie](shop))
    try:
        assert shop.renew("r-1").status is PaymentStatus.PENDING
        assert lie == "an order that there is not"  # It may only not show yet.
    except OutcomeUnknown:
        pass
    shop.pg.clock.advance(400)
    shop.gate.reconcile()
    assert shop.row("r-1").state is State.UNKNOWN
    assert shop.taken() == shop.first + 9_900


def test_an_old_renewal_of_the_same_subscription_is_not_believed_even_where_it_cannot_be_read(shop: Shop) -> None:
    shop.pg.clock.advance(MONTH)  # The PG has renewed it once by itself.
    (subscription,) = shop.pg.pg.subscriptions.values()
    shop.answers("POST /renew", lambda body: {**body, "body": {"orderId": subscription.renewals[0].id}})
    answer = shop.pg.answer

    def down(call: Call) -> Response:
        said = answer(call)
        if call.path.endswith("/renew"):
            shop.pg.fault("error_500_before", on="GET ", times=9)
        return said

    shop.pg.answer = down  # type: ignore[method-assign]
    with pytest.raises(OutcomeUnknown):
        shop.renew("r-1")
    shop.pg.faults.clear()
    shop.pg.clock.advance(400)
    shop.gate.reconcile()
    assert shop.row("r-1").state is State.UNKNOWN


def test_a_renewal_whose_answer_names_no_order_is_found_as_the_only_new_one(shop: Shop) -> None:
    shop.answers("POST /renew", lambda body: {"message": "OK", "body": None})
    assert shop.renew("r-1").status is PaymentStatus.PAID


def test_an_order_number_of_another_subscription_that_cannot_be_read_at_once_is_not_believed_later(
        shop: Shop) -> None:
    shop.subscribe("sub-2")
    other = shop.gate.renew(Renew(order_id="r-9", subscription="sub-2", money=FEE))
    number = next(o.id for o in shop.pg.pg.orders.values() if o.code == other.provider_id)
    shop.answers("POST /renew", lambda body: {**body, "body": {"orderId": number}})
    answer = shop.pg.answer

    def down(call: Call) -> Response:
        said = answer(call)
        if call.path.endswith("/renew"):
            shop.pg.fault("error_500_before", on="GET ", times=9)
        return said

    shop.pg.answer = down  # type: ignore[method-assign]
    assert shop.renew("r-1").status is PaymentStatus.PENDING
    shop.pg.faults.clear()
    with pytest.raises(OutcomeUnknown):
        shop.gate.find("r-1")
    for _ in range(6):
        shop.pg.clock.advance(400)
        shop.gate.reconcile()
    row = shop.row("r-1")
    assert row.state is State.UNKNOWN
    assert row.attention is not None


@pytest.mark.parametrize("change", [
    {"type": "ONE_TIME"}, {"type": "RECURRING_INITIAL"}, {"parentSubscription": None},
    {"paidAmount": 99_000, "leftAmount": 99_000}, {"paidAmount": 100, "leftAmount": 100}, {"items": []},
    {"paymentDate": "undefined"}, {"currency": "USD"}])
def test_a_new_order_that_is_not_the_renewal_that_was_asked_for_is_not_paid(shop: Shop, change: dict[str, Any]) -> None:
    answer = shop.pg.answer

    def told(call: Call) -> Response:
        said = answer(call)
        if call.method == "GET" and call.path.startswith("/api/v1/orders/") and shop.sent():
            return evolve(said, body=json.dumps({**json.loads(said.body), **change}).encode())
        return said

    shop.pg.answer = told  # type: ignore[method-assign]
    try:
        assert shop.renew("r-1").status is PaymentStatus.PENDING
    except OutcomeUnknown:
        pass
    for _ in range(3):
        assert shop.row("r-1").state in (State.UNKNOWN, State.SENT)
        shop.pg.clock.advance(400)
        shop.gate.reconcile()
    with pytest.raises(InProgress):
        shop.renew("r-2")


def test_a_renewal_that_the_pg_made_itself_meanwhile_leaves_a_doubt_and_no_guess(shop: Shop) -> None:
    def both(body: Any) -> Any:
        (subscription,) = shop.pg.pg.subscriptions.values()
        shop.pg.pg.orders[1] = evolve(subscription.renewals[0], code="order_other", id=1)
        subscription.renewals.append(shop.pg.pg.orders[1])
        return {"message": "OK", "body": None}

    shop.answers("POST /renew", both)
    with pytest.raises(OutcomeUnknown):
        shop.renew("r-1")


# Told once

def test_a_renewal_whose_webhooks_overtake_its_answer_is_told_once_and_under_its_own_order(shop: Shop) -> None:
    shop.listen()
    assert shop.renew("r-1").status is PaymentStatus.PAID
    assert shop.news() == [("payment_paid", "r-1")]
    assert {e.order_id for e in shop.heard if e.payment is not None} == {"r-1"}
    assert not any(e.is_news for e in shop.deliver_again())
    assert shop.row("r-1").state is State.ANSWERED
    assert shop.gate.attention() == []


def test_a_renewal_whose_answer_is_lost_is_settled_by_its_webhook(shop: Shop) -> None:
    shop.pg.fault("drop_after", on="POST .*/renew")
    shop.listen()
    assert shop.renew("r-1").status is PaymentStatus.PAID  # The webhook was there before the connection broke.
    shop.pg.on_hook = None
    shop.pg.fault("drop_after", on="POST .*/renew")
    with pytest.raises(OutcomeUnknown):
        shop.renew("r-2")
    events = [e for e in shop.deliver_again() if e.is_news and e.payment is not None]
    assert [(e.kind, e.order_id) for e in events] == [(EventKind.PAYMENT_PAID, "r-2")]
    assert shop.renew("r-2").status is PaymentStatus.PAID
    assert (shop.sent(), shop.taken()) == (2, shop.first + 2 * 9_900)
    assert shop.renew("r-3").status is PaymentStatus.PAID


def test_a_renewal_that_the_pg_makes_itself_is_never_taken_for_the_one_that_was_lost(shop: Shop) -> None:
    shop.pg.fault("drop_before", on="POST .*/renew")
    with pytest.raises(OutcomeUnknown):
        shop.renew("r-1")
    shop.listen()
    shop.pg.clock.advance(MONTH)
    assert [order for _, order in shop.news()] == ["sub-1"]
    assert shop.row("r-1").state is State.UNKNOWN


def test_a_renewal_told_before_as_the_pgs_own_is_not_taken_for_ours(shop: Shop) -> None:
    shop.pg.clock.advance(MONTH - 3_600)
    shop.listen()
    (subscription,) = shop.pg.pg.subscriptions.values()
    assert subscription.next_at is not None
    shop.pg.clock.advance((subscription.next_at - shop.pg.clock.now()).total_seconds())
    own = shop.news()
    assert [order for _, order in own] == ["sub-1"]
    shop.pg.on_hook = None
    shop.pg.fault("drop_before", on="POST .*/renew")
    with pytest.raises(OutcomeUnknown):
        shop.renew("r-1")
    assert not any(e.is_news for e in shop.deliver_again())
    body = b'{"webHookType":"PAYMENT","orderId":%d}' % subscription.renewals[0].id
    event = shop.gate.receive({"content-type": "application/json"}, body)  # The other generation tells it, too.
    assert (event.order_id, event.is_news) == ("sub-1", False)
    assert shop.row("r-1").state is State.UNKNOWN


def test_a_renewal_of_another_amount_is_not_taken_for_the_one_that_was_lost(shop: Shop) -> None:
    shop.pg.fault("drop_before", on="POST .*/renew")
    with pytest.raises(OutcomeUnknown):
        shop.renew("r-1")
    shop.listen()
    (subscription,) = shop.pg.pg.subscriptions.values()
    subscription.items[0].price.amount += 1000
    token = {"secret-token": shop.pg.settings()["secret_token"]}
    shop.pg.answer(Call("POST", f"/api/v1/subscriptions/{subscription.id}/renew", token))  # Somebody in the portal.
    assert [order for _, order in shop.news()] == ["sub-1"]
    assert shop.row("r-1").state is State.UNKNOWN


def test_a_declined_renewal_is_told_once_and_its_late_success_as_well(shop: Shop) -> None:
    shop.listen()
    shop.pg.controls()["next_charge"](outcome="failed", message="한도 초과")
    with pytest.raises(Declined):
        shop.renew("r-1")
    assert shop.news() == []  # The error told it.
    assert {e.order_id for e in shop.heard if e.payment is not None} == {"r-1"}
    shop.heard.clear()
    shop.pg.clock.advance(2 * 86_400)  # The PG tries again after a day, and succeeds.
    assert shop.news() == [("payment_paid", "r-1")]
    (row,) = shop.gate.attention()
    assert (row.id, row.state) == ("r-1", State.ANSWERED)


def test_a_window_that_takes_no_money_is_nobodys_attention(shop: Shop) -> None:
    shop.listen()
    window = shop.gate.change_method(ChangeMethod(order_id="sub-1", return_url="https://shop.example/done"))
    shop.pg.browse(window.action.to_dict())
    assert any(e.payment is not None and e.payment.for_key for e in shop.heard)
    assert shop.gate.attention() == []


def test_a_subscription_that_costs_something_else_is_not_renewed_at_this_price(shop: Shop) -> None:
    shop.window("sub-9")
    with pytest.raises(BadCommand, match="9,900 KRW"):
        shop.gate.renew(Renew(order_id="r-1", subscription="sub-1", money=Money(9_901, "KRW")))
    with pytest.raises(PaygateError, match="has not begun"):
        shop.gate.renew(Renew(order_id="r-2", subscription="sub-9", money=FEE))
    assert shop.sent() == 0


def test_a_renewal_asked_for_by_hand_and_settled_by_a_look_is_told_to_handlers(shop: Shop) -> None:
    inbox, heard = Inbox(shop.gate), list[tuple[str, str | None]]()
    inbox.on("payment_paid", "subscription_renewed")(lambda e: heard.append((e.kind.value, e.order_id)))
    inbox.work()
    answer = shop.pg.answer

    def down(call: Call) -> Response:
        said = answer(call)
        if call.path.endswith("/renew"):
            shop.pg.fault(FaultKind.ERROR_500_BEFORE, on="GET ", times=9)
        return said

    setattr(shop.pg, "answer", down)  # noqa: B010 (it is a method)
    assert shop.renew("r-1").status is PaymentStatus.PENDING
    shop.pg.faults.clear()
    setattr(shop.pg, "answer", answer)  # noqa: B010
    for _ in range(3):
        shop.pg.clock.advance(3_600)
        inbox.work()
    assert heard == [("payment_paid", "r-1")]
