"""The emulator's dated charges on the clock, and the payment window with a payer before it."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs

import pytest
from paygate_portone.emulator import PortOneEmulator

from paygate.model import BillingKey
from paygate.testing.emulator import Call

NOTHING = "취소할 예약결제 기록이 존재하지 않습니다."


def send(pg: PortOneEmulator, method: str, target: str, body: Any = None, form: str | None = None) -> tuple[int, Any]:
    if pg.shop.now() >= pg.shop.tokens.until:
        pg.shop.tokens.grant(pg.shop.now())
    headers = {"authorization": f"Bearer {pg.shop.tokens.token}"}
    raw = form.encode() if form is not None else b"" if body is None else json.dumps(body).encode()
    answer = pg.answer(Call(method, target, headers, raw))
    return answer.status, json.loads(answer.body)


def start(**switches: Any) -> PortOneEmulator:
    pg = PortOneEmulator(webhook_url="http://127.0.0.1/hook", **switches)
    pg.controls()["issue_key"](key="key-1", payer={"tel": "010-0000-0000"})
    return pg


def plan(pg: PortOneEmulator, *orders: str, after: int = 100, **more: Any) -> tuple[int, Any]:
    at = pg.shop.now() + after
    return send(pg, "POST", "/subscribe/payments/schedule", {"customer_uid": "key-1", "schedules": [
        {"merchant_uid": order, "schedule_at": at, "amount": 5000, "name": "Slim", "currency": "KRW", **more}
        for order in orders]})


def read(pg: PortOneEmulator, order: str) -> Any:
    return send(pg, "GET", f"/subscribe/payments/schedule/{order}")[1]["response"]


def state(pg: PortOneEmulator, order: str) -> tuple[Any, Any, Any]:
    shown = read(pg, order)
    return shown["schedule_status"], shown["payment_status"], shown["fail_reason"]


def hooks(pg: PortOneEmulator) -> list[tuple[str, str]]:
    return [(body["merchant_uid"], body["status"]) for body in (json.loads(h.body) for h in pg.hooks)]


def test_a_dated_charge_waits_then_is_made_once_with_a_webhook() -> None:
    pg = start()
    made = plan(pg, "s-1", notice_url="http://127.0.0.1/own")[1]["response"]
    assert made[0]["schedule_status"] == "scheduled"
    assert (made[0]["imp_uid"], made[0]["payment_status"], made[0]["executed_at"]) == (None, None, 0)
    assert made[0]["buyer_tel"] == "010-0000-0000"
    pg.clock.advance(99)
    assert pg.journal.entries == []
    pg.clock.advance(1000)
    assert state(pg, "s-1") == ("executed", "paid", None)
    payment = send(pg, "GET", "/payments/find/s-1")[1]["response"]
    assert payment["customer_uid_usage"] == "payment.scheduled"
    assert payment["imp_uid"] == read(pg, "s-1")["imp_uid"]
    assert payment["started_at"] == made[0]["schedule_at"]
    assert pg.journal.charges("s-1") == 1
    assert hooks(pg) == [("s-1", "paid")]
    assert pg.hooks[0].url == "http://127.0.0.1/own"


def test_a_declined_dated_charge_is_executed_and_tells() -> None:
    pg = start()
    plan(pg, "s-1")
    pg.controls()["next_charge"](outcome="failed", message="잔액 부족")
    pg.clock.advance(200)
    assert state(pg, "s-1") == ("executed", "failed", "잔액 부족")
    assert hooks(pg) == [("s-1", "failed")]


def test_a_refund_shows_in_the_dated_charge() -> None:
    pg = start()
    plan(pg, "s-1")
    pg.clock.advance(200)
    send(pg, "POST", "/payments/cancel", {"merchant_uid": "s-1"})
    assert state(pg, "s-1")[1] == "cancelled"


def test_the_execution_lag_is_a_switch() -> None:
    pg = start(execution_lag_s=15)
    plan(pg, "s-1")
    pg.clock.advance(114)
    assert state(pg, "s-1")[0] == "scheduled"
    pg.clock.advance(1)
    assert state(pg, "s-1")[0] == "executed"


def test_one_bad_item_refuses_them_all() -> None:
    pg = start()
    assert plan(pg, "s-1", "s-1")[1]["code"] == 1
    plan(pg, "s-1")
    assert plan(pg, "s-2", "s-1")[1]["code"] == 1
    assert send(pg, "GET", "/subscribe/payments/schedule/s-2")[0] == 404
    assert plan(pg, "s-3", after=0)[1]["code"] == 1
    assert plan(start(past_schedules=True), "s-3", after=0)[1]["code"] == 0
    unknown = send(pg, "POST", "/subscribe/payments/schedule", {"customer_uid": "x", "schedules": [
        {"merchant_uid": "s-4", "schedule_at": pg.shop.now() + 9, "amount": 100}]})[1]
    assert (unknown["code"], unknown["message"]) == (1, "등록된 고객정보가 없습니다.")


def test_an_order_that_waits_cannot_be_charged_beside() -> None:
    pg = start()
    plan(pg, "s-1")
    again = {"customer_uid": "key-1", "merchant_uid": "s-1", "amount": 5000, "name": "x"}
    assert send(pg, "POST", "/subscribe/payments/again", again)[1]["code"] != 0
    send(pg, "POST", "/subscribe/payments/unschedule", {"merchant_uid": "s-1"})
    assert send(pg, "POST", "/subscribe/payments/again", again)[1]["code"] == 0


def test_form_schedules_with_nested_keys_are_understood() -> None:
    pg = start()
    at = pg.shop.now() + 50
    form = (f"customer_uid=key-1&schedules[0][merchant_uid]=s-1&schedules[0][schedule_at]={at}"
            f"&schedules[0][amount]=10000&schedules[0][extra][naverUseCfm]=20990101"
            f"&schedules[1][merchant_uid]=s-2&schedules[1][schedule_at]={at}&schedules[1][amount]=20000")
    value = send(pg, "POST", "/subscribe/payments/schedule", form=form)[1]
    assert [p["amount"] for p in value["response"]] == [10_000, 20_000]
    gone = send(pg, "POST", "/subscribe/payments/unschedule", form="merchant_uid[]=s-1&merchant_uid[]=s-2")[1]
    assert [p["schedule_status"] for p in gone["response"]] == ["revoked", "revoked"]


def test_unscheduling_names_orders_or_takes_all_of_a_key() -> None:
    pg = start()
    plan(pg, "s-1", "s-2", "s-3")
    one = send(pg, "POST", "/subscribe/payments/unschedule", {"customer_uid": "key-1", "merchant_uid": "s-2"})[1]
    assert [p["merchant_uid"] for p in one["response"]] == ["s-2"]
    mixed = send(pg, "POST", "/subscribe/payments/unschedule", {"merchant_uid": ["s-1", "s-2", "x"]})[1]
    assert [p["merchant_uid"] for p in mixed["response"]] == ["s-1"]
    rest = send(pg, "POST", "/subscribe/payments/unschedule", {"customer_uid": "key-1", "merchant_uid": []})[1]
    assert [p["merchant_uid"] for p in rest["response"]] == ["s-3"]
    none = send(pg, "POST", "/subscribe/payments/unschedule", {"customer_uid": "key-1"})
    assert none == (200, {"code": 1, "message": NOTHING, "response": None})
    assert send(pg, "POST", "/subscribe/payments/unschedule", {})[1]["code"] == 1
    pg.clock.advance(1000)
    assert pg.journal.entries == []


def test_all_or_nothing_unscheduling_is_a_switch() -> None:
    pg = start(unschedule_all_or_nothing=True)
    plan(pg, "s-1")
    assert send(pg, "POST", "/subscribe/payments/unschedule", {"merchant_uid": ["s-1", "x"]})[1]["code"] == 1
    assert state(pg, "s-1")[0] == "scheduled"


def test_a_moved_charge_is_made_at_its_new_instant_only() -> None:
    pg = start()
    plan(pg, "s-1")
    target = "/subscribe/payments/schedule/s-1"
    assert send(pg, "PUT", target, {"schedule_at": pg.shop.now()})[0] == 400
    assert send(pg, "PUT", target, {})[0] == 400
    moved = send(pg, "PUT", target, {"schedule_at": pg.shop.now() + 500})[1]["response"]
    assert (moved["schedule_status"], moved["schedule_at"]) == ("scheduled", pg.shop.now() + 500)
    pg.clock.advance(200)
    assert state(pg, "s-1")[0] == "scheduled"
    pg.clock.advance(400)
    assert pg.journal.charges("s-1") == 1
    assert send(pg, "PUT", target, {"schedule_at": pg.shop.now() + 500})[0] == 400
    assert send(pg, "PUT", "/subscribe/payments/schedule/x", {"schedule_at": pg.shop.now() + 500})[0] == 404


@pytest.mark.parametrize("strict", [False, True])
def test_a_failed_charge_runs_again_under_its_own_order(strict: bool) -> None:
    pg = start(strict_reuse=strict)
    plan(pg, "s-1")
    retry, later = (f"/subscribe/payments/schedule/s-1/{verb}" for verb in ("retry", "reschedule"))
    assert send(pg, "POST", retry)[0] == 400
    pg.controls()["next_charge"](outcome="failed", times=2)
    pg.clock.advance(200)
    assert send(pg, "POST", retry)[1]["response"]["status"] == "failed"
    assert send(pg, "POST", later, {"schedule_at": pg.shop.now() + 100})[1]["code"] == 0
    assert state(pg, "s-1") == ("scheduled", None, None)
    pg.clock.advance(200)
    assert state(pg, "s-1") == ("executed", "paid", None)
    assert send(pg, "GET", "/payments/findAll/s-1")[1]["response"]["total"] == 3
    assert send(pg, "POST", retry)[0] == 400
    assert send(pg, "POST", later, {"schedule_at": pg.shop.now() + 100})[0] == 400
    assert pg.journal.charges("s-1") == 1


def test_a_deleted_key_leaves_its_dates_to_fail() -> None:
    pg = start()
    plan(pg, "s-1")
    assert send(pg, "DELETE", "/subscribe/customers/key-1")[0] == 200
    pg.clock.advance(200)
    assert state(pg, "s-1") == ("executed", "failed", "등록되지 않은 구매자입니다.")
    assert hooks(pg) == [("s-1", "failed")]
    assert send(pg, "POST", "/subscribe/payments/schedule/s-1/retry")[0] == 404
    kept = start(key_with_schedules_stays=True)
    plan(kept, "s-1")
    assert send(kept, "DELETE", "/subscribe/customers/key-1")[1]["code"] == 1


def test_lists_of_dated_charges_need_a_window_and_come_in_either_shape() -> None:
    pg = start()
    plan(pg, "s-1", after=10)
    plan(pg, "s-2", after=20)
    now = pg.shop.now()
    page = send(pg, "GET", f"/subscribe/payments/schedule?schedule_from={now}&schedule_to={now + 21}")[1]["response"]
    assert [p["merchant_uid"] for p in page["list"]] == ["s-2", "s-1"]
    oldest = f"/subscribe/payments/schedule?schedule_from={now}&schedule_to={now + 20}&sorting=scheduled"
    assert [p["merchant_uid"] for p in send(pg, "GET", oldest)[1]["response"]["list"]] == ["s-1"]
    assert send(pg, "GET", "/subscribe/payments/schedule?schedule_from=1")[0] == 400
    assert send(pg, "GET", f"/subscribe/payments/schedule?schedule_from=0&schedule_to={now}")[0] == 400
    pg = start(list_shape="array")
    plan(pg, "s-1")
    for target in ("customers/key-1/schedules", "payments/schedule/customers/key-1"):
        query = f"from={now}&to={now + 200}&schedule-status=scheduled"
        shown = send(pg, "GET", f"/subscribe/{target}?{query}")[1]["response"]
        assert [p["merchant_uid"] for p in shown] == ["s-1"]


def test_a_key_can_be_issued_from_card_data_while_scheduling() -> None:
    pg = start()
    item = {"merchant_uid": "s-1", "schedule_at": pg.shop.now() + 5, "amount": 100}
    card = {"customer_uid": "key-2", "card_number": "4242424242424242", "expiry": "2030-01", "schedules": [item]}
    assert send(start(card_channel=False), "POST", "/subscribe/payments/schedule", card)[1]["code"] == 1
    assert send(pg, "POST", "/subscribe/payments/schedule", card)[1]["response"][0]["pg_provider"] == "nice"
    pg.clock.advance(5)
    assert pg.journal.taken("s-1") == 100


# The window

REGISTER = {"customer_uid": "key-9", "merchant_uid": "r-1", "name": "Slim", "amount": 14_000,
            "buyer_tel": "010-0000-0000", "m_redirect_url": "http://127.0.0.1/done?x=1"}


def test_a_registration_is_paid_on_paper_and_moves_nothing() -> None:
    pg = start()
    window = pg.controls()["open_window"](params=REGISTER)
    assert window == "window-1"
    assert pg.controls()["payments"]()[0]["status"] == "ready"
    hints = pg.controls()["payer"](order_id="r-1", action="approve")
    record = send(pg, "GET", "/payments/find/r-1")[1]["response"]
    assert (record["status"], record["customer_uid_usage"], record["amount"]) == ("paid", "issue", 14_000)
    assert record["imp_uid"].startswith("imp_")
    assert hints["query"] == {"imp_uid": record["imp_uid"], "merchant_uid": "r-1", "imp_success": "true"}
    assert parse_qs(hints["redirect_url"].partition("?")[2])["x"] == ["1"]
    assert hints["callback"]["success"] is True
    assert send(pg, "GET", "/subscribe/customers/key-9")[1]["response"]["customer_tel"] == "010-0000-0000"
    assert pg.journal.entries == []
    assert hooks(pg) == [("r-1", "paid")]
    assert send(pg, "POST", "/payments/cancel", {"merchant_uid": "r-1"})[1]["code"] == 1
    used = {"customer_uid": "key-9", "merchant_uid": "r-1", "amount": 14_000, "name": "x"}
    assert send(pg, "POST", "/subscribe/payments/again", used)[1]["code"] != 0


def test_a_payer_may_pay_decline_or_walk_away() -> None:
    pg = start()
    one_off = {k: v for k, v in REGISTER.items() if k != "customer_uid"}
    expected = {"approve": "paid", "decline": "failed", "close": "ready"}
    for action, status in expected.items():
        pg.controls()["open_window"](params={**one_off, "merchant_uid": action})
        hints = pg.controls()["payer"](order_id=action, action=action)
        assert hints["callback"]["success"] is (action == "approve")
        assert ("error_msg" in hints["query"]) is (action != "approve")
        assert send(pg, "GET", f"/payments/find/{action}")[1]["response"]["status"] == status
    assert [m.order_id for m in pg.journal.entries] == ["approve"]
    assert hooks(pg) == [("approve", "paid")]
    with pytest.raises(ValueError, match="no open window"):
        pg.controls()["payer"](order_id="approve", action="approve")


def test_a_late_approval_arrives_on_the_clock_without_a_browser() -> None:
    pg = start()
    pg.controls()["open_window"](params={**REGISTER, "customer_uid": None})
    assert pg.controls()["payer"](order_id="r-1", action="late", after_s=300) is None
    assert pg.journal.entries == []
    pg.clock.advance(300)
    assert pg.journal.taken("r-1") == 14_000
    assert hooks(pg) == [("r-1", "paid")]


def test_of_two_windows_for_one_order_only_one_takes_money() -> None:
    pg = start()
    for _ in range(2):
        pg.controls()["open_window"](params={**REGISTER, "customer_uid": None})
    for _ in range(2):
        pg.controls()["payer"](order_id="r-1", action="approve")
    assert pg.journal.charges("r-1") == 1
    assert send(pg, "GET", "/payments/findAll/r-1")[1]["response"]["total"] == 2


@pytest.mark.parametrize("change", [
    {"amount": 1}, {"amount": "14000"}, {"amount": None}, {"merchant_uid": "paid-1"}, {"merchant_uid": ""},
    {"name": None}, {"m_redirect_url": None}, {"m_redirect_url": "http://[x"}, {"channelKey": "channel-key-x"},
    {"naverUseCfm": "20200101"}, {"currency": "ZZZ"}])
def test_a_window_that_would_not_open_says_why(change: dict[str, Any]) -> None:
    pg = start()
    send(pg, "POST", "/payments/prepare", {"merchant_uid": "r-1", "amount": 14_000})
    again = {"customer_uid": "key-1", "merchant_uid": "paid-1", "amount": 100, "name": "x"}
    send(pg, "POST", "/subscribe/payments/again", again)
    with pytest.raises(ValueError, match=r"."):
        pg.controls()["open_window"](params={**REGISTER, **change})
    assert pg.controls()["open_window"](params=REGISTER) == "window-1"


def test_a_pop_up_needs_no_redirect_and_a_switch_demands_the_phone_number() -> None:
    pop_up = {**REGISTER, "m_redirect_url": None, "naverPopupMode": True}
    assert start().controls()["open_window"](params=pop_up) == "window-1"
    with pytest.raises(ValueError, match="buyer_tel"):
        start(window_needs_tel=True).controls()["open_window"](params={**REGISTER, "buyer_tel": None})


def test_a_browser_runs_the_page_s_call_and_brings_back_the_query() -> None:
    pg = start()
    action = {"type": "client_call", "function": "IMP.request_pay", "params": REGISTER}
    for outcome, success in (("decline", "false"), ("close", "false"), ("approve", "true")):
        assert pg.browse(action, outcome)["imp_success"] == success
    assert send(pg, "GET", "/payments/findAll/r-1")[1]["response"]["total"] == 3
    for wrong, outcome in ((action, "approve"), ({**action, "params": None}, "close"), (action, "late"),
                           ({"type": "redirect", "url": "http://127.0.0.1/"}, "approve")):
        with pytest.raises(ValueError, match=r"."):
            pg.browse(wrong, outcome)


def test_the_storys_dated_charges_lie_after_its_start_and_the_first_within_forty_days() -> None:
    story = start().story()
    assert story.schedule is not None
    due = [item.due_at for item in story.schedule(BillingKey("portone-naverpay", "k")).charges]
    assert due == sorted(due)
    assert story.start < due[0] < story.start + timedelta(days=40)


def test_points_count_for_a_cash_receipt_and_a_card_does_not() -> None:
    pg = start()
    pg.controls()["open_window"](params={**REGISTER, "customer_uid": None})
    imp_uid = pg.controls()["payer"](order_id="r-1", action="approve", points=1100)["query"]["imp_uid"]
    assert send(pg, "GET", f"/payments/{imp_uid}/naver/cash-amount")[1]["response"] == {
        "amount_total": 1100, "amount_by_npoint": 1100, "amount_by_primary": 0, "amount_supply": 1000,
        "amount_vat": 100}
    for verb in ("point", "confirm"):
        assert send(pg, "POST", f"/payments/{imp_uid}/naver/{verb}")[1] == {
            "code": 0, "message": None, "response": None}
    assert send(pg, "POST", "/payments/x/naver/point")[0] == 404
    assert send(pg, "GET", "/payments/x/naver/cash-amount")[0] == 400


def test_webhooks_can_be_forms_and_can_come_twice() -> None:
    pg = start(form_hooks=True)
    plan(pg, "s-1")
    pg.clock.advance(200)
    pg.controls()["resend_hook"](order_id="s-1")
    assert pg.hooks[0].body == pg.hooks[1].body
    assert parse_qs(pg.hooks[0].body.decode())["status"] == ["paid"]
    assert pg.hooks[0].headers["content-type"] == "application/x-www-form-urlencoded"
