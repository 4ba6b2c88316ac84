"""What an unmanaged receipt or answer must say before it settles anything; all else is unknown, and for a person."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from attrs import evolve
from paygate_steppay import paygate_providers
from paygate_steppay import words as steppay_words
from paygate_steppay.emulator import ManagedEmulator, UnmanagedEmulator

from paygate.assemble import connect
from paygate.commands import Cancel, Charge, Pay, Register
from paygate.errors import Forged, NotSent, OutcomeUnknown, PaygateError, RateLimited, Refused, Unauthorized
from paygate.gateway import Gateway
from paygate.ledger import MemoryLedger
from paygate.ledger.row import State
from paygate.model import BillingKey, PaymentStatus
from paygate.money import Money
from paygate.testing.emulator import Call
from paygate.testing.transport import EmulatorTransport
from paygate.wire import Response

SPECS = {spec.name: spec for spec in paygate_providers()}
UNMANAGED = SPECS["steppay-unmanaged"]
PART = Money(4_000, "KRW")
Change = Callable[[dict[str, Any]], Mapping[str, Any]]


class Liar(UnmanagedEmulator):
    """StepPay, whose receipts of one order say what a test wants them to say."""

    def __init__(self) -> None:
        super().__init__()
        self.changes: dict[str, Change] = {}
        self.answers: dict[str, Response] = {}

    def answer(self, call: Call) -> Response:
        said = super().answer(call)
        if call.path in self.answers:
            return self.answers[call.path]
        if not call.path.startswith("/api/payment/receipt/") or said.status != 200:
            return said
        receipt = json.loads(said.body)
        change = self.changes.get(receipt["partnerOrderId"])
        told = {**receipt, **(change(receipt) if change else {})}
        return evolve(said, body=json.dumps({k: v for k, v in told.items() if v != "absent"}).encode())


class Shop:
    def __init__(self) -> None:
        self.pg = Liar()
        self.story = self.pg.story()
        self.gate: Gateway = connect(UNMANAGED, self.pg.settings(), ledger=MemoryLedger(), clock=self.pg.clock,
                                     http=EmulatorTransport(self.pg))

    def pay(self, command: Pay | Register | None = None, **params: Any) -> dict[str, str]:
        command = command or self.story.pay
        assert command is not None
        checkout = self.gate.pay(command) if isinstance(command, Pay) else self.gate.register(command)
        action = checkout.action.to_dict()
        made = action["params"]
        assert isinstance(made, dict)
        return self.pg.browse({**action, "params": {**made, **params}})  # A payer can change what the page sends.

    def register(self, **params: Any) -> dict[str, str]:
        return self.pay(self.story.register, **params)

    def key(self) -> BillingKey:
        key = self.gate.confirm_key("story-register", self.register())
        assert key is not None
        return key

    def charge(self, key: BillingKey, order_id: str = "order-2", **more: Any) -> Charge:
        assert self.story.charge is not None
        return evolve(self.story.charge(key, order_id), **more)

    def state(self, order_id: str) -> State:
        """Of an order that is in doubt or under attention."""
        return next(r.state for r in [*self.gate.pending(), *self.gate.attention()] if r.id == order_id)

    def flagged(self) -> list[str]:
        return [row.id for row in self.gate.attention()]


@pytest.fixture
def shop() -> Shop:
    return Shop()


def says(**fields: Any) -> Change:
    return lambda _: fields


# A registration takes money

@pytest.mark.parametrize("change", [says(amount=0), says(amount=0.0), says(discount=14_000), says(discount="14000"),
                                    says(amount=14_000, discount=13_999), says(amount=13_999), says(amount=14_001)])
def test_a_registration_that_took_another_amount_or_none_is_not_confirmed(shop: Shop, change: Change) -> None:
    back = shop.register()
    shop.pg.changes["story-register"] = change
    with pytest.raises(Forged, match="took"):
        shop.gate.confirm_key("story-register", back)
    assert (shop.state("story-register"), shop.flagged()) == (State.UNKNOWN, ["story-register"])
    with pytest.raises(PaygateError):
        shop.gate.confirm_key("story-register", {})


def test_a_payer_who_registers_for_nothing_gets_no_key_confirmed(shop: Shop) -> None:
    back = shop.register(product={"itemName": "plan", "amount": 0, "quantity": 1, "currency": "KRW"})
    with pytest.raises(Forged):
        shop.gate.confirm_key("story-register", back)
    assert shop.pg.journal.taken("story-register") == 0
    assert shop.flagged() == ["story-register"]


def test_a_webhook_of_a_registration_for_nothing_settles_nothing(shop: Shop) -> None:
    shop.register(product={"itemName": "plan", "amount": 0, "quantity": 1, "currency": "KRW"})
    [hook] = shop.pg.hooks
    with pytest.raises(Forged):
        shop.gate.receive(hook.headers, hook.body)
    assert (shop.state("story-register"), shop.flagged()) == (State.UNKNOWN, ["story-register"])


# Another payer, order, amount, method

@pytest.mark.parametrize(("change", "why"), [
    (says(partnerUserId="payer-78"), "another payer"), (says(partnerUserId=77), "another payer"),
    (says(partnerOrderId="order-9"), "another order"), (says(amount=13_999), "took"), (says(discount=1), "took"),
    (says(paymentMethod="CARD"), "without a billing key"), (says(paymentMethod="VBANK"), "without a billing key"),
    (says(paymentMethod="NEW_WORD"), "without a billing key")])
def test_a_charge_whose_receipt_names_something_else_is_unknown_and_for_a_person(
        shop: Shop, change: Change, why: str) -> None:
    key = shop.key()
    shop.pg.changes["order-2"] = change
    with pytest.raises(OutcomeUnknown, match=why):
        shop.gate.charge(shop.charge(key))
    assert (shop.state("order-2"), shop.flagged()) == (State.UNKNOWN, ["order-2"])
    with pytest.raises(OutcomeUnknown):
        shop.gate.charge(shop.charge(key))
    assert shop.pg.journal.charges("order-2") == 1  # and it was not sent again


@pytest.mark.parametrize("change", [says(partnerUserId="payer-78"), says(amount=13_999), says(paymentMethod="CARD")])
def test_a_lost_charge_is_not_settled_by_a_webhook_whose_receipt_names_something_else(
        shop: Shop, change: Change) -> None:
    key, before = shop.key(), len(shop.pg.hooks)
    shop.pg.fault("drop_after", on="POST /api/payment/billing")
    with pytest.raises(OutcomeUnknown):
        shop.gate.charge(shop.charge(key))
    shop.pg.changes["order-2"] = change
    hook = shop.pg.hooks[before]
    with pytest.raises(Forged):
        shop.gate.receive(hook.headers, hook.body)
    assert (shop.state("order-2"), shop.flagged()) == (State.UNKNOWN, ["order-2"])
    shop.pg.changes.clear()
    assert shop.gate.receive(hook.headers, hook.body).is_news  # The record is right again, and is believed.


@pytest.mark.parametrize(("params", "why"), [
    ({"partner": {"partnerOrderId": "story-register", "partnerUserId": "payer-78"}}, "another payer"),
    ({"paymentMethod": "CARD"}, "without a billing key")])
def test_a_registration_changed_in_the_browser_is_not_confirmed(shop: Shop, params: dict[str, Any], why: str) -> None:
    back = shop.register(**params)
    with pytest.raises(Forged, match=why):
        shop.gate.confirm_key("story-register", back)
    assert shop.flagged() == ["story-register"]


def test_a_payment_of_another_payer_is_not_confirmed(shop: Shop) -> None:
    back = shop.pay(partner={"partnerOrderId": "story-pay", "partnerUserId": "somebody"})
    with pytest.raises(Forged, match="another payer"):
        shop.gate.confirm("story-pay", back)
    assert shop.flagged() == ["story-pay"]


def test_without_a_name_of_its_own_the_payer_goes_by_the_order(shop: Shop) -> None:
    assert shop.story.pay is not None
    command = evolve(shop.story.pay, customer=evolve(shop.story.pay.customer, id=None))
    assert shop.gate.confirm("story-pay", shop.pay(command)).status is PaymentStatus.PAID
    other = evolve(command, order_id="order-3")
    back = shop.pay(other, partner={"partnerOrderId": "order-3", "partnerUserId": "story-pay"})
    with pytest.raises(Forged, match="another payer"):
        shop.gate.confirm("order-3", back)


@pytest.mark.parametrize("change", [says(partnerUserId="absent"), says(partnerUserId=None), says(partnerUserId=""),
                                    says(paymentMethod="absent"), says(paymentMethod=None),
                                    says(paymentMethod="NEW_BILL"), says(idKey="absent")])
def test_what_a_receipt_does_not_say_is_not_held_against_it(shop: Shop, change: Change) -> None:
    shop.pg.changes |= {"story-register": change, "order-2": change}
    key = shop.key()
    assert shop.gate.charge(shop.charge(key)).status is PaymentStatus.PAID


def test_an_answer_that_names_the_key_in_place_of_the_payment_tells_nothing(shop: Shop) -> None:
    key = shop.key()
    shop.pg.answers["/api/payment/billing"] = Response(200, {"content-type": "application/json"}, json.dumps({
        "result": True, "code": 200, "message": "", "id": None, "response": {"idKey": key.reveal()}}).encode())
    with pytest.raises(OutcomeUnknown, match="did not say"):
        shop.gate.charge(shop.charge(key))
    assert shop.state("order-2") is State.UNKNOWN


def test_a_later_payment_in_the_same_window_counts_and_the_earlier_failure_undoes_nothing(shop: Shop) -> None:
    assert shop.story.pay is not None
    action = shop.gate.pay(shop.story.pay).action.to_dict()
    failed, paid = shop.pg.browse(action, "decline"), shop.pg.browse(action)
    assert shop.gate.confirm("story-pay", paid).status is PaymentStatus.PAID
    for hook in shop.pg.hooks:
        assert shop.gate.receive(hook.headers, hook.body).payment is not None
    assert shop.gate.confirm("story-pay", failed).status is PaymentStatus.PAID
    assert shop.flagged() == []


def test_a_card_payment_after_an_account_was_given_out_is_found_by_what_the_browser_brings(shop: Shop) -> None:
    assert shop.story.pay is not None
    action = shop.gate.pay(shop.story.pay).action.to_dict()
    params = action["params"]
    assert isinstance(params, dict)
    waiting = shop.pg.browse({**action, "params": {**params, "paymentMethod": "VBANK"}})
    assert shop.gate.confirm("story-pay", waiting).status is PaymentStatus.PENDING
    assert shop.gate.confirm("story-pay", shop.pg.browse(action)).status is PaymentStatus.PAID
    assert shop.pg.journal.charges("story-pay") == 1


# A refund that is under way

@pytest.mark.parametrize("kind", [ManagedEmulator, UnmanagedEmulator], ids=lambda k: str(k.name))
def test_while_a_refund_is_under_way_the_balance_is_unknown_not_unchanged(
        kind: type[ManagedEmulator | UnmanagedEmulator]) -> None:
    pg = kind()
    pg.switches.set("refund_lag_s", 600.0)
    gate = connect(SPECS[kind.name], pg.settings(), ledger=MemoryLedger(), clock=pg.clock, http=EmulatorTransport(pg))
    command = pg.story().pay
    assert command is not None
    gate.confirm(command.order_id, pg.browse(gate.pay(command).action.to_dict()))
    refund = Cancel(cancel_id="c-1", order_id=command.order_id, money=PART, reason="asked")
    with pytest.raises(OutcomeUnknown):
        gate.cancel(refund)
    for seconds in (130, 130, 130, 130):  # Long past the settle window: the PG has it, so it was not "not sent".
        pg.clock.advance(seconds)
        gate.reconcile()
        with pytest.raises(OutcomeUnknown):
            gate.cancel(refund)
        with pytest.raises(PaygateError):
            gate.cancel(evolve(refund, cancel_id="c-2"))
    pg.clock.advance(600)
    gate.reconcile()
    assert gate.cancel(refund).payment.left == Money(10_000, "KRW")
    assert pg.journal.given_back(pg.journal.entries[0].order_id) == 4_000


@pytest.mark.parametrize("history", [
    [{"canceledAmount": 4000, "paymentStatus": "PARTIAL_CANCELED"}],
    [{"canceledAmount": 3000}, {"canceledAmount": 1000}],
    [{"canceledAmount": 4000}, {"canceledAmount": 14_000, "paymentStatus": "CANCELED_FAIL"}]])
def test_refunds_that_add_up_are_read(shop: Shop, history: list[Any]) -> None:
    back = shop.pay()
    shop.pg.changes["story-pay"] = says(paymentStatus="PARTIAL_CANCELED", cancel={"canceledAmount": 4000},
                                        cancelHistory=history)
    assert shop.gate.confirm("story-pay", back).left == Money(10_000, "KRW")


@pytest.mark.parametrize("fields", [
    {"paymentStatus": "PARTIAL_CANCELED", "cancel": {"canceledAmount": 4000}, "cancelHistory": [
        {"canceledAmount": 3000}, {"canceledAmount": 4000}]},  # `cancel` tells the last one alone
    {"paymentStatus": "COMPLETE", "cancel": {"canceledAmount": 4000}, "cancelHistory": []},
    {"paymentStatus": "CANCEL_PROGRESS"}, {"paymentStatus": "CANCEL_PROGRESS", "cancel": {"canceledAmount": 0}},
    {"paymentStatus": "CANCELED", "cancel": {"canceledAmount": 4000}},
    {"paymentStatus": "REFUNDED"}, {"paymentStatus": None}, {"paymentStatus": "complete"}, {"paymentStatus": 1}])
def test_a_balance_that_does_not_add_up_or_a_word_nobody_published_is_unknown(
        shop: Shop, fields: dict[str, Any]) -> None:
    back = shop.pay()
    shop.pg.changes["story-pay"] = says(**({"cancel": None, "cancelHistory": None} | fields))
    with pytest.raises(OutcomeUnknown):
        shop.gate.confirm("story-pay", back)
    assert shop.state("story-pay") is State.SENT


def test_every_published_word_has_a_meaning_and_nothing_is_told_by_how_a_word_begins() -> None:
    published = ("STANDBY COMPLETE CANCELED PARTIAL_CANCELED USER_CANCELED CANCELED_FAIL CANCEL_PROGRESS FAILED "
                 "VIRTUAL_BANK_STANDBY CMS_STANDBY SUCCESS PAYMENT_FAILURE").split()
    assert set(steppay_words.PAYMENT_STATUSES) == set(published)
    items = set(steppay_words.ITEM_STATUSES)
    assert len(items) == 46
    for word in items:
        for made_up in (f"{word}_X", f"X_{word}", word.lower(), word[:-1]):
            assert made_up in items or steppay_words.group_of(made_up) is None
    assert {w for w, g in steppay_words.ITEM_STATUSES.items() if g is steppay_words.Group.GIVING_BACK} == {
        "CANCELLATION_REFUNDING", "RETURN_REFUNDING"}


# 401, 403 and 429

BODY = json.dumps({"errorCode": "X", "errorMessage": "no"}).encode()
JSON, HTML = {"content-type": "application/json"}, {"content-type": "text/html"}


@pytest.mark.parametrize("status", [401, 403, 429])
def test_a_charge_turned_away_by_the_pg_itself_is_not_sent_and_never_repeated_by_paygate(
        shop: Shop, status: int) -> None:
    key = shop.key()
    shop.pg.fault("too_many" if status == 429 else "unauthorized", on="POST /api/payment/billing")
    shop.pg.switches.set("unauthorized_status", 401 if status == 401 else 403)
    with pytest.raises(RateLimited if status == 429 else Unauthorized) as caught:
        shop.gate.charge(shop.charge(key))
    assert caught.value.moved is False
    assert len([c for c in shop.pg.calls if c.path == "/api/payment/billing"]) == 1
    assert shop.gate.pending() == []
    assert shop.gate.charge(shop.charge(key)).status is PaymentStatus.PAID  # the same id, sent by the merchant
    assert shop.pg.journal.charges("order-2") == 1


@pytest.mark.parametrize("status", [401, 403, 429])
@pytest.mark.parametrize(("headers", "body"), [
    (HTML, b"<html>denied</html>"), (JSON, b"{}"), (JSON, b""), (JSON, b'{"message": "no"}'),
    (JSON, b'{"errorCode": ""}'),
    (JSON, b'["errorCode"]'), (HTML, BODY), (JSON, BODY[:-1])])
def test_the_same_status_without_the_pgs_own_body_proves_nothing(
        shop: Shop, status: int, headers: Mapping[str, str], body: bytes) -> None:
    key = shop.key()
    shop.pg.answers["/api/payment/billing"] = Response(status, {**headers, "retry-after": "0"}, body)
    with pytest.raises(OutcomeUnknown):
        shop.gate.charge(shop.charge(key))
    assert shop.pg.journal.charges("order-2") == 1  # It was charged, behind whatever answered so.
    shop.pg.answers.clear()
    with pytest.raises(OutcomeUnknown):
        shop.gate.charge(shop.charge(key))
    assert shop.pg.journal.charges("order-2") == 1
    hook = shop.pg.hooks[-1]
    assert shop.gate.receive(hook.headers, hook.body).is_news
    assert shop.gate.charge(shop.charge(key)).status is PaymentStatus.PAID


@pytest.mark.parametrize("status", [401, 403, 429])
def test_a_refund_turned_away_is_told_so_only_with_the_pgs_own_body(shop: Shop, status: int) -> None:
    shop.gate.confirm("story-pay", shop.pay())
    refund = Cancel(cancel_id="c-1", order_id="story-pay", money=PART, reason="asked")
    shop.pg.answers["/api/internal/payment/cancel"] = Response(status, HTML, b"<html>")
    assert shop.gate.cancel(refund).money == PART  # It was given back; the balance shows it, whatever was answered.
    shop.pg.fault("too_many" if status == 429 else "unauthorized", on="cancel")
    shop.pg.answers.clear()
    shop.pg.switches.set("unauthorized_status", 401 if status == 401 else 403)
    with pytest.raises((Refused, NotSent)):
        shop.gate.cancel(evolve(refund, cancel_id="c-2"))
    assert shop.pg.journal.given_back("story-pay") == 4_000
    assert len([c for c in shop.pg.calls if c.path.endswith("/cancel")]) == 2


def test_both_providers_declare_it() -> None:
    for spec in SPECS.values():
        assert spec.unprocessed == frozenset()
        assert spec.profile.refuses_reused_order_id.value is False
