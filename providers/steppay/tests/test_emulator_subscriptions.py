"""Managed StepPay: subscriptions on the clock, from the payer's first payment to their end."""

from __future__ import annotations

import json
from typing import Any

import pytest
from paygate_steppay.emulator import ManagedEmulator, Switches
from paygate_steppay.emulator.times import after, read

from paygate.testing.emulator import Call

DAY = 86_400


class Shop:
    """A merchant with one subscriber, who pays 9,900 won a month from 2026-01-05 on."""

    def __init__(self, price: dict[str, Any] | None = None, **switches: Any) -> None:
        self.pg = ManagedEmulator(switches=Switches(**switches))
        self.control = self.pg.controls()
        product, self.code = self.pg.product.id, self.pg.product.code
        self.customer = self.ask("POST", "/api/v1/customers", {"name": "Kim", "email": "kim@example.com"})["id"]
        self.price = self.ask("POST", f"/api/v1/products/{product}/prices", {
            "type": "FLAT", "price": 9900, "unit": "month", "plan": {"name": "Basic", "description": ""},
            "recurring": {"interval": "MONTH", "intervalCount": 1}, **(price or {})})
        item = {"productCode": self.code, "priceCode": self.price["code"], "minimumQuantity": 1, "maximumQuantity": 1}
        self.first = self.ask("POST", "/api/v1/orders", {"customerId": self.customer, "items": [item]})
        self.control["payer"](order_id=self.first["orderCode"])
        self.first = self.ask("GET", f"/api/v1/orders/{self.first['orderCode']}")
        self.path = f"/api/v1/subscriptions/{self.first['subscriptions'][0]['id']}"

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        status, answer = self.send(method, path, body)
        assert status < 300, answer
        return answer

    def send(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        sent = b"" if body is None else json.dumps(body).encode()
        answer = self.pg.answer(Call(method, path, {"secret-token": self.pg.settings()["secret_token"]}, sent))
        return answer.status, json.loads(answer.body)

    @property
    def now(self) -> Any:
        return self.ask("GET", self.path)

    @property
    def taken(self) -> list[int]:
        return [m.money.amount for m in self.pg.journal.entries if m.kind == "charge"]

    def days(self, number: float) -> None:
        self.pg.clock.advance(number * DAY)


def test_paying_the_first_order_makes_the_subscription_and_its_key() -> None:
    shop = Shop()
    assert (shop.first["type"], shop.first["paidAmount"]) == ("RECURRING_INITIAL", 9900)
    made = shop.now
    assert (made["status"], made["recurringCount"], made["nextPaymentDate"]) == ("ACTIVE", 1, "2026-02-05T03:00:00")
    assert made["currentPeriod"] == {"startDateTime": "2026-01-05T03:00:00", "endDateTime": "2026-02-05T03:00:00"}
    assert made["paymentMethod"]["paymentGateway"] == "NICE"
    assert len(shop.ask("GET", f"/api/v1/customers/{shop.customer}")["paymentMethods"]) == 1


def test_the_clock_renews_and_writes_an_order_for_each_renewal() -> None:
    shop = Shop()
    shop.days(31 + 28)
    made = shop.now
    assert (made["recurringCount"], made["nextPaymentDate"], shop.taken) == (3, "2026-04-05T03:00:00", [9900] * 3)
    orders = made["relatedOrders"]
    assert [(o["type"], o["paymentDate"]) for o in orders] == [
        ("RECURRING", "2026-02-05T03:00:00"), ("RECURRING", "2026-03-05T03:00:00")]
    assert orders[0]["parentSubscription"]["id"] == made["id"]
    assert len({m.order_id for m in shop.pg.journal.entries}) == 3


@pytest.mark.parametrize(("failures", "status", "charges"), [(1, "ACTIVE", 2), (5, "ACTIVE", 2), (6, "EXPIRED", 1)])
def test_a_failed_renewal_is_tried_again_after_1_3_5_10_and_14_days(failures: int, status: str, charges: int) -> None:
    shop = Shop()
    shop.control["renewals"](outcome="failed", times=failures)
    shop.days(31)
    assert (shop.now["status"], shop.now["originNextPaymentDate"]) == ("UNPAID", "2026-02-05T03:00:00")
    due = []
    for _ in range(15):
        due.append(shop.now["nextPaymentDate"])
        shop.days(1)
    ladder = [f"2026-02-{5 + days:02}T03:00:00" for days in (1, 3, 5, 10, 14)][:failures]
    assert [d for d in dict.fromkeys(due) if d and d.startswith("2026-02")] == ladder
    assert (shop.now["status"], len(shop.taken)) == (status, charges)
    assert len(shop.now["relatedOrders"]) == 1
    if status == "ACTIVE":
        assert shop.now["nextPaymentDate"] == "2026-03-05T03:00:00"
    else:
        shop.days(400)
        assert len(shop.taken) == charges


def test_a_retry_by_hand_of_a_failed_renewal_heals_it() -> None:
    shop = Shop()
    shop.control["renewals"](outcome="failed")
    shop.days(31)
    code = shop.now["relatedOrders"][0]["orderCode"]
    assert shop.ask("PUT", f"/api/v1/orders/{code}/retry-payment") == {"message": "OK", "body": True}
    assert (shop.now["status"], len(shop.taken)) == ("ACTIVE", 2)
    assert shop.send("PUT", f"/api/v1/orders/{code}/retry-payment")[0] == 400
    shop.days(20)
    assert len(shop.taken) == 2


def test_renewing_by_hand_charges_the_plans_amount_and_begins_a_period() -> None:
    shop = Shop()
    shop.days(10)
    order = shop.ask("POST", f"{shop.path}/renew")["body"]["orderId"]
    assert shop.ask("GET", f"/api/v1/orders/{order}")["paidAmount"] == 9900
    assert (shop.now["nextPaymentDate"], shop.taken) == ("2026-02-15T03:00:00", [9900, 9900])


@pytest.mark.parametrize(("outcome", "status", "orders"), [("failed", "UNPAID", 1), ("code", "ACTIVE", 0)])
def test_a_renewal_by_hand_can_be_declined_or_refused(outcome: str, status: str, orders: int) -> None:
    shop = Shop()
    shop.control["next_charge"](outcome=outcome, message="no funds")
    answer = shop.send("POST", f"{shop.path}/renew")
    assert (answer[0], answer[1]["errorMessage"]) == (400, "no funds")
    assert (shop.now["status"], len(shop.now["relatedOrders"]), len(shop.taken)) == (status, orders, 1)


def test_a_pause_stops_renewals_until_resumed_and_keeps_the_rest_of_the_period() -> None:
    shop = Shop()
    shop.days(10)
    shop.ask("POST", f"{shop.path}/pause", {"whenToPause": "IMMEDIATE", "whenToResume": "NOTHING"})
    shop.days(100)
    assert (shop.now["status"], len(shop.taken)) == ("PAUSE", 1)
    assert shop.send("POST", f"{shop.path}/pause", {})[0] == 400
    shop.ask("POST", f"{shop.path}/active")
    shop.days(20)
    assert (shop.now["status"], len(shop.taken)) == ("ACTIVE", 1)
    shop.days(1)
    assert len(shop.taken) == 2


def test_a_pause_can_end_by_itself_and_can_wait_for_the_periods_end() -> None:
    shop, lazy = Shop(), Shop()
    until = {"whenToResume": "PAUSED_UNTIL", "until": {"interval": "DAY", "intervalCount": 7}}
    shop.ask("POST", f"{shop.path}/pause", until)
    lazy.ask("POST", f"{lazy.path}/pause", {**until, "whenToPause": "LAZY"})
    assert (shop.now["status"], lazy.now["status"]) == ("PAUSE", "PENDING_PAUSE")
    shop.days(7)
    assert shop.now["status"] == "ACTIVE"
    lazy.days(31)
    assert (lazy.now["status"], len(lazy.taken)) == ("PAUSE", 1)
    lazy.days(7)
    assert (lazy.now["status"], len(lazy.taken)) == ("ACTIVE", 2)


def test_the_next_charge_can_be_moved_into_the_future_only() -> None:
    shop = Shop()
    assert shop.send("POST", f"{shop.path}/change-pay-datetime", {"when": "2026-01-05T03:00:00"})[0] == 400
    shop.ask("POST", f"{shop.path}/change-pay-datetime", {"when": "2026-01-20T00:00:00Z"})
    assert shop.now["nextPaymentDate"] == "2026-01-20T00:00:00"
    shop.days(15)
    assert (len(shop.taken), shop.now["nextPaymentDate"]) == (2, "2026-02-20T00:00:00")


def test_a_new_interval_counts_from_the_next_charge() -> None:
    shop = Shop()
    shop.ask("PUT", f"{shop.path}/interval", {"interval": "WEEK", "intervalCount": 2})
    shop.days(31)
    assert shop.now["nextPaymentDate"] == "2026-02-19T03:00:00"
    assert shop.send("PUT", f"{shop.path}/interval", {"interval": "DAY", "intervalCount": 0})[0] == 400


@pytest.mark.parametrize(("body", "before", "ends_after"), [
    ({"whenToCancel": "NOW"}, "CANCELED", 0), ({"whenToCancel": "END_OF_PERIOD"}, "PENDING_CANCEL", 31),
    ({"whenToCancel": "SPECIFIC_DATE_TIME", "when": "2026-03-10T00:00:00"}, "PENDING_CANCEL", 64)])
def test_a_subscription_ends_now_at_the_periods_end_or_at_an_instant(body: Any, before: str, ends_after: int) -> None:
    shop = Shop()
    shop.ask("POST", f"{shop.path}/cancel", body)
    assert shop.now["status"] == before
    shop.days(ends_after)
    assert (shop.now["status"], shop.now["canceledVia"]) == ("CANCELED", "V1")
    shop.days(365)
    assert len(shop.taken) == (3 if ends_after == 64 else 1)
    assert shop.pg.journal.given_back(shop.first["orderCode"]) == 0
    assert shop.send("POST", f"{shop.path}/active")[0] == 400
    assert shop.send("POST", f"{shop.path}/renew")[0] == 400


def test_a_cancellation_that_is_pending_can_be_taken_back() -> None:
    shop = Shop()
    shop.ask("POST", f"{shop.path}/cancel", {"whenToCancel": "END_OF_PERIOD"})
    shop.ask("POST", f"{shop.path}/active")
    shop.days(31)
    assert (shop.now["status"], len(shop.taken)) == ("ACTIVE", 2)


@pytest.mark.parametrize(("amount", "partial_ends", "status"), [
    (9900, True, "CANCELED"), (100, True, "CANCELED"), (100, False, "ACTIVE")])
def test_giving_back_the_first_order_ends_its_subscriptions(amount: int, partial_ends: bool, status: str) -> None:
    shop = Shop(partial_cancel_ends=partial_ends)
    shop.ask("PATCH", f"/api/v1/orders/{shop.first['orderCode']}/cancel", {"requestPrice": amount})
    assert shop.now["status"] == status


def test_giving_back_a_renewal_leaves_the_subscription_alone() -> None:
    shop = Shop()
    shop.days(31)
    code = shop.now["relatedOrders"][0]["orderCode"]
    shop.ask("PATCH", f"/api/v1/orders/{code}/cancel", {"requestPrice": 9900})
    assert (shop.now["status"], shop.pg.journal.given_back(code)) == ("ACTIVE", 9900)


def test_a_new_payment_method_counts_once_its_order_is_fulfilled() -> None:
    shop = Shop()
    old = shop.now["paymentMethod"]
    order = shop.ask("PUT", f"{shop.path}/payment-method", {"paymentGateway": "TOSS"})
    assert (order["type"], shop.now["paymentMethod"]) == ("PAYMENT_METHOD", old)
    shop.control["payer"](order_id=order["orderCode"])
    assert shop.now["paymentMethod"]["paymentGateway"] == "TOSS"
    other = shop.ask("PUT", f"/api/v1/customers/{shop.customer}/payment-method")
    shop.control["payer"](order_id=other["orderCode"])
    assert shop.now["paymentMethod"]["paymentGateway"] == "NICE"


def test_without_a_payment_method_a_renewal_fails() -> None:
    shop = Shop()
    [method] = shop.ask("GET", f"/api/v1/customers/{shop.customer}")["paymentMethods"]
    shop.ask("DELETE", f"/api/v1/customers/{shop.customer}/payment-method/{method['id']}")
    shop.days(31)
    assert (shop.now["status"], len(shop.taken)) == ("UNPAID", 1)


def test_postpaid_takes_nothing_first_and_once_more_at_the_end() -> None:
    shop = Shop({"claim": {"methodType": "POST"}})
    assert (shop.now["recurringCount"], shop.taken) == (0, [])
    shop.days(31)
    assert (shop.now["recurringCount"], shop.taken) == (1, [9900])
    shop.ask("POST", f"{shop.path}/cancel", {"whenToCancel": "NOW"})
    assert shop.taken == [9900, 9900]


@pytest.mark.parametrize("price", [
    {"expiryRecurringCount": 2}, {"membershipExpirationDate": 50, "membershipExpirationDateType": "DAY"}])
def test_a_membership_expires_by_count_or_by_date(price: Any) -> None:
    shop = Shop(price)
    shop.days(200)
    assert (shop.now["status"], len(shop.taken)) == ("EXPIRED", 2)


def test_the_first_period_can_be_cheaper_and_carry_a_fee() -> None:
    shop = Shop({"firstSale": {"enabled": True, "price": 1000}, "setupOption": {
        "name": "fee", "type": "INITIALLY", "price": 500}})
    shop.days(31)
    assert shop.taken == [1500, 9900]


def test_months_keep_their_day_where_they_have_it() -> None:
    start = read("2026-01-31T00:00:00", 0)
    ends = [after(start, "MONTH", n, 31).date().isoformat() for n in (1, 2, 3)]
    assert ends == ["2026-02-28", "2026-03-31", "2026-04-30"]
    assert after(read("2026-02-28T00:00:00", 0), "MONTH", 1, 31).date().isoformat() == "2026-03-31"
    assert after(read("2028-02-29T00:00:00", 0), "YEAR", 1).date().isoformat() == "2029-02-28"
