"""NaverPay without flows: what is refused before sending, what a return or webhook may claim, settings, declaration."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from attrs import evolve
from paygate_portone import NaverPay, Settings, paygate_providers

from paygate.capability import Absence, CancelGuard, Capability, Certainty
from paygate.commands import (
    Cancel,
    CancelWhole,
    Charge,
    Customer,
    DatedCharge,
    DeleteKey,
    Pay,
    Register,
    Schedule,
    SchedulesOf,
    Unschedule,
)
from paygate.errors import BadCommand, BadSettings, Forged, Unsupported
from paygate.model import BillingKey, Hint
from paygate.money import Money
from paygate.secret import Secret

ME = "portone-naverpay"
GIVEN: dict[str, Any] = {"imp_key": "key-1", "imp_secret": "secret-1", "merchant_code": "imp12345678"}
GATE = NaverPay(Settings(**GIVEN))
KEY = BillingKey("shop", "gildong_0001")
DUE = datetime(2026, 1, 1, tzinfo=UTC)
WON = Money(14_000, "KRW")
PHONE = Customer(phone="010-0000-0000")
PAY = Pay(order_id="o", money=WON, title="t", return_url="https://shop.test/back")
REGISTER = Register(order_id="o", money=WON, title="t", return_url="https://shop.test/back", customer=PHONE)
CHARGE = Charge(order_id="o", billing_key=KEY, money=WON, title="t")
DATED = DatedCharge(order_id="o", due_at=DUE, money=WON, title="t")
CANCEL = Cancel(cancel_id="c", order_id="o", money=WON, reason="r")
WHOLE = CancelWhole(cancel_id="c", order_id="o", reason="r")


def schedule(item: DatedCharge) -> Schedule:
    return Schedule(billing_key=KEY, charges=(item,))


# Before sending


@pytest.mark.parametrize("command", [
    PAY, REGISTER, CHARGE, schedule(DATED), CANCEL, WHOLE, Unschedule(billing_key=KEY, order_ids=("o",)),
    DeleteKey(billing_key=KEY, reason="r"), SchedulesOf(billing_key=KEY, start=DUE, end=DUE + timedelta(days=400)),
])
def test_plain_commands_pass(command: Any) -> None:
    GATE.check(command)


@pytest.mark.parametrize("command", [PAY, REGISTER, CHARGE, DATED])
def test_amount_currency_and_title_are_checked_in_every_charging_command(command: Any) -> None:
    def check(**change: Any) -> None:
        changed = evolve(command, **change)
        GATE.check(schedule(changed) if isinstance(changed, DatedCharge) else changed)

    check(money=Money(10, "KRW"), title="가" * 40)
    with pytest.raises(BadCommand, match="minimum is 10 won"):
        check(money=Money(9, "KRW"))
    with pytest.raises(BadCommand, match="only KRW"):
        check(money=Money(1_000, "USD"))
    with pytest.raises(BadCommand, match="title"):
        check(title="가" * 41)


@pytest.mark.parametrize(("field", "limit"), [
    ("name", 16), ("phone", 16), ("email", 64), ("address", 128), ("postcode", 8)])
def test_what_the_pg_would_cut_off_is_refused_without_repeating_it(field: str, limit: int) -> None:
    fits, too_long = ({"phone": "010", field: "7" * n} for n in (limit, limit + 1))
    for command in (PAY, REGISTER, CHARGE, schedule(DATED)):
        GATE.check(evolve(command, customer=Customer(**fits)))
        with pytest.raises(BadCommand, match=f"customer.{field}") as caught:
            GATE.check(evolve(command, customer=Customer(**too_long)))
        assert "777" not in str(caught.value)


def test_a_registration_needs_the_payers_phone() -> None:
    with pytest.raises(BadCommand, match=r"customer\.phone"):
        GATE.check(evolve(REGISTER, customer=Customer(name="Hong")))


@pytest.mark.parametrize("command", [
    CHARGE, Schedule(billing_key=KEY, charges=(DATED,)), Unschedule(billing_key=KEY, order_ids=("o",)),
    DeleteKey(billing_key=KEY, reason="r"), SchedulesOf(billing_key=KEY, start=DUE, end=DUE + timedelta(days=1)),
])
def test_what_cannot_be_a_billing_key_is_refused(command: Any) -> None:
    for value in ("k" * 81, "", "a\nb"):
        with pytest.raises(BadCommand, match="billing_key"):
            GATE.check(evolve(command, billing_key=BillingKey("shop", value)))
    GATE.check(evolve(command, billing_key=BillingKey("shop", "k" * 80)))


PRODUCT = {"categoryType": "BOOK", "categoryId": "GENERAL", "uid": "1", "name": "n", "count": 1}
GOOD: dict[str, dict[str, Any]] = {
    "pay": {
        "naverUseCfm": "20280229", "naverProducts": [{**PRODUCT, "startDate": "20260101", "sellerId": "s"}, PRODUCT],
        "naverProductCode": "c", "naverProductCount": 2, "naverChainId": "x", "naverPurchaserName": Secret("Hong"),
        "naverPurchaserBirthday": "19991231", "naverCultureBenefit": True, "naverMerchantUserKey": "u", "escrow": False,
        "confirm_url": "https://shop.test/c", "notice_url": "https://shop.test/n", "custom_data": "{}",
    },
    "register": {"customer_uid": "u" * 80, "naverActionType": "CHANGE", "naverProductCode": "c", "naverProductCount": 1,
                 "naverChainId": "x", "notice_url": "https://shop.test/n", "custom_data": "{}"},
    "charge": {"naverUseCfm": "20261201", "product_count": 1, "notice_url": "https://shop.test/n", "custom_data": "{}"},
    "schedule": {"naverUseCfm": "20261201"},
    "cancel": {"tax_free": Money(14_000, "KRW"), "enable_webhook": True},
    "cancel_whole": {"tax_free": Money(99_000, "KRW")},
}


def with_extra(command: str, fields: Any, provider: str = ME) -> Any:
    extra = {provider: fields}
    if command == "schedule":
        return schedule(evolve(DATED, extra=extra))
    plain: dict[str, Any] = {
        "pay": PAY, "register": REGISTER, "charge": CHARGE, "cancel": CANCEL, "cancel_whole": WHOLE}
    return evolve(plain[command], extra=extra)


@pytest.mark.parametrize("command", GOOD)
def test_documented_extra_fields_pass(command: str) -> None:
    GATE.check(with_extra(command, GOOD[command]))


@pytest.mark.parametrize("command", GOOD)
def test_an_unknown_extra_field_is_refused_by_name_and_left_alone_for_another_pg(command: str) -> None:
    with pytest.raises(BadCommand, match="naverUseCmf"):
        GATE.check(with_extra(command, {"naverUseCmf": "20261201"}))
    GATE.check(with_extra(command, {"naverUseCmf": 1}, provider="another-pg"))


@pytest.mark.parametrize(("command", "name", "values"), [
    ("charge", "naverUseCfm", ["2026-12-01", "20261301", "20270229", 20261201, "\uff12026120", "", None, "202612010"]),
    ("schedule", "naverUseCfm", ["20260631"]),
    ("charge", "product_count", [0, -1, True, "1", 1.0, 10**9]),
    ("charge", "notice_url", ["http://shop.test/n", "ftp://x", "https://u:p@shop.test/", 1]),
    ("charge", "custom_data", ["", "x" * 2001, {"a": 1}, "a\x00b"]),
    ("charge", "naverProductCode", ["c"]),
    ("pay", "customer_uid", ["u"]),
    ("pay", "naverCultureBenefit", ["true", 1]),
    ("pay", "naverProducts", [[], {}, "x", [1], [{**PRODUCT, "price": 1}], [{**PRODUCT, "count": 0}],
                              [{k: v for k, v in PRODUCT.items() if k != "uid"}], [PRODUCT, {}]]),
    ("pay", "naverPurchaserBirthday", ["991231"]),
    ("register", "customer_uid", ["u" * 81, "", "a\nb", 7]),
    ("register", "naverActionType", ["change", ""]),
    ("cancel", "tax_free", [0, 100, Money(14_001, "KRW"), Money(1, "USD")]),
    ("cancel", "enable_webhook", ["yes"]),
    ("cancel", "amount", [1]),
    ("cancel", "checksum", [None]),
])
def test_a_bad_extra_field_is_refused_by_name(command: str, name: str, values: list[Any]) -> None:
    for value in values:
        with pytest.raises(BadCommand, match=name):
            GATE.check(with_extra(command, {name: value}))


def test_a_window_under_a_tier_is_not_offered() -> None:
    gate = NaverPay(Settings(**GIVEN, tier="A01"))
    for command in (PAY, REGISTER):
        with pytest.raises(Unsupported):
            gate.check(command)
    gate.check(CHARGE)


# Returns and webhooks


def test_a_return_is_read_as_a_hint() -> None:
    query = {"imp_uid": "imp_1", "merchant_uid": "o", "imp_success": "true", "cart": "\x00" * 9999}
    assert GATE.read_return(query) == Hint(order_id="o", provider_id="imp_1", claim="true", says_paid=True)
    assert GATE.read_return({"merchant_uid": "o", "imp_uid": "null", "error_code": "F400", "error_msg": "잔액 부족",
                             "success": "false"}) == \
        Hint(order_id="o", code="F400", message="잔액 부족", claim="false")
    assert GATE.read_return({"imp_uid": "imp_1", "status": "paid", "success": "true"}).claim == "paid"


@pytest.mark.parametrize("query", [
    {}, {"imp_uid": "", "merchant_uid": ""}, {"imp_uid": "imp_1?include_sandbox=true"}, {"imp_uid": ".."},
    {"imp_uid": "i" * 41}, {"merchant_uid": "o" * 41}, {"merchant_uid": "o\n"}, {"merchant_uid": ["o", "p"]},
    {"merchant_uid": "o", "error_msg": "x" * 1001}, {"merchant_uid": "o", "error_code": "\ud800"},
    {"merchant_uid": "o", "imp_success": "truthy"}, {"merchant_uid": "o", "status": True},
])
def test_a_return_that_cannot_be_one_is_forged(query: Any) -> None:
    with pytest.raises(Forged):
        GATE.read_return(query)


NOW = datetime(2026, 1, 5, tzinfo=UTC)
JSON = {"content-type": "application/json; charset=utf-8"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
HINT = Hint(order_id="주문-1", provider_id="imps_1", claim="cancelled", cancellation="c-1")


def test_a_webhook_is_read_from_json_and_from_a_form() -> None:
    body = {"imp_uid": "imps_1", "merchant_uid": "주문-1", "status": "cancelled", "cancellation_id": "c-1"}
    assert GATE.read_webhook(JSON, json.dumps({**body, "new": {"a": []}}).encode(), NOW) == HINT
    form = b"imp_uid=imps_1&merchant_uid=%EC%A3%BC%EB%AC%B8-1&status=cancelled&cancellation_id=c-1&new="
    assert GATE.read_webhook(FORM, form, NOW) == HINT


@pytest.mark.parametrize(("headers", "body"), [
    (JSON, b""), (JSON, b"[]"), (JSON, b"null"), (JSON, b"{}"), (JSON, b'{"imp_uid": "imp_1"}'), (JSON, b"\xff"),
    (JSON, b'{"merchant_uid": "o"}'), (JSON, b'{"imp_uid": "imp_1", "merchant_uid": 7}'), (JSON, b"[" * 60_000),
    (JSON, b'{"imp_uid": {}, "merchant_uid": "o"}'), (JSON, b'{"imp_uid": "imp_1", "merchant_uid": null}'),
    (JSON, b'{"imp_uid": "imp_1", "imp_uid": "imp_2", "merchant_uid": "o"}'),
    (JSON, b'{"imp_uid": "imp_1", "merchant_uid": "o", "status": ["paid"]}'),
    (JSON, b'{"imp_uid": "imp_1/../x", "merchant_uid": "o"}'),
    (JSON, b'{"imp_uid": "imp_1", "merchant_uid": "o", "pad": "' + b"x" * 65536 + b'"}'),
    (FORM, b""), (FORM, b"imp_uid=imp_1"), (FORM, b"imp_uid=imp_1&imp_uid=imp_2&merchant_uid=o"),
    (FORM, b"imp_uid=imp_1&merchant_uid=%ff"), (FORM, b"imp_uid=imp_1&merchant_uid=\xff"),
    (FORM, b"imp_uid&merchant_uid=o"),
    (FORM, b"imp_uid=imp_1&merchant_uid=o&" + b"&".join(b"k%d=1" % n for n in range(60))),
    (FORM, b'{"imp_uid": "imp_1", "merchant_uid": "o"}'), (JSON, b"imp_uid=imp_1&merchant_uid=o"),
    ({}, b'{"imp_uid": "imp_1", "merchant_uid": "o"}'),
    ({"content-type": "text/plain"}, b"imp_uid=imp_1&merchant_uid=o"),
])
def test_a_webhook_that_cannot_be_one_is_forged(headers: dict[str, str], body: bytes) -> None:
    with pytest.raises(Forged):
        GATE.read_webhook(headers, body, NOW)


# Settings and declaration


def test_settings_never_print_the_credentials() -> None:
    settings = Settings(**GIVEN, mode="live")
    assert "key-1" not in repr(settings)
    assert "secret-1" not in repr(settings)
    assert settings.is_test is False
    assert Settings(**GIVEN).is_test is True


@pytest.mark.parametrize(("name", "value"), [
    ("imp_key", ""), ("imp_key", "two words"), ("imp_secret", None), ("imp_secret", "x\n"), ("imp_secret", 7),
    ("merchant_code", "12345678"), ("merchant_code", None), ("merchant_code", "imp"), ("channel_key", "c" * 56),
    ("channel_key", ""), ("mode", "prod"), ("popup", "yes"), ("naver_chain_id", ""), ("product_code", "a b"),
    ("webhook_url", "http://shop.test/hook"), ("webhook_url", "https://u@shop.test"), ("tier", "ab"), ("tier", "ab\n"),
])
def test_a_bad_setting_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(BadSettings, match=name):
        Settings(**{**GIVEN, name: value})


def test_the_spec_declares_every_verb_without_credentials() -> None:
    spec, = paygate_providers()
    assert (spec.name, spec.base_url, spec.settings) == (ME, "https://api.iamport.kr", Settings)
    assert "api.iamport.kr" in spec.hosts
    assert frozenset(Capability) - spec.capabilities == {
        Capability.SUBSCRIBE, Capability.UNSUBSCRIBE, Capability.PAUSE, Capability.MOVE_NEXT,
        Capability.CHANGE_INTERVAL, Capability.CHANGE_METHOD, Capability.RENEW, Capability.KEYS,
            Capability.CAPTURE}
    assert isinstance(spec.build(Settings(**GIVEN)), NaverPay)


def test_the_profile_says_how_each_thing_is_known() -> None:
    profile = paygate_providers()[0].profile
    assert profile.minimum.value == Money(10, "KRW")
    assert profile.cancel_guard.value is CancelGuard.CHECKSUM
    assert profile.absence.value is Absence.NEVER_HAPPENED_AFTER_SETTLING
    assert profile.refuses_concurrent_order_id.certainty is Certainty.ASSUMED
    assert profile.register_takes_money.value is False
    assert all(fact.source for _, _, fact in profile.describe())
