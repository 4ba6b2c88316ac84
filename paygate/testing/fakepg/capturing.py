"""FakePG as a PG that waits: a payer's approval alone moves no money and issues no key; the merchant has to capture it.

The window's return brings an `approval`, good for one order, one amount and one use, and for ten minutes. The emulator
of `CAPTURING` knows no payment of an order before it is captured.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from attrs import define, evolve

from ...capability import Capability
from ...commands import Register
from ...errors import Declined
from ...flow import Flow
from ...model import Checkout, Hint, Payment, PaymentStatus
from ...money import Money
from ...provider import ProviderSpec
from ...wire import Request, Response, path
from ..asks import Asks, fields
from ..emulator import Call, VirtualClock, json_response
from . import records
from .emulator import FakePG
from .outcomes import outcome
from .provider import FAKEPG, FakeProvider, claim
from .records import accepted, understood

NAME = "fakepg-capturing"
APPROVED_S = 600.0
"""How long an approval is good for."""


@define
class Approval:
    """What a payer approved: `window` is what it was for. Used up once it was captured."""

    window: dict[str, Any]
    until: datetime
    is_used: bool = False


class CapturingPG(FakePG):
    """The PG behind `CAPTURING`. A capture ends as a charge would, by the end of its order id or amount."""

    name = NAME
    endpoints = (*FakePG.endpoints, "POST /captures")

    def __init__(self, clock: VirtualClock | None = None) -> None:
        super().__init__(clock)
        self.approvals: dict[str, Approval] = {}

    def payer(self, order_id: str, action: str = "approve", *, message: str | None = None,
              after_s: float = 600) -> dict[str, str] | None:
        """As FakePG's; an approval only says that the payer agrees."""
        if action != "approve" or order_id not in self.windows:
            return super().payer(order_id, action, message=message, after_s=after_s)
        id = f"a{len(self.approvals) + 1}{self.salt and f'-{self.salt}'}"
        self.approvals[id] = Approval(self.windows[order_id], self.clock.now() + timedelta(seconds=APPROVED_S))
        return {"order_id": order_id, "payment_id": id, "approval": f"approval-of-{id}"}

    def asks(self, call: Call) -> Asks:
        if (call.method, call.path) != ("POST", "/captures"):
            return super().asks(call)
        said = fields(call.body)
        return Asks(kind="charge" if "amount" in said else "other", orders=(str(said.get("order_id")),),
                    amount=said.get("amount"), currency=said.get("currency"))

    def _route(self, method: str, parts: list[str], body: dict[str, Any], query: dict[str, str]) -> Response:
        if (method, parts) == ("POST", ["captures"]):
            return self._capture(body["approval"].removeprefix("approval-of-"), body)
        return super()._route(method, parts, body, query)

    def _capture(self, id: str, body: dict[str, Any]) -> Response:
        approval = self.approvals.get(id)
        if approval is None or approval.is_used or self.clock.now() >= approval.until:
            return _no("no_approval", "there is no such approval")
        window = approval.window
        wanted = window["order_id"], *([] if window.get("key") else [window["amount"], window["currency"]])
        if wanted != (body["order_id"], *(body[n] for n in ("amount", "currency") if n in body)):
            return _no("another", "that was not approved")
        if self.is_used(window["order_id"]):
            return _no("used", "order id used before", 409)
        ends = outcome(window["order_id"], 0 if window.get("key") else window["amount"])
        if ends.word == "refused":
            return _no("refused", "refused without a record")
        approval.is_used = True
        made = {**window, "key": self.issue_key(f"issued-{id}") if window.get("key") else None}
        payment = self._take(made, ends.status, for_key=bool(window.get("key")), id=id)
        self._say_why(payment, ends)
        self._tell(payment)
        return json_response(200, _text(payment))


class CapturingProvider(FakeProvider):
    """FakePG's verbs, with windows that only approve."""

    name = NAME
    return_keys = (*FakeProvider.return_keys, "approval")

    def register(self, command: Register, prepared: str | None = None) -> Flow[Checkout]:
        yield from self._window(command, {"key": "to be issued"})
        return self._checkout(command.order_id, takes_money=False)

    def key_value(self, command: Register) -> None:
        """The PG names the key, when it is captured."""

    def key_of(self, order_id: str) -> None:
        """The PG names the key, when it is captured."""

    def capture(self, order_id: str, money: Money | None, hint: Hint) -> Flow[Payment]:
        asked = {} if money is None else {"amount": money.amount, "currency": money.currency}
        body = {"approval": hint.approval, "order_id": order_id, **asked}
        reply = yield Request("POST", path("/captures"), json=body, auth=True)
        payment = understood(records.payment, accepted(reply))
        if payment.status is PaymentStatus.FAILED and payment.order_id == order_id:
            raise Declined("declined", reason=payment.reason, code=payment.code, pg_message=payment.message)
        return payment

    def read_return(self, query: Mapping[str, str]) -> Hint:
        return evolve(super().read_return(query), approval=claim(query, "approval"))


def _text(said: Mapping[str, Any]) -> bytes:
    return json.dumps(said).encode()


def _no(code: str, message: str, status: int = 422) -> Response:
    return json_response(status, _text({"code": code, "message": message}))


CAPTURING: ProviderSpec = evolve(
    FAKEPG, name=NAME, title="FakePG that waits to be told (tests only)", build=CapturingProvider,
    capabilities=FAKEPG.capabilities | {Capability.CAPTURE}, emulator="paygate.testing.fakepg.capturing:CapturingPG")
"""As `FAKEPG`, for what waits until it is captured."""
