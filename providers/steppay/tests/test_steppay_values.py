"""StepPay's values: orders, receipts, plans, webhooks, returns, settings. Every record is written out here."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from paygate_steppay import (
    Managed,
    ManagedSettings,
    Unmanaged,
    UnmanagedSettings,
    fields,
    links,
    orders,
    plans,
    receipts,
    recurring,
    webhooks,
    words,
)
from paygate_steppay.profile import MANAGED_CAPABILITIES, UNMANAGED_CAPABILITIES

from paygate.capability import Capability
from paygate.codec import Unreadable, settings_from
from paygate.errors import BadSettings, Forged
from paygate.model import DeclineReason, Hint, PaymentStatus
from paygate.money import Money
from paygate.secret import Secret
from paygate.subscriptions import Interval, SubscriptionStatus

NOW = datetime(2024, 1, 23, 9, 31, 56, tzinfo=UTC)
KEY = Secret("test-verification-key")
ID_KEY = "1767225600000AbCdEfGhIjKlMnOp"
PRICE: Mapping[str, Any] = {"id": 10064, "code": "price_0V4zUJ5bv", "price": Decimal("14000.0"), "type": "ONE_TIME"}
ITEM: Mapping[str, Any] = {"id": 1, "code": "order_item_ve2dE7xEm", "type": "SKU", "status": "PAID", "currency": "KRW",
                           "quantity": 1, "minimumQuantity": 1, "price": PRICE}
ORDER: Mapping[str, Any] = {
    "orderId": 183682, "orderCode": "order_15XqwcM1f", "type": "ONE_TIME", "paidAmount": 14000,
    "returnedAmount": Decimal("0.0"), "leftAmount": Decimal("14000.0"), "items": [ITEM], "customer": {"id": 242443},
    "paymentDate": "2026-01-01T00:00:02", "payment": {"paymentMethod": "CARD", "cardNumber": "541600******1234"},
    "subscriptions": [], "parentSubscription": None, "a_field_of_next_year": {"x": 1}}
UNPAID = {**ORDER, "paidAmount": 0, "leftAmount": 0, "paymentDate": None, "payment": None,
          "items": [{**ITEM, "status": "CREATED", "quantity": 0}]}
RECEIPT: Mapping[str, Any] = {
    "idKey": ID_KEY, "paymentStatus": "COMPLETE", "paymentMethod": "CARD_BILL", "partnerOrderId": "inv-1",
    "partnerUserId": "user-77", "amount": 9900, "discount": 0, "paymentDate": "2026-01-01T00:00:02"}


def of(order: Any, vat: int = 0, hours: int = 0) -> Any:
    return orders.payment(orders.read(order, hours, vat), "ours", None)


# Orders

def test_a_paid_order_is_a_payment_under_its_code_and_our_id() -> None:
    paid = of(ORDER)
    assert (paid.order_id, paid.provider_id, paid.status) == ("ours", "order_15XqwcM1f", PaymentStatus.PAID)
    assert (paid.money, paid.paid_at) == (Money(14_000, "KRW"), datetime(2026, 1, 1, 0, 0, 2, tzinfo=UTC))


def test_an_order_without_a_time_of_payment_is_pending_whatever_its_items_and_amounts_say() -> None:
    assert of(UNPAID).status is PaymentStatus.PENDING
    assert of({**ORDER, "paymentDate": None}).status is PaymentStatus.PENDING


def test_an_unpaid_order_costs_what_its_plan_costs_with_tax_where_tax_is_added() -> None:
    assert of(UNPAID).money == Money(14_000, "KRW")
    assert of(UNPAID, vat=10).money == Money(15_400, "KRW")


@pytest.mark.parametrize(("word", "status"), [
    ("PAID", "paid"), ("ORDER_DELIVERY_PREPARING", "paid"), ("FINISHED_SUCCESSFULLY", "paid"),
    ("EXCHANGE_REQUEST", "paid"), ("DEPOSIT_WAITING", "pending"), ("CREATED", "pending")])
def test_a_time_of_payment_counts_only_with_items_in_the_paid_group(word: str, status: str) -> None:
    assert of({**ORDER, "items": [{**ITEM, "status": word}]}).status == status


@pytest.mark.parametrize("word", ["PAYMENT_FAILURE", "CANCELLED"])
def test_an_unpaid_order_whose_items_failed_is_failed(word: str) -> None:
    failed = of({**UNPAID, "items": [{**ITEM, "status": word}],
                 "payment": {"errorCode": "CARD_DECLINED", "errorMessage": "한도 초과"}})
    assert failed.status is PaymentStatus.FAILED
    assert (failed.code, failed.message) == ("CARD_DECLINED", "한도 초과")
    assert failed.reason is (DeclineReason.LIMIT_EXCEEDED if word != "CANCELLED" else DeclineReason.PAYER_CANCELLED)


def test_what_was_given_back_is_told_by_the_amounts() -> None:
    part = {**ORDER, "returnedAmount": 4000, "leftAmount": 10000,
            "items": [{**ITEM, "status": "CANCELLATION_REFUNDED_PARTIALLY"}]}
    assert (of(part).status, of(part).left) == (PaymentStatus.PARTLY_CANCELLED, Money(10_000, "KRW"))
    whole = {**ORDER, "returnedAmount": 14000, "leftAmount": 0, "items": [{**ITEM, "status": "CANCELLATION_REFUNDED"}]}
    assert of(whole).status is PaymentStatus.CANCELLED


@pytest.mark.parametrize("change", [
    {"leftAmount": 13999}, {"type": "NEW_TYPE"}, {"items": [{**ITEM, "status": "NEW_WORD"}]}, {"orderCode": None},
    {"items": [{**ITEM, "status": "PAYMENT_FAILURE"}]}, {"items": [{**ITEM, "status": "CANCELLATION_REFUNDED"}]},
    {"paymentDate": "yesterday"}, {"paidAmount": None}, {"paidAmount": Decimal("14000.5")}, {"items": None}])
def test_an_order_that_contradicts_itself_or_uses_unknown_words_is_not_read(change: dict[str, Any]) -> None:
    with pytest.raises(Unreadable):
        of({**ORDER, **change})


def test_an_order_for_a_means_of_payment_is_a_key_without_money() -> None:
    saved = of({**ORDER, "type": "PAYMENT_METHOD", "paidAmount": 0, "leftAmount": 0, "items": []})
    assert saved.for_key
    assert saved.status is PaymentStatus.PAID
    assert saved.money.is_zero


def test_the_shape_of_the_published_order_example_is_read() -> None:
    # v1/spec-example.json: no `code`, TAX-free, an unpaid RECURRING_INITIAL order with a payment object of UNKNOWN.
    price = {**PRICE, "price": Decimal("10000.0"), "type": "FLAT"}
    example = {**UNPAID, "id": 1, "orderId": 1, "orderCode": "order_AbCdEfGhI", "type": "RECURRING_INITIAL",
               "leftAmount": Decimal("0.0"), "items": [{**ITEM, "status": "CREATED", "quantity": 0, "price": price,
                                                        "minimumQuantity": 1, "maximumQuantity": None}],
               "payment": {"paymentMethod": None, "paymentGateway": "UNKNOWN", "paymentDate": None, "amount": 10000}}
    read = of(example)
    assert (read.status, read.money) == (PaymentStatus.PENDING, Money(10_000, "KRW"))


# Tax, times, amounts

@pytest.mark.parametrize("amount", range(1_000, 1_050))
def test_a_net_price_makes_exactly_the_amount_with_tax_or_there_is_none(amount: int) -> None:
    net = orders.net_of(Money(amount, "KRW"), 10)
    made = {n + n * 10 // 100 for n in range(2_000)}
    assert (net is not None) == (amount in made)
    assert net is None or orders.gross(net, 10) == Money(amount, "KRW")


def test_a_time_without_a_zone_is_utc_unless_the_settings_say_otherwise() -> None:
    text = "2023-06-19T06:19:55.403711"
    assert fields.moment(text, "t", 0) == datetime(2023, 6, 19, 6, 19, 55, 403711, tzinfo=UTC)
    assert fields.moment(text, "t", 9) == datetime(2023, 6, 18, 21, 19, 55, 403711, tzinfo=UTC)
    assert getattr(fields.moment(text, "t", 9), "tzinfo", None) is UTC
    assert fields.moment("2023-06-19T06:19:55+09:00", "t", 0) == datetime(2023, 6, 18, 21, 19, 55, tzinfo=UTC)
    seoul = datetime(2026, 1, 1, 9, 0, 0, 5, tzinfo=timezone(timedelta(hours=9)))
    assert fields.written(seoul) == "2026-01-01T00:00:00"


@pytest.mark.parametrize("value", [10000, Decimal("10000.0"), Decimal("1E+4"), "10000", "10000.0"])
def test_one_amount_is_read_however_it_is_written(value: Any) -> None:
    assert fields.money(value, "amount") == Money(10_000, "KRW")


@pytest.mark.parametrize("value", [True, None, "", "1e4", "10,000", Decimal("0.5"), -1, [], "٣"])
def test_what_is_no_amount_is_not_read(value: Any) -> None:
    with pytest.raises(Unreadable):
        fields.money(value, "amount")


# Receipts

@pytest.mark.parametrize(("word", "status"), [
    ("COMPLETE", "paid"), ("SUCCESS", "paid"), ("CANCELED_FAIL", "paid"),
    ("STANDBY", "pending"), ("CMS_STANDBY", "pending"), ("VIRTUAL_BANK_STANDBY", "pending"), ("FAILED", "failed"),
    ("PAYMENT_FAILURE", "failed"), ("USER_CANCELED", "failed"), ("CANCELED", "cancelled")])
def test_every_status_word_of_a_receipt_has_a_meaning(word: str, status: str) -> None:
    assert receipts.payment({**RECEIPT, "paymentStatus": word}, ID_KEY, 0).status == status


def test_a_receipt_charges_the_amount_without_the_discount_and_ids_may_be_numbers() -> None:
    read = receipts.payment({**RECEIPT, "discount": "900", "amount": "9900", "partnerOrderId": 77}, ID_KEY, 0)
    assert (read.money, read.order_id) == (Money(9_000, "KRW"), "77")


def test_a_complete_payment_without_its_time_is_pending() -> None:
    assert receipts.payment({**RECEIPT, "paymentDate": None}, ID_KEY, 0).status is PaymentStatus.PENDING


def test_part_given_back_must_say_how_much() -> None:
    part = {**RECEIPT, "paymentStatus": "PARTIAL_CANCELED"}
    read = receipts.payment({**part, "cancel": {"canceledAmount": 3000}}, ID_KEY, 0)
    assert (read.status, read.left) == (PaymentStatus.PARTLY_CANCELLED, Money(6_900, "KRW"))
    for cancel in (None, {}, {"canceledAmount": 0}, {"canceledAmount": 9900}):
        with pytest.raises(Unreadable):
            receipts.payment({**part, "cancel": cancel}, ID_KEY, 0)


@pytest.mark.parametrize("change", [
    {"paymentStatus": "PAID_PERHAPS"}, {"paymentStatus": None}, {"idKey": "another"}, {"partnerOrderId": None},
    {"discount": 10000}, {"cancel": {"canceledAmount": 1}},
    {"paymentStatus": "CANCELED", "cancel": {"canceledAmount": 1}}])
def test_a_receipt_that_is_not_understood_is_not_read(change: dict[str, Any]) -> None:
    with pytest.raises(Unreadable):
        receipts.payment({**RECEIPT, **change}, ID_KEY, 0)


# Plans

def plan(**change: Any) -> dict[str, Any]:
    """A row of the published price list, plain."""
    return {"id": 7, "code": "price_AbCdEfGhI", "price": Decimal("14000.0"), "type": "ONE_TIME", "setupOption": None,
            "enabledFirstSalePrice": False, "firstSale": {"enabled": False, "price": 0}, "options": [],
            "recurring": None, "membershipExpirationDate": 0,
            "claim": {"methodType": "PRE", "billingDate": 0, "provideStartDay": None}, **change}


def test_of_several_plans_that_fit_the_lowest_number_is_used() -> None:
    two = [plan(id=9, code="b"), plan(id=8, code="a")]
    assert plans.fitting(two, Money(14_000, "KRW"), None)[0] == plans.Plan(8, "a")


@pytest.mark.parametrize("change", [
    {"price": 13999}, {"price": Decimal("14000.5")}, {"type": "FLAT"}, {"setupOption": {"price": 500}},
    {"firstSale": {"enabled": True, "price": 1}}, {"enabledFirstSalePrice": True}, {"options": [{}]},
    {"membershipExpirationDate": 3}, {"claim": {"methodType": "POST"}}, {"recurring": {"interval": "MONTH"}}])
def test_a_plan_that_costs_more_less_later_or_otherwise_is_not_used(change: dict[str, Any]) -> None:
    assert plans.fitting([plan(**change)], Money(14_000, "KRW"), None) == []


def test_a_recurring_plan_fits_its_interval_only() -> None:
    monthly = plan(type="FLAT", recurring={"id": 1, "interval": "MONTH", "intervalCount": 1})
    assert plans.fitting([monthly], Money(14_000, "KRW"), Interval("month"))
    assert not plans.fitting([monthly], Money(14_000, "KRW"), Interval("month", 2))
    assert not plans.fitting([monthly], Money(14_000, "KRW"), Interval("week"))
    made = plans.body(Money(14_000, "KRW"), Interval("week", 2))
    assert plans.fitting([{**made, "id": 1, "code": "c"}], Money(14_000, "KRW"), Interval("week", 2))


# Subscriptions

SUBSCRIPTION: Mapping[str, Any] = {
    "id": 31001, "status": "ACTIVE", "interval": "MONTH", "intervalCount": 1, "nextPaymentDate": "2026-02-01T00:00:00",
    "lastPaymentDate": "2026-01-01T00:00:00", "endDate": None, "parentOrder": {"orderCode": "order_1"},
    "relatedOrders": [], "items": [{"price": Decimal("4950.0"), "quantity": 2}]}


@pytest.mark.parametrize(("word", "status"), [
    ("ACTIVE", "active"), ("QUEUEING", "active"), ("UNPAID", "past_due"), ("PENDING_PAUSE", "paused"),
    ("PAUSE", "paused"), ("PENDING_CANCEL", "ending"), ("CANCELED", "ended"), ("EXPIRED", "ended")])
def test_every_explained_status_of_a_subscription_has_a_meaning(word: str, status: str) -> None:
    read = recurring.read({**SUBSCRIPTION, "status": word}, "ours", 0, 0)
    assert (read.status, read.money, read.every) == (SubscriptionStatus(status), Money(9_900, "KRW"), Interval("month"))


@pytest.mark.parametrize("change", [{"status": "INCOMPLETE"}, {"interval": "FORTNIGHT"}, {"intervalCount": 0},
                                    {"items": [{"price": 1, "quantity": None}]}, {"nextPaymentDate": "soon"}])
def test_a_subscription_that_nobody_explains_is_not_read(change: dict[str, Any]) -> None:
    with pytest.raises(Unreadable):
        recurring.read({**SUBSCRIPTION, **change}, "ours", 0, 0)


# Webhooks

VECTOR = b'{"timestamp":1706002316,"version":"v1","event":"payment.completed","data":{"paymentId":1}}'
MARK = "rCHLFjIkJAzMbYESF9Eb6lAyqvZmiUXEkxFFyp3kgBY="


def signed(event: str, data: Any, *, key: Secret = KEY, at: datetime = NOW) -> tuple[dict[str, str], bytes]:
    stamp = int(at.timestamp())
    body = json.dumps({"timestamp": stamp, "version": "v1", "event": event, "data": data}).encode()
    mark = base64.b64encode(hmac.digest(key.reveal().encode(), str(stamp).encode() + b"." + body, hashlib.sha256))
    return {"content-type": "application/json", "steppay-signature": f"timestamp={stamp},key={mark.decode()}"}, body


def managed(headers: dict[str, str], body: bytes, now: datetime = NOW) -> Hint:
    return webhooks.read(headers, body, now, [KEY], managed=True)


def unmanaged(headers: dict[str, str], body: bytes, now: datetime = NOW) -> Hint:
    return webhooks.read(headers, body, now, [KEY], managed=False)


def test_the_held_vector_is_accepted_with_any_of_our_keys_against_any_listed_one() -> None:
    webhooks.verify(f"timestamp=1706002316,key={MARK}", VECTOR, [KEY], NOW)
    webhooks.verify(f"timestamp=1706002316,key=AAAA;{MARK}", VECTOR, [Secret("old"), KEY], NOW)
    webhooks.verify(f"timestamp=1706002316,key={MARK};AAAA", VECTOR, [KEY, Secret("old")], NOW)


@pytest.mark.parametrize("header", [
    "", f"key={MARK}", f"timestamp=1706002316,key={MARK[:-1]}", f"timestamp=1706002316,key=x{MARK}",
    f"timestamp=1706002316,key={MARK}x", f"timestamp=1706002316, key={MARK}", f"timestamp=1706002317,key={MARK}",
    f"timestamp=-1706002316,key={MARK}", f"timestamp=1706002316,key={MARK},key={MARK}",
    f"timestamp=1706002316,timestamp=1706002316,key={MARK}", f"timestamp=1706002316,key={';'.join([MARK] * 6)}",
    f"timestamp=１706002316,key={MARK}", f"timestamp=1706002316,key={MARK}\n"])
def test_a_signature_header_with_anything_around_it_is_refused(header: str) -> None:
    with pytest.raises(Forged):
        webhooks.verify(header, VECTOR, [KEY], NOW)


def test_a_changed_body_another_key_or_no_key_is_refused() -> None:
    header = f"timestamp=1706002316,key={MARK}"
    for body, keys in ((VECTOR + b" ", [KEY]), (VECTOR, [Secret("other")])):
        with pytest.raises(Forged):
            webhooks.verify(header, body, keys, NOW)
    with pytest.raises(BadSettings, match="webhook_keys is empty"):
        webhooks.verify(header, VECTOR, [], NOW)


@pytest.mark.parametrize(("seconds", "fits"), [(-301, False), (-300, True), (0, True), (300, True), (301, False),
                                               (9 * 365 * 86_400, False)])
def test_a_replay_is_refused_beyond_three_hundred_seconds(seconds: int, fits: bool) -> None:
    header, at = f"timestamp=1706002316,key={MARK}", datetime.fromtimestamp(1706002316 + seconds, UTC)
    if fits:
        webhooks.verify(header, VECTOR, [KEY], at)
    else:
        with pytest.raises(Forged):
            webhooks.verify(header, VECTOR, [KEY], at)


def test_order_events_are_looked_up_by_code_and_managed_payments_by_the_orders_number() -> None:
    assert managed(*signed("order.payment_completed", {"code": "order_1", "id": 1})).provider_id == "order_1"
    hint = managed(*signed("payment.completed", {"orderId": "183682", "idKey": ID_KEY, "paymentOnly": False}))
    assert (hint.kind, hint.alias, hint.provider_id) == ("payment", "183682", None)


def test_unmanaged_payment_events_name_our_order_and_the_id_key() -> None:
    hint = unmanaged(*signed("payment.failed", {"orderId": "inv-1", "idKey": ID_KEY, "paymentOnly": True}))
    assert (hint.order_id, hint.provider_id, hint.kind) == ("inv-1", ID_KEY, "payment")


def test_a_payment_of_the_other_kind_is_kept_and_looked_up_nowhere() -> None:
    own = {"orderId": "1", "idKey": ID_KEY, "paymentOnly": True}
    assert managed(*signed("payment.completed", own)).kind == "other"
    assert unmanaged(*signed("payment.completed", {**own, "paymentOnly": False})).kind == "other"
    assert unmanaged(*signed("order.updated", {"code": "order_1"})).kind == "other"


@pytest.mark.parametrize(("event", "kind"), [
    *((f"order.{e}", "payment") for e in ("created", "updated", "payment_completed")),
    *((f"subscription.{e}", "subscription") for e in ("created", "updated", "payment_due_notification")),
    ("subscription.usage.added", "subscription_item"),
    *((f"{n}.{e}", n) for n in ("invoice", "customer", "product") for e in ("created", "updated", "deleted")),
    *((f"product.price.{e}", "price") for e in ("created", "updated", "deleted")),
    *((f"payment.{e}", "payment") for e in ("completed", "failed", "canceled", "standby")),
    *((f"cover.{e}", "other") for e in ("sent_message", "delayed_message", "changed_payment_date", "paused")),
    ("moon.rose", "other")])
def test_every_event_type_has_a_neutral_kind_and_unknown_ones_are_kept(event: str, kind: str) -> None:
    data = {"id": 5, "code": "order_1", "orderId": "1", "idKey": ID_KEY, "subscriptionId": 9, "orderCode": "order_0"}
    hint = managed(*signed(event, data))
    assert (hint.kind, hint.event, hint.is_signed) == (kind, event, True)
    assert hint.began_by == ("order_0" if kind == "subscription" else None)


def test_a_known_event_without_what_names_it_is_kept_as_other() -> None:
    assert managed(*signed("order.updated", {"id": 1})).kind == "other"
    assert managed(*signed("payment.completed", {"idKey": ID_KEY})).kind == "other"


JSON = {"content-type": "application/json"}
FORM = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
PAYMENT = {"webHookType": "PAYMENT", "orderId": 1, "idKey": ID_KEY}


def test_unsigned_hooks_only_say_what_to_look_up() -> None:
    assert unmanaged(JSON, json.dumps(PAYMENT).encode()) == Hint(provider_id=ID_KEY, claim="PAYMENT")
    assert unmanaged(FORM, urlencode(PAYMENT).encode()) == Hint(provider_id=ID_KEY, claim="PAYMENT")
    assert managed(JSON, b'{"webHookType":"PAYMENT","orderId":1}') == Hint(alias="1", claim="PAYMENT")
    assert managed(JSON, b'{"id":1,"status":"ACTIVE"}') == Hint(kind="subscription", provider_id="1", claim="ACTIVE")


@pytest.mark.parametrize(("headers", "body"), [
    (JSON, b"{}"), (JSON, b"[]"), (JSON, b"{"), (JSON, b'{"webHookType":"PAYMENT","orderId":"../1"}'),
    (FORM, f"webHookType=PAYMENT&orderId=1&idKey=x&idKey={ID_KEY}".encode()),
    (FORM, b"\xff"), ({}, b"{}"), ({"content-type": "text/plain"}, b"{}"),
    (JSON, b" " * 70_000), (JSON, VECTOR),
    (JSON, b'{"id":1,"id":2,"status":"ACTIVE"}'), (JSON, b"[" * 50_000), (JSON, b'{"id":true,"status":"ACTIVE"}')])
def test_what_is_no_webhook_is_forged_and_nothing_else_is_raised(headers: dict[str, str], body: bytes) -> None:
    for read in (managed, unmanaged):
        with pytest.raises(Forged):
            read(headers, body)


# Returns and links

def test_the_pay_link_carries_each_way_back_with_its_mark() -> None:
    url = links.redirect("https://api.steppay.kr", "order_1", "https://shop.test/done?cart=7&x=").url
    query = parse_qs(urlsplit(url).query)
    assert urlsplit(url).path == "/api/public/orders/order_1/pay"
    assert query == {"successUrl": ["https://shop.test/done?cart=7&x=&paygate_outcome=success"],
                     "errorUrl": ["https://shop.test/done?cart=7&x=&paygate_outcome=error"],
                     "cancelUrl": ["https://shop.test/done?cart=7&x=&paygate_outcome=cancel"]}


def test_a_return_is_keyed_on_the_code_and_its_status_is_a_claim() -> None:
    query = {"order_id": "1", "order_code": "order_1", "status": "success", "paygate_outcome": "success", "cart": "7"}
    assert links.read_return(query) == Hint(provider_id="order_1", claim="success", says_paid=True)
    assert links.read_return({"order_code": "order_1", "status": "error"}) == Hint(provider_id="order_1", claim="error")
    assert links.read_return({"paygate_outcome": "cancel"}) == Hint(claim="cancel")


@pytest.mark.parametrize("query", [
    {}, {"order_id": "1"}, {"order_code": "../x"}, {"order_code": "a" * 101}, {"order_code": ["a", "b"]},
    {"paygate_outcome": "won"}, {"order_code": "a", "status": "x\ny"}])
def test_a_return_that_is_not_the_pgs_is_forged(query: Any) -> None:
    with pytest.raises(Forged):
        links.read_return(query)


def test_a_scripts_callback_is_a_hint_too() -> None:
    paid = Hint(provider_id=ID_KEY, claim="success", says_paid=True)
    assert links.read_chain({"event": "success", "idKey": ID_KEY}) == paid
    assert links.read_chain({"event": "cancel"}) == Hint(claim="cancel")
    for query in ({}, {"event": "success"}, {"event": "hacked", "idKey": ID_KEY}, {"idKey": "a/b"}):
        with pytest.raises(Forged):
            links.read_chain(query)


# Settings and claims

GOOD = {"secret_token": "token", "product_code": "product_1", "webhook_keys": ["a" * 10, "b" * 10]}
OTHER = {"secret_token": "t", "payment_key": "k", "payment_gateway": "NICE"}


def test_settings_name_what_is_wrong_and_never_its_value() -> None:
    made = settings_from(ManagedSettings, GOOD, "steppay-managed")
    assert [k.reveal() for k in made.webhook_keys] == ["a" * 10, "b" * 10]
    assert "token" not in repr(made.secret_token)
    for change in ({"secret_token": "canary canary"}, {"product_code": "../canary"}, {"vat_percent": 90},
                   {"webhook_keys": ["canary"] * 6}, {"webhook_keys": "canary"}, {"payment_gateway": "CANARY"},
                   {"link_origin": "http://canary.test"}, {"mode": "canary"}, {"utc_offset_hours": 99}):
        with pytest.raises(BadSettings) as caught:
            settings_from(ManagedSettings, {**GOOD, **change}, "steppay-managed")
        assert "canary" not in str(caught.value).lower()
    for change in ({"cancel_path": "//x"}, {"method": "CARD_BILL"}, {"key_method": "CARD"}):
        with pytest.raises(BadSettings):
            settings_from(UnmanagedSettings, {**OTHER, **change}, "steppay-unmanaged")


def test_each_provider_implements_what_it_claims_and_a_managed_key_is_never_charged() -> None:
    verbs = {Capability.CANCEL_PARTLY: "cancel", Capability.RECEIVE: "read_webhook"}
    for kind, claimed in ((Managed, MANAGED_CAPABILITIES), (Unmanaged, UNMANAGED_CAPABILITIES)):
        for capability in claimed:
            assert verbs.get(capability, capability.value) in vars(kind)
    assert Capability.CHARGE not in MANAGED_CAPABILITIES
    assert Capability.FIND not in MANAGED_CAPABILITIES | UNMANAGED_CAPABILITIES


def test_words_that_are_not_published_are_in_no_group() -> None:
    assert words.group_of("SOMETHING") is None
    assert words.group_of(None) is None
