"""Managed StepPay: an order, its hosted page, what look-ups say, what is given back."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from paygate_steppay.emulator import ManagedEmulator, Switches
from paygate_steppay.emulator.checkout import append

from paygate.money import Money
from paygate.testing.emulator import Call, FaultKind
from paygate.wire import Response

BACK = "successUrl=https%3A%2F%2Fshop.example%2Fdone%3Fa%3D1&errorUrl=https%3A%2F%2Fshop.example%2Fno" \
       "&cancelUrl=https%3A%2F%2Fshop.example%2Fleft"


class Shop:
    """A merchant that talks to a managed StepPay."""

    def __init__(self, **switches: Any) -> None:
        self.pg = ManagedEmulator(switches=Switches(**switches))
        self.settings = self.pg.settings()
        self.control = self.pg.controls()
        self.headers = {"secret-token": self.settings["secret_token"]}

    def send(self, method: str, path: str, body: Any = None) -> Response:
        sent = b"" if body is None else json.dumps(body).encode()
        answer = self.pg.handle(Call(method, path, self.headers, sent))
        assert isinstance(answer, Response)
        return answer

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        answer = self.send(method, path, body)
        assert answer.status < 300, answer.body
        return json.loads(answer.body)

    def refusal(self, method: str, path: str, body: Any = None) -> tuple[int, str]:
        answer = self.send(method, path, body)
        return answer.status, json.loads(answer.body)["errorCode"]

    def price(self, amount: float = 9900, **more: Any) -> Any:
        product = self.ask("GET", f"/api/v1/products/{self.settings['product_code']}")
        return self.ask("POST", f"/api/v1/products/{product['id']}/prices", {
            "type": "ONE_TIME", "price": amount, "unit": "case", "plan": {"name": "Basic", "description": ""}, **more})

    def order(self, amount: float = 9900, **more: Any) -> Any:
        customer = self.ask("POST", "/api/v1/customers", {"name": "Kim", "email": "kim@example.com"})
        item = {"productCode": self.settings["product_code"], "priceCode": self.price(amount)["code"],
                "minimumQuantity": 1, "maximumQuantity": 1}
        return self.ask("POST", "/api/v1/orders", {"customerId": customer["id"], "items": [item], **more})

    def paid(self, amount: float = 9900) -> Any:
        order = self.order(amount)
        self.control["payer"](order_id=order["orderCode"])
        return self.ask("GET", f"/api/v1/orders/{order['orderCode']}")


def test_the_settings_reach_the_emulator_and_name_a_product_that_is_there() -> None:
    shop = Shop()
    assert set(shop.settings) == {"secret_token", "product_code", "mode", "webhook_keys"}
    assert shop.settings["mode"] == "test"
    assert shop.ask("GET", f"/api/v1/products/{shop.settings['product_code']}")["status"] == "SALE"


@pytest.mark.parametrize("headers", [{}, {"secret-token": "x"}, {"secret-key": "right"}, {"authorization": "right"}])
def test_a_missing_or_wrong_token_is_403_with_the_error_body(headers: dict[str, str]) -> None:
    shop = Shop()
    shop.headers = {k: shop.settings["secret_token"] if v == "right" else v for k, v in headers.items()}
    assert shop.refusal("GET", "/api/v1/orders") == (403, "FORBIDDEN")
    shop.pg.switches.set("unauthorized_status", 401)
    assert shop.send("GET", "/api/v1/orders").status == 401
    assert shop.pg.unauthorized().status == 401


def test_an_order_costs_what_its_price_plan_says_and_shows_nothing_before_it_is_paid() -> None:
    shop = Shop()
    order = shop.order(14_000)
    assert (order["type"], order["paidAmount"], order["payment"], order["paymentDate"]) == ("ONE_TIME", 0, None, None)
    assert (order["items"][0]["status"], order["items"][0]["quantity"]) == ("CREATED", 0)
    assert order["items"][0]["price"]["price"] == 14_000
    assert order["code"] == order["orderCode"]
    assert order["orderCode"].startswith("order_")
    assert len(order["idKey"]) == 29
    assert order["createdAt"] == "2026-01-05T03:00:00.000000"
    assert shop.ask("GET", f"/api/payment/receipt/{order['idKey']}")["paymentStatus"] == "STANDBY"


@pytest.mark.parametrize("method", ["/api/public/orders", "/api/v1/orders"])
def test_the_pay_link_redirects_to_a_page_of_the_same_host(method: str) -> None:
    shop = Shop()
    order = shop.order()
    answer = shop.send("GET", f"{method}/{order['orderCode']}/pay?{BACK}")
    assert answer.status == 302
    assert answer.headers["location"].startswith(f"/__page__/orders/{order['orderCode']}?successUrl=https%3A%2F%2F")
    page = shop.send("GET", answer.headers["location"])
    assert page.headers["content-type"].startswith("text/html")
    assert shop.refusal("GET", f"{method}/order_unknown/pay") == (404, "ORDER_NOT_FOUND")


def test_the_public_pay_link_needs_no_token_and_takes_web_addresses_only() -> None:
    shop = Shop()
    order = shop.order()
    shop.headers = {}
    path = f"/api/public/orders/{order['orderCode']}/pay"
    assert shop.send("GET", path).status == 302
    for url in ("javascript%3Aalert(1)", "%2F%2Fevil.example", "https%3A%2F%2Fx%0d%0aset-cookie%3A1"):
        assert shop.send("GET", f"{path}?successUrl={url}").status == 400


@pytest.mark.parametrize(("action", "comes_back", "status"), [
    ("approve", "https://shop.example/done?a=1&order_id={id}&order_code={code}&status=success", "PAID"),
    ("decline", "https://shop.example/no?order_id={id}&order_code={code}&status=error", "PAYMENT_FAILURE"),
    ("close", "https://shop.example/left", "CREATED")])
def test_the_browser_returns_with_what_the_payer_did(action: str, comes_back: str, status: str) -> None:
    shop = Shop()
    order = shop.order()
    shop.send("GET", f"/api/public/orders/{order['orderCode']}/pay?{BACK}")
    told = shop.control["payer"](order_id=order["orderCode"], action=action)
    there = comes_back.format(id=order["orderId"], code=order["orderCode"])
    assert told == {"redirect": there, "query": dict(parse_qsl(urlsplit(there).query))}
    after = shop.ask("GET", f"/api/v1/orders/{order['orderId']}")
    assert after["items"][0]["status"] == status
    assert (after["paymentDate"] is not None) == (action == "approve")
    assert shop.pg.journal.taken(order["orderCode"]) == (9900 if action == "approve" else 0)


def test_a_person_can_click_the_page() -> None:
    shop = Shop()
    order = shop.order()
    page = shop.send("GET", f"/api/public/orders/{order['orderCode']}/pay?{BACK}").headers["location"].partition("?")[0]
    pressed = shop.send("POST", f"{page}/approve")
    assert pressed.status == 303
    assert pressed.headers["location"].endswith("status=success")
    assert shop.send("POST", f"{page}/approve").status == 400


def test_the_payers_browser_follows_a_checkout_and_brings_back_the_query() -> None:
    shop = Shop()
    order = shop.order()
    url = f"https://api.steppay.kr/api/public/orders/{order['orderCode']}/pay?{BACK}"
    query = shop.pg.browse({"type": "redirect", "url": url})
    assert query == {"a": "1", "order_id": str(order["orderId"]), "order_code": order["orderCode"], "status": "success"}
    with pytest.raises(ValueError, match="not a pay link"):
        shop.pg.browse({"type": "redirect", "url": "https://api.steppay.kr/api/public/orders/none/pay"})


@pytest.mark.parametrize(("url", "made"), [
    ("https://a.example", "https://a.example?x=1"), ("https://a.example/?", "https://a.example/?x=1"),
    ("https://a.example/?b=2", "https://a.example/?b=2&x=1"), ("https://a.example/?b=2&", "https://a.example/?b=2&x=1"),
    ("https://a.example/#f?g", "https://a.example/?x=1#f?g")])
def test_a_query_is_appended_where_it_belongs(url: str, made: str) -> None:
    assert append(url, [("x", "1")]) == made


def test_an_order_is_paid_once_and_a_declined_payer_may_try_again() -> None:
    shop = Shop()
    order = shop.order()
    shop.control["payer"](order_id=order["orderCode"], action="decline", message="no funds")
    payment = shop.ask("GET", f"/api/v1/orders/{order['orderCode']}")["payment"]
    assert (payment["errorMessage"], payment["paymentDate"]) == ("no funds", None)
    shop.control["payer"](order_id=order["orderCode"])
    with pytest.raises(ValueError, match="paid"):
        shop.control["payer"](order_id=order["orderCode"])
    assert shop.pg.journal.charges(order["orderCode"]) == 1


def test_a_late_approval_arrives_on_the_clock_without_a_browser() -> None:
    shop = Shop()
    order, cancelled = shop.order(), shop.order()
    for each in (order, cancelled):
        assert shop.control["payer"](order_id=each["orderCode"], action="late", after_s=60) is None
    shop.ask("PATCH", f"/api/v1/orders/{cancelled['orderCode']}/cancel", {"requestPrice": 0})
    assert shop.pg.journal.entries == []
    shop.pg.clock.advance(60)
    assert [m.order_id for m in shop.pg.journal.entries] == [order["orderCode"]]


def test_look_ups_can_lag_behind_the_money() -> None:
    shop = Shop(payment_date_lag_s=5)
    order = shop.paid()
    assert (order["paymentDate"], order["paidAmount"], order["items"][0]["status"]) == (None, 0, "CREATED")
    assert shop.ask("GET", f"/api/payment/receipt/{order['idKey']}")["paymentDate"] is None
    assert shop.pg.journal.taken(order["orderCode"]) == 9900
    shop.pg.clock.advance(5)
    order = shop.ask("GET", f"/api/v1/orders/{order['orderCode']}")
    assert order["paymentDate"] == "2026-01-05T03:00:00"
    assert (order["paidAmount"], order["items"][0]["status"]) == (9900, "PAID")


def test_an_expired_or_unsold_order_cannot_be_paid() -> None:
    shop = Shop()
    order = shop.order(purchaseDeadline="2026-01-05T03:00:30")
    shop.pg.clock.advance(31)
    with pytest.raises(ValueError, match="deadline"):
        shop.control["payer"](order_id=order["orderCode"])
    assert shop.refusal("GET", f"/api/public/orders/{order['orderCode']}/pay") == (400, "ORDER_EXPIRED")


def test_refunds_add_up_and_never_exceed_what_is_left() -> None:
    shop = Shop()
    order = shop.paid(9900)
    path = f"/api/v1/orders/{order['orderCode']}"
    done = shop.ask("PATCH", f"{path}/cancel", {"requestPrice": 4000, "reason": "why"})
    assert done == {"message": "OK", "body": None}
    part = shop.ask("GET", path)
    assert (part["returnedAmount"], part["leftAmount"], part["paidAmount"]) == (4000, 5900, 9900)
    assert part["items"][0]["status"] == "CANCELLATION_REFUNDED_PARTIALLY"
    assert shop.refusal("PATCH", f"{path}/cancel", {"requestPrice": 5901}) == (400, "CANCEL_AMOUNT_EXCEEDED")
    assert shop.refusal("PATCH", f"{path}/cancel", {"requestPrice": 0})[0] == 400
    shop.ask("PATCH", f"{path}/cancel", {"requestPrice": 5900})
    whole = shop.ask("GET", path)
    assert (whole["leftAmount"], whole["items"][0]["status"]) == (0, "CANCELLATION_REFUNDED")
    assert shop.refusal("PATCH", f"{path}/cancel", {"requestPrice": 1})[0] == 400
    receipt = shop.ask("GET", f"/api/payment/receipt/{order['idKey']}")
    assert (receipt["paymentStatus"], receipt["cancel"]["canceledAmount"]) == ("CANCELED", 9900)
    assert [m.money for m in shop.pg.journal.entries] == [Money(9900, "KRW"), Money(4000, "KRW"), Money(5900, "KRW")]
    assert {m.provider_id for m in shop.pg.journal.entries} == {order["idKey"]}
    assert shop.pg.journal.given_back(order["orderCode"]) == 9900


def test_cancelling_an_unpaid_order_moves_no_money_and_closes_it() -> None:
    shop = Shop()
    order = shop.order()
    shop.ask("PATCH", f"/api/v1/orders/{order['orderCode']}/cancel", {"requestPrice": 9900})
    assert shop.ask("GET", f"/api/v1/orders/{order['orderCode']}")["items"][0]["status"] == "CANCELLED"
    with pytest.raises(ValueError, match="cancelled"):
        shop.control["payer"](order_id=order["orderCode"])
    again = shop.refusal("PATCH", f"/api/v1/orders/{order['orderCode']}/cancel", {"requestPrice": 0})
    assert again == (400, "ORDER_CANCELLED")
    assert shop.pg.journal.entries == []


def test_a_deposit_pays_an_order_unless_it_was_cancelled() -> None:
    shop = Shop()
    order, cancelled = shop.order(), shop.order()
    for each in (order, cancelled):
        shop.control["payer"](order_id=each["orderCode"], method="VBANK")
        assert shop.ask("GET", f"/api/v1/orders/{each['orderCode']}")["items"][0]["status"] == "DEPOSIT_WAITING"
    shop.ask("PATCH", f"/api/v1/orders/{cancelled['orderCode']}/cancel", {"requestPrice": 0})
    with pytest.raises(ValueError, match="cancelled"):
        shop.control["deposit"](order_id=cancelled["orderCode"])
    shop.control["deposit"](order_id=order["orderCode"])
    assert [m.order_id for m in shop.pg.journal.entries] == [order["orderCode"]]


def test_empty_fields_are_null_or_absent_as_switched() -> None:
    assert Shop().order()["paymentDate"] is None
    assert "paymentDate" not in Shop(nulls="absent").order()


def test_a_saved_method_comes_from_an_order_and_goes_by_its_id() -> None:
    shop = Shop()
    customer = shop.ask("POST", "/api/v1/customers", {"name": "Kim", "email": "kim@example.com"})["id"]
    order = shop.ask("POST", f"/api/v1/customers/{customer}/payment-method")
    assert order["type"] == "PAYMENT_METHOD"
    assert shop.ask("GET", f"/api/v1/customers/{customer}")["paymentMethods"] == []
    shop.control["payer"](order_id=order["orderCode"])
    [method] = shop.ask("GET", f"/api/v1/customers/{customer}")["paymentMethods"]
    assert shop.control["keys"]()[0]["key"] == f"{customer}/{method['id']}"
    shop.ask("DELETE", f"/api/v1/customers/{customer}/payment-method/{method['id']}")
    assert shop.ask("GET", f"/api/v1/customers/{customer}")["paymentMethods"] == []
    assert shop.refusal("DELETE", f"/api/v1/customers/{customer}/payment-method/{method['id']}")[0] == 404
    assert shop.pg.journal.entries == []


def test_amounts_have_a_point_or_none_or_both_as_switched() -> None:
    mixed, whole, pointed = (Shop(amounts=how).paid() for how in ("mixed", "int", "decimal"))
    assert [json.dumps(o["paidAmount"]) for o in (mixed, whole, pointed)] == ["9900", "9900", "9900.0"]
    assert [json.dumps(o["leftAmount"]) for o in (mixed, whole, pointed)] == ["9900.0", "9900", "9900.0"]


def test_creation_is_201_or_200_as_switched_and_vat_can_come_on_top() -> None:
    shop = Shop(create_status=200, vat_included=False)
    assert shop.send("POST", "/api/v1/customers", {"name": "Kim", "email": "kim@example.com"}).status == 200
    order = shop.paid(9900)
    assert (order["paidAmount"], [i["type"] for i in order["items"]]) == (10_890, ["SKU", "TAX"])
    assert Shop().send("POST", "/api/v1/customers", {"name": "Kim", "email": "kim@example.com"}).status == 201


@pytest.mark.parametrize(("kind", "changes"), [
    (FaultKind.LIE_FAILED, {"paymentDate": None, "paidAmount": 0}), (FaultKind.WRONG_AMOUNT, {"paidAmount": 9901})])
def test_a_lie_about_an_order_is_an_answer_only(kind: FaultKind, changes: dict[str, Any]) -> None:
    shop = Shop()
    order = shop.paid()
    shop.pg.fault(kind)
    told = shop.ask("GET", f"/api/v1/orders/{order['orderCode']}")
    assert {name: told[name] for name in changes} == changes
    assert shop.ask("GET", f"/api/v1/orders/{order['orderCode']}") == order
    shop.pg.fault(FaultKind.WRONG_ORDER)
    assert shop.ask("GET", f"/api/v1/orders/{order['orderCode']}")["orderCode"] != order["orderCode"]


def test_two_emulators_that_hear_the_same_say_the_same() -> None:
    assert Shop().paid() == Shop().paid()


def test_lists_come_in_pages_newest_first() -> None:
    shop = Shop()
    codes = [shop.order()["orderCode"] for _ in range(3)]
    first = shop.ask("GET", "/api/v1/orders?size=2")
    assert [o["code"] for o in first["content"]] == codes[:0:-1]
    assert (first["totalElements"], first["totalPages"], first["last"]) == (3, 2, False)
    assert [o["code"] for o in shop.ask("GET", "/api/v1/orders?size=2&page=1")["content"]] == codes[:1]
    assert shop.ask("GET", f"/api/v1/orders?type=orderCode&keyword={codes[1]}")["totalElements"] == 1
    assert shop.refusal("GET", "/api/v1/orders?size=0")[0] == 400
