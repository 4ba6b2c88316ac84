"""NaverPay's flows: the exact request, and what each answer becomes. No network; every answer is written out here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from attrs import evolve
from paygate_portone import NaverPay, Settings

from paygate.commands import Cancel, Charge, Customer, DatedCharge, DeleteKey, Pay, Register, Schedule, Unschedule
from paygate.errors import (
    BadCommand,
    Conflict,
    NotFound,
    NotSent,
    OutcomeUnknown,
    RateLimited,
    Refused,
    Unauthorized,
)
from paygate.flow import Flow
from paygate.model import BillingKey, ClientCall, DeclineReason, PaymentStatus, ScheduledCharge, ScheduleStatus
from paygate.money import Money
from paygate.secret import Secret
from paygate.wire import Request, Response, path

ME = "portone-naverpay"
SETTINGS = Settings(imp_key="key-1", imp_secret="secret-1", merchant_code="imp12345678", channel_key="channel-key-1")
GATE = NaverPay(SETTINGS)
LIVE = NaverPay(evolve(SETTINGS, mode="live"))
KEY = BillingKey("shop", "gildong_0001")
SEOUL = timezone(timedelta(hours=9))
DUE = datetime(2026, 1, 1, 9, 0, tzinfo=SEOUL)
PAYER = Customer(name="Hong Gildong", phone="010-0000-0000", email="g@example.test")
CHARGE = Charge(order_id="order-1", billing_key=KEY, money=Money(14_000, "KRW"), title="Slim plan, December")
PAY = Pay(order_id="order-1", money=Money(14_000, "KRW"), title="Slim plan", return_url="https://shop.test/back?cart=7",
          customer=PAYER)
REGISTER = Register(order_id="order-0", money=Money(14_000, "KRW"), title="Slim plan",
                    return_url="https://shop.test/back", customer=PAYER)
SCHEDULE = Schedule(billing_key=KEY, charges=(
    DatedCharge(order_id="order-2", due_at=DUE, money=Money(14_000, "KRW"), title="January",
                extra={ME: {"naverUseCfm": "20260131"}}),
    DatedCharge(order_id="order-3", due_at=DUE + timedelta(days=31), money=Money(15_000, "KRW"), title="February",
                tax_free=Money(1_000, "KRW")),
))
CANCEL = Cancel(cancel_id="back-1", order_id="order-1", money=Money(4_000, "KRW"), reason="too large")
RECORD: Mapping[str, Any] = {
    "imp_uid": "imps_301234567890", "merchant_uid": "order-1", "pay_method": "card", "channel": "api",
    "pg_provider": "naverpay", "sandbox": True, "card_number": "536510*********1", "name": "Slim plan, December",
    "amount": 14000, "cancel_amount": 0, "currency": "KRW", "buyer_tel": "010-0000-0000", "status": "paid",
    "started_at": 1764570010, "paid_at": 1764570010, "failed_at": 0, "cancelled_at": 0, "fail_reason": None,
    "receipt_url": "https://example.test/r/1", "cancel_history": [], "customer_uid": "gildong_0001",
    "customer_uid_usage": "payment", "a_field_of_next_year": {"x": [1]},
}
FAILED = {**RECORD, "status": "failed", "paid_at": 0, "failed_at": 1764570012}
DATED: Mapping[str, Any] = {
    "customer_uid": "gildong_0001", "merchant_uid": "order-2", "imp_uid": None, "pg_provider": "naverpay",
    "schedule_at": 1767225600, "executed_at": 0, "revoked_at": 0, "amount": 14000, "currency": "KRW",
    "name": "January", "schedule_status": "scheduled", "payment_status": None, "fail_reason": None,
}
SECOND = {**DATED, "merchant_uid": "order-3", "schedule_at": 1767225600 + 31 * 86400, "amount": 15000}
NONE_TEXT = "존재하지 않는 결제정보입니다."


def says(content: Any = None, *, code: int = 0, message: str | None = None, status: int = 200) -> Response:
    return raw(json.dumps({"code": code, "message": message, "response": content}).encode(), status)


def raw(body: bytes, status: int = 200, kind: str = "application/json", **headers: str) -> Response:
    return Response(status, {"content-type": kind} | {k.replace("_", "-"): v for k, v in headers.items()}, body)


def run(flow: Flow[Any], *responses: Response) -> tuple[list[Request], Any]:
    """Drive a flow with exactly these responses."""
    asked = []
    try:
        asked.append(next(flow))
        for response in responses:
            asked.append(flow.send(response))
    except StopIteration as done:
        assert len(asked) == len(responses), "the flow asked for less than was answered"
        return asked, done.value
    raise AssertionError("the flow asks for more")


def result(flow: Flow[Any], *responses: Response) -> Any:
    return run(flow, *responses)[1]


def post(where: str, body: Any, *, repeatable: bool = False) -> Request:
    return Request("POST", path(where), json=body, auth=True, repeatable=repeatable)


def get(where: str, *segments: str, query: tuple[tuple[str, str], ...] = ()) -> Request:
    return Request("GET", path(where, *segments), query=query, auth=True)


# Token


def test_the_token_is_asked_with_key_and_secret_and_lives_by_the_pgs_own_clock() -> None:
    asked, token = run(GATE.token(), says({"access_token": "abc", "now": 1764570000, "expired_at": 1764571700}))
    assert asked == [Request("POST", path("/users/getToken"), repeatable=True,
                             json={"imp_key": Secret("key-1"), "imp_secret": Secret("secret-1")})]
    assert token.headers == {"Authorization": Secret("Bearer abc")}
    assert token.lifetime_s == 1700


@pytest.mark.parametrize("answer", [
    says(code=-1, message="wrong", status=401), says(code=-1, message="wrong", status=400),
    says(code=-1, message="wrong"),
])
def test_wrong_credentials_are_unauthorized_with_the_pgs_words(answer: Response) -> None:
    with pytest.raises(Unauthorized) as caught:
        run(GATE.token(), answer)
    assert (caught.value.code, caught.value.message) == ("-1", "wrong")


@pytest.mark.parametrize("answer", [
    raw(b"<html>", 401, "text/html"), raw(b"", 400),
])
def test_refused_credentials_need_no_readable_body(answer: Response) -> None:
    with pytest.raises(Unauthorized):
        run(GATE.token(), answer)


@pytest.mark.parametrize("answer", [
    says(None), says([]), raw(b"<html>", 200, "text/html"), raw(b"", 503), says(code=-1, message="x", status=500),
    raw(b"{}", 429), says({"access_token": "a b", "now": 1, "expired_at": 2}),
    says({"access_token": "a\r\nX: y", "now": 1, "expired_at": 2}),
    says({"access_token": "a", "now": 2, "expired_at": 2}), says({"access_token": "a", "now": 1, "expired_at": 10**9}),
    says({"access_token": "a", "now": "1", "expired_at": "2"}), says({"access_token": "", "now": 1, "expired_at": 2}),
    says({"access_token": "a", "now": 1, "expired_at": 2}, status=201),
])
def test_without_a_token_nothing_was_sent(answer: Response) -> None:
    with pytest.raises(NotSent):
        run(GATE.token(), answer)


# Charge


def test_a_charge_sends_the_key_as_a_secret_and_the_amount_as_whole_won() -> None:
    flow = GATE.charge(CHARGE)
    assert next(flow) == post("/subscribe/payments/again", {
        "customer_uid": Secret("gildong_0001"), "merchant_uid": "order-1", "amount": 14000, "currency": "KRW",
        "name": "Slim plan, December"})


def test_a_charge_carries_the_payer_the_untaxed_part_the_hook_and_the_day_of_use() -> None:
    gate = NaverPay(evolve(SETTINGS, webhook_url="https://shop.test/hook", tier="A01"))
    asked = next(gate.charge(evolve(CHARGE, customer=PAYER, tax_free=Money(500, "KRW"), extra={ME: {
        "naverUseCfm": "20261201", "product_count": 2}, "another-pg": {"ignored": 1}})))
    assert asked.headers == {"Tier": "A01"}
    assert asked.json == {
        "customer_uid": Secret("gildong_0001"), "merchant_uid": "order-1", "amount": 14000, "currency": "KRW",
        "name": "Slim plan, December", "buyer_name": Secret("Hong Gildong"), "buyer_tel": Secret("010-0000-0000"),
        "buyer_email": Secret("g@example.test"), "tax_free": 500, "notice_url": "https://shop.test/hook",
        "extra": {"naverUseCfm": "20261201"}, "product_count": 2}
    assert asked.repeatable is False


def test_an_extra_field_cannot_replace_what_the_command_states() -> None:
    asked = next(GATE.charge(evolve(CHARGE, extra={ME: {"amount": 1, "merchant_uid": "x", "customer_uid": "y"}})))
    assert (asked.json["amount"], asked.json["merchant_uid"]) == (14000, "order-1")


def test_a_paid_charge_is_a_payment() -> None:
    paid = result(GATE.charge(CHARGE), says(RECORD))
    assert (paid.status, paid.money, paid.provider_id) == (PaymentStatus.PAID, CHARGE.money, "imps_301234567890")
    assert paid.paid_at == datetime.fromtimestamp(1764570010, UTC)
    assert (paid.test, paid.for_key, paid.key, paid.method) == (True, False, Secret("gildong_0001"), "card")
    assert paid.card_number == "536510*********1"
    assert paid.reason is None


def test_amounts_with_a_zero_fraction_are_whole_won() -> None:
    body = json.dumps({"code": 0, "message": None, "response": RECORD}).replace("14000", "14000.00").encode()
    assert result(GATE.charge(CHARGE), raw(body)).money == CHARGE.money


def test_a_ready_charge_is_pending() -> None:
    assert result(GATE.charge(CHARGE), says({**RECORD, "status": "ready"})).status is PaymentStatus.PENDING


def test_a_failed_charge_is_told_with_the_pgs_words_untouched() -> None:
    _, made = run(GATE.charge(CHARGE), says({**FAILED, "fail_reason": "결제수단 한도 초과"}))
    assert (made.status, made.order_id) == (PaymentStatus.FAILED, "order-1")
    assert (made.reason, made.message) == (DeclineReason.LIMIT_EXCEEDED, "결제수단 한도 초과")


@pytest.mark.parametrize(("text", "reason"), [
    ("잔액 부족", DeclineReason.INSUFFICIENT_FUNDS), ("잔액부족", DeclineReason.INSUFFICIENT_FUNDS),
    ("카드 유효 기간 오류", DeclineReason.EXPIRED), ("분실 신고된 카드", DeclineReason.BLOCKED),
    ("MaintenanceOngoing", DeclineReason.PG_UNAVAILABLE), ("10원 미만 결제", DeclineReason.BELOW_MINIMUM),
    ("사용자가 결제를 취소하셨습니다", DeclineReason.PAYER_CANCELLED), ("무엇인가", DeclineReason.UNMAPPED),
    (None, DeclineReason.UNMAPPED),
])
def test_a_decline_says_why_as_far_as_the_words_are_known(text: str | None, reason: DeclineReason) -> None:
    _, made = run(GATE.charge(CHARGE), says({**RECORD, "status": "failed", "fail_reason": text}))
    assert (made.reason, made.message) == (reason, text)


@pytest.mark.parametrize(("change", "field", "told"), [
    ({"merchant_uid": "order-9"}, "order_id", "order-9"), ({"amount": 14001}, "money", Money(14_001, "KRW")),
    ({"currency": "USD"}, "money", Money(1_400_000, "USD")), ({"customer_uid": "another"}, "key", Secret("another")),
    ({"customer_uid_usage": "issue"}, "for_key", True), ({"sandbox": False}, "test", False),
])
@pytest.mark.parametrize("status", ["paid", "failed", "ready"])
def test_a_record_of_another_charge_is_handed_on_as_it_is_for_the_core_to_compare(
        status: str, change: dict[str, Any], field: str, told: object) -> None:
    _, made = run(GATE.charge(CHARGE), says({**RECORD, "status": status, **change}))
    assert getattr(made, field) == told


@pytest.mark.parametrize("change", [
    {"sandbox": 1}, {"imp_uid": None}, {"imp_uid": "a/../b"}, {"amount": None},
    {"amount": "14000"}, {"amount": True}, {"amount": 14000.5}, {"cancel_amount": None}, {"cancel_amount": 14001},
])
@pytest.mark.parametrize("status", ["paid", "failed", "ready"])
def test_a_record_that_cannot_be_of_this_charge_decides_nothing(status: str, change: dict[str, Any]) -> None:
    with pytest.raises(OutcomeUnknown):
        run(GATE.charge(CHARGE), says({**RECORD, "status": status, **change}))


@pytest.mark.parametrize("record", [
    {**RECORD, "status": "cancelled"}, {**RECORD, "status": "cancelled", "cancel_amount": 14000},
    {**RECORD, "cancel_amount": 4000}, {**RECORD, "status": "failed", "cancel_amount": 4000},
    {**RECORD, "status": "PAID"}, {**RECORD, "status": None}, {**RECORD, "status": ["paid"]},
    {**RECORD, "paid_at": "now"}, {**RECORD, "paid_at": 10**15}, {**RECORD, "sandbox": "yes"},
    {**RECORD, "cancel_history": [{}]},
    {k: v for k, v in RECORD.items() if k != "merchant_uid"}, [], [RECORD], "paid", None, {},
])
def test_a_record_that_is_not_understood_decides_nothing(record: Any) -> None:
    with pytest.raises(OutcomeUnknown):
        run(GATE.charge(CHARGE), says(record))


def test_an_unknown_status_word_is_named() -> None:
    with pytest.raises(OutcomeUnknown, match="status chargeback is not known"):
        run(GATE.charge(CHARGE), says({**RECORD, "status": "chargeback"}))


def test_an_unclean_status_word_is_not_repeated() -> None:
    with pytest.raises(OutcomeUnknown, match="status of another kind") as caught:
        run(GATE.charge(CHARGE), says({**RECORD, "status": "x\ny"}))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("sandbox", [True, False])
def test_a_record_tells_its_mode_for_the_core_to_compare(sandbox: bool) -> None:
    record = {**RECORD, "sandbox": sandbox}
    page = says({"total": 1, "previous": 0, "next": 0, "list": [record]})
    for flow, answer in ((GATE.charge(CHARGE), says(record)), (LIVE.lookup("imps_301234567890"), says(record))):
        assert result(flow, answer).test is sandbox
    assert [p.test for p in result(LIVE.find("order-1"), page)] == [sandbox]


def test_a_record_that_does_not_say_its_mode_is_taken() -> None:
    assert result(LIVE.charge(CHARGE), says({k: v for k, v in RECORD.items() if k != "sandbox"})).test is None


@pytest.mark.parametrize(("answer", "error"), [
    (says(code=1, message="등록되지 않은 구매자입니다."), NotFound),
    (says(code=1, message="요청하신 customer_uid(x)로 등록된 정보를 찾을 수 없습니다.", status=404), NotFound),
    (says(code=-1, message="이미 주문이 이루어진 건입니다. (동일한 merchant_uid로 …)"), Conflict),
    (says(code=-1, message="파라미터 누락"), Refused),
    (says(code=-1, message=None), Refused),
    (says(code=1, message="bad", status=400), Refused),
    (says(code=1, message="gone", status=404), NotFound),
    (says(code=-1, message="Unauthorized", status=401), Unauthorized),
])
def test_a_complete_no_is_refused_with_code_and_words_verbatim(answer: Response, error: type[Refused]) -> None:
    with pytest.raises(Refused) as caught:
        run(GATE.charge(CHARGE), answer)
    told = json.loads(answer.body)
    assert type(caught.value) is error
    assert (caught.value.code, caught.value.message) == (str(told["code"]), told["message"])
    assert caught.value.order_id == "order-1"


def test_half_a_character_in_the_pgs_words_can_be_stored() -> None:
    with pytest.raises(Refused) as caught:
        run(GATE.charge(CHARGE), raw(b'{"code": 1, "message": "a\\ud800b", "response": null}'))
    assert caught.value.message == "a\ufffdb"


@pytest.mark.parametrize("answer", [
    says(code=1, message="internal", status=500), raw(b"<html>", 502, "text/html"), raw(b"<html>", 200, "text/html"),
    raw(b""), raw(b"[]"), raw(b"{}"), raw(b'{"code": "0", "response": {}}'), raw(b'{"code": true, "response": {}}'),
    raw(b'{"code": 0, "code": 0, "response": {}}'), raw(b'{"code": 0, "response": {"amount": NaN}}'),
    raw(b"[" * 100_000), raw(b'{"code": 0, "message": "\xff"}'), says(RECORD, status=201), says(RECORD, status=207),
    says(RECORD, status=404), says(RECORD, status=400), raw(b"{}", 307), says(code=1, message="no", status=403),
    says(code=1, message="no", status=409),
    raw(b"", 404), raw(b"<html>", 400, "text/html"), says(None), raw(b'{"code": 1, "message": "no"'),
])
def test_an_answer_that_is_not_the_pgs_complete_word_is_unknown(answer: Response) -> None:
    with pytest.raises(OutcomeUnknown) as caught:
        run(GATE.charge(CHARGE), answer)
    assert caught.value.order_id == "order-1"
    assert caught.value.__context__ is None or caught.value.__suppress_context__


@pytest.mark.parametrize(("header", "seconds"), [
    ("7", 7.0), ("", None), ("-1", None), ("inf", None), ("Wed, 21 Oct 2026 07:28:00 GMT", None)])
def test_too_many_requests_says_how_long_to_wait_where_the_pg_does(header: str, seconds: float | None) -> None:
    with pytest.raises(RateLimited) as caught:
        run(GATE.charge(CHARGE), raw(b"<html>", 429, "text/html", retry_after=header))
    assert caught.value.retry_after_s == seconds


def test_no_error_says_anything_of_the_payer_or_the_key() -> None:
    command = evolve(CHARGE, customer=PAYER)
    for answer in (says(code=1, message="gildong_0001 Hong Gildong"), says({**RECORD, "amount": "010-0000"}),
                   says({**RECORD, "buyer_tel": "010-0000", "amount": None}), raw(b"gildong_0001", 500)):
        with pytest.raises((Refused, OutcomeUnknown)) as caught:
            run(GATE.charge(command), answer)
        assert not any(private in str(caught.value) for private in ("gildong", "Gildong", "010-0000", "example.test"))


# Pay and register


def window(params: Mapping[str, Any]) -> ClientCall:
    return ClientCall(script="https://cdn.iamport.kr/v1/iamport.js", setup=("IMP.init", "imp12345678"),
                      function="IMP.request_pay", params=params)


PREPARED = {"merchant_uid": "order-1", "amount": 14000, "currency": "KRW"}
PARAMS = {
    "channelKey": "channel-key-1", "merchant_uid": "order-1", "name": "Slim plan", "amount": 14000,
    "buyer_name": Secret("Hong Gildong"), "buyer_tel": Secret("010-0000-0000"), "buyer_email": Secret("g@example.test"),
    "naverPopupMode": True, "m_redirect_url": "https://shop.test/back?cart=7"}


def test_paying_registers_the_amount_and_opens_the_window() -> None:
    asked, checkout = run(GATE.pay(PAY), says(PREPARED))
    assert asked == [post("/payments/prepare", PREPARED, repeatable=True)]
    assert checkout.action == window(PARAMS)
    assert (checkout.order_id, checkout.takes_money, checkout.provider_id) == ("order-1", True, None)


def test_settings_and_extra_fields_reach_the_window_and_extra_wins() -> None:
    gate = NaverPay(evolve(SETTINGS, channel_key=None, popup=False, product_code="P1", naver_chain_id="C1",
                           webhook_url="https://shop.test/hook"))
    products = [{"categoryType": "BOOK", "categoryId": "GENERAL", "uid": "1", "name": "Slim plan", "count": 1}]
    command = evolve(PAY, tax_free=Money(100, "KRW"), extra={ME: {
        "naverProducts": products, "naverProductCode": "P2", "naverUseCfm": "20261201", "amount": 1}})
    action = result(gate.pay(command), says(PREPARED)).action
    wanted = {k: v for k, v in PARAMS.items() if k != "channelKey"}
    assert action == window({**wanted, "pg": "naverpay", "naverPopupMode": False, "naverProductCode": "P2",
                             "naverChainId": "C1", "notice_url": "https://shop.test/hook", "naverProducts": products,
                             "naverUseCfm": "20261201", "tax_free": 100})


def test_the_page_is_told_plain_values() -> None:
    told = result(GATE.register(REGISTER)).action.to_dict()
    assert json.loads(json.dumps(told))["params"]["buyer_tel"] == "010-0000-0000"


ALREADY = says(code=1, message="결제정보 사전등록에 실패하였습니다(이미 등록된 merchant_uid입니다).")


@pytest.mark.parametrize("currency", ["KRW", None])
def test_an_order_prepared_before_with_the_same_amount_shows_the_same_window(currency: str | None) -> None:
    asked, checkout = run(GATE.pay(PAY), ALREADY, says({**PREPARED, "currency": currency}))
    assert asked[1] == get("/payments/prepare/{}", "order-1")
    assert checkout.action == window(PARAMS)


def test_an_order_prepared_before_with_another_amount_is_a_conflict() -> None:
    with pytest.raises(Conflict) as caught:
        run(GATE.pay(PAY), ALREADY, says({**PREPARED, "amount": 13999}))
    assert caught.value.order_id == "order-1"


@pytest.mark.parametrize("answers", [
    (says({**PREPARED, "amount": 1}),), (says({**PREPARED, "merchant_uid": "x"}),), (says(None),), (raw(b"", 502),),
    (ALREADY, says(code=-1, message="사전등록된 결제정보가 존재하지 않습니다.", status=404)), (ALREADY, raw(b"x")),
])
def test_no_window_is_shown_for_an_amount_that_is_not_registered(answers: tuple[Response, ...]) -> None:
    with pytest.raises(OutcomeUnknown):
        run(GATE.pay(PAY), *answers)


def test_registering_asks_nothing_and_takes_no_money() -> None:
    asked, checkout = run(GATE.register(REGISTER))
    assert asked == []
    assert checkout.takes_money is False
    assert checkout.action == window({**PARAMS, "merchant_uid": "order-0", "m_redirect_url": "https://shop.test/back",
                                      "customer_uid": GATE.key_value(REGISTER)})


def test_a_billing_key_gets_the_name_the_merchant_gives_it() -> None:
    command = evolve(REGISTER, extra={ME: {"customer_uid": "gildong_0001"}})
    assert GATE.key_value(command) == Secret("gildong_0001")
    assert result(GATE.register(command)).action.params["customer_uid"] == Secret("gildong_0001")


def test_a_derived_key_name_is_stable_and_depends_on_order_and_secret() -> None:
    other = NaverPay(evolve(SETTINGS, imp_secret="secret-2"))
    names = [GATE.key_value(REGISTER), GATE.key_value(evolve(REGISTER, order_id="order-9")), other.key_value(REGISTER)]
    assert names[0] == GATE.key_value(evolve(REGISTER, money=Money(99, "KRW"))) == GATE.key_of("order-0")
    assert len({name.reveal() for name in names}) == 3
    assert names[0].reveal().startswith("pk_")
    assert len(names[0]) == 35


# Cancel


PAID = result(GATE.charge(CHARGE), says(RECORD))
AFTER = {**RECORD, "status": "cancelled", "cancel_amount": 4000, "cancelled_at": 1764580000, "cancel_history": [
    {"pg_tid": "t", "amount": 4000, "cancelled_at": 1764580000, "reason": "too large", "cancellation_id": "c-1",
     "receipt_url": None}]}


def test_a_refund_always_states_amount_balance_reason_and_who_asked() -> None:
    asked, after = run(GATE.cancel(CANCEL, PAID), says(AFTER))
    assert asked == [post("/payments/cancel", {
        "imp_uid": "imps_301234567890", "amount": 4000, "checksum": 14000, "reason": "too large",
        "extra": {"requester": "customer"}})]
    assert (after.status, after.left) == (PaymentStatus.PARTLY_CANCELLED, Money(10_000, "KRW"))
    back, = after.cancellations
    assert (back.money, back.provider_id, back.reason) == (Money(4_000, "KRW"), "c-1", "too large")


def test_the_rest_of_a_payment_is_given_back_against_what_is_left() -> None:
    partly = result(GATE.cancel(CANCEL, PAID), says(AFTER))
    rest = evolve(CANCEL, money=Money(10_000, "KRW"), requested_by="admin", extra={ME: {
        "tax_free": Money(500, "KRW"), "enable_webhook": True, "amount": 0, "checksum": None}})
    asked, after = run(GATE.cancel(rest, partly), says({**AFTER, "cancel_amount": 14000}))
    assert asked[0].json == {"imp_uid": "imps_301234567890", "amount": 10000, "checksum": 10000, "reason": "too large",
                             "extra": {"requester": "admin"}, "tax_free": 500, "enable_webhook": True}
    assert after.status is PaymentStatus.CANCELLED


@pytest.mark.parametrize(("money", "payment"), [
    (Money(14_001, "KRW"), PAID), (Money(1, "KRW"), evolve(PAID, status=PaymentStatus.CANCELLED, cancelled=PAID.money)),
    (Money(1, "KRW"), evolve(PAID, provider_id=None)), (Money(1, "USD"), PAID),
    (Money(1, "USD"), evolve(PAID, money=Money(9, "USD"), cancelled=Money(0, "USD"))),
])
def test_a_refund_of_nothing_or_too_much_is_never_sent(money: Money, payment: Any) -> None:
    with pytest.raises(BadCommand):
        next(GATE.cancel(evolve(CANCEL, money=money), payment))


@pytest.mark.parametrize("change", [
    {"cancel_amount": 0, "status": "paid"}, {"cancel_amount": 3999}, {"cancel_amount": 14000}, {"imp_uid": "imps_9"},
    {"merchant_uid": "order-9"}, {"amount": 15000}, {"status": "refunded"}, {"status": "failed"},
])
def test_a_refund_counts_only_if_the_balance_afterwards_fits(change: dict[str, Any]) -> None:
    with pytest.raises(OutcomeUnknown):
        run(GATE.cancel(CANCEL, PAID), says({**AFTER, **change}))


@pytest.mark.parametrize(("message", "error"), [
    ("이미 전액취소된 주문입니다.", Refused), ("취소할 결제건이 존재하지 않습니다.", NotFound)])
def test_a_refused_refund_is_refused(message: str, error: type[Refused]) -> None:
    with pytest.raises(Refused) as caught:
        run(GATE.cancel(CANCEL, PAID), says(code=1, message=message))
    assert type(caught.value) is error


# Schedule and unschedule


def test_dated_charges_go_out_together_in_unix_seconds() -> None:
    asked, held = run(GATE.schedule(evolve(SCHEDULE, customer=Customer(phone="010"))), says([SECOND, DATED]))
    assert asked == [post("/subscribe/payments/schedule", {"customer_uid": Secret("gildong_0001"), "schedules": [
        {"merchant_uid": "order-2", "schedule_at": 1767225600, "amount": 14000, "currency": "KRW", "name": "January",
         "buyer_tel": Secret("010"), "extra": {"naverUseCfm": "20260131"}},
        {"merchant_uid": "order-3", "schedule_at": 1769904000, "amount": 15000, "currency": "KRW", "name": "February",
         "buyer_tel": Secret("010"), "tax_free": 1000}]})]
    assert [(c.order_id, c.due_at, c.status) for c in held] == [
        ("order-2", DUE, ScheduleStatus.SCHEDULED), ("order-3", DUE + timedelta(days=31), ScheduleStatus.SCHEDULED)]


@pytest.mark.parametrize("content", [
    [DATED], [], None, {}, [DATED, DATED], [DATED, SECOND, SECOND], [DATED, {**SECOND, "amount": 1}],
    [DATED, {**SECOND, "schedule_at": 1}], [DATED, {**SECOND, "merchant_uid": "order-9"}],
    [DATED, {**SECOND, "customer_uid": "another"}], [DATED, {**SECOND, "schedule_status": "revoked"}],
    [DATED, {**SECOND, "schedule_status": "?"}], [DATED, {**SECOND, "schedule_at": 0}],
])
def test_a_schedule_counts_only_if_every_item_is_listed_as_asked(content: Any) -> None:
    with pytest.raises(OutcomeUnknown):
        run(GATE.schedule(SCHEDULE), says(content))


def test_a_schedule_for_an_unknown_key_is_not_found() -> None:
    with pytest.raises(NotFound):
        run(GATE.schedule(SCHEDULE), says(code=1, message="등록된 고객정보가 없습니다."))


UNSCHEDULE = Unschedule(billing_key=KEY, order_ids=("order-2", "order-3"))


def test_unscheduling_names_the_key_and_every_id_and_may_be_repeated() -> None:
    asked, stopped = run(GATE.unschedule(UNSCHEDULE), says([
        {**SECOND, "schedule_status": "revoked"}, {**DATED, "schedule_status": "revoked"}]))
    assert asked == [post("/subscribe/payments/unschedule", {
        "customer_uid": Secret("gildong_0001"), "merchant_uid": ["order-2", "order-3"]}, repeatable=True)]
    assert stopped == ("order-2", "order-3")


def test_only_what_the_pg_calls_revoked_is_stopped() -> None:
    content = [{**DATED, "schedule_status": "revoked"}, {**SECOND, "schedule_status": "executed"}]
    assert result(GATE.unschedule(UNSCHEDULE), says(content)) == ("order-2",)


def test_nothing_to_revoke_is_nothing_stopped() -> None:
    assert result(GATE.unschedule(UNSCHEDULE), says(code=1, message="취소할 예약결제 기록이 존재하지 않습니다.")) == ()
    assert result(GATE.unschedule(UNSCHEDULE), says([])) == ()


def test_another_no_to_unscheduling_is_refused() -> None:
    with pytest.raises(Refused):
        run(GATE.unschedule(UNSCHEDULE), says(code=1, message="지금은 안 됩니다"))


def test_stopping_something_that_was_not_named_is_unknown() -> None:
    with pytest.raises(OutcomeUnknown):
        run(GATE.unschedule(UNSCHEDULE), says([{**DATED, "merchant_uid": "order-9", "schedule_status": "revoked"}]))


def test_an_empty_unschedule_never_leaves() -> None:
    empty = object.__new__(Unschedule)
    for name, value in (("billing_key", KEY), ("order_ids", ())):
        object.__setattr__(empty, name, value)
    with pytest.raises(BadCommand):
        next(GATE.unschedule(empty))


# Looking up


def paged(*items: Any, after: int = 0, **more: Any) -> Response:
    return says({"total": len(items), "previous": 0, "next": after, "list": list(items), **more})


def test_listing_asks_for_what_was_paid_and_given_back_in_pieces_and_takes_naverpays_only() -> None:
    since = datetime.fromtimestamp(1764570000, UTC)
    other = {**RECORD, "imp_uid": "imp_2", "merchant_uid": "order-2", "pg_provider": "kcp", "status": "paid"}
    mute = {k: v for k, v in RECORD.items() if k != "pg_provider"} | {"imp_uid": "imp_3", "merchant_uid": "order-3"}
    back = {**RECORD, "status": "cancelled", "cancel_amount": 14000}
    pages = [says({"total": len(items), "previous": 0, "next": 0, "list": items})
             for items in ([RECORD, other, mute], [back], [], [])]
    asked, found = run(GATE.listing(since, since + timedelta(days=90)), *pages)
    piece, whole = since.timestamp() + 88 * 86400, since.timestamp() + 90 * 86400
    assert asked == [get(f"/payments/status/{status}", query=(
        ("from", str(int(start))), ("to", str(int(end))), ("sorting", "paid"), ("limit", "1000"), ("page", "1")))
        for start, end in ((since.timestamp(), piece), (piece, whole)) for status in ("paid", "cancelled")]
    assert {(p.provider_id, p.status) for p in found} == {
        ("imps_301234567890", PaymentStatus.CANCELLED), ("imp_3", PaymentStatus.PAID)}


def test_finding_walks_every_page_oldest_first() -> None:
    failed = {**RECORD, "status": "failed", "imp_uid": "imps_1"}
    asked, found = run(GATE.find("order-1"), paged(failed, after=2), paged(RECORD))
    assert asked == [get("/payments/findAll/{}", "order-1",
                         query=(("sorting", "started"), ("limit", "100"), ("page", str(n)))) for n in (1, 2)]
    assert [p.status for p in found] == [PaymentStatus.FAILED, PaymentStatus.PAID]


ABSENT = [says(code=-1, message=NONE_TEXT, status=404), says(code=-1, message="없음", status=404),
          says(code=1, message=NONE_TEXT)]


@pytest.mark.parametrize("answer", ABSENT)
def test_what_the_pg_says_it_does_not_know_is_absent(answer: Response) -> None:
    assert result(GATE.find("order-1"), answer) == ()
    assert result(GATE.lookup("imps_1"), answer) is None
    assert result(GATE.find_schedule("order-2"), answer) is None
    assert result(GATE.lookup_key(KEY.value, "shop"), answer) is None


@pytest.mark.parametrize("answer", [
    raw(b"<html>", 404, "text/html"), raw(b"", 404), says(None, status=404), says(code=1, message="점검 중입니다"),
    says(code=-1, message=None), says(code=1, message=NONE_TEXT, status=400), raw(b"", 500), says(None), says("x"),
    says(code=1, message=NONE_TEXT, status=500), says([], status=201), raw(b"{}", 302),
    says(code=1, message="no", status=403),
])
def test_a_look_up_that_was_not_answered_proves_no_absence(answer: Response) -> None:
    for flow in (GATE.find("order-1"), GATE.lookup("imps_1"), GATE.find_schedule("order-2"),
                 GATE.lookup_key(KEY.value, "shop"), GATE.schedules(KEY.value, DUE, DUE + timedelta(days=1))):
        with pytest.raises(OutcomeUnknown):
            run(flow, answer)


@pytest.mark.parametrize("answers", [
    (paged(RECORD, after=3),), (paged(RECORD, after=-1),), (paged(RECORD, next="2"),), (paged(next=None),),
    (says({"next": 0}),), (paged({**RECORD, "merchant_uid": "order-9"}),), (paged(RECORD, None),),
    (paged(RECORD, after=2), ABSENT[0]), (paged(RECORD, after=2), raw(b"", 500)),
    tuple(paged(RECORD, after=n + 1) for n in range(1, 51)),
])
def test_pages_that_do_not_add_up_prove_nothing(answers: tuple[Response, ...]) -> None:
    with pytest.raises(OutcomeUnknown):
        run(GATE.find("order-1"), *answers)


def test_a_look_up_asks_for_test_payments_in_test_mode_only() -> None:
    assert next(GATE.lookup("imp_1")) == get("/payments/{}", "imp_1", query=(("include_sandbox", "true"),))
    assert next(LIVE.lookup("imp_1")) == get("/payments/{}", "imp_1")


def test_a_look_up_encodes_what_it_is_given() -> None:
    assert str(next(GATE.lookup("imp_1?include_sandbox=true/x")).path) == "/payments/imp_1%3Finclude_sandbox%3Dtrue%2Fx"


def test_a_look_up_must_be_answered_with_the_payment_asked_for() -> None:
    assert result(GATE.lookup("imps_301234567890"), says(RECORD)).order_id == "order-1"
    with pytest.raises(OutcomeUnknown):
        run(GATE.lookup("imps_1"), says(RECORD))


def test_a_registration_is_no_revenue() -> None:
    found = result(GATE.lookup("imps_301234567890"), says({**RECORD, "customer_uid_usage": "issue"}))
    assert found.for_key is True


@pytest.mark.parametrize(("word", "back", "status"), [
    ("cancelled", 4000, PaymentStatus.PARTLY_CANCELLED), ("cancelled", 14000, PaymentStatus.CANCELLED),
    ("paid", 4000, PaymentStatus.PARTLY_CANCELLED), ("ready", 0, PaymentStatus.PENDING),
])
def test_amounts_tell_a_partial_refund_from_a_whole_one(word: str, back: int, status: PaymentStatus) -> None:
    found = result(GATE.lookup("imps_301234567890"), says({**RECORD, "status": word, "cancel_amount": back}))
    assert (found.status, found.cancelled) == (status, Money(back, "KRW"))


def test_a_failed_payment_is_a_value_when_looked_up() -> None:
    found = result(GATE.find("order-1"), paged({**RECORD, "status": "failed", "fail_reason": "잔액 부족"}))[0]
    assert (found.reason, found.message) == (DeclineReason.INSUFFICIENT_FUNDS, "잔액 부족")


def test_an_amount_in_another_currency_is_read_by_its_own_exponent() -> None:
    record = says({**RECORD, "currency": "USD", "amount": 9.5})
    assert result(GATE.lookup("imps_301234567890"), record).money == Money(950, "USD")


def test_a_dated_charge_is_found_by_our_id() -> None:
    asked, found = run(GATE.find_schedule("order-2"), says({**DATED, "schedule_status": "executed", "payment_status":
                                                            "failed", "imp_uid": "imps_1", "fail_reason": "잔액 부족"}))
    assert asked == [get("/subscribe/payments/schedule/{}", "order-2")]
    assert found == ScheduledCharge(order_id="order-2", due_at=DUE, money=Money(14_000, "KRW"), provider_id="imps_1",
                                    status=ScheduleStatus.EXECUTED, payment_status=PaymentStatus.FAILED,
                                    message="잔액 부족")
    with pytest.raises(OutcomeUnknown):
        run(GATE.find_schedule("order-9"), says(DATED))


@pytest.mark.parametrize("change", [{"payment_status": "ready"}, {"schedule_status": None}, {"customer_uid": None},
                                    {"imp_uid": ""}, {"amount": -1}])
def test_a_dated_charge_that_is_not_understood_is_unknown(change: dict[str, Any]) -> None:
    with pytest.raises(OutcomeUnknown):
        run(GATE.find_schedule("order-2"), says({**DATED, **change}))


def between(start: datetime, end: datetime, page: int = 1) -> Request:
    query = (("from", str(int(start.timestamp()))), ("to", str(int(end.timestamp()))), ("page", str(page)))
    return get("/subscribe/customers/{}/schedules", "gildong_0001", query=query)


def test_dated_charges_are_listed_from_either_shape_of_list() -> None:
    end = DUE + timedelta(days=40)
    asked, found = run(GATE.schedules(KEY.value, DUE, end), paged(SECOND, after=2), paged(DATED))
    assert asked == [between(DUE, end), between(DUE, end, 2)]
    assert [c.order_id for c in found] == ["order-2", "order-3"]
    assert result(GATE.schedules(KEY.value, DUE, end), says([SECOND, DATED])) == found


def test_a_plain_array_as_long_as_a_page_is_asked_for_more_until_it_repeats_or_ends() -> None:
    many = [{**DATED, "merchant_uid": f"o-{n}"} for n in range(25)]
    end = DUE + timedelta(days=1)
    assert len(result(GATE.schedules(KEY.value, DUE, end), says(many[:20]), says(many[20:]))) == 25
    assert len(result(GATE.schedules(KEY.value, DUE, end), says(many), says(many))) == 25
    assert len(result(GATE.schedules(KEY.value, DUE, end), says(many[:20]), says([]))) == 20


def test_a_paged_list_that_repeats_itself_proves_nothing() -> None:
    with pytest.raises(OutcomeUnknown):
        run(GATE.schedules(KEY.value, DUE, DUE + timedelta(days=1)), paged(DATED, after=2), paged(DATED, after=2))


def test_a_long_span_is_asked_for_in_pieces_that_leave_no_gap() -> None:
    end = DUE + timedelta(days=100)
    asked, found = run(GATE.schedules(KEY.value, DUE, end), paged(DATED, SECOND), paged())
    assert asked == [between(DUE, DUE + timedelta(days=88)), between(DUE + timedelta(days=88), end)]
    assert len(found) == 2


def test_the_span_is_half_open_whatever_the_pg_sends() -> None:
    until = DUE + timedelta(days=31)
    assert [c.order_id for c in result(GATE.schedules(KEY.value, DUE, until), paged(DATED, SECOND))] == ["order-2"]
    since = DUE + timedelta(microseconds=1)
    assert result(GATE.schedules(KEY.value, since, DUE + timedelta(days=1)), paged(DATED)) == ()


def test_a_list_for_one_key_with_a_charge_of_another_is_unknown() -> None:
    with pytest.raises(OutcomeUnknown):
        run(GATE.schedules(KEY.value, DUE, DUE + timedelta(days=1)), paged({**DATED, "customer_uid": "another"}))


# Billing keys


CUSTOMER = {"customer_uid": "gildong_0001", "pg_provider": "naverpay", "pg_id": "naverpay-partner", "sandbox": True,
            "card_name": None, "card_number": "5365101234567890", "inserted": 1764560000, "updated": 1764560000}


def test_a_billing_key_is_looked_up_by_its_own_text() -> None:
    asked, info = run(GATE.lookup_key(KEY.value, "shop"), says(CUSTOMER))
    assert asked == [get("/subscribe/customers/{}", "gildong_0001")]
    assert (info.billing_key, info.test, info.card_number) == (KEY, True, "536510******7890")
    assert info.created_at == datetime.fromtimestamp(1764560000, UTC)


def test_a_billing_key_tells_its_mode_for_the_core_to_compare() -> None:
    assert result(GATE.lookup_key(KEY.value, "shop"), says({**CUSTOMER, "sandbox": False})).test is False


@pytest.mark.parametrize("change", [{"customer_uid": "another"}, {"customer_uid": None}, {"sandbox": "no"}])
def test_another_billing_key_is_not_believed(change: dict[str, Any]) -> None:
    with pytest.raises(OutcomeUnknown):
        run(GATE.lookup_key(KEY.value, "shop"), says({**CUSTOMER, **change}))


DELETE = DeleteKey(billing_key=KEY, reason="asked to", requested_by="customer")


def test_deleting_a_key_says_why_and_who_asked_and_may_be_repeated() -> None:
    asked, done = run(GATE.delete_key(DELETE), says(CUSTOMER))
    assert asked == [Request("DELETE", path("/subscribe/customers/{}", "gildong_0001"), auth=True, repeatable=True,
                             query=(("reason", "asked to"), ("extra[requester]", "customer")))]
    assert done is None


@pytest.mark.parametrize("answer", [
    says(code=-1, message="없음", status=404),
    says(code=1, message="요청하신 customer_uid(x)로 등록된 정보를 찾을 수 없습니다."),
])
def test_a_key_that_is_gone_already_is_deleted(answer: Response) -> None:
    assert result(GATE.delete_key(DELETE), answer) is None


@pytest.mark.parametrize(("answer", "error"), [
    (raw(b"", 404), OutcomeUnknown), (says({**CUSTOMER, "customer_uid": "another"}), OutcomeUnknown),
    (says(None), OutcomeUnknown), (says(code=1, message="안 됩니다"), Refused),
])
def test_a_key_is_not_deleted_before_the_pg_says_so(answer: Response, error: type[Exception]) -> None:
    with pytest.raises(error):
        run(GATE.delete_key(DELETE), answer)
