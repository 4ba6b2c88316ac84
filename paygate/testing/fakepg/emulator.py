"""The emulator half of FakePG: a PG in the plainest JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, unquote

from attrs import define

from ...money import Money
from ...secret import Secret
from ...wire import Response
from ..asks import Asks
from ..emulator import Answer, Broken, Call, Emulator, FaultKind, VirtualClock, json_response
from ..overview import Overview
from ..pages import PREFIX
from ..story import Story
from . import browser
from .outcomes import LATE_S, UNANSWERED_S, Outcome, outcome
from .provider import SIGNATURE, signature
from .records import REASONS
from .story import asked, story

WEBHOOK_KEY = "fake-webhook-key"


@define
class _Key:
    value: str
    deleted: bool = False


class FakePG(Emulator):
    """The PG behind `FAKEPG`. How a payment ends is chosen by the end of its order id or amount: see `outcomes.py`."""

    name = "fakepg"
    tells_mode = True
    page_settings = (("pages", "/__page__"),)
    decline_reasons = REASONS
    endpoints: Sequence[str] = (
        "POST /token", "POST /windows", "POST /charges", "GET /payments", "GET /payments/{}",
        "POST /payments/{}/refunds", "POST /schedules", "GET /schedules/{}", "POST /unschedule", "GET /keys/{}",
        "GET /keys/{}/schedules", "DELETE /keys/{}")

    def __init__(self, clock: VirtualClock | None = None) -> None:
        super().__init__(clock)
        self.payments: dict[str, dict[str, Any]] = {}
        self._ids: dict[str, list[str]] = {}
        """Of an order: the ids that its payments were given, whether they still stand or not."""
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
        self._until: dict[str, float] = {}
        """When a token ends, on the clock that does not jump."""
        self._next: list[Outcome] = []
        self._unanswered: dict[str, float] = {}
        """Orders of which nobody can ask before that time."""

    def settings(self) -> dict[str, Any]:
        return {"api_key": "fake-key", "mode": "test", "webhook_key": WEBHOOK_KEY}

    def controls(self) -> dict[str, Any]:
        return {"issue_key": self.issue_key, "payer": self.payer, "finish": self.finish,
                "next_charge": self.next_charge, "set_webhook_url": self.set_webhook_url}

    def next_charge(self, outcome: str, message: str | None = None) -> None:
        """Decide the next charge of a key, now or dated, whatever its order id says: "paid", "failed", "pending" or
        "code" (refused without a record). `message` is what the record of a decline says.
        """
        words = {"paid": "paid", "failed": "declined", "pending": "pending", "code": "refused"}
        if outcome not in words:
            raise ValueError("outcome is paid, failed, pending or code")
        self._next.append(Outcome(word=words[outcome], message=message))

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
        # In a window the payer decides; only an order id that asks for it overrules them.
        ends = outcome(order_id, 0) if action == "approve" else Outcome(word="declined", message=message)
        status = ends.status
        if key is not None and status == "paid":
            self.issue_key(key)
        payment = self._take(window, status, for_key=key is not None)
        self._say_why(payment, ends)
        self._tell(payment)
        return {"order_id": order_id, "payment_id": payment["id"]}

    def _arrive(self, order_id: str) -> None:
        if not self.is_used(order_id):
            self.payer(order_id)

    def is_used(self, order_id: str) -> bool:
        """Whether a payment stands under that order id; a failed one does not count."""
        return any(p["status"] != "failed" for p in self._of(order_id))

    def _of(self, order_id: str) -> list[dict[str, Any]]:
        """The payments under that order id, oldest first."""
        return [self.payments[id] for id in self._ids.get(order_id, ()) if id in self.payments]

    def browse(self, action: Mapping[str, Any], outcome: str = "approve") -> dict[str, str]:
        order_id = str(action.get("url")).rpartition("/")[2]
        if outcome not in ("approve", "decline", "close") or self.is_used(order_id):
            raise ValueError("outcome is approve, decline or close, in a window that is open")
        return self.payer(order_id, outcome) or {}

    def overview(self, most: int = 200) -> Overview:
        return browser.overview(self, most)

    def story(self) -> Story:
        return story()

    def finish(self, order_id: str, status: str = "paid") -> None:
        """Let a pending payment become paid or failed."""
        for payment in self._of(order_id):
            if payment["status"] in ("pending", "failed"):
                payment["status"] = status
                if status == "paid":
                    payment |= {"paid_at": self._now(), "message": None, "code": None}
                    self.move("charge", order_id, payment["id"], Money(payment["amount"], payment["currency"]))
                self._tell(payment)

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
        return asked(call) or super().asks(call)

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
        token = call.headers.get("authorization", "").removeprefix("Bearer ")
        if token not in self.valid_tokens or self.clock.monotonic() >= self._until.get(token, math.inf):
            return self.unauthorized()
        try:
            return self._route(call.method, parts, body, dict(parse_qsl(call.query)))
        except (KeyError, TypeError, ValueError, AttributeError):
            return _say(400, {"code": "bad_request"})

    def _route(self, method: str, parts: list[str], body: dict[str, Any], query: dict[str, str]) -> Response:
        match method, parts:
            case "POST", ["windows"]:
                _check(body)
                self.windows[body["order_id"]] = body
                self.times[body["order_id"]] = self.clock.now()
                return _say(200, {"order_id": body["order_id"], "amount": body["amount"]})
            case "POST", ["charges"]:
                return self._charge(body)
            case "GET", ["payments"]:
                return _say(200, {"items": self._of(query["order_id"])})
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
                return _say(200, {"key": key, "test": True})
            case "DELETE", ["keys", key] if key in self.keys:
                del self.keys[key]
                return _say(200, {"key": key, "deleted": True})
        return _say(404, {"code": "not_found"})

    def _token(self, body: dict[str, Any]) -> Response:
        if body.get("api_key") == "wrong":
            return self.unauthorized()
        self.tokens_given += 1
        token = f"token-{self.tokens_given}"
        self.valid_tokens = {token}
        self._until[token] = self.clock.monotonic() + 1800
        return _say(200, {"token": token, "lifetime_s": 1800})

    def _charge(self, body: dict[str, Any]) -> Response:
        if self.is_used(body["order_id"]):
            return _say(409, {"code": "used", "message": "order id used before"})
        if body["key"] not in self.keys:
            return _say(422, {"code": "no_key", "message": f"no such key: {body['key']}"})
        Money(body["amount"], body["currency"])
        ends = self._next.pop(0) if self._next else outcome(body["order_id"], body["amount"])
        if ends.word == "refused":
            return _say(422, {"code": "refused", "message": ends.message or "refused without a record"})
        payment = self._take(body, ends.status)
        self._say_why(payment, ends)
        if ends.word == "late":
            self.clock.at(self.clock.now() + timedelta(seconds=LATE_S), lambda: self.finish(payment["order_id"]))
        self._tell(payment)
        return _say(200, payment)

    def _say_why(self, payment: dict[str, Any], ends: Outcome) -> None:
        if payment["status"] == "failed" and ends.message:
            payment["message"] = ends.message

    def handle(self, call: Call) -> Answer:
        """As every emulator, and lose the answers that an order id asks to be lost."""
        order_id = self._concerns(call)
        is_charge = call.method == "POST" and call.path in ("/charges", "/captures")
        if is_charge and order_id.endswith("-lost"):
            self.calls.append(call)
            return Broken("hang")
        if self._unanswered.get(order_id, 0.0) > self.clock.monotonic():
            self.calls.append(call)
            return Broken("hang")
        answer = super().handle(call)
        if is_charge and order_id.endswith("-unknown"):
            self._unanswered[order_id] = self.clock.monotonic() + UNANSWERED_S
            return Broken("hang")
        return answer

    def _concerns(self, call: Call) -> str:
        """The order that a call is about; "" where it is about none."""
        asked = self.asks(call)
        held = self.payments.get(asked.provider_id or "", {})
        return asked.orders[0] if asked.orders else str(held.get("order_id", ""))

    def _tell(self, payment: dict[str, Any]) -> None:
        """Send the webhook about a payment, signed."""
        body = json.dumps({"order_id": payment["order_id"], "payment_id": payment["id"]}).encode()
        at = str(int(self.clock.now().timestamp()))
        self.send_hook(self.webhook_url, {
            "content-type": "application/json",
            SIGNATURE: f"t={at},v={signature(Secret(WEBHOOK_KEY), at, body)}"}, body)

    def _now(self) -> int:
        return int(self.clock.now().timestamp())

    def _take(self, body: dict[str, Any], status: str, *, for_key: bool = False, id: str = "") -> dict[str, Any]:
        id = id or f"p{len(self.payments) + 1}{self.salt and f'-{self.salt}'}"
        self.times[id] = self.clock.now()
        self._ids.setdefault(body["order_id"], []).append(id)
        self.payments[id] = {"id": id, "order_id": body["order_id"], "amount": body["amount"],
                             "currency": body["currency"], "status": status, "given_back": 0, "refunds": [],
                             "test": True, "for_key": for_key, "key": body.get("key"),
                             "paid_at": self._now() if status == "paid" else None,
                             "code": "declined" if status == "failed" else None,
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
        self._tell(payment)
        return _say(200, payment)

    def _schedule(self, body: dict[str, Any]) -> Response:
        if any(i["order_id"] in self.items for i in body["items"]):
            return _say(409, {"code": "used", "message": "order id used before"})
        for item in body["items"]:
            _check(item)
            if datetime.fromisoformat(item["due_at"]).utcoffset() is None:
                raise ValueError("an instant has a zone")
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


def _check(asked: dict[str, Any]) -> None:
    """Raises: TypeError, ValueError where an order id or an amount is none."""
    if not isinstance(asked["order_id"], str):
        raise TypeError("an order id is text")
    Money(asked["amount"], asked["currency"])


def _say(status: int, body: dict[str, Any]) -> Response:
    return json_response(status, json.dumps(body).encode())
