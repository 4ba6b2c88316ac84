"""Toss Payments, for tests: what it answers, and what it does with money.

It is written from the PG's documents, not from `provider.py`: what both get wrong, no test can see.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from urllib.parse import unquote

from paygate import Charge, Customer, DeclineReason, Money, Pay, Register, Response
from paygate.testing import Emulator, FaultKind, VirtualClock
from paygate.testing.asks import Asks, fields
from paygate.testing.emulator import Call, json_response
from paygate.testing.story import Story

from .words import NAME

SECRET_KEY = "test_sk_of_the_emulator"
CLIENT_KEY = "test_ck_of_the_emulator"
BASIC = "Basic " + base64.b64encode(f"{SECRET_KEY}:".encode()).decode()
KEY_HOLDER = "payer-1.of@the-shop"
"""The customerKey for which the emulator issues its billing keys."""
KST = timezone(timedelta(hours=9))
DECLINES = {"REJECT_CARD_PAYMENT": DeclineReason.UNMAPPED, "INVALID_STOPPED_CARD": DeclineReason.BLOCKED,
            "REJECT_ACCOUNT_PAYMENT": DeclineReason.INSUFFICIENT_FUNDS,
            "INVALID_CARD_EXPIRATION": DeclineReason.EXPIRED}
"""Codes of a decline, and what each means. Error list."""
APPROVED = timedelta(minutes=10)
"""How long what a payer approved can be confirmed: observed, merchants' code says so."""
KEPT = timedelta(days=15)
"""How long an idempotency key is remembered, from its first use."""


class No(Exception):
    """An answer that says no, as (status, code, message)."""


