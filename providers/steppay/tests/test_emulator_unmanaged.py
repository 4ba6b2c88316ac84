"""Unmanaged StepPay: the browser script's window, billing keys, receipts, refunds."""

from __future__ import annotations

import json
from typing import Any

import pytest
from paygate_steppay.emulator import Switches, UnmanagedEmulator

from paygate.money import Money
from paygate.testing.emulator import Broken, Call, FaultKind
from paygate.wire import Response


class Shop:
    """A merchant that talks to an unmanaged StepPay."""

    def __init__(self, **switches: Any) -> None:
        self.pg = UnmanagedEmulator(switches=Switches(**{"hooks": ("v1",), **switches}))
        self.settings = self.pg.settings()
        self.control = self.pg.controls()
        self.headers = {"secret-token": self.settings["secret_token"]}

    def send(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        sent = b"" if body is None else json.dumps(body).encode()
        answer = self.pg.handle(Call(method, path, self.headers, sent))
        assert isinstance(answer, Response)
        return answer.status, json.loads(answer.body)

    def params(self, **more: Any) -> dict[str, Any]:
        return {"paymentKey": self.settings["payment_key"], "paymentGateway": self.settings["payment_gateway"],
                "paymentMethod": "CARD", "partner": {"partnerOrderId": "inv-1", "partnerUserId": "user-77"},
                "product": {"itemName": "Pro plan", "amount": 9900, "quantity": 1, "currency": "KRW"},
                "customer": {"userName": "Kim", "phone": "01012345678", "email": "kim@example.com"}, **more}

    def charge(self, key: str, order_id: str = "inv-2", amount: Any = 9900, **more: Any) -> tuple[int, Any]:
        body = {k: v for k, v in self.params(idKey=key, **more).items() if not k.startswith("payment")}
        body["partner"] = {"partnerOrderId": order_id, "partnerUserId": "user-77"}
        body["product"] = {"itemName": "Pro plan", "amount": amount, "quantity": 1}
        return self.send("POST", "/api/payment/billing", body)

    def receipt(self, id_key: str) -> Any:
        status, body = self.send("GET", f"/api/payment/receipt/{id_key}")
        assert status == 200
        return body

    def cancel(self, id_key: str, amount: Any) -> tuple[int, Any]:
        return self.send("POST", "/api/internal/payment/cancel", {"idKey": id_key, "requestPrice": amount})


@pytest.mark.parametrize(("action", "event", "status"), [
    ("approve", "success", "COMPLETE"), ("decline", "error", "FAILED"), ("close", "cancel", "USER_CANCELED")])
def test_the_window_tells_the_page_what_the_payer_did(action: str, event: str, status: str) -> None:
    shop = Shop()
    shop.control["open_window"](params=shop.params())
    told = shop.control["payer"](order_id="inv-1", action=action)
    assert told["event"] == event
    receipt = shop.receipt(told["payload"]["idKey"])
    assert receipt["paymentStatus"] == status
    assert (receipt["partnerOrderId"], receipt["partnerUserId"]) == ("inv-1", "user-77")
    assert (receipt["paymentDate"] is not None) == (event == "success")
    assert shop.pg.journal.taken("inv-1") == (9900 if event == "success" else 0)


@pytest.mark.parametrize("params", [
    {"paymentKey": "wrong"}, {"paymentGateway": "NOBODY"}, {"paymentMethod": "CASH"}, {"partner": {}},
    {"product": {"itemName": "x", "amount": -1, "quantity": 1}}, {"customer": None},
    {"product": {"itemName": "x", "amount": 0, "quantity": 1}}])
def test_the_window_refuses_what_is_not_as_documented(params: dict[str, Any]) -> None:
    shop = Shop()
    with pytest.raises(ValueError):
        shop.control["open_window"](params=shop.params(**params))


def test_a_bill_payment_issues_a_key_that_can_be_charged_any_amount() -> None:
    shop = Shop()
    shop.control["open_window"](params=shop.params(paymentMethod="CARD_BILL"))
    key = shop.control["payer"](order_id="inv-1")["payload"]["idKey"]
    assert [k["key"] for k in shop.control["keys"]()] == [key]
    status, answer = shop.charge(key, "inv-2", 12_345)
    assert (status, answer["result"], answer["response"]["paymentStatus"]) == (200, True, "COMPLETE")
    receipt = shop.receipt(answer["response"]["idKey"])
    assert (receipt["amount"], receipt["partnerOrderId"], receipt["paymentMethod"]) == (12_345, "inv-2", "CARD_BILL")
    assert [(m.order_id, m.money.amount) for m in shop.pg.journal.entries] == [("inv-1", 9900), ("inv-2", 12_345)]


def test_only_the_payment_that_issued_a_key_is_one() -> None:
    shop = Shop()
    shop.control["open_window"](params=shop.params())
    card = shop.control["payer"](order_id="inv-1")["payload"]["idKey"]
    assert shop.charge(card)[1]["errorCode"] == "BILLING_KEY_NOT_FOUND"
    charged = shop.charge(shop.control["issue_key"]())[1]["response"]["idKey"]
    assert shop.charge(charged)[1]["errorCode"] == "BILLING_KEY_NOT_FOUND"
    assert shop.charge("nobody")[0] == 404


def test_an_issued_key_takes_no_money_and_can_be_named() -> None:
    shop = Shop()
    assert shop.control["issue_key"](key="my-key") == "my-key"
    with pytest.raises(ValueError, match="exists"):
        shop.control["issue_key"](key="my-key")
    assert shop.pg.journal.entries == []
    assert shop.charge("my-key")[0] == 200


def test_sending_a_charge_twice_charges_twice_and_no_order_id_can_be_looked_up() -> None:
    shop = Shop()
    key = shop.control["issue_key"]()
    first, second = (shop.charge(key, "inv-2")[1]["response"]["idKey"] for _ in range(2))
    assert first != second
    assert shop.pg.journal.charges("inv-2") == 2
    assert shop.send("GET", "/api/payment/receipt/inv-2")[0] == 404


@pytest.mark.parametrize(("how", "status", "result"), [("result_false", 200, False), ("error_body", 400, None)])
def test_a_decline_is_on_record_and_answered_as_switched(how: str, status: int, result: bool | None) -> None:
    shop = Shop(billing_failure=how)
    key = shop.control["issue_key"]()
    shop.control["next_charge"](outcome="failed", message="no funds")
    answer = shop.charge(key)
    assert (answer[0], answer[1].get("result")) == (status, result)
    assert [(p["paymentStatus"], p["errorMessage"]) for p in shop.control["payments"]()][1:] == [("FAILED", "no funds")]
    assert shop.charge(key)[1]["result"] is True
    assert shop.pg.journal.charges("inv-2") == 1


def test_a_refusal_by_code_leaves_no_record() -> None:
    shop = Shop()
    key = shop.control["issue_key"]()
    shop.control["next_charge"](outcome="code", message="closed for the night")
    status, answer = shop.charge(key)
    assert (status, answer["errorCode"], answer["errorMessage"]) == (400, "PAYMENT_REFUSED", "closed for the night")
    assert len(shop.control["payments"]()) == 1
    assert shop.charge(key)[1]["result"] is True


def test_a_charge_that_hangs_is_made_all_the_same() -> None:
    shop = Shop()
    key = shop.control["issue_key"]()
    shop.pg.fault(FaultKind.LATE, on="billing")
    body = {**shop.params(), "idKey": key}
    answer = shop.pg.handle(Call("POST", "/api/payment/billing", shop.headers, json.dumps(body).encode()))
    assert isinstance(answer, Broken)
    assert shop.pg.journal.charges("inv-1") == 0
    shop.pg.clock.advance(120)
    assert shop.pg.journal.charges("inv-1") == 1


@pytest.mark.parametrize("where", ["response", "top", "absent"])
def test_the_charges_id_key_stands_where_the_switch_puts_it(where: str) -> None:
    shop = Shop(billing_id_key=where)
    answer = shop.charge(shop.control["issue_key"]())[1]
    assert ("idKey" in answer["response"], "idKey" in answer) == (where == "response", where == "top")


def test_a_charge_can_stay_pending_for_a_while() -> None:
    shop = Shop(billing_lag_s=3)
    answer = shop.charge(shop.control["issue_key"]())[1]["response"]
    assert (answer["paymentStatus"], shop.receipt(answer["idKey"])["paymentDate"]) == ("STANDBY", None)
    shop.pg.clock.advance(3)
    assert shop.receipt(answer["idKey"])["paymentStatus"] == "COMPLETE"


def test_amounts_and_ids_come_as_numbers_or_text_as_switched() -> None:
    shop = Shop(amounts="text", partner_ids="number", status_words="2023")
    answer = shop.charge(shop.control["issue_key"](), "20260001")[1]["response"]
    assert (answer["amount"], answer["partnerOrderId"]) == ("9900", 20260001)
    assert shop.receipt(answer["idKey"])["paymentStatus"] == "SUCCESS"
    mixed = Shop()
    key = mixed.control["issue_key"]()
    assert {json.dumps(mixed.charge(key)[1]["response"]["amount"]) for _ in range(2)} == {"9900", "9900.0"}


def test_the_charged_total_is_the_amount_less_the_discount() -> None:
    shop = Shop()
    key = shop.control["issue_key"]()
    answer = shop.charge(key, discount=900, taxFreeAmount=0)[1]["response"]
    assert (answer["amount"], answer["discount"]) == (9900, 900)
    assert shop.pg.journal.taken("inv-2") == 9000
    assert shop.charge(key, discount=9901)[0] == 400
    assert shop.charge(key, amount=0)[0] == 400
    assert shop.charge(key, amount="9900")[0] == 200


def test_refunds_add_up_and_never_exceed_what_is_left() -> None:
    shop = Shop()
    paid = shop.charge(shop.control["issue_key"]())[1]["response"]["idKey"]
    status, answer = shop.cancel(paid, "4000")
    part = answer["response"]["cancelPayment"]
    assert (status, part["canceledAmount"], part["paymentStatus"]) == (200, 4000, "PARTIAL_CANCELED")
    status, answer = shop.cancel(paid, 5901)
    assert (status, answer["errorCode"]) == (400, "CANCEL_AMOUNT_EXCEEDED")
    assert shop.pg.journal.given_back("inv-2") == 4000
    assert shop.cancel(paid, 0)[0] == 400
    assert shop.cancel(paid, 5900)[1]["response"]["cancelPayment"]["paymentStatus"] == "CANCELED"
    assert shop.cancel(paid, 1)[0] == 400
    assert [m.money for m in shop.pg.journal.entries if m.kind == "refund"] == [Money(4000, "KRW"), Money(5900, "KRW")]
    assert [c["canceledAmount"] for c in shop.receipt(paid)["cancelHistory"]] == [4000, 5900]


def test_the_same_refund_twice_is_given_twice() -> None:
    shop = Shop()
    paid = shop.charge(shop.control["issue_key"]())[1]["response"]["idKey"]
    assert shop.cancel(paid, 1000)[0] == shop.cancel(paid, 1000)[0] == 200
    assert shop.pg.journal.given_back("inv-2") == 2000


def test_what_was_not_paid_cannot_be_given_back() -> None:
    shop = Shop()
    window = shop.control["open_window"](params=shop.params())
    assert shop.cancel(window["idKey"], 100)[1]["errorCode"] == "PAYMENT_NOT_PAID"
    assert shop.cancel("nobody", 100)[0] == 404


@pytest.mark.parametrize(("taken", "sent", "status"), [
    ("either", "secret-key", 404), ("either", "secret-token", 404), ("secret-key", "secret-token", 403),
    ("secret-key", "secret-key", 404), ("secret-token", "secret-key", 403)])
def test_a_refund_is_let_in_by_the_header_the_switch_names(taken: str, sent: str, status: int) -> None:
    shop = Shop(refund_header=taken)
    shop.headers = {sent: shop.settings["secret_token"]}
    assert shop.cancel("nobody", 100)[0] == status


def test_a_virtual_account_is_paid_when_the_deposit_comes() -> None:
    shop = Shop()
    shop.control["open_window"](params=shop.params(paymentMethod="VBANK"))
    told = shop.control["payer"](order_id="inv-1")
    assert told["payload"]["accountNum"]
    assert shop.receipt(told["payload"]["idKey"])["paymentStatus"] == "VIRTUAL_BANK_STANDBY"
    assert shop.pg.journal.entries == []
    shop.control["deposit"](order_id="inv-1")
    assert shop.receipt(told["payload"]["idKey"])["paymentStatus"] == "COMPLETE"
    with pytest.raises(ValueError, match="deposit"):
        shop.control["deposit"](order_id="inv-1")


def test_a_window_is_answered_once_and_a_late_approval_finds_its_order() -> None:
    shop = Shop()
    shop.control["open_window"](params=shop.params())
    assert shop.control["payer"](order_id="inv-1", action="late", after_s=5) is None
    shop.pg.clock.advance(5)
    assert shop.pg.journal.charges("inv-1") == 1
    with pytest.raises(ValueError, match="closed"):
        shop.control["payer"](order_id="inv-1")


def test_the_payers_browser_calls_the_script() -> None:
    shop = Shop()
    action = {"type": "client_call", "function": "Steppay.requestPay", "params": shop.params()}
    assert shop.pg.browse(action)["event"] == "success"
    with pytest.raises(ValueError, match="outcome"):
        shop.pg.browse(action, "faint")
    with pytest.raises(ValueError, match="redirect"):
        shop.pg.browse({"type": "client_call", "function": "other"})


@pytest.mark.parametrize(("kind", "name", "told"), [
    (FaultKind.WRONG_ORDER, "partnerOrderId", "inv-2-other"), (FaultKind.WRONG_AMOUNT, "amount", 9901),
    (FaultKind.LIE_FAILED, "paymentStatus", "FAILED")])
def test_a_lie_changes_the_answer_and_nothing_else(kind: FaultKind, name: str, told: Any) -> None:
    shop = Shop(amounts="int")
    key = shop.control["issue_key"]()
    shop.pg.fault(kind, on="billing")
    assert shop.charge(key)[1]["response"][name] == told
    assert shop.pg.journal.taken("inv-2") == 9900
    paid = shop.control["payments"]()[1]["idKey"]
    shop.pg.fault(kind, on="receipt")
    assert shop.receipt(paid)[name] == told
    assert shop.receipt(paid)[name] != told


def test_controls_refuse_what_they_cannot_do() -> None:
    shop = Shop()
    for name, arguments in (
            ("payer", {"order_id": "nobody"}), ("payer", {"order_id": "x", "action": "sing"}),
            ("next_charge", {"outcome": "x"}), ("renewals", {"times": 0}), ("switch", {"name": "x", "value": 1}),
            ("switch", {"name": "amounts", "value": "roman"}),
            ("resend_hook", {}), ("deposit", {"order_id": "x"}), ("open_window", {"params": {}})):
        with pytest.raises(ValueError):
            shop.control[name](**arguments)
