"""The emulator's tokens, charges, look-ups, cancels and prepared amounts, as the PG's documents describe them."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import quote

import pytest
from paygate_portone.emulator import PortOneEmulator

from paygate.testing.emulator import Call, FaultKind

USED = "이미 주문이 이루어진 건입니다. (동일한 merchant_uid로 결제 또는 취소된 기록이 있습니다)"
CARD = {"card_number": "4242-4242-4242-4242", "expiry": "2030-12", "birth": "900101", "pwd_2digit": "99"}


def send(pg: PortOneEmulator, method: str, target: str, body: Any = None, token: str | None = None,
         form: str | None = None) -> tuple[int, Any]:
    headers = {"authorization": f"Bearer {pg.shop.tokens.token}" if token is None else token}
    if form is not None:
        headers["content-type"] = "application/x-www-form-urlencoded"
    raw = form.encode() if form is not None else b"" if body is None else json.dumps(body).encode()
    answer = pg.answer(Call(method, target, headers, raw))
    value = json.loads(answer.body)
    assert set(value) == {"code", "message", "response"}
    assert (value["code"] == 0) or value["response"] is None
    return answer.status, value


def start(**switches: Any) -> PortOneEmulator:
    pg = PortOneEmulator(**switches)
    assert send(pg, "POST", "/users/getToken", pg.settings())[0] == 200
    pg.controls()["issue_key"](key="key-1", payer={"name": "Hong", "tel": "010-0000-0000"})
    return pg


def charge(pg: PortOneEmulator, order: str, amount: Any = 14_000, **more: Any) -> Any:
    return send(pg, "POST", "/subscribe/payments/again",
                {"customer_uid": "key-1", "merchant_uid": order, "amount": amount, "name": "Slim", **more})[1]


def test_the_token_follows_its_four_rules() -> None:
    pg = PortOneEmulator()

    def ask() -> Any:
        return send(pg, "POST", "/users/getToken", pg.settings())[1]["response"]

    first = ask()
    assert re.fullmatch("[0-9a-f]{40}", first["access_token"])
    assert first["expired_at"] - first["now"] == 1800
    pg.clock.advance(1700)
    assert ask() == {**first, "now": first["now"] + 1700}
    pg.clock.advance(60)
    extended = ask()
    assert extended["access_token"] == first["access_token"]
    assert extended["expired_at"] == first["expired_at"] + 300
    pg.clock.advance(340)
    assert send(pg, "GET", "/users/pg")[0] == 401
    renewed = ask()
    assert renewed["access_token"] != first["access_token"]
    assert renewed["expired_at"] - renewed["now"] == 1800


def test_bearer_and_bare_tokens_open_and_anything_else_is_401() -> None:
    pg = start()
    token = pg.shop.tokens.token
    assert send(pg, "GET", "/users/pg", token=token)[0] == 200
    assert send(pg, "GET", "/users/pg", token=f"Bearer {token}")[0] == 200
    for wrong in ("", "Bearer ", "Bearer x", f"Basic {token}", token.upper()):
        assert send(pg, "GET", "/users/pg", token=wrong) == (
            401, {"code": -1, "message": "Unauthorized", "response": None})
    strict = start(bare_tokens=False)
    assert send(strict, "GET", "/users/pg", token=strict.shop.tokens.token)[0] == 401


def test_wrong_credentials_are_401_and_missing_ones_400() -> None:
    pg = PortOneEmulator()
    assert set(pg.settings()) == {"imp_key", "imp_secret", "merchant_code", "channel_key", "mode"}
    assert send(pg, "POST", "/users/getToken", {"imp_key": "a", "imp_secret": "b"})[0] == 401
    status, value = send(pg, "POST", "/users/getToken", {"imp_key": "a"})
    assert (status, value["code"]) == (400, -1)
    assert value["message"] == "imp_key, imp_secret 파라메터가 누락되었습니다."


def test_a_charge_is_paid_moves_money_once_and_sends_one_webhook() -> None:
    pg = start(webhook_url="http://127.0.0.1/hook")
    paid = charge(pg, "o-1", extra={"naverUseCfm": "20991231"}, custom_data='{"a":1}')["response"]
    assert re.fullmatch("imps_[0-9]{12}", paid["imp_uid"])
    assert (paid["status"], paid["amount"], paid["customer_uid_usage"]) == ("paid", 14_000, "payment")
    assert (paid["sandbox"], paid["channel"], paid["pg_provider"]) == (True, "api", "naverpay")
    assert paid["started_at"] == paid["paid_at"] > 0
    assert (paid["failed_at"], paid["cancelled_at"], paid["cancel_history"]) == (0, 0, [])
    assert paid["buyer_tel"] == "010-0000-0000"
    assert [(m.kind, m.order_id, m.provider_id, m.money.amount) for m in pg.journal.entries] == [
        ("charge", "o-1", paid["imp_uid"], 14_000)]
    assert [json.loads(h.body) for h in pg.hooks] == [
        {"imp_uid": paid["imp_uid"], "merchant_uid": "o-1", "status": "paid"}]


def test_a_decline_is_code_0_with_status_failed_a_record_and_no_webhook() -> None:
    pg = start()
    pg.controls()["next_charge"](outcome="failed", message="한도 초과")
    value = charge(pg, "o-1")
    assert value["code"] == 0
    assert (value["response"]["status"], value["response"]["fail_reason"]) == ("failed", "한도 초과")
    assert value["response"]["paid_at"] == 0
    assert send(pg, "GET", "/payments/find/o-1")[1]["response"]["status"] == "failed"
    assert pg.journal.entries == []
    assert pg.hooks == []


def test_a_rejected_request_leaves_no_record() -> None:
    pg = start()
    pg.controls()["next_charge"](outcome="code", message="점검")
    value = charge(pg, "o-1")
    assert value["code"] != 0
    assert value["message"] == "점검"
    assert send(pg, "GET", "/payments/find/o-1")[0] == 404


def test_a_used_order_is_refused_before_the_key_is_looked_at() -> None:
    pg = start()
    charge(pg, "o-1")
    value = send(pg, "POST", "/subscribe/payments/again",
                 {"customer_uid": "nobody", "merchant_uid": "o-1", "amount": 10, "name": "x"})[1]
    assert (value["code"], value["message"]) == (-1, USED)
    assert pg.journal.charges("o-1") == 1
    other = start(duplicate_code=1)
    assert [charge(other, "o-1")["code"] for _ in range(2)] == [0, 1]


def test_after_a_decline_the_order_may_be_used_again_unless_strict() -> None:
    for strict, code in ((False, 0), (True, -1)):
        pg = start(strict_reuse=strict)
        pg.controls()["next_charge"](outcome="failed")
        charge(pg, "o-1")
        assert charge(pg, "o-1")["code"] == code


def test_an_unknown_key_is_refused_with_the_observed_text() -> None:
    pg = start()
    value = send(pg, "POST", "/subscribe/payments/again",
                 {"customer_uid": "nobody", "merchant_uid": "o-1", "amount": 100, "name": "x"})[1]
    assert (value["code"], value["message"]) == (1, "등록되지 않은 구매자입니다.")


def test_less_than_ten_won_is_declined() -> None:
    pg = start()
    assert charge(pg, "o-1", 9)["response"]["status"] == "failed"
    assert charge(pg, "o-2", 10)["response"]["status"] == "paid"
    assert pg.journal.taken("o-1") == 0


@pytest.mark.parametrize("amount", [{"total": 8900}, [1], True, "ten", "", None, -5, 0, 10.5, 10**30, "1_000"])
def test_an_amount_that_is_no_amount_is_refused(amount: Any) -> None:
    pg = start()
    status, value = send(pg, "POST", "/subscribe/payments/again",
                         {"customer_uid": "key-1", "merchant_uid": "o-1", "amount": amount, "name": "x"})
    assert status == 200
    assert value["code"] == 1
    assert pg.journal.entries == []


def test_numeric_text_and_whole_fractions_are_amounts() -> None:
    pg = start()
    assert charge(pg, "o-1", "1000")["response"]["amount"] == 1000
    assert charge(pg, "o-2", 1000.0)["response"]["amount"] == 1000
    assert charge(pg, "o-3", 10.5, currency="USD")["response"]["amount"] == 10.5


def test_a_past_use_day_is_refused_by_the_korean_calendar() -> None:
    pg = start()
    pg.clock.advance(13 * 3600)  # 16:00 UTC on the 5th is the 6th in Korea
    send(pg, "POST", "/users/getToken", pg.settings())
    assert charge(pg, "o-1", extra={"naverUseCfm": "20260105"})["code"] == 1
    assert charge(pg, "o-1", extra={"naverUseCfm": "20260106"})["code"] == 0


def test_form_bodies_with_nested_keys_mean_the_same_as_json() -> None:
    pg = start()
    value = send(pg, "POST", "/subscribe/payments/again", form="customer_uid=key-1&merchant_uid=o-1&amount=10000"
                 f"&name={quote('요금제(최초과금)')}&extra[naverUseCfm]=20990101")[1]
    assert value["response"]["name"] == "요금제(최초과금)"
    assert value["response"]["amount"] == 10_000
    assert send(pg, "POST", "/subscribe/payments/again", form="customer_uid=key-1&merchant_uid=o-2&amount=10000"
                "&name=x&extra%5BnaverUseCfm%5D=20200101")[1]["code"] == 1


def test_older_clients_habits_are_understood() -> None:
    pg = start(hides_sandbox=False)
    headers = {"x-imptokenheader": pg.shop.tokens.token, "content-type": "application/x-www-form-urlencoded"}
    pg.answer(Call("POST", "/subscribe/payments/again/", headers, b"customer_uid=key-1& merchant_uid=o-1& amount=100"))
    assert pg.journal.taken("o-1") == 100
    imp_uid = pg.journal.entries[0].provider_id
    assert send(pg, "GET", f"/payments/{imp_uid}")[1]["response"]["sandbox"] is True
    assert send(pg, "GET", "/cards/361")[1]["response"] == {"code": "361", "name": "BC카드"}
    assert send(pg, "GET", "/banks/x")[0] == 404


def test_a_body_without_a_content_type_is_guessed() -> None:
    pg = start()
    headers = {"authorization": pg.shop.tokens.token}
    for order, body in (("o-1", b'{"customer_uid":"key-1","merchant_uid":"o-1","amount":100}'),
                        ("o-2", b"customer_uid=key-1&merchant_uid=o-2&amount=100")):
        pg.answer(Call("POST", "/subscribe/payments/again", headers, body))
        assert pg.journal.taken(order) == 100


def test_test_payments_hide_from_the_single_look_up_only() -> None:
    pg = start()
    imp_uid = charge(pg, "o-1")["response"]["imp_uid"]
    status, value = send(pg, "GET", f"/payments/{imp_uid}")
    assert (status, value["code"], value["message"]) == (404, -1, "존재하지 않는 결제정보입니다.")
    assert send(pg, "GET", f"/payments/{imp_uid}?include_sandbox=true")[1]["response"]["merchant_uid"] == "o-1"
    for target in ("/payments/find/o-1", "/payments/find/o-1/paid", "/payments/findAll/o-1", "/payments/status/paid",
                   f"/payments?imp_uid[]={imp_uid}", "/subscribe/customers/key-1/payments"):
        assert send(pg, "GET", target)[0] == 200
    live = start(sandbox=False)
    imp_uid = charge(live, "o-1")["response"]["imp_uid"]
    assert send(live, "GET", f"/payments/{imp_uid}")[1]["response"]["sandbox"] is False


def test_looking_up_several_says_207_when_some_are_missing_and_404_when_all_are() -> None:
    pg = start()
    one, two = (charge(pg, order)["response"]["imp_uid"] for order in ("o-1", "o-2"))
    status, value = send(pg, "GET", f"/payments?imp_uid[]={one}&imp_uid[]=x&merchant_uid[]=o-2")
    assert status == 207
    assert [p["imp_uid"] for p in value["response"]] == [one, two]
    assert send(pg, "GET", "/payments?merchant_uid=o-1&merchant_uid=o-2")[0] == 200
    assert send(pg, "GET", "/payments?imp_uid=x")[0] == 404
    assert send(pg, "GET", "/payments")[0] == 404


def test_lists_are_paged_sorted_and_bounded() -> None:
    pg = start()
    for n in range(5):
        charge(pg, f"o-{n}")
        pg.clock.advance(10)
    value = send(pg, "GET", "/payments/status/all?limit=2&page=2")[1]["response"]
    assert (value["total"], value["previous"], value["next"]) == (5, 1, 3)
    assert [p["merchant_uid"] for p in value["list"]] == ["o-2", "o-1"]
    first = send(pg, "GET", "/payments/status/paid?sorting=paid&limit=1")[1]["response"]
    assert first["list"][0]["merchant_uid"] == "o-0"
    for query in ("page=0", "page=9", "limit=1001", "limit=x", "sorting=up", "from=1&to=99999999"):
        assert send(pg, "GET", f"/payments/status/all?{query}")[0] == 400
    assert send(pg, "GET", "/payments/status/bogus")[1]["message"] == "지원되지 않는 상태값입니다."


def test_find_with_a_status_gives_the_most_recent_in_it() -> None:
    pg = start()
    pg.controls()["next_charge"](outcome="failed", times=2)
    charge(pg, "o-1")
    pg.clock.advance(5)
    second = charge(pg, "o-1")["response"]["imp_uid"]
    pg.clock.advance(5)
    charge(pg, "o-1")
    assert send(pg, "GET", "/payments/find/o-1/failed?sorting=started")[1]["response"]["imp_uid"] == second
    assert send(pg, "GET", "/payments/findAll/o-1")[1]["response"]["total"] == 3
    assert send(pg, "GET", "/payments/findAll/o-1/failed")[1]["response"]["total"] == 2
    assert send(pg, "GET", "/payments/find/o-1/ready")[0] == 404
    assert send(pg, "GET", "/payments/find/o-1/")[1]["response"]["status"] == "paid"


def test_partial_cancels_add_up_until_the_rest_is_gone() -> None:
    pg = start(webhook_url="http://127.0.0.1/hook")
    imp_uid = charge(pg, "o-1")["response"]["imp_uid"]
    part = send(pg, "POST", "/payments/cancel",
                {"imp_uid": imp_uid, "amount": 4000, "checksum": 14_000, "reason": "r",
                 "extra": {"requester": "customer"}})[1]["response"]
    assert (part["status"], part["cancel_amount"], part["cancel_reason"]) == ("cancelled", 4000, "r")
    rest = send(pg, "POST", "/payments/cancel", {"merchant_uid": "o-1", "amount": 0, "checksum": 10_000,
                                                 "enable_webhook": True})[1]["response"]
    assert rest["cancel_amount"] == 14_000
    assert [h["amount"] for h in rest["cancel_history"]] == [4000, 10_000]
    assert len({h["cancellation_id"] for h in rest["cancel_history"]}) == 2
    again = send(pg, "POST", "/payments/cancel", {"imp_uid": imp_uid})
    assert again == (200, {"code": 1, "message": "이미 전액취소된 주문입니다.", "response": None})
    assert pg.journal.given_back("o-1") == 14_000
    assert charge(pg, "o-1")["message"] == USED
    hooks = [json.loads(h.body) for h in pg.hooks]
    assert [h["status"] for h in hooks] == ["paid", "cancelled"]
    assert hooks[1]["cancellation_id"] == rest["cancel_history"][1]["cancellation_id"]


@pytest.mark.parametrize("more", [{"checksum": 13_999}, {"amount": 14_001}, {"amount": -1}, {"amount": {"total": 1}},
                                  {"extra": {"requester": "me"}}, {"enable_webhook": [1]}, {"tax_free": 20_000}])
def test_a_cancel_that_does_not_fit_changes_nothing(more: dict[str, Any]) -> None:
    pg = start()
    imp_uid = charge(pg, "o-1")["response"]["imp_uid"]
    status, value = send(pg, "POST", "/payments/cancel", {"imp_uid": imp_uid, **more})
    assert status == 200
    assert value["code"] != 0
    assert pg.journal.given_back("o-1") == 0


def test_a_wrong_imp_uid_fails_even_beside_a_right_merchant_uid() -> None:
    pg = start()
    charge(pg, "o-1")
    value = send(pg, "POST", "/payments/cancel", {"imp_uid": "imp_1", "merchant_uid": "o-1"})[1]
    assert (value["code"], value["message"]) == (1, "취소할 결제건이 존재하지 않습니다.")
    assert send(pg, "POST", "/payments/cancel", {})[1]["message"].endswith("지정해주셔야합니다.")
    pg.controls()["next_cancel"](message="정산 마감")
    value = send(pg, "POST", "/payments/cancel", {"merchant_uid": "o-1"})[1]
    assert (value["code"], value["message"]) == (-1, "정산 마감")


def test_the_refund_window_closes_after_1095_days() -> None:
    pg = start()
    charge(pg, "o-1")
    pg.clock.advance(1096 * 86_400)
    send(pg, "POST", "/users/getToken", pg.settings())
    assert send(pg, "POST", "/payments/cancel", {"merchant_uid": "o-1"})[1]["code"] == -1


def test_the_console_cancels_with_a_webhook() -> None:
    pg = start()
    charge(pg, "o-1")
    shown = pg.controls()["cancel_in_console"](order_id="o-1", amount=1000)
    assert shown["cancel_amount"] == 1000
    assert json.loads(pg.hooks[-1].body)["status"] == "cancelled"
    with pytest.raises(ValueError, match="nothing paid"):
        pg.controls()["cancel_in_console"](order_id="o-9")


def test_a_partial_refund_may_leave_paid_by_switch() -> None:
    pg = start(partial_is_cancelled=False)
    charge(pg, "o-1")
    one = send(pg, "POST", "/payments/cancel", {"merchant_uid": "o-1", "amount": 1})[1]["response"]
    two = send(pg, "POST", "/payments/cancel", {"merchant_uid": "o-1"})[1]["response"]
    assert (one["status"], two["status"]) == ("paid", "cancelled")


def test_prepared_amounts_are_registered_once_changed_and_read() -> None:
    pg = start()
    assert send(pg, "POST", "/payments/prepare", {"merchant_uid": "o-1", "amount": 420_000})[1]["code"] == 0
    twice = send(pg, "POST", "/payments/prepare", {"merchant_uid": "o-1", "amount": 1})
    assert (twice[0], twice[1]["code"]) == (200, 1)
    assert "이미 등록된 merchant_uid" in twice[1]["message"]
    assert send(pg, "PUT", "/payments/prepare", {"merchant_uid": "o-1", "amount": "500"})[1]["code"] == 0
    assert send(pg, "GET", "/payments/prepare/o-1")[1]["response"]["amount"] == 500
    assert send(pg, "PUT", "/payments/prepare", {"merchant_uid": "o-2", "amount": 5})[0] == 404
    assert send(pg, "GET", "/payments/prepare/o-2")[0] == 404


def test_a_card_channel_takes_card_data_and_keeps_none_of_it() -> None:
    pg = start()
    key = send(pg, "POST", "/subscribe/customers/key-2", CARD)[1]["response"]
    assert key["card_number"] == "424242******4242"
    assert send(pg, "POST", "/subscribe/payments/onetime",
                {"merchant_uid": "o-1", "amount": 1004, **CARD})[1]["response"]["status"] == "paid"
    value = send(pg, "POST", "/subscribe/payments/onetime",
                 {"merchant_uid": "o-2", "amount": 1004, **CARD, "card_number": "4092-02**-1234-1234"})[1]
    assert value["code"] == -1
    assert "유효하지않은 카드번호를 입력하셨습니다." in value["message"]
    controls = pg.controls()
    everything = json.dumps([controls["keys"](), controls["payments"]()]) + repr(pg.shop)
    assert not re.search("4242-?4242-?4242|2030-12|900101", everything)


def test_naverpay_takes_no_card_data() -> None:
    pg = start(card_channel=False)
    for method, target in (("POST", "/subscribe/customers/key-2"), ("POST", "/subscribe/payments/onetime")):
        status, value = send(pg, method, target, {"merchant_uid": "o-1", "amount": 1004, **CARD})
        assert (status, value["code"]) == (200, 1)
    both = start()
    for more in ({"pg": "naverpay"}, {"channel_key": both.settings()["channel_key"]}):
        assert send(both, "POST", "/subscribe/customers/key-2", {**CARD, **more})[1]["code"] == 1
    assert len(send(both, "GET", "/users/pg")[1]["response"]) == 2


def test_keys_are_read_together_and_deleted_for_good() -> None:
    pg = start()
    status, value = send(pg, "GET", "/subscribe/customers?customer_uid[]=key-1&customer_uid[]=x")
    assert (status, len(value["response"])) == (207, 1)
    gone = send(pg, "DELETE", "/subscribe/customers/key-1?reason=r&extra[requester]=customer")[1]["response"]
    assert gone["customer_uid"] == "key-1"
    status, value = send(pg, "GET", "/subscribe/customers/key-1")
    assert (status, value["code"]) == (404, 1)
    assert value["message"] == "요청하신 customer_uid(key-1)로 등록된 정보를 찾을 수 없습니다."
    assert send(start(unknown_key_status=200), "GET", "/subscribe/customers/x")[0] == 200


def test_unknown_paths_are_404_and_wrong_methods_405() -> None:
    pg = start()
    assert send(pg, "GET", "/nothing")[0] == 404
    assert send(pg, "PATCH", "/payments/cancel")[0] == 405
    assert send(pg, "GET", "/certifications/imp_1")[0] == 404
    assert send(pg, "GET", "/subscribe/customers//payments")[0] == 404


def test_lies_name_another_order_or_amount_after_the_truth_was_done() -> None:
    pg = start()
    body = json.dumps({"customer_uid": "key-1", "merchant_uid": "o-1", "amount": 100}).encode()
    headers = {"authorization": pg.shop.tokens.token}
    told = {}
    for kind in (FaultKind.LIE_FAILED, FaultKind.WRONG_ORDER, FaultKind.WRONG_AMOUNT):
        pg.fault(kind, on="again")
        call = Call("POST", "/subscribe/payments/again", headers, body.replace(b"o-1", kind.value.encode()))
        told[kind] = json.loads(pg.handle(call).body)  # type: ignore[union-attr]
        assert pg.journal.taken(kind.value) == 100
    assert told[FaultKind.LIE_FAILED]["code"] == 1
    assert told[FaultKind.WRONG_ORDER]["response"]["merchant_uid"] != "wrong_order"
    assert told[FaultKind.WRONG_ORDER]["response"]["imp_uid"] not in pg.shop.payments
    assert told[FaultKind.WRONG_AMOUNT]["response"]["amount"] == 101
    pg.fault(FaultKind.UNAUTHORIZED)
    assert pg.handle(Call("GET", "/users/pg", headers)).status == 401  # type: ignore[union-attr]


def test_two_runs_give_the_same_ids() -> None:
    assert charge(start(), "o-1") == charge(start(), "o-1")


def test_without_nulls_no_answer_holds_one() -> None:
    pg = PortOneEmulator(nulls=False)
    headers: dict[str, str] = {}
    for method, target, body in (("POST", "/users/getToken", pg.settings()), ("GET", "/users/pg", None)):
        answer = pg.answer(Call(method, target, headers, json.dumps(body).encode()))
        headers["authorization"] = pg.shop.tokens.token
        assert b"null" not in answer.body