class TossEmulator(Emulator):
    """A PG of one merchant."""

    name = NAME
    endpoints = ("POST /v1/billing/{}", "GET /v1/payments/{}", "GET /v1/payments/orders/{}",
                 "POST /v1/payments/{}/cancel", "POST /v1/payments/confirm", "POST /v1/billing/authorizations/issue")
    decline_reasons = DECLINES

    def __init__(self, clock: VirtualClock | None = None) -> None:
        super().__init__(clock)
        self.payments: dict[str, dict[str, Any]] = {}
        self.keys: dict[str, str] = {}
        """Billing keys, each with its customerKey."""
        self.approvals: dict[str, str] = {}
        """authKeys that were not exchanged yet, each with its customerKey."""
        self._kept: dict[tuple[str, str], tuple[datetime, Response]] = {}
        self._next: list[tuple[str, str | None]] = []

    # What a test may ask of it

    def settings(self) -> dict[str, Any]:
        return {"secret_key": SECRET_KEY, "client_key": CLIENT_KEY, "mode": "test"}

    def story(self) -> Story:
        won, back = Money(14_000, "KRW"), "https://shop.example/done"
        return Story(
            start=datetime(2026, 1, 5, 3, 0, tzinfo=UTC), cancel_part=Money(4_000, "KRW"),
            pay=Pay(order_id="story-pay", money=won, title="book", return_url=back),
            register=Register(order_id="story-register", money=won, title="plan", return_url=back,
                              customer=Customer(id=KEY_HOLDER)),
            charge_order_id="story-charge",
            charge=lambda key, order_id: Charge(order_id=order_id, billing_key=key, money=won, title="plan",
                                                customer=Customer(id=KEY_HOLDER)))

    def controls(self) -> dict[str, Any]:
        return {"issue_key": self.issue_key, "next_charge": self.next_charge}

    def issue_key(self, key: str) -> str:
        """Issue a billing key with that value, as the exchange of an authKey would."""
        self.keys[key] = KEY_HOLDER
        return key

    def next_charge(self, outcome: str, message: str | None = None) -> None:
        """Decide the next charge of a key or confirmation: "paid", "failed", "pending" or "code" (refused, no record).
        """
        if outcome not in ("paid", "failed", "pending", "code"):
            raise ValueError("outcome is paid, failed, pending or code")
        self._next.append((outcome, message))

    # The payer's browser

    def browse(self, action: Mapping[str, Any], outcome: str = "approve") -> dict[str, str]:
        """What the script's window does; returns the query with which it takes the browser back."""
        steps = [(step["function"], step["argument"]) for step in action.get("through", ())]
        if [name for name, _ in steps] != ["TossPayments", "payment"] or steps[0][1] != CLIENT_KEY \
                or outcome not in ("approve", "decline", "close"):
            raise ValueError("no window of this PG, or another outcome than approve, decline and close")
        asked, payer = action["params"], steps[1][1]["customerKey"]
        if action["function"] == "requestBillingAuth":
            return self._registers(payer, outcome)
        if action["function"] != "requestPayment":
            raise ValueError("the script has no such function")
        order = {"orderId": asked["orderId"]}
        if outcome == "close":
            return {"code": "PAY_PROCESS_CANCELED", "message": "the payer closed the window", **order}
        money = Money(asked["amount"]["value"], asked["amount"]["currency"])
        failure = {"code": "REJECT_CARD_COMPANY", "message": "the card was refused"}
        is_failed = outcome == "decline"
        made = self._record(asked["orderId"], asked["orderName"], money, "ABORTED" if is_failed else "IN_PROGRESS",
                            failure if is_failed else None, kind="NORMAL")
        if is_failed:
            self._tell(made)
            return {**failure, **order}
        self.clock.at(self.clock.now() + APPROVED, lambda: self._expire(made))
        return {"paymentKey": made["paymentKey"], "amount": str(money.amount), "paymentType": "NORMAL", **order}

    def _registers(self, payer: str, outcome: str) -> dict[str, str]:
        if outcome != "approve":
            return {"code": "PAY_PROCESS_CANCELED", "message": "no card was registered"}
        auth = f"auth-{len(self.keys) + len(self.approvals) + 1}{self.salt and f'-{self.salt}'}"
        self.approvals[auth] = payer
        return {"authKey": auth, "customerKey": payer}

    def _expire(self, payment: dict[str, Any]) -> None:
        if payment["status"] == "IN_PROGRESS":
            payment |= {"status": "EXPIRED", "failure": {"code": "EXPIRED_PAYMENT", "message": "it was too late"}}
            self._tell(payment)

    def asks(self, call: Call) -> Asks:
        """What a call asks for, for the judge of a simulation."""
        said, parts = fields(call.body), [unquote(part) for part in call.path.strip("/").split("/")]
        match call.method, parts:
            case "POST", ["v1", "payments", "confirm"]:
                return Asks(kind="charge", orders=(str(said.get("orderId")),), amount=said.get("amount"))
            case "POST", ["v1", "billing", key] if key != "authorizations":
                return Asks(kind="charge", orders=(str(said.get("orderId")),), amount=said.get("amount"), key=key)
            case "POST", ["v1", "payments", id, "cancel"]:
                return Asks(kind="refund", provider_id=id, amount=said.get("cancelAmount"),
                            guarded="refundableAmount" in said, note=said.get("cancelReason"))
            case "GET", ["v1", "payments", "orders", order_id]:
                return Asks(kind="look", orders=(order_id,))
            case "GET", ["v1", "payments", id]:
                return Asks(kind="look", provider_id=id)
        return Asks(kind="other")

    # What it answers

    def unauthorized(self) -> Response:
        return say(401, {"code": "UNAUTHORIZED_KEY", "message": "the secret key is not known"})

    def lie(self, kind: FaultKind, call: Call, truth: Response) -> Response:
        said = json.loads(truth.body)
        if kind is FaultKind.LIE_FAILED:
            code = "INVALID_REQUEST" if call.method == "GET" else \
                "NOT_CANCELABLE_PAYMENT" if call.path.endswith("/cancel") else "REJECT_CARD_PAYMENT"
            return say(403, {"code": code, "message": "it says no, and did it"})
        if truth.status == 200 and "billingKey" in said and kind is FaultKind.WRONG_ORDER:
            said["customerKey"] = "another-payer"
        if truth.status == 200 and "totalAmount" in said:
            more = said["totalAmount"] + 1
            said |= {"orderId": "another-order", "paymentKey": "pay-999"} if kind is FaultKind.WRONG_ORDER else \
                {"totalAmount": more, "balanceAmount": said["balanceAmount"] + 1}
        return say(truth.status, said)

    def answer(self, call: Call) -> Response:
        if call.headers.get("authorization") != BASIC:
            return self.unauthorized()
        once = (call.headers.get("idempotency-key", ""), f"{call.method} {call.path}")
        now = self.clock.now()
        if call.method == "POST" and once in self._kept and now < self._kept[once][0] + KEPT:
            return self._kept[once][1]
        try:
            reply = self._route(call)
        except No as no:
            status, code, message = no.args
            reply = say(status, {"code": code, "message": message})
        except (AttributeError, KeyError, TypeError, ValueError):
            reply = say(400, {"code": "INVALID_REQUEST", "message": "a field is missing or of another kind"})
        if call.method == "POST" and once[0]:
            self._kept[once] = (now, reply)
        return reply

    def _route(self, call: Call) -> Response:
        parts = [unquote(part) for part in call.path.strip("/").split("/")]
        match call.method, parts:
            case "POST", ["v1", "payments", "confirm"]:
                return self._confirm(json.loads(call.body))
            case "POST", ["v1", "billing", "authorizations", "issue"]:
                return self._issue(json.loads(call.body))
            case "POST", ["v1", "billing", key]:
                return self._charge(key, json.loads(call.body))
            case "GET", ["v1", "payments", "orders", order_id]:
                found = [p for p in self.payments.values() if p["orderId"] == order_id]
                # One at most is named: the one that took money, else the last that was tried.
                found.sort(key=lambda p: p["status"] not in ("ABORTED", "EXPIRED"))
                if found:
                    return say(200, found[-1])
            case "GET", ["v1", "payments", id] if id in self.payments:
                return say(200, self.payments[id])
            case "POST", ["v1", "payments", id, "cancel"] if id in self.payments:
                return self._cancel(self.payments[id], json.loads(call.body))
        raise No(404, "NOT_FOUND_PAYMENT", "there is no such payment")

    def _confirm(self, body: dict[str, Any]) -> Response:
        payment = self.payments.get(body["paymentKey"], {})
        if payment.get("orderId") != body["orderId"] or payment["status"] in ("EXPIRED", "ABORTED"):
            raise No(404, "NOT_FOUND_PAYMENT_SESSION", "there is nothing to confirm, or not any more")
        if payment["totalAmount"] != body["amount"]:
            raise No(400, "INVALID_REQUEST", "the amount is another")  # Which code it is, nobody has published.
        if payment["status"] != "IN_PROGRESS":
            raise No(400, "ALREADY_PROCESSED_PAYMENT", "it was confirmed before")
        if any(p["orderId"] == body["orderId"] and p["approvedAt"] is not None for p in self.payments.values()):
            raise No(400, "DUPLICATED_ORDER_ID", "the order id was used before")
        outcome, message = self._next.pop(0) if self._next else ("paid", None)
        if outcome == "code":
            raise No(400, "INVALID_REQUEST", message or "refused without a record")
        if outcome == "failed":
            failure = {"code": "REJECT_CARD_PAYMENT", "message": message or "the limit is reached"}
            payment |= {"status": "ABORTED", "failure": failure}
            raise No(403, failure["code"], failure["message"])
        if outcome == "paid":
            payment |= {"status": "DONE", "approvedAt": self._now()}
            self.move("charge", payment["orderId"], payment["paymentKey"], Money(payment["totalAmount"], "KRW"))
            self._tell(payment)
        return say(200, payment)

    def _issue(self, body: dict[str, Any]) -> Response:
        if self.approvals.get(body["authKey"]) != body["customerKey"]:
            raise No(400, "INVALID_BILL_KEY_REQUEST", "no card was registered for that payer, or it was used up")
        del self.approvals[body["authKey"]]
        key = f"billing-key-of-{body['authKey']}"
        self.keys[key] = body["customerKey"]
        return say(200, {"mId": "tosspayments", "customerKey": body["customerKey"], "authenticatedAt": self._now(),
                         "method": "카드", "billingKey": key, "cardCompany": "현대", "cardNumber": "43301234****123*"})

    def _charge(self, key: str, body: dict[str, Any]) -> Response:
        order_id, title = body["orderId"], body["orderName"]
        money = Money(body["amount"], "KRW")
        if not 6 <= len(order_id) <= 64 or not 0 < len(title) <= 100 or money.is_zero:
            raise ValueError
        if key not in self.keys:
            raise No(400, "INVALID_BILL_KEY_REQUEST", "there is no such billing key")
        if self.keys[key] != body["customerKey"]:
            raise No(400, "NOT_MATCHES_CUSTOMER_KEY", "the billing key is another customer's")
        if any(p["orderId"] == order_id and p["status"] != "ABORTED" for p in self.payments.values()):
            raise No(400, "DUPLICATED_ORDER_ID", "the order id was used before")
        if money.amount < 100:
            raise No(400, "BELOW_MINIMUM_AMOUNT", "at least 100 won")
        outcome, message = self._next.pop(0) if self._next else ("paid", None)
        if outcome == "code":
            raise No(400, "INVALID_REQUEST", message or "refused without a record")
        status = {"paid": "DONE", "failed": "ABORTED", "pending": "IN_PROGRESS"}[outcome]
        code = "REJECT_CARD_PAYMENT" if message is None else "REJECT_CARD_COMPANY"
        if message in self.decline_reasons:
            code = message
        failure = {"code": code, "message": message or "the limit is reached, or the balance too small"}
        made = self._record(order_id, title, money, status, failure if outcome == "failed" else None)
        if outcome == "failed":
            raise No(403, failure["code"], failure["message"])
        return say(200, made)

    def _record(self, order_id: str, title: str, money: Money, status: str,
                failure: Mapping[str, str] | None, *, kind: str = "BILLING") -> dict[str, Any]:
        id = f"pay-{len(self.payments) + 1}{self.salt and f'-{self.salt}'}"
        self.payments[id] = {
            "version": "2022-11-16", "mId": "tosspayments", "type": kind, "paymentKey": id, "orderId": order_id,
            "orderName": title, "method": "카드", "currency": "KRW", "country": "KR", "totalAmount": money.amount,
            "balanceAmount": money.amount, "status": status, "requestedAt": self._now(),
            "approvedAt": self._now() if status == "DONE" else None, "cancels": None, "failure": failure}
        if status == "DONE":
            self.move("charge", order_id, id, money)
        return self.payments[id]

    def _cancel(self, payment: dict[str, Any], body: dict[str, Any]) -> Response:
        if payment["status"] not in ("DONE", "PARTIAL_CANCELED") or payment["balanceAmount"] == 0:
            raise No(403, "NOT_CANCELABLE_PAYMENT", "it cannot be cancelled")
        left, reason = payment["balanceAmount"], body["cancelReason"]
        back = Money(body.get("cancelAmount", left), "KRW")  # No amount means all that is left.
        if not isinstance(reason, str) or not 0 < len(reason) <= 200:
            raise ValueError
        if body.get("refundableAmount", left) != left:
            raise No(400, "NOT_MATCHES_REFUNDABLE_AMOUNT", "the balance is another")
        if back.is_zero or back.amount > left:
            raise No(403, "NOT_CANCELABLE_AMOUNT", "that much is not left")
        payment["balanceAmount"] = left - back.amount
        payment["status"] = "PARTIAL_CANCELED" if payment["balanceAmount"] else "CANCELED"
        payment["cancels"] = [*(payment["cancels"] or ()), {
            "transactionKey": f"{payment['paymentKey']}-c{len(payment['cancels'] or ()) + 1}",
            "cancelAmount": back.amount, "cancelReason": reason, "canceledAt": self._now(), "cancelStatus": "DONE",
            "refundableAmount": payment["balanceAmount"]}]
        self.move("refund", payment["orderId"], payment["paymentKey"], back)
        self._tell(payment)
        return say(200, payment)

    def _tell(self, payment: dict[str, Any]) -> None:
        """Of the charge of a billing key no webhook tells, neither of its success nor of its failure."""
        body = {"eventType": "PAYMENT_STATUS_CHANGED", "createdAt": self._now().partition("+")[0], "data": payment}
        self.send_hook("", {"content-type": "application/json"}, json.dumps(body, ensure_ascii=False).encode())

    def _now(self) -> str:
        return self.clock.now().astimezone(KST).isoformat(timespec="seconds")


def say(status: int, body: Mapping[str, Any]) -> Response:
    """An answer in JSON."""
    return json_response(status, json.dumps(body, ensure_ascii=False).encode())
