"""Both StepPay providers behind a gateway, against the emulators: forged returns, lost answers, refunds, webhooks."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from attrs import evolve
from paygate_steppay import paygate_providers
from paygate_steppay.emulator import ManagedEmulator, UnmanagedEmulator

from paygate.assemble import connect
from paygate.commands import Cancel, CancelWhole, Charge, Pay
from paygate.errors import BadCommand, Conflict, Declined, Forged, OutcomeUnknown, PaygateError, Unsupported
from paygate.gateway import Gateway
from paygate.ledger import MemoryLedger
from paygate.ledger.row import State
from paygate.model import BillingKey, Event, EventKind, PaymentStatus
from paygate.money import Money
from paygate.subscriptions import (
    ChangeInterval,
    ChangeMethod,
    Interval,
    MoveNext,
    Renew,
    Subscribe,
    SubscriptionStatus,
    Unsubscribe,
)
from paygate.testing.emulator import FaultKind
from paygate.testing.transport import EmulatorTransport

SPECS = {spec.name: spec for spec in paygate_providers()}
BOTH = (ManagedEmulator, UnmanagedEmulator)
PART = Money(4_000, "KRW")
FEE = Money(9_900, "KRW")


class Shop:
    """A merchant and the emulated PG."""

    def __init__(self, kind: type[ManagedEmulator | UnmanagedEmulator], **settings: Any) -> None:
        self.pg = kind()
        self.story = self.pg.story()
        self.control = self.pg.controls()
        self.gate: Gateway = connect(SPECS[kind.name], {**self.pg.settings(), **settings}, ledger=MemoryLedger(),
                                     http=EmulatorTransport(self.pg), clock=self.pg.clock)

    def switch(self, **values: Any) -> None:
        for name, value in values.items():
            self.control["switch"](name=name, value=value)

    def pay(self, order_id: str = "order-1", outcome: str = "approve") -> dict[str, str]:
        checkout = self.gate.pay(self.command(order_id))
        return self.pg.browse(checkout.action.to_dict(), outcome)

    def command(self, order_id: str) -> Pay:
        assert self.story.pay is not None
        return evolve(self.story.pay, order_id=order_id)

    def paid(self, order_id: str = "order-1") -> None:
        assert self.gate.confirm(order_id, self.pay(order_id)).status is PaymentStatus.PAID

    def key(self) -> BillingKey:
        assert self.story.register is not None
        checkout = self.gate.register(self.story.register)
        key = self.gate.confirm_key(checkout.order_id, self.pg.browse(checkout.action.to_dict()))
        assert key is not None
        return key

    def charge(self, key: BillingKey, order_id: str) -> Charge:
        assert self.story.charge is not None
        return self.story.charge(key, order_id)

    def cancel(self, cancel_id: str, order_id: str = "order-1", **more: Any) -> Cancel:
        return Cancel(cancel_id=cancel_id, order_id=order_id, money=PART, reason="asked", **more)

    def subscribe(self, order_id: str = "sub-1") -> None:
        checkout = self.gate.subscribe(Subscribe(
            order_id=order_id, money=FEE, every=Interval("month"), title="plan", return_url="https://shop.example/done",
            customer=self.command("x").customer))
        begun = self.gate.confirm_subscription(order_id, self.pg.browse(checkout.action.to_dict()))
        assert begun is not None
        assert begun.status is SubscriptionStatus.ACTIVE

    def listen(self, seconds: float) -> list[Event]:
        """Take every webhook as it is sent while the clock is turned."""
        heard: list[Event] = []
        self.pg.on_hook = lambda hook: heard.append(self.gate.receive(hook.headers, hook.body))
        self.pg.clock.advance(seconds)
        self.pg.on_hook = None
        return heard

    def taken(self) -> int:
        return sum(m.money.amount for m in self.pg.journal.entries if m.kind == "charge")

    def given(self) -> int:
        return sum(m.money.amount for m in self.pg.journal.entries if m.kind == "refund")


@pytest.fixture(params=BOTH, ids=lambda k: str(k.name))
def shop(request: pytest.FixtureRequest) -> Shop:
    return Shop(request.param)


# Paying, on both

def test_pay_confirm_and_give_back_in_parts(shop: Shop) -> None:
    shop.paid()
    assert shop.gate.cancel(shop.cancel("c-1")).payment.left == Money(10_000, "KRW")
    assert shop.gate.cancel(shop.cancel("c-1")).payment.left == Money(10_000, "KRW")  # the same refund, told again
    whole = shop.gate.cancel_whole(CancelWhole(cancel_id="c-2", order_id="order-1", reason="asked"))
    assert whole.payment.status is PaymentStatus.CANCELLED
    assert (shop.taken(), shop.given()) == (14_000, 14_000)
    assert shop.gate.find("order-1").left.is_zero


@pytest.mark.parametrize("outcome", ["decline", "close"])
def test_a_forged_success_of_an_unpaid_order_confirms_nothing(shop: Shop, outcome: str) -> None:
    query = shop.pay(outcome=outcome) or {"paygate_outcome": "success"}
    forged = {name: value.replace("error", "success").replace("cancel", "success") for name, value in query.items()}
    try:
        assert shop.gate.confirm("order-1", forged).status is PaymentStatus.PENDING
    except Declined:
        pass  # The PG's own record says failed: no less sure.
    assert shop.taken() == 0


def test_a_success_of_another_order_is_forged_and_a_replayed_one_changes_nothing(shop: Shop) -> None:
    first, second = shop.pay("order-1"), shop.pay("order-2", "close")
    for query in (first, {**second, **first}):
        with pytest.raises(Forged):
            shop.gate.confirm("order-2", query)
    assert shop.gate.confirm("order-1", first).status is PaymentStatus.PAID
    assert shop.gate.confirm("order-1", first).status is PaymentStatus.PAID
    with pytest.raises(Forged):
        shop.gate.confirm("order-2", first)


def test_money_of_another_amount_is_not_a_success(shop: Shop) -> None:
    query = shop.pay()
    shop.pg.fault(FaultKind.WRONG_AMOUNT, on="^GET ", times=9)
    with pytest.raises((Forged, OutcomeUnknown)):
        shop.gate.confirm("order-1", query)
    assert shop.gate.pending()


def test_a_late_time_of_payment_is_pending_until_it_is_there(shop: Shop) -> None:
    shop.switch(payment_date_lag_s=20.0)
    assert shop.gate.confirm("order-1", shop.pay()).status is PaymentStatus.PENDING
    shop.pg.clock.advance(30)
    assert shop.gate.find("order-1").status is PaymentStatus.PAID


def test_the_same_order_asked_for_again_is_not_a_second_order() -> None:
    shop = Shop(ManagedEmulator)
    shop.pay(outcome="close")
    before = len(shop.pg.calls)
    shop.gate.pay(shop.command("order-1"))
    assert [c.method for c in shop.pg.calls[before:]] == ["GET"]  # it looks whether it is paid, and shows the same link
    assert len(shop.control["orders"]()) == 1


@pytest.mark.parametrize("fault", ["drop_after", "reset_after", "hang_after", "error_500_after", "html_after",
                                   "truncate_after", "empty_after", "bad_utf8_after", "redirect_before", "too_many"])
@pytest.mark.parametrize("on", ["POST /api/v1/orders$", "POST /api/v1/products", "POST /api/v1/customers", "GET "])
def test_whatever_goes_wrong_before_the_page_is_shown_moves_nothing_and_the_order_may_be_asked_for_again(
        fault: str, on: str) -> None:
    shop = Shop(ManagedEmulator)
    shop.pg.fault(fault, on=on, times=3)
    moved: set[bool | None] = set()
    try:
        shop.gate.pay(shop.command("order-1"))
    except PaygateError as error:
        moved.add(error.moved)
    assert moved <= {False}
    shop.pg.faults.clear()
    shop.paid()
    assert shop.taken() == 14_000


def test_plans_and_customers_are_reused_and_never_pile_up() -> None:
    shop = Shop(ManagedEmulator)
    for number in range(4):
        shop.paid(f"order-{number}")
    assert len(shop.pg.product.prices) == 1
    assert len({o["customer"]["id"] for o in shop.control["orders"]()}) == 1


def test_tax_that_is_added_is_part_of_what_the_merchant_asked_for() -> None:
    shop = Shop(ManagedEmulator, vat_percent=10)
    shop.switch(vat_included=False)
    shop.paid()
    assert shop.taken() == 14_000


def test_tax_that_the_settings_do_not_know_of_is_found_out_and_told() -> None:
    shop = Shop(ManagedEmulator)
    shop.switch(vat_included=False)
    query = shop.pay()
    with pytest.raises(Forged, match="15,400 KRW"):
        shop.gate.confirm("order-1", query)
    assert shop.gate.attention()


# Both sides of what is not published

@pytest.mark.parametrize("switches", [
    {"create_status": 200}, {"amounts": "decimal"}, {"amounts": "text"}, {"nulls": "absent"}, {"status_words": "2023"},
    {"partner_ids": "number"}, {"return_order_id": False}, {"return_on_cancel": True}, {"refund_header": "secret-key"},
    {"refund_header": "secret-token"}, {"payment_before_attempt": True}, {"billing_id_key": "top"},
    {"receipt_cancels": False}])
def test_both_sides_of_a_contradiction_work(shop: Shop, switches: dict[str, Any]) -> None:
    shop.switch(**switches)
    shop.paid("20260105")
    assert shop.gate.cancel(shop.cancel("c-1", "20260105")).payment.left == Money(10_000, "KRW")
    key = shop.key()
    if shop.story.charge is not None:
        assert shop.gate.charge(shop.charge(key, "order-2")).status is PaymentStatus.PAID


def test_times_of_another_zone_are_a_setting() -> None:
    shop = Shop(ManagedEmulator, utc_offset_hours=9)
    shop.switch(zone_hours=9)
    shop.paid()
    assert shop.gate.find("order-1").paid_at == shop.pg.clock.now()


# Refunds

@pytest.mark.parametrize("fault", ["drop_after", "hang_after", "error_500_after", "html_after", "truncate_after",
                                   "drop_before", "error_500_before", "hang_before"])
def test_a_refund_whose_answer_is_lost_is_settled_by_the_balance_and_never_paid_twice(shop: Shop, fault: str) -> None:
    shop.paid()
    shop.pg.fault(fault, on="(PATCH|POST) .*cancel")
    happened = fault.endswith("after")
    try:
        shop.gate.cancel(shop.cancel("c-1"))
    except OutcomeUnknown:
        assert not happened
    for _ in range(6):
        shop.pg.clock.advance(300)
        shop.gate.reconcile()
    if not happened:
        assert shop.given() == 0
        shop.gate.cancel(shop.cancel("c-1"))  # Proven not sent by the balance: the same refund may be asked for again.
    assert shop.given() == 4_000
    assert shop.gate.cancel(shop.cancel("c-1")).payment.left == Money(10_000, "KRW")
    assert shop.given() == 4_000


def test_giving_back_the_first_payment_of_a_subscription_must_be_said_to_end_it() -> None:
    shop = Shop(ManagedEmulator)
    shop.subscribe()
    with pytest.raises(BadCommand, match="ends the subscription"):
        shop.gate.cancel(shop.cancel("c-1", "sub-1"))
    assert shop.given() == 0
    shop.gate.cancel(shop.cancel("c-2", "sub-1", extra={"steppay-managed": {"ends_subscription": True}}))
    assert shop.gate.subscription("sub-1").status is SubscriptionStatus.ENDED


# Charging a key, unmanaged

def test_a_managed_key_is_not_charged_and_nothing_is_sent() -> None:
    shop = Shop(ManagedEmulator)
    key = shop.key()
    before = len(shop.pg.calls)
    assert not shop.gate.supports("charge")
    with pytest.raises(Unsupported):
        shop.gate.charge(Charge(order_id="order-2", billing_key=key, money=FEE, title="plan"))
    assert len(shop.pg.calls) == before


LOST = ["drop_after", "reset_after", "hang_after", "error_500_after", "bad_gateway_after", "html_after",
        "truncate_after", "bad_utf8_after", "deep_json_after", "huge_after", "empty_after", "late"]


@pytest.mark.parametrize("fault", LOST)
def test_a_charge_whose_answer_is_lost_is_unknown_never_resent_and_settled_by_its_webhook(fault: str) -> None:
    shop = Shop(UnmanagedEmulator)
    key = shop.key()
    shop.pg.fault(fault, on="POST /api/payment/billing")
    sent = len(shop.pg.hooks)
    command = shop.charge(key, "order-2")
    for _ in range(3):
        with pytest.raises(OutcomeUnknown):
            shop.gate.charge(command)
        shop.pg.clock.advance(120)
        shop.gate.reconcile()
    assert len([c for c in shop.pg.calls if c.path == "/api/payment/billing"]) == 1
    hook = shop.pg.hooks[sent]
    event = shop.gate.receive(hook.headers, hook.body)
    assert (event.kind, event.order_id, event.verified_by) == (EventKind.PAYMENT_PAID, "order-2", "lookup")
    assert shop.gate.charge(command).status is PaymentStatus.PAID
    assert not shop.gate.receive(hook.headers, hook.body).is_news
    assert shop.taken() == 28_000  # the registration and one charge


def test_a_doubt_that_no_webhook_ends_is_for_a_person_after_a_quarter_of_an_hour() -> None:
    shop = Shop(UnmanagedEmulator)
    shop.pg.fault("drop_before", on="POST /api/payment/billing")
    with pytest.raises(OutcomeUnknown):
        shop.gate.charge(shop.charge(shop.key(), "order-2"))
    for _ in range(4):
        shop.pg.clock.advance(600)
        shop.gate.reconcile()
    assert [row.id for row in shop.gate.attention()] == ["order-2"]
    shop.gate.resolve("order-2", "not_sent", by="Kim", why="not in the portal")
    assert shop.gate.charge(shop.charge(BillingKey(shop.gate.name, shop.control["keys"]()[0]["key"]), "order-2")
                            ).status is PaymentStatus.PAID


@pytest.mark.parametrize("failure", ["result_false", "error_body"])
def test_a_decline_is_told_where_the_pg_shows_its_record_and_is_unknown_where_it_does_not(failure: str) -> None:
    shop = Shop(UnmanagedEmulator)
    shop.switch(billing_failure=failure)
    key = shop.key()
    shop.control["next_charge"](outcome="failed", message="한도 초과")
    sent = len(shop.pg.hooks)
    with pytest.raises(Declined if failure == "result_false" else OutcomeUnknown) as caught:
        shop.gate.charge(shop.charge(key, "order-2"))
    assert caught.value.message == "한도 초과"
    hook = shop.pg.hooks[sent]
    assert shop.gate.receive(hook.headers, hook.body).kind is EventKind.PAYMENT_FAILED
    with pytest.raises(Declined):
        shop.gate.charge(shop.charge(key, "order-2"))


def test_a_charge_that_is_still_under_way_is_pending_and_found_by_its_id_key() -> None:
    shop = Shop(UnmanagedEmulator)
    shop.switch(billing_lag_s=60.0)
    payment = shop.gate.charge(shop.charge(shop.key(), "order-2"))
    assert payment.status is PaymentStatus.PENDING
    shop.pg.clock.advance(600)
    shop.gate.reconcile()
    assert shop.gate.find("order-2").status is PaymentStatus.PAID


@pytest.mark.parametrize("status", [401, 403])
def test_a_token_the_pg_does_not_accept_moves_nothing_and_the_order_may_be_sent_again(status: int) -> None:
    shop = Shop(UnmanagedEmulator)
    shop.switch(unauthorized_status=status)
    key = shop.key()
    shop.pg.fault("unauthorized", on="POST /api/payment/billing")
    with pytest.raises(PaygateError) as caught:
        shop.gate.charge(shop.charge(key, "order-2"))
    assert caught.value.moved is False
    assert shop.gate.charge(shop.charge(key, "order-2")).status is PaymentStatus.PAID
    assert shop.taken() == 28_000


def test_one_order_id_is_one_charge_however_often_it_is_asked_for() -> None:
    shop = Shop(UnmanagedEmulator)
    key = shop.key()
    for _ in range(3):
        shop.gate.charge(shop.charge(key, "order-2"))
    with pytest.raises(Conflict):
        shop.gate.charge(evolve(shop.charge(key, "order-2"), money=FEE))
    assert shop.taken() == 28_000


# Subscriptions

def test_a_subscription_is_read_and_changed_by_the_order_that_began_it() -> None:
    shop = Shop(ManagedEmulator)
    shop.subscribe()
    assert shop.gate.pause("sub-1").status is SubscriptionStatus.PAUSED
    assert shop.gate.resume("sub-1").status is SubscriptionStatus.ACTIVE
    later = shop.pg.clock.now() + timedelta(days=3)
    assert shop.gate.move_next(MoveNext(order_id="sub-1", due_at=later)).next_due_at == later
    fortnight = Interval("week", 2)
    assert shop.gate.change_interval(ChangeInterval(order_id="sub-1", every=fortnight)).every == fortnight
    window = shop.gate.change_method(ChangeMethod(order_id="sub-1", return_url="https://shop.example/done"))
    assert not window.takes_money
    shop.pg.browse(window.action.to_dict())
    at = shop.pg.clock.now() + timedelta(days=30)
    assert shop.gate.unsubscribe(Unsubscribe(order_id="sub-1", when=at)).ends_at == at
    assert shop.gate.unsubscribe(Unsubscribe(order_id="sub-1", when="period_end")).status is SubscriptionStatus.ENDING


def test_a_renewal_by_the_pg_is_an_event_of_its_subscription_told_once() -> None:
    shop = Shop(ManagedEmulator)
    shop.subscribe()
    heard = shop.listen(31 * 86_400)
    payments = [e for e in heard if e.payment is not None]
    assert {(e.kind, e.order_id) for e in payments} == {(EventKind.SUBSCRIPTION_RENEWED, "sub-1")}
    assert [e.is_news for e in payments].count(True) == 1
    assert all(e.payment is not None and e.payment.renews is not None for e in payments)
    told = [e for e in heard if e.payment is None]
    assert {(e.kind, e.order_id, e.verified_by) for e in told} == {
        (EventKind.SUBSCRIPTION_CHANGED, "sub-1", "signature")}
    assert shop.gate.attention() == []


def test_dunning_is_told_as_it_goes_until_the_subscription_is_over() -> None:
    shop = Shop(ManagedEmulator)
    shop.subscribe()
    shop.control["renewals"](outcome="failed", times=6)
    failed = shop.listen(32 * 86_400)
    assert EventKind.RENEWAL_FAILED in {e.kind for e in failed}
    assert shop.gate.subscription("sub-1").status is SubscriptionStatus.PAST_DUE
    shop.listen(30 * 86_400)
    assert shop.gate.subscription("sub-1").status is SubscriptionStatus.ENDED


def test_a_renewal_by_hand_costs_exactly_what_a_period_costs_and_happens_once() -> None:
    shop = Shop(ManagedEmulator)
    shop.subscribe()
    with pytest.raises(BadCommand, match="9,900 KRW"):
        shop.gate.renew(Renew(order_id="r-0", subscription="sub-1", money=Money(9_899, "KRW")))
    command = Renew(order_id="r-1", subscription="sub-1", money=FEE)
    for _ in range(2):
        assert shop.gate.renew(command).status is PaymentStatus.PAID
    assert shop.taken() == 19_800
    assert shop.gate.find("r-1").order_id == "r-1"
    refund = shop.gate.cancel(shop.cancel("c-1", "r-1"))
    assert refund.payment.left == Money(5_900, "KRW")
    assert shop.gate.subscription("sub-1").status is SubscriptionStatus.ACTIVE


@pytest.mark.parametrize("fault", ["drop_after", "error_500_after", "html_after", "truncate_after"])
def test_a_renewal_whose_answer_is_lost_is_unknown_and_never_sent_again(fault: str) -> None:
    shop = Shop(ManagedEmulator)
    shop.subscribe()
    shop.pg.fault(fault, on="POST .*/renew")
    command = Renew(order_id="r-1", subscription="sub-1", money=FEE)
    for _ in range(3):
        with pytest.raises(OutcomeUnknown):
            shop.gate.renew(command)
        shop.pg.clock.advance(600)
        shop.gate.reconcile()
    assert shop.taken() == 19_800
    assert [row.id for row in shop.gate.attention()] == ["r-1"]


def test_a_declined_renewal_by_hand_is_declined_and_a_late_success_of_it_is_told() -> None:
    shop = Shop(ManagedEmulator)
    shop.subscribe()
    shop.control["next_charge"](outcome="failed", message="한도 초과")
    with pytest.raises(Declined) as caught:
        shop.gate.renew(Renew(order_id="r-1", subscription="sub-1", money=FEE))
    assert caught.value.message == "한도 초과"
    with pytest.raises(BadCommand, match="past_due"):
        shop.gate.renew(Renew(order_id="r-2", subscription="sub-1", money=FEE))
    shop.pg.clock.advance(2 * 86_400)  # The PG tries again by itself after a day, and succeeds.
    for _ in range(8):
        shop.gate.reconcile()
        shop.pg.clock.advance(86_400)
    (row,) = shop.gate.attention()
    assert (row.id, row.state) == ("r-1", State.ANSWERED)


# Webhooks

def test_every_webhook_of_both_generations_is_read_and_none_raises_attention() -> None:
    shop = Shop(ManagedEmulator)
    shop.switch(hooks=("v1", "v2"), hook_events=("order.", "subscription.", "payment.", "customer.", "product."),
                hook_order="reversed", hook_copies=2)
    shop.paid()
    shop.subscribe()
    shop.key()
    shop.gate.cancel(shop.cancel("c-1"))
    heard = [shop.gate.receive(h.headers, h.body) for h in shop.pg.hooks]
    kinds = {e.kind for e in heard}
    assert {EventKind.PRODUCT_CHANGED, EventKind.CUSTOMER_CHANGED, EventKind.SUBSCRIPTION_CHANGED} <= kinds
    assert EventKind.UNMATCHED not in kinds
    again = [shop.gate.receive(h.headers, h.body) for h in shop.pg.hooks]
    assert not any(e.is_news for e in again)
    assert {e.id for e in again} == {e.id for e in heard}
    unsigned = [e for e in heard if e.kind is EventKind.SUBSCRIPTION_CHANGED and e.verified_by == "lookup"]
    assert {e.order_id for e in unsigned} == {"sub-1"}
    assert shop.gate.attention() == []


@pytest.mark.parametrize("content", ["json", "form"])
def test_a_payment_that_only_a_webhook_tells_of_is_confirmed_by_its_receipt(content: str) -> None:
    shop = Shop(UnmanagedEmulator)
    shop.switch(v1_content=content)
    shop.pay()  # The browser never comes back.
    hook = shop.pg.hooks[-1]
    assert shop.gate.receive(hook.headers, hook.body).kind is EventKind.PAYMENT_PAID
    assert shop.gate.find("order-1").status is PaymentStatus.PAID


def test_a_webhook_signed_long_ago_with_another_key_or_twice_in_its_headers_is_forged() -> None:
    shop = Shop(ManagedEmulator)
    shop.paid()
    hook = shop.pg.hooks[-1]
    twice = {**hook.headers, "Steppay-Signature": hook.headers["steppay-signature"]}
    for headers, body in ((hook.headers, hook.body + b" "), (twice, hook.body)):
        with pytest.raises(Forged):
            shop.gate.receive(headers, body)
    shop.control["rotate_webhook_key"]()
    shop.control["resend_hook"]()
    assert shop.gate.receive(hook.headers, hook.body).order_id == "order-1"
    shop.pg.clock.advance(301)
    with pytest.raises(Forged):
        shop.gate.receive(hook.headers, hook.body)


def test_a_forged_webhook_makes_nothing_paid_and_touches_no_other_order() -> None:
    shop = Shop(ManagedEmulator)
    shop.pay("order-1", "close")
    order = shop.control["orders"]()[0]
    body = b'{"webHookType":"PAYMENT","orderId":%d}' % order["orderId"]
    event = shop.gate.receive({"content-type": "application/json"}, body)
    assert (event.kind, event.order_id) == (EventKind.PAYMENT_PENDING, "order-1")
    with pytest.raises(Forged):
        shop.gate.receive({"content-type": "application/json"}, b'{"webHookType":"PAYMENT","orderId":999}')
    with pytest.raises(Forged):
        shop.gate.receive({"content-type": "application/json"}, b'{"id":999,"status":"ACTIVE"}')
    assert shop.gate.find("order-1").status is PaymentStatus.PENDING


def test_an_order_that_was_made_in_the_portal_is_for_a_person_once_it_took_money() -> None:
    shop, other = Shop(ManagedEmulator), MemoryLedger()
    shop.paid()
    stranger = connect(SPECS["steppay-managed"], shop.pg.settings(), ledger=other, http=EmulatorTransport(shop.pg),
                       clock=shop.pg.clock)
    kinds = [stranger.receive(h.headers, h.body).kind for h in shop.pg.hooks if b'"order.' in h.body]
    assert set(kinds) == {EventKind.UNMATCHED}
    (row,) = stranger.attention()
    assert row.order_id.startswith("steppay-managed:order_")


# Nothing secret shows

def test_no_secret_and_nothing_personal_shows_in_what_a_merchant_may_log(shop: Shop) -> None:
    canaries = [shop.pg.settings()["secret_token"], "01012345678", "minji.kim@example.com", "Kim Minji"]
    shown: list[str] = [repr(shop.gate)]
    run: list[Callable[[], Any]] = [lambda: shop.gate.pay(shop.command("order-9")), shop.key,
                                    lambda: shop.gate.find("order-9"), lambda: shop.gate.pending(),
                                    lambda: shop.gate.trail("order-9")]
    for do in run:
        try:
            shown.append(repr(do()))
        except PaygateError as error:
            shown.append(f"{error!r} {error.__dict__}")
    assert not [c for c in canaries if any(c in text for text in shown)]
