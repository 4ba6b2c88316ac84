"""Where nothing is published about the payment service, the emulator can behave either way; each way is shown here."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs

import pytest
from paygate_steppay.emulator import ManagedEmulator, Switches, UnmanagedEmulator

from paygate.testing.emulator import Broken, Call
from paygate.wire import Response

PARAMS: dict[str, Any] = {
    "paymentGateway": "NICE", "paymentMethod": "CARD", "partner": {"partnerOrderId": "inv-1", "partnerUserId": "7"},
    "product": {"itemName": "Pro plan", "amount": 9900, "quantity": 1, "currency": "KRW"},
    "customer": {"userName": "Kim", "phone": "01012345678", "email": "kim@example.com"}}


class Shop:
    def __init__(self, kind: type[UnmanagedEmulator | ManagedEmulator] = UnmanagedEmulator, **switches: Any) -> None:
        self.pg = kind(switches=Switches(**{"hooks": ("v1",), **switches}))
        self.control = self.pg.controls()

    def answer(self, method: str, path: str, body: Any = None, **headers: str) -> Response:
        sent = b"" if body is None else json.dumps(body).encode()
        token = headers or {"secret-token": self.pg.settings()["secret_token"]}
        answer = self.pg.handle(Call(method, path, token, sent))
        assert isinstance(answer, Response)
        return answer

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        said = self.answer(method, path, body)
        return said.status, json.loads(said.body)

    def paid(self, **params: Any) -> str:
        window = self.control["open_window"](params={**PARAMS, "paymentKey": self.pg.pg.payment_key, **params})
        self.control["payer"](order_id=window["idKey"])
        return str(window["idKey"])

    def receipt(self, key: str) -> Any:
        return self.ask("GET", f"/api/payment/receipt/{key}")[1]

    def receipt_of_paid(self) -> Any:
        return self.receipt(self.paid())

    def charge(self, key: str) -> tuple[int, Any]:
        return self.ask("POST", "/api/payment/billing", {
            "idKey": key, **{name: PARAMS[name] for name in ("partner", "product", "customer")}})


@pytest.mark.parametrize("status", [401, 403])
def test_a_missing_or_wrong_token_is_answered_with_either_status_and_the_error_body(status: int) -> None:
    shop = Shop(unauthorized_status=status)
    for headers in ({"x": "y"}, {"secret-token": "wrong"}):
        said = shop.answer("GET", "/api/payment/receipt/x", **headers)
        assert (said.status, json.loads(said.body)["errorCode"]) == (status, "FORBIDDEN")


def test_too_many_requests_carry_the_error_body_too() -> None:
    shop = Shop()
    shop.pg.fault("too_many")
    said = shop.answer("GET", "/api/payment/receipt/x")
    assert (said.status, json.loads(said.body)["errorCode"]) == (429, "TOO_MANY_REQUESTS")
    assert said.headers["retry-after"] == "1"


def test_an_unknown_id_is_a_404_with_the_error_body() -> None:
    assert Shop().ask("GET", "/api/payment/receipt/nobody")[0] == 404


@pytest.mark.parametrize(("switches", "status", "result"), [
    ({"billing_failure": "result_false"}, 200, False), ({"billing_failure": "error_body"}, 400, None)])
def test_a_declined_charge_is_answered_either_way(switches: dict[str, Any], status: int, result: bool | None) -> None:
    shop = Shop(**switches)
    key = shop.control["issue_key"]()
    shop.control["next_charge"](outcome="failed")
    answer = shop.charge(key)
    assert (answer[0], answer[1].get("result"), bool(answer[1].get("errorCode"))) == (status, result, result is None)


def test_a_charge_can_hang_and_be_made_all_the_same() -> None:
    shop = Shop()
    key = shop.control["issue_key"]()
    shop.pg.fault("late", on="billing")
    body = json.dumps({"idKey": key, **PARAMS}).encode()
    token = {"secret-token": shop.pg.settings()["secret_token"]}
    assert isinstance(shop.pg.handle(Call("POST", "/api/payment/billing", token, body)), Broken)
    shop.pg.clock.advance(90)
    assert shop.pg.journal.charges("inv-1") == 1


@pytest.mark.parametrize("works", [False, True])
def test_the_id_key_of_a_managed_order_can_be_charged_or_not(works: bool) -> None:
    shop = Shop(ManagedEmulator, billing_with_order_key=works)
    command = shop.pg.story().register
    assert command is not None
    customer = shop.ask("POST", "/api/v1/customers", {"name": "Kim", "email": "kim@example.com"})[1]
    order = shop.ask("POST", f"/api/v1/customers/{customer['id']}/payment-method")[1]
    shop.control["payer"](order_id=order["orderCode"], method="CARD_BILL")
    status, answer = shop.charge(order["idKey"])
    assert (status, answer.get("errorCode")) == ((200, None) if works else (400, "BILLING_KEY_NOT_FOUND"))


@pytest.mark.parametrize("header", ["secret-token", "secret-key"])
def test_a_refund_takes_either_header(header: str) -> None:
    shop = Shop()
    said = shop.answer("POST", "/api/internal/payment/cancel", {"idKey": shop.paid(), "requestPrice": "100"},
                       **{header: shop.pg.settings()["secret_token"]})
    assert said.status == 200


def test_a_refund_can_be_under_way_for_a_while_and_shows_nothing_until_it_is_done() -> None:
    shop = Shop(refund_lag_s=60.0)
    key = shop.paid()
    told = shop.ask("POST", "/api/internal/payment/cancel", {"idKey": key, "requestPrice": 100})[1]
    assert told["response"]["cancelPayment"]["paymentStatus"] == "CANCEL_PROGRESS"
    said = shop.receipt(key)
    assert (said["paymentStatus"], said["cancel"]["canceledAmount"]) == ("CANCEL_PROGRESS", 0)
    assert said["cancelHistory"] == []
    shop.pg.clock.advance(60)
    said = shop.receipt(key)
    assert (said["paymentStatus"], said["cancel"]["canceledAmount"]) == ("PARTIAL_CANCELED", 100)


@pytest.mark.parametrize("lists", [True, False])
def test_a_receipt_lists_refunds_or_does_not(lists: bool) -> None:
    assert ("cancel" in Shop(receipt_cancels=lists).receipt_of_paid()) is lists


def test_empty_fields_of_a_receipt_are_null_or_left_out() -> None:
    full, short = Shop().receipt_of_paid(), Shop(nulls="absent").receipt_of_paid()
    assert full["errorCode"] is None
    assert "errorCode" not in short


def test_times_are_zone_less_and_of_the_zone_that_is_switched() -> None:
    assert Shop().receipt_of_paid()["paymentDate"] == "2026-01-05T03:00:00"
    assert Shop(zone_hours=9).receipt_of_paid()["paymentDate"] == "2026-01-05T12:00:00"


def test_webhooks_come_as_json_or_a_form_late_twice_and_backwards() -> None:
    shop = Shop(v1_content="form", hook_copies=2, hook_delay_s=30.0)
    key = shop.paid()
    assert shop.pg.hooks == []
    shop.pg.clock.advance(30)
    assert [parse_qs(h.body.decode())["idKey"] for h in shop.pg.hooks] == [[key], [key]]
    mixed = Shop(hooks=("v1", "v2"), hook_order="reversed")
    mixed.paid()
    assert ["steppay-signature" in h.headers for h in mixed.pg.hooks] == [False, True]
