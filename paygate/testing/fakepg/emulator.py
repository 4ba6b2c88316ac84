"""The emulator half of FakePG: a PG in the plainest JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, unquote

from attrs import define

from ...commands import Charge, DatedCharge, Pay, Register, Schedule
from ...money import Money
from ...wire import Response
from ..asks import Asks, fields
from ..emulator import Call, Emulator, FaultKind, VirtualClock, json_response
from ..overview import Overview
from ..pages import PREFIX
from ..story import Story
from . import browser


@define
class _Key:
    value: str
    deleted: bool = False


class FakePG(Emulator):
    """The PG behind `FAKEPG`. A charge of an amount ending in 1 is declined, in 2 stays pending until `finish`."""

    name = "fakepg"
    page_settings = (("pages", "/__page__"),)
    decline_reasons = ("no funds", "over the limit", "card expired", "card reported lost")
    endpoints = ("POST /token", "POST /windows", "POST /charges", "GET /payments", "GET /payments/{}",
                 "POST /payments/{}/refunds", "POST /schedules", "GET /schedules/{}", "POST /unschedule",
                 "GET /keys/{}", "GET /keys/{}/schedules", "DELETE /keys/{}")

    def __init__(self, clock: VirtualClock | None = None) -> None:
        super().__init__(clock)
        self.payments: dict[str, dict[str, Any]] = {}
        self.items: dict[str, dict[str, Any]] = {}
        self.keys: dict[str, _Key] = {}
        self.windows: dict[str, dict[str, Any]] = {}
        self.times: dict[str, datetime] = {}
        """When a window was opened (by order id) and a payment made (by its id)."""
        self.webhook_url = ""
        self.decline_message = "no funds"
        """What a declined payment's record says."""
        self.tokens_given = 0
        self.valid_tokens: set[str] = set()

    def settings(self) -> dict[str, Any]:
        return {"api_key": "fake-key", "mode": "test"}

    def controls(self) -> dict[str, Any]:
        return {"issue_key": self.issue_key, "payer": self.payer, "finish": self.finish,
                "set_webhook_url": self.set_webhook_url}

    def set_webhook_url(self, url: str) -> None:
        """Say where webhooks go."""
        self.webhook_url = str(url)

    def issue_key(self, key: str) -> str:
        """Issue a billing key under that value."""
        self.keys[key] = _Key(key)
        return key

    def payer(self, order_id: str, action: str = "approve", *, message: str | None = None,
              after_s: float = 600) -> dict[str, str] | None:
        """Act as the payer in an open window: approve, decline, close, or be "late": the approval arrives `after_s`
        seconds on. Returns the browser's query; None where the browser is gone.
        """
        window = self.windows.get(order_id)
        if window is None or action not in ("approve", "decline", "close", "late"):
            raise ValueError("no such window or action")
        if action == "late":
            self.clock.at(self.clock.now() + timedelta(seconds=after_s), lambda: self._arrive(order_id))
            return None
        if action == "close":
            return {"order_id": order_id, "message": "closed"}
        key = window.get("key")
        if key is not None and action == "approve":
            self.issue_key(key)
        payment = self._take(window, "paid" if action == "approve" else "failed", for_key=key is not None)
        if action == "decline" and message:
            payment["message"] = message
        return {"order_id": order_id, "payment_id": payment["id"]}

    def _arrive(self, order_id: str) -> None:
        if not self.is_used(order_id):
            self.payer(order_id)

    def is_used(self, order_id: str) -> bool:
        """Whether a payment stands under that order id; a failed one does not count."""
        return any(p["order_id"] == order_id and p["status"] != "failed" for p in self.payments.values())

    def browse(self, action: Mapping[str, Any], outcome: str = "approve") -> dict[str, str]:
        return self.payer(str(action["url"]).rpartition("/")[2], outcome) or {}

    def overview(self) -> Overview:
        return browser.overview(self)

    def story(self) -> Story:
        start = datetime(2026, 1, 5, 3, 0, tzinfo=UTC)
        won = Money(14_000, "KRW")
        dated = [DatedCharge(order_id=f"story-dated-{n}", due_at=start + timedelta(days=n), money=won, title="plan")
                 for n in (1, 2)]
        return Story(
            start=start, cancel_part=Money(4_000, "KRW"),
            pay=Pay(order_id="story-pay", money=won, title="book", return_url="https://shop.example/done"),
            register=Register(order_id="story-register", money=won, title="plan", return_url="https://shop.example/done"),
            charge=lambda key, order_id: Charge(order_id=order_id, billing_key=key, money=won, title="plan"),
            schedule=lambda key: Schedule(billing_key=key, charges=dated))

    def finish(self, order_id: str, status: str = "paid") -> None:
        """Let a pending payment become paid or failed."""
        for payment in self.payments.values():
            if payment["order_id"] == order_id and payment["status"] in ("pending", "failed"):
                payment["status"] = status
                if status == "paid":
                    self.move("charge", order_id, payment["id"], Money(payment["amount"], payment["currency"]))

    def unauthorized(self) -> Response:
        return _say(401, {"code": "unauthorized"})

    def lie(self, kind: FaultKind, call: Call, truth: Response) -> Response:
        if kind is FaultKind.LIE_FAILED:
            return _say(422, {"code": "internal", "message": "internal error"})
        said = json.loads(truth.body)
        if truth.status == 200 and "amount" in said:
            wrong_order = {"order_id": "another", "id": "p999"}
            said |= wrong_order if kind is FaultKind.WRONG_ORDER else {"amount": said["amount"] + 1}
        return _say(truth.status, said)

    def asks(self, call: Call) -> Asks:
        said, parts = fields(call.body), [unquote(p) for p in call.path.strip("/").split("/")]
        match call.method, parts:
            case "POST", ["token"]:
                return Asks(kind="token")
            case "POST", ["charges"]:
                return Asks(kind="charge", orders=(str(said.get("order_id")),), amount=said.get("amount"))
            case "POST", ["payments", id, "refunds"]:
                return Asks(kind="refund", provider_id=id, amount=said.get("amount"), guarded=True,
                            note=said.get("reason"))
            case "POST", ["schedules"]:
                return Asks(kind="schedule", orders=tuple([str(i.get("order_id")) for i in said.get("items", ())]))
            case "POST", ["unschedule"]:
                return Asks(kind="unschedule", orders=tuple(said.get("order_ids", ())))
            case "GET", ["payments"]:
                return Asks(kind="look", orders=(dict(parse_qsl(call.query)).get("order_id", ""),))
            case "GET", ["payments", id]:
                return Asks(kind="look", provider_id=id)
            case "GET", ["schedules", id]:
                return Asks(kind="look", orders=(id,))
        return super().asks(call)

    def answer(self, call: Call) -> Response:
        if call.path.startswith(PREFIX):
            return browser.answer(self, call)
        parts = [unquote(p) for p in call.path.strip("/").split("/")]
        try:
            body = json.loads(call.body) if call.body else {}
        except ValueError:
            return _say(400, {"code": "bad_json"})
        if not isinstance(body, dict):
            return _say(400, {"code": "bad_json"})
        if parts == ["token"]:
            return self._token(body)
        if call.headers.get("authorization", "").removeprefix("Bearer ") not in self.valid_tokens:
            return self.unauthorized()
        try:
            return self._route(call.method, parts, body, dict(parse_qsl(call.query)))
        except (KeyError, TypeError, ValueError, AttributeError):
            return _say(400, {"code": "bad_request"})

    def _route(self, method: str, parts: list[str], body: dict[str, Any], query: dict[str, str]) -> Response:
        match method, parts:
            case "POST", ["windows"]:
                self.windows[body["order_id"]] = body
                self.times[body["order_id"]] = self.clock.now()
                return _say(200, {})
            case "POST", ["charges"]:
                return self._charge(body)
            case "GET", ["payments"]:
                return _say(200, {"items": [p for p in self.payments.values() if p["order_id"] == query["order_id"]]})
            case "GET", ["payments", id] if id in self.payments:
                return _say(200, self.payments[id])
            case "GET", ["moved"]:
                start, end = (datetime.fromisoformat(query[name]) for name in ("start", "end"))
                moved = {m.provider_id: None for m in self.journal.entries if start <= m.at < end}
                return _say(200, {"items": [self.payments[id] for id in moved if id in self.payments]})
            case "POST", ["payments", id, "refunds"] if id in self.payments:
                return self._refund(self.payments[id], body)
            case "POST", ["schedules"]:
                return self._schedule(body)
            case "GET", ["schedules", id] if id in self.items:
                return _say(200, self.items[id])
            case "POST", ["unschedule"]:
                stopped = [i for i in body["order_ids"] if self.items.get(i, {}).get("status") == "scheduled"]
                for i in stopped:
                    self.items[i]["status"] = "revoked"
                return _say(200, {"order_ids": stopped})
            case "GET", ["keys", key, "schedules"]:
                return _say(200, {"items": [i for i in self.items.values() if i["key"] == key]})
            case "GET", ["keys", key] if key in self.keys:
                return _say(200, {"test": True})
            case "DELETE", ["keys", key] if key in self.keys:
                del self.keys[key]
                return _say(200, {})
        return _say(404, {"code": "not_found"})

    def _token(self, body: dict[str, Any]) -> Response:
        if body.get("api_key") == "wrong":
            return self.unauthorized()
        self.tokens_given += 1
        self.valid_tokens = {f"token-{self.tokens_given}"}
        return _say(200, {"token": f"token-{self.tokens_given}", "lifetime_s": 1800})

    def _charge(self, body: dict[str, Any]) -> Response:
        if self.is_used(body["order_id"]):
            return _say(409, {"code": "used", "message": "order id used before"})
        if body["key"] not in self.keys:
            return _say(422, {"code": "no_key", "message": f"no such key: {body['key']}"})
        Money(body["amount"], body["currency"])
        return _say(200, self._take(body, {1: "failed", 2: "pending"}.get(body["amount"] % 10, "paid")))

    def _take(self, body: dict[str, Any], status: str, *, for_key: bool = False) -> dict[str, Any]:
        id = f"p{len(self.payments) + 1}{self.salt and f'-{self.salt}'}"
        self.times[id] = self.clock.now()
        self.payments[id] = {"id": id, "order_id": body["order_id"], "amount": body["amount"],
                             "currency": body["currency"], "status": status, "given_back": 0, "refunds": [],
                             "test": True,
                             "for_key": for_key, "key": body.get("key"),
                             "message": self.decline_message if status == "failed" else None}
        if status == "paid" and not for_key:
            self.move("charge", body["order_id"], id, Money(body["amount"], body["currency"]))
        return self.payments[id]

    def _refund(self, payment: dict[str, Any], body: dict[str, Any]) -> Response:
        left = payment["amount"] - payment["given_back"]
        if payment["status"] != "paid" or body["left"] != left or not 0 < body["amount"] <= left:
            return _say(422, {"code": "balance", "message": "the balance is another"})
        payment["given_back"] += body["amount"]
        id = f"{payment['id']}-r{len(payment['refunds']) + 1}"
        made = {"id": id, "amount": body["amount"], "reason": body["reason"]}
        payment["refunds"].append(made)
        self.move("refund", payment["order_id"], payment["id"], Money(body["amount"], payment["currency"]))
        return _say(200, payment)

    def _schedule(self, body: dict[str, Any]) -> Response:
        if any(i["order_id"] in self.items for i in body["items"]):
            return _say(409, {"code": "used", "message": "order id used before"})
        for item in body["items"]:
            made = {**item, "key": body["key"], "status": "scheduled", "payment_id": None, "payment_status": None}
            self.items[item["order_id"]] = made
            self.clock.at(datetime.fromisoformat(item["due_at"]), lambda made=made: self._execute(made))  # type: ignore[misc]
        return _say(200, {"items": [self.items[i["order_id"]] for i in body["items"]]})

    def _execute(self, item: dict[str, Any]) -> None:
        if item["status"] == "scheduled":
            reply = json.loads(self._charge(item).body)
            item |= {"status": "executed", "payment_id": reply.get("id"),
                     "payment_status": reply.get("status", "failed")}
            self.send_hook(self.webhook_url, {"content-type": "application/json"},
                           json.dumps({"order_id": item["order_id"], "payment_id": reply.get("id")}).encode())


def _say(status: int, body: dict[str, Any]) -> Response:
    return json_response(status, json.dumps(body).encode())
