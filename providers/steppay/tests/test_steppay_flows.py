"""StepPay's flows: the exact requests, and what each answer becomes. No network; every answer is written out here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from attrs import evolve
from paygate_steppay import Managed, ManagedSettings, Unmanaged, UnmanagedSettings, customers

from paygate.commands import Cancel, Charge, Customer, DeleteKey, KeysOf, Pay, Register
from paygate.errors import BadCommand, NotFound, OutcomeUnknown, RateLimited, Refused, Unauthorized, Unsupported
from paygate.flow import Flow
from paygate.model import BillingKey, ClientCall, Hint, Payment, PaymentStatus, Redirect
from paygate.money import Money
from paygate.secret import Secret
from paygate.subscriptions import (
    ChangeInterval,
    Interval,
    MoveNext,
    Renew,
    Subscribe,
    Subscription,
    SubscriptionStatus,
    Unsubscribe,
)
from paygate.wire import Request, Response, path

TOKEN = {"Secret-Token": Secret("token")}
MANAGED = Managed(ManagedSettings(secret_token="token", product_code="product_1"))
UNMANAGED = Unmanaged(UnmanagedSettings(secret_token="token", payment_key="public", payment_gateway="NICE"))
WON = Money(14_000, "KRW")
BACK = "https://shop.test/back"
PAYER = Customer(id="user-77", name="Kim", phone="01012345678", email="kim@example.test")
PAY = Pay(order_id="ours-1", money=WON, title="book", return_url=BACK, customer=PAYER)
REGISTER = Register(order_id="ours-0", money=WON, title="plan", return_url=BACK, customer=PAYER)
CANCEL = Cancel(cancel_id="back-1", order_id="ours-1", money=Money(4_000, "KRW"), reason="too large")
ID_KEY = "1767225600000AbCdEfGhIjKlMnOp"
CHARGE = Charge(order_id="ours-2", billing_key=BillingKey("shop", "16057932413479698c8vqQG0kMix9"), money=WON,
                title="plan", customer=PAYER)
RENEW = Renew(order_id="ours-3", subscription="ours-s", money=WON)
SUBSCRIPTION = Subscription(order_id="ours-s", provider_id="31001", status=SubscriptionStatus.ACTIVE, money=WON,
                            every=Interval("month"))
PRICE: Mapping[str, Any] = {"id": 7, "code": "price_7", "price": 14000, "type": "ONE_TIME"}
ITEM: Mapping[str, Any] = {"type": "SKU", "status": "CREATED", "currency": "KRW", "quantity": 0, "price": PRICE}
ORDER: Mapping[str, Any] = {"orderId": 1, "orderCode": "order_1", "type": "ONE_TIME", "paidAmount": 0,
                            "returnedAmount": 0, "leftAmount": 0, "items": [ITEM], "paymentDate": None,
                            "customer": {"id": 5}}
PAID = {**ORDER, "paidAmount": 14000, "leftAmount": 14000, "paymentDate": "2026-01-01T00:00:02",
        "items": [{**ITEM, "status": "PAID", "quantity": 1}]}
DETAIL: Mapping[str, Any] = {"id": 31001, "status": "ACTIVE", "interval": "MONTH", "intervalCount": 1,
                             "parentOrder": {"orderCode": "order_0"}, "relatedOrders": [],
                             "items": [{"price": 14000, "quantity": 1}]}
RECEIPT: Mapping[str, Any] = {"idKey": ID_KEY, "paymentStatus": "COMPLETE", "paymentMethod": "CARD_BILL",
                              "partnerOrderId": "ours-2", "amount": 14000, "discount": 0,
                              "paymentDate": "2026-01-01T00:00:02"}
NO = {"errorCode": "SOME_CODE", "errorMessage": "no", "traceId": "t", "details": {}}


def says(content: Any, status: int = 200, **headers: str) -> Response:
    return Response(status, {"content-type": "application/json", **headers}, json.dumps(content).encode())


def html(status: int) -> Response:
    return Response(status, {"content-type": "text/html"}, b"<html>")


def run(flow: Flow[Any], *answers: Response | Exception) -> tuple[list[Request], Any]:
    """Drive a flow with exactly these answers; an exception is what the core throws where none came."""
    asked: list[Request] = []
    waiting = list(answers)
    try:
        request = next(flow)
        while True:
            asked.append(request)
            answer = waiting.pop(0)
            request = flow.throw(answer) if isinstance(answer, Exception) else flow.send(answer)
    except StopIteration as stop:
        assert not waiting
        return asked, stop.value


def get(template: str, *places: str, query: tuple[tuple[str, Any], ...] = ()) -> Request:
    return Request("GET", path(template, *places), query=query, headers=TOKEN)


def send(method: Any, template: str, *places: str, body: Any = None, repeatable: bool = False) -> Request:
    return Request(method, path(template, *places), json=body, headers=TOKEN, repeatable=repeatable)


PRODUCT = {"id": 6, "code": "product_1", "prices": [PRICE]}
CUSTOMERS = {"content": [{"id": 9, "email": "KIM@example.test"}, {"id": 5, "email": "kim@example.test"},
                         {"id": 2, "email": "kimkim@example.test"}], "last": True}
NOBODY = {"content": [], "last": True}


# Managed: paying

def test_paying_finds_customer_and_plan_orders_it_and_redirects_with_the_code_as_our_handle() -> None:
    asked, checkout = run(MANAGED.pay(PAY), says(CUSTOMERS), says(PRODUCT), says(ORDER, 201))
    assert asked == [
        get("/api/v1/customers", query=(("keyword", Secret("kim@example.test")), ("size", "100"), ("page", "0"))),
        get("/api/v1/products/{}", "product_1"),
        send("POST", "/api/v1/orders", body={"customerId": 5, "items": [{
            "currency": "KRW", "minimumQuantity": 1, "maximumQuantity": 1, "productCode": "product_1",
            "priceCode": "price_7"}]})]
    assert checkout.provider_id == "order_1"
    assert checkout.takes_money
    assert isinstance(checkout.action, Redirect)
    assert checkout.action.url.startswith("https://api.steppay.kr/api/public/orders/order_1/pay?successUrl=")


def test_the_e_mail_address_that_is_searched_for_does_not_show() -> None:
    assert "kim" not in repr(next(MANAGED.pay(PAY)))


def test_an_order_that_was_shown_before_is_shown_again_without_a_request() -> None:
    asked, checkout = run(MANAGED.pay(PAY, "order_1"))
    assert asked == []
    assert checkout.provider_id == "order_1"


def test_what_is_not_there_is_made_and_two_workers_making_a_plan_use_the_same() -> None:
    made, without = {**PRICE, "id": 9, "code": "price_9"}, {**PRODUCT, "prices": []}
    asked, _ = run(MANAGED.pay(PAY), says(NOBODY), says({"id": 5}, 201), says(without), says([]),
                   says(made, 200), says(without), says([made, PRICE]), says(ORDER))
    assert asked[1] == send("POST", "/api/v1/customers", body={
        "name": PAYER.name, "email": PAYER.email, "phone": PAYER.phone, "attributes": {}, "marketingSms": False,
        "marketingEmail": False, "marketingKakao": False})
    assert asked[3] == asked[6] == get("/api/v1/products/{}/prices", "6")
    assert asked[4] == send("POST", "/api/v1/products/{}/prices", "6", body={
        "type": "ONE_TIME", "price": 14000, "unit": "회", "options": [],
        "plan": {"name": "14,000 KRW", "description": "14,000 KRW", "isHiddenFromShop": True, "adminName": "paygate"}})
    assert asked[7].json["items"][0]["priceCode"] == "price_7"


def test_a_stated_customer_is_not_searched_for() -> None:
    pay = evolve(PAY, customer=Customer(), extra={"steppay-managed": {"customerId": 77}})
    asked, _ = run(MANAGED.pay(pay), says(PRODUCT), says({**ORDER, "customer": {"id": 77}}))
    assert asked[-1].json["customerId"] == 77
    default = Managed(ManagedSettings(secret_token="token", product_code="product_1", customer_id=78))
    asked, _ = run(default.pay(evolve(PAY, customer=Customer())), says(PRODUCT),
                   says({**ORDER, "customer": {"id": 78}}))
    assert asked[-1].json["customerId"] == 78


@pytest.mark.parametrize("change", [
    {"type": "RECURRING_INITIAL"}, {"paymentDate": "2026-01-01T00:00:00"}, {"items": []}, {"orderCode": None},
    {"customer": {"id": 6}}, {"customer": None}, {"items": [ITEM, {**ITEM, "type": "FEE"}]},
    {"items": [{**ITEM, "price": {**PRICE, "code": "price_8"}}]},
    {"items": [{**ITEM, "price": {**PRICE, "price": 1}}]}])
def test_an_answer_that_is_not_the_order_asked_for_shows_nobody_a_page(change: dict[str, Any]) -> None:
    with pytest.raises(OutcomeUnknown):
        run(MANAGED.pay(PAY), says(CUSTOMERS), says(PRODUCT), says({**ORDER, **change}))


def test_a_product_that_does_not_exist_is_named_as_the_setting_it_is() -> None:
    with pytest.raises(NotFound, match=r"settings\.product_code"):
        run(MANAGED.pay(PAY), says(CUSTOMERS), says(NO, 404))


# Managed: looking up

def test_a_looked_up_order_takes_our_id_from_the_ledger_and_without_one_can_be_taken_for_none() -> None:
    asked, paid = run(MANAGED.lookup("order_1", "ours-1"), says(PAID))
    assert asked == [get("/api/v1/orders/{}", "order_1")]
    assert (paid.order_id, paid.provider_id, paid.status, paid.money) == ("ours-1", "order_1", PaymentStatus.PAID, WON)
    _, nobody = run(MANAGED.lookup("1"), says(PAID))
    assert nobody.order_id == "steppay-managed:order_1"


def test_another_order_than_the_one_asked_for_is_not_believed() -> None:
    with pytest.raises(OutcomeUnknown):
        run(MANAGED.lookup("order_2", "ours-1"), says(PAID))


def test_absence_is_a_404_with_the_pgs_own_error_body_and_nothing_else() -> None:
    for flow, answer in ((MANAGED.lookup("order_1"), says(NO, 404)), (UNMANAGED.lookup(ID_KEY), says(NO, 404))):
        assert run(flow, answer)[1] is None
    for answer in (html(404), says({}, 404), says({}, 200), html(200), says(NO, 500), Response(200, {}, b"[" * 10**5)):
        for flow in (MANAGED.lookup("order_1", "ours-1"), UNMANAGED.lookup(ID_KEY)):
            with pytest.raises(OutcomeUnknown):
                run(flow, answer)


def test_401_and_403_are_both_about_the_token_but_a_bare_403_proves_nothing() -> None:
    for provider in (MANAGED, UNMANAGED):
        for status in (401, 403):
            with pytest.raises(Unauthorized):
                run(provider.lookup("order_1"), says(NO, status))
        with pytest.raises(OutcomeUnknown):
            run(provider.lookup("order_1"), html(403))
        assert provider.is_unprocessed(says(NO, 403))
        assert not provider.is_unprocessed(html(403))
        assert not provider.is_unprocessed(says(NO, 400))


def test_a_limit_tells_how_long_to_wait() -> None:
    with pytest.raises(RateLimited) as caught:
        run(MANAGED.lookup("order_1"), says({}, 429, **{"retry-after": "7"}))
    assert caught.value.retry_after_s == 7.0


def test_a_renewal_says_which_order_began_its_subscription() -> None:
    renewal = {**PAID, "type": "RECURRING", "parentSubscription": {"id": 31001, "status": "ACTIVE"}}
    asked, paid = run(MANAGED.lookup("order_1"), says(renewal), says(DETAIL))
    assert asked[1] == get("/api/v1/subscriptions/{}", "31001")
    assert paid.renews == "order_0"


# Managed: giving back

HELD = Payment(order_id="ours-1", provider_id="order_1", status=PaymentStatus.PAID, money=WON)
PART = {**PAID, "returnedAmount": 4000, "leftAmount": 10000,
        "items": [{**ITEM, "status": "CANCELLATION_REFUNDED_PARTIALLY"}]}


def test_a_refund_states_its_amount_and_is_read_back_from_the_order() -> None:
    asked, after = run(MANAGED.cancel(CANCEL, HELD), says(PAID), says({"message": "OK", "body": None}), says(PART))
    assert asked[1] == send("PATCH", "/api/v1/orders/{}/cancel", "order_1", body={
        "requestPrice": 4000, "reason": "too large"})
    assert (after.order_id, after.left) == ("ours-1", Money(10_000, "KRW"))
    assert after.status is PaymentStatus.PARTLY_CANCELLED


def test_a_refund_that_would_end_a_subscription_must_say_so() -> None:
    first = {**PAID, "type": "RECURRING_INITIAL", "subscriptions": [{"id": 31001, "status": "ACTIVE"}]}
    with pytest.raises(BadCommand, match="ends the subscription"):
        run(MANAGED.cancel(CANCEL, HELD), says(first))
    said = evolve(CANCEL, extra={"steppay-managed": {"ends_subscription": True}})
    assert len(run(MANAGED.cancel(said, HELD), says(first), says({"message": "OK"}), says(PART))[0]) == 3
    over = {**first, "subscriptions": [{"id": 31001, "status": "EXPIRED"}]}
    assert len(run(MANAGED.cancel(CANCEL, HELD), says(over), says({"message": "OK"}), says(PART))[0]) == 3


def test_more_than_is_left_is_not_asked_for() -> None:
    with pytest.raises(BadCommand):
        run(MANAGED.cancel(evolve(CANCEL, money=Money(14_001, "KRW")), HELD))


# Managed: saved means of payment

NOTED = str(customers.before(5, [4], frozenset()))


def test_registering_orders_a_means_of_payment_and_its_key_is_the_one_that_was_not_there_before() -> None:
    made = {**ORDER, "type": "PAYMENT_METHOD", "items": []}
    before = {"id": 5, "paymentMethods": [{"id": 4, "paymentInfo": "YY카드"}]}
    asked, checkout = run(MANAGED.register(REGISTER), says(CUSTOMERS), says(made, 201), says(before))
    assert asked[1:] == [send("POST", "/api/v1/customers/{}/payment-method", "5"), get("/api/v1/customers/{}", "5")]
    assert (checkout.takes_money, checkout.note) == (False, NOTED)
    assert "5:4" not in NOTED  # A billing key, which the ledger does not keep.
    done = evolve(HELD, order_id="ours-0", money=Money(0, "KRW"), for_key=True)
    methods = {"id": 5, "paymentMethods": [{"id": 3, "paymentInfo": "XX카드 541600**********"}, {"id": 4}]}
    paid = says({**made, "paymentDate": "2026-01-01T00:00:00"})
    _, key = run(MANAGED.issued_key(done, checkout.note), paid, says(methods))
    assert key.reveal() == "5:3"
    assert run(MANAGED.issued_key(done, checkout.note), paid, says(before))[1] is None
    _, info = run(MANAGED.lookup_key(Secret("5:3"), "shop"), says(methods))
    assert (info.method, info.card_name, info.card_number) == (None, "XX카드", "541600**********")
    assert run(MANAGED.lookup_key(Secret("5:9"), "shop"), says(methods))[1] is None


def test_the_means_of_payment_that_a_payer_has_saved_are_listed() -> None:
    record = {"id": 5, "paymentMethods": [{"id": 3, "paymentInfo": "XX카드 541600**********"}, {"id": 4},
                                         {"id": 6, "paymentInfo": "YY카드"}, {"id": 7, "paymentInfo": "CMS 신한"}]}
    command = KeysOf(customer=REGISTER.customer)
    asked, found = run(MANAGED.keys(command, "shop"), says(CUSTOMERS), says(record))
    assert [(i.billing_key.reveal(), i.method, i.card_name) for i in found] == [
        ("5:3", None, "XX카드"), ("5:4", None, None), ("5:6", None, "YY카드"), ("5:7", "CMS", None)]
    assert asked[1:] == [get("/api/v1/customers/{}", "5")]
    nobody = {**CUSTOMERS, "content": [], "last": True}
    assert run(MANAGED.keys(command, "shop"), says(nobody)) == (asked[:1], ())
    stated = KeysOf(customer=Customer(), extra={"steppay-managed": {"customerId": 5}})
    assert run(MANAGED.keys(stated, "shop"), says(record))[0] == asked[1:]
    assert run(MANAGED.keys(stated, "shop"), says(NO, 404))[1] == ()
    with pytest.raises(OutcomeUnknown):
        run(MANAGED.keys(stated, "shop"), says({**record, "id": 6}))
    with pytest.raises(BadCommand, match="email"):
        MANAGED.check(KeysOf(customer=Customer(name="Kim")))


@pytest.mark.parametrize(("note", "customer"), [
    (None, {}), ("", {}), (f"{customers.mark('5')}:", {}), (str(customers.before(6, [], frozenset())), {}),
    (NOTED, {"id": 6}), (NOTED, {"paymentMethods": None}),
    (str(customers.before(5, [], frozenset())), {"paymentMethods": [{"id": 3}, {"id": 4}]})])
def test_a_key_is_never_guessed(note: str | None, customer: dict[str, Any]) -> None:
    done = evolve(HELD, order_id="ours-0", money=Money(0, "KRW"), for_key=True)
    order = {**ORDER, "type": "PAYMENT_METHOD", "items": [], "paymentDate": "2026-01-01T00:00:00"}
    with pytest.raises(OutcomeUnknown):
        run(MANAGED.issued_key(done, note), says(order), says({"id": 5, "paymentMethods": [{"id": 3}], **customer}))


def test_deleting_a_means_of_payment_that_is_gone_changes_nothing() -> None:
    command = DeleteKey(billing_key=BillingKey("shop", "5:3"), reason="left")
    asked, _ = run(MANAGED.delete_key(command), says(NO, 404))
    assert asked == [send("DELETE", "/api/v1/customers/{}/payment-method/{}", "5", "3", repeatable=True)]


# Managed: subscriptions

def test_subscribing_orders_a_recurring_plan() -> None:
    recurring = {**PRICE, "type": "FLAT", "recurring": {"interval": "MONTH", "intervalCount": 1}}
    order = {**ORDER, "type": "RECURRING_INITIAL", "items": [{**ITEM, "price": recurring}]}
    command = Subscribe(order_id="ours-s", money=WON, every=Interval("month"), title="plan", return_url=BACK,
                        customer=PAYER)
    asked, checkout = run(MANAGED.subscribe(command), says(CUSTOMERS), says({**PRODUCT, "prices": [recurring]}),
                          says(order))
    assert asked[-1].json["items"][0]["priceCode"] == "price_7"
    assert checkout.provider_id == "order_1"


def test_an_order_that_began_nothing_yet_has_no_subscription_and_one_that_began_two_is_not_guessed() -> None:
    assert run(MANAGED.subscription("ours-s", "order_1"), says(ORDER))[1] is None
    one, two = {"id": 31001, "status": "ACTIVE"}, {"id": 31002, "status": "ACTIVE"}
    _, found = run(MANAGED.subscription("ours-s", "order_1"), says({**PAID, "subscriptions": [one]}), says(DETAIL))
    assert (found.order_id, found.provider_id, found.money) == ("ours-s", "31001", WON)
    with pytest.raises(OutcomeUnknown):
        run(MANAGED.subscription("ours-s", "order_1"), says({**PAID, "subscriptions": [one, two]}))


@pytest.mark.parametrize(("flow", "request_"), [
    (lambda: MANAGED.unsubscribe(Unsubscribe(order_id="ours-s"), SUBSCRIPTION),
     send("POST", "/api/v1/subscriptions/{}/cancel", "31001", body={"whenToCancel": "END_OF_PERIOD"})),
    (lambda: MANAGED.unsubscribe(Unsubscribe(order_id="ours-s", when="now"), SUBSCRIPTION),
     send("POST", "/api/v1/subscriptions/{}/cancel", "31001", body={"whenToCancel": "NOW"})),
    (lambda: MANAGED.unsubscribe(Unsubscribe(order_id="ours-s", when=datetime(2026, 3, 1, 9, tzinfo=timezone(
        timedelta(hours=9)))), SUBSCRIPTION),
     send("POST", "/api/v1/subscriptions/{}/cancel", "31001", body={
         "whenToCancel": "SPECIFIC_DATE_TIME", "when": "2026-03-01T00:00:00"})),
    (lambda: MANAGED.pause(SUBSCRIPTION), send("POST", "/api/v1/subscriptions/{}/pause", "31001", body={
        "whenToPause": "IMMEDIATE", "whenToResume": "NOTHING"})),
    (lambda: MANAGED.resume(evolve(SUBSCRIPTION, status=SubscriptionStatus.PAUSED)),
     send("POST", "/api/v1/subscriptions/{}/active", "31001")),
    (lambda: MANAGED.move_next(MoveNext(order_id="ours-s", due_at=datetime(2026, 3, 1, tzinfo=UTC)), SUBSCRIPTION),
     send("POST", "/api/v1/subscriptions/{}/change-pay-datetime", "31001", body={"when": "2026-03-01T00:00:00"})),
    (lambda: MANAGED.change_interval(ChangeInterval(order_id="ours-s", every=Interval("week", 2)), SUBSCRIPTION),
     send("PUT", "/api/v1/subscriptions/{}/interval", "31001", body={"interval": "WEEK", "intervalCount": 2}))])
def test_a_change_of_a_subscription_is_one_request(flow: Any, request_: Request) -> None:
    assert run(flow(), says({"message": "OK", "body": None}))[0] == [request_]


def test_what_is_so_already_is_not_asked_for() -> None:
    over, ending, paused = (evolve(SUBSCRIPTION, status=s) for s in (
        SubscriptionStatus.ENDED, SubscriptionStatus.ENDING, SubscriptionStatus.PAUSED))
    for flow in (MANAGED.unsubscribe(Unsubscribe(order_id="ours-s", when="now"), over), MANAGED.pause(paused),
                 MANAGED.unsubscribe(Unsubscribe(order_id="ours-s"), ending), MANAGED.resume(SUBSCRIPTION)):
        assert run(flow)[0] == []


RENEWAL = {**PAID, "orderId": 2, "orderCode": "order_2", "type": "RECURRING", "parentSubscription": {"id": 31001}}
RENEWED = {**DETAIL, "relatedOrders": [RENEWAL]}


def test_a_renewal_is_the_order_that_was_not_there_before() -> None:
    asked, paid = run(MANAGED.renew(RENEW, SUBSCRIPTION), says(DETAIL), says({"message": "OK", "body": {"orderId": 2}}),
                      says(RENEWAL), says(RENEWED))
    assert asked[1:3] == [send("POST", "/api/v1/subscriptions/{}/renew", "31001"), get("/api/v1/orders/{}", "2")]
    assert run(MANAGED.renew(RENEW, SUBSCRIPTION), says(DETAIL), says({"message": "OK", "body": None}),
               says(RENEWED), says(RENEWAL), says(RENEWED))[1] == paid
    assert (paid.order_id, paid.provider_id, paid.renews) == ("ours-3", "order_2", "order_0")
    assert paid.status is PaymentStatus.PAID


def test_a_renewal_that_was_declined_is_failed_only_by_its_own_new_record() -> None:
    failed = {**RENEWAL, "paidAmount": 0, "leftAmount": 0, "paymentDate": None,
              "items": [{**ITEM, "status": "PAYMENT_FAILURE"}]}
    _, made = run(MANAGED.renew(RENEW, SUBSCRIPTION), says(DETAIL), says(NO, 400),
                  says({**DETAIL, "relatedOrders": [failed]}), says(failed), says(DETAIL))
    assert made.status is PaymentStatus.FAILED
    with pytest.raises(Refused):
        run(MANAGED.renew(RENEW, SUBSCRIPTION), says(DETAIL), says(NO, 400), says(DETAIL))
    with pytest.raises(Refused):  # A "no", and yet a paid renewal: perhaps the PG's own, so it is not taken for ours.
        run(MANAGED.renew(RENEW, SUBSCRIPTION), says(DETAIL), says(NO, 400), says(RENEWED), says(RENEWAL),
            says(RENEWED))


def test_a_renewal_that_shows_nowhere_or_twice_is_unknown_and_one_known_by_number_only_is_pending() -> None:
    third = {**RENEWAL, "orderId": 3, "orderCode": "order_3"}
    with pytest.raises(OutcomeUnknown):
        run(MANAGED.renew(RENEW, SUBSCRIPTION), says(DETAIL), says({"message": "OK"}), says(DETAIL))
    with pytest.raises(OutcomeUnknown):
        run(MANAGED.renew(RENEW, SUBSCRIPTION), says(DETAIL), says({"message": "OK"}),
            says({**DETAIL, "relatedOrders": [RENEWAL, third]}))
    _, made = run(MANAGED.renew(RENEW, SUBSCRIPTION), says(DETAIL), says({"body": {"orderId": 2}}),
                  OutcomeUnknown("lost"))
    assert (made.status, made.provider_id) == (PaymentStatus.PENDING, "2")


def test_a_subscription_that_the_pg_is_already_retrying_is_not_renewed() -> None:
    with pytest.raises(BadCommand):
        run(MANAGED.renew(RENEW, evolve(SUBSCRIPTION, status=SubscriptionStatus.PAST_DUE)))


def test_an_unsigned_subscription_hook_becomes_what_the_record_says() -> None:
    hint = Hint(kind="subscription", provider_id="31001", claim="CANCELED")
    _, seen = run(MANAGED.look_at(hint), says(DETAIL))
    assert (seen.claim, seen.began_by) == ("ACTIVE", "order_0")
    _, later = run(MANAGED.look_at(hint), says({**DETAIL, "nextPaymentDate": "2026-03-01T00:00:00"}))
    assert seen.identity != later.identity
    assert run(MANAGED.look_at(hint), says(NO, 404))[1] is None


# Unmanaged

def test_the_window_is_a_call_of_the_browsers_script_and_nothing_is_sent() -> None:
    asked, checkout = run(UNMANAGED.pay(PAY))
    assert asked == []
    assert isinstance(checkout.action, ClientCall)
    assert checkout.action.to_dict() == {
        "type": "client_call", "script": "https://cdn.steppay.kr/js/steppay-0.7.1.js", "setup": None,
        "returns": "chain", "function": "Steppay.requestPay", "params": {
            "paymentKey": "public", "paymentGateway": "NICE", "paymentMethod": "CARD",
            "partner": {"partnerOrderId": "ours-1", "partnerUserId": "user-77"},
            "product": {"itemName": "book", "amount": 14000, "quantity": 1, "currency": "KRW"},
            "customer": {"userName": "Kim", "phone": "01012345678", "email": "kim@example.test"}}}
    _, register = run(UNMANAGED.register(REGISTER))
    assert register.takes_money
    assert register.action.params["paymentMethod"] == "CARD_BILL"


def test_only_a_bill_payment_issues_a_key_which_is_its_id_key() -> None:
    paid = Payment(order_id="o", provider_id=ID_KEY, status=PaymentStatus.PAID, money=WON, method="CARD_BILL")
    assert run(UNMANAGED.issued_key(paid))[1].reveal() == ID_KEY
    assert run(UNMANAGED.issued_key(evolve(paid, method="CARD")))[1] is None


ENVELOPE = {"result": True, "code": 200, "message": "", "id": None, "response": {"idKey": ID_KEY}}


def test_a_charge_is_believed_by_its_receipt_alone() -> None:
    asked, paid = run(UNMANAGED.charge(CHARGE), says(ENVELOPE), says(RECEIPT))
    assert asked == [
        send("POST", "/api/payment/billing", body={
            "idKey": CHARGE.billing_key.value, "partner": {"partnerOrderId": "ours-2", "partnerUserId": "user-77"},
            "product": {"itemName": "plan", "amount": 14000, "quantity": 1}, "taxFreeAmount": 0, "discount": 0,
            "isMobile": False, "customer": {"userName": PAYER.name, "phone": PAYER.phone, "email": PAYER.email}}),
        get("/api/payment/receipt/{}", ID_KEY)]
    assert (paid.order_id, paid.provider_id, paid.status) == ("ours-2", ID_KEY, PaymentStatus.PAID)
    top = {**ENVELOPE, "response": {}, "idKey": ID_KEY}
    assert run(UNMANAGED.charge(CHARGE), says(top, 201), says(RECEIPT))[1] == paid


def test_a_charge_whose_receipt_cannot_be_read_yet_is_pending_under_its_id_key() -> None:
    for answer in (OutcomeUnknown("lost"), says(NO, 404), html(502), says({}), says(NO, 403)):
        _, made = run(UNMANAGED.charge(CHARGE), says(ENVELOPE), answer)
        assert (made.status, made.provider_id, made.order_id) == (PaymentStatus.PENDING, ID_KEY, "ours-2")


def test_a_declined_charge_is_failed_by_its_receipt() -> None:
    failed = {**RECEIPT, "paymentStatus": "FAILED", "paymentDate": None, "errorMessage": "잔액 부족"}
    _, made = run(UNMANAGED.charge(CHARGE), says({**ENVELOPE, "result": False, "code": 400}), says(failed))
    assert (made.status, made.reason) == (PaymentStatus.FAILED, "insufficient_funds")


def test_an_answer_without_an_id_key_is_unknown_whatever_it_says() -> None:
    for body in ({**ENVELOPE, "response": None}, {"result": False, "message": "no"}, {"result": True, "response": {}}):
        with pytest.raises(OutcomeUnknown):
            run(UNMANAGED.charge(CHARGE), says(body))
    for answer in (html(500), html(200), says({**ENVELOPE, "response": {"idKey": "a/b"}})):
        with pytest.raises(OutcomeUnknown):
            run(UNMANAGED.charge(CHARGE), answer)
    with pytest.raises(Refused) as caught:
        run(UNMANAGED.charge(CHARGE), says(NO, 400))
    assert (caught.value.code, caught.value.message) == ("SOME_CODE", "no")


GIVEN = {"result": True, "response": {"cancelPayment": {"canceledAmount": 4000, "paymentStatus": "PARTIAL_CANCELED"}}}
OWN = Payment(order_id="ours-2", provider_id=ID_KEY, status=PaymentStatus.PAID, money=WON)


def test_a_refund_carries_the_token_in_both_headers_and_is_read_back() -> None:
    back = {**RECEIPT, "paymentStatus": "PARTIAL_CANCELED", "cancel": {"canceledAmount": 4000}}
    asked, after = run(UNMANAGED.cancel(CANCEL, OWN), says(GIVEN), says(back))
    assert asked[0] == Request("POST", path("/api/internal/payment/cancel"), headers={
        "Secret-Token": Secret("token"), "Secret-Key": Secret("token")}, json={
            "idKey": Secret(ID_KEY), "requestPrice": 4000})
    assert after.left == Money(10_000, "KRW")


def test_where_a_receipt_lists_no_refunds_the_first_one_is_taken_from_the_answer_and_no_second() -> None:
    silent = {**RECEIPT, "paymentStatus": "PARTIAL_CANCELED"}
    _, after = run(UNMANAGED.cancel(CANCEL, OWN), says(GIVEN), says(silent))
    assert after.cancelled == Money(4_000, "KRW")
    again = evolve(OWN, status=PaymentStatus.PARTLY_CANCELLED, cancelled=Money(4_000, "KRW"))
    with pytest.raises(OutcomeUnknown):
        run(UNMANAGED.cancel(CANCEL, again), says(GIVEN), says(silent))


def test_a_refund_the_pg_answers_no_to_is_refused() -> None:
    with pytest.raises(Refused):
        run(UNMANAGED.cancel(CANCEL, OWN), says({"result": False, "message": "no"}))


# Checks

@pytest.mark.parametrize("command", [
    evolve(PAY, customer=Customer(name="Kim")), evolve(PAY, return_url=f"{BACK}?order_code=1"),
    evolve(PAY, return_url=f"{BACK}?a=1&paygate_outcome=success"), evolve(PAY, money=Money(100, "USD")),
    evolve(PAY, extra={"steppay-managed": {"customerId": "5"}}), evolve(PAY, extra={"steppay-managed": {"x": 1}}),
    evolve(CANCEL, extra={"steppay-managed": {"ends_subscription": 1}}),
    DeleteKey(billing_key=BillingKey("shop", "5/3"), reason="x")])
def test_managed_refuses_what_it_could_not_take(command: Any) -> None:
    with pytest.raises(BadCommand):
        MANAGED.check(command)


@pytest.mark.parametrize("command", [
    evolve(PAY, customer=Customer(name="Kim", email="k@example.test")), evolve(CHARGE, money=Money(100, "USD")),
    evolve(PAY, extra={"steppay-unmanaged": {"paymentMethod": "CARD_BILL"}}),
    evolve(REGISTER, extra={"steppay-unmanaged": {"paymentMethod": "CARD"}}),
    evolve(CHARGE, billing_key=BillingKey("shop", "5:3")), evolve(CHARGE, extra={"steppay-unmanaged": {"x": 1}})])
def test_unmanaged_refuses_what_it_could_not_take(command: Any) -> None:
    with pytest.raises(BadCommand):
        UNMANAGED.check(command)


def test_a_part_free_of_tax_is_not_dropped_in_silence() -> None:
    for provider in (MANAGED, UNMANAGED):
        with pytest.raises(Unsupported):
            provider.check(evolve(PAY, tax_free=Money(1, "KRW")))


def test_what_both_can_take_passes() -> None:
    for provider in (MANAGED, UNMANAGED):
        for command in (PAY, REGISTER, CANCEL):
            provider.check(command)
    MANAGED.check(RENEW)
    UNMANAGED.check(evolve(CHARGE, tax_free=Money(1_000, "KRW")))
