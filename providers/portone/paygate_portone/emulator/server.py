"""The emulator itself: the account behind HTTP, the controls beside it, and its lies."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from attrs import asdict, evolve

from paygate.money import Money
from paygate.testing import pages
from paygate.testing.asks import Asks
from paygate.testing.emulator import Call, Emulator, FaultKind, VirtualClock
from paygate.testing.overview import Overview
from paygate.testing.story import Story
from paygate.wire import Response

from .asks import asks
from .bodies import clean_id
from .browser import Browser
from .keys import issue
from .overview import overview
from .payments import give_back
from .records import CARD, CUSTOMER, NAVER, Card
from .routes import ROUTES, respond
from .shop import Outcome, Shop
from .story import browse, story
from .switches import Switches
from .windows import act, open_window
from .words import (
    DECLINE_REASONS,
    IMP_KEY,
    IMP_SECRET,
    INTERNAL,
    MERCHANT_CODE,
    NAVER_CHANNEL_KEY,
    UNAUTHORIZED,
    Refusal,
    envelope,
)


class PortOneEmulator(Emulator):
    """PortOne V1 with NaverPay recurring payments, as values: what is documented, and both sides of what is not.

    Keyword arguments beside `webhook_url` (the console's) are those of `Switches`.
    """

    name = "portone-naverpay"
    tells_mode = True
    page_settings = (("script_url", pages.STANDIN),)
    endpoints = tuple(f"{route.method} {route.template}" for route in ROUTES)
    decline_reasons = DECLINE_REASONS

    def __init__(self, clock: VirtualClock | None = None, *, webhook_url: str = "", **switches: Any) -> None:
        super().__init__(clock)
        self.shop = Shop(switches=Switches(**switches), clock=self.clock, move=self.move, send=self.send_hook,
                         webhook_url=webhook_url, salt=lambda: self.salt)
        self._browser = Browser(self.shop, {}, [])

    def answer(self, call: Call) -> Response:
        if call.path.startswith(pages.PREFIX):
            return self._browser.answer(call)
        return respond(self.shop, call)

    def settings(self) -> dict[str, Any]:
        return {"imp_key": IMP_KEY, "imp_secret": IMP_SECRET, "merchant_code": MERCHANT_CODE,
                "channel_key": NAVER_CHANNEL_KEY, "mode": "test"}

    def browse(self, action: Mapping[str, Any], outcome: str = "approve") -> dict[str, str]:
        return browse(self.shop, action, outcome)

    def story(self) -> Story:
        return story()

    def overview(self, most: int = 200) -> Overview:
        return overview(self.shop, most)

    def asks(self, call: Call) -> Asks:
        return asks(call)

    def unauthorized(self) -> Response:
        return envelope(401, -1, UNAUTHORIZED, None, nulls=self.shop.switches.nulls)

    def lie(self, kind: FaultKind, call: Call, truth: Response) -> Response:
        """LIE_FAILED says `code` 1; the others name another order or amount in every record of a true success."""
        if kind is FaultKind.LIE_FAILED:
            return envelope(200, 1, INTERNAL, None, nulls=self.shop.switches.nulls)
        value = json.loads(truth.body)
        if value["code"] != 0:
            return truth
        change = _other_order if kind is FaultKind.WRONG_ORDER else _other_amount
        changed = _changed(value.get("response"), change)
        return envelope(truth.status, 0, None, changed, nulls=self.shop.switches.nulls)

    def controls(self) -> dict[str, Callable[..., Any]]:
        return {
            "issue_key": self._issue_key, "open_window": self._open_window, "payer": self._payer,
            "next_charge": self._next_charge, "next_cancel": self._next_cancel,
            "cancel_in_console": self._cancel_in_console, "resend_hook": self._resend_hook,
            "set_webhook_url": self._set_webhook_url, "switch": self._switch,
            "switches": self._switches, "payments": self._payments, "schedules": self._schedules, "keys": self._keys,
        }

    def _issue_key(self, key: str, *, card: bool = False, payer: Mapping[str, str] | None = None) -> Any:
        """Register a billing key as if a payer had done it: of NaverPay, or of the card channel. `payer` may hold name,
        tel, email, addr and postcode.
        """
        customer_uid = _text("key", key, 80)
        known = {name.removeprefix("customer_"): (name, limit) for name, limit in CUSTOMER}
        if any(name not in known or not isinstance(value, str) for name, value in (payer or {}).items()):
            raise ValueError(f"payer holds texts named {', '.join(known)}")
        customer: dict[str, str | None] = {known[n][0]: v[:known[n][1]] for n, v in (payer or {}).items()}
        return issue(self.shop, customer_uid, CARD if card else NAVER, Card(), customer, None).shown(
            self.shop.switches.sandbox)

    def _open_window(self, params: Mapping[str, Any]) -> str:
        """Open the payment window on what the browser SDK would be given; returns its id.

        Raises: ValueError with the text the browser's callback would get.
        """
        if not isinstance(params, Mapping):
            raise ValueError("params is an object")
        try:
            return open_window(self.shop, params).id
        except Refusal as refusal:
            raise ValueError(refusal.message) from None

    def _payer(self, order_id: str, action: str = "approve", *, message: str | None = None, points: int = 0,
               after_s: float = 600) -> Any:
        """Act as the payer in the window of `order_id`: "approve", "decline", "close", or "late" (approve `after_s`
        seconds on, the browser gone). `points` won of an approval are paid in points. Returns the browser's hints.
        """
        if type(points) is not int or points < 0:
            raise ValueError("points is a whole number")
        return act(self.shop, _text("order_id", order_id, 40), action, _message(message), points, after_s)

    def _next_charge(self, outcome: str, *, message: str | None = None, times: int = 1) -> None:
        """Decide the next charge by API or by a schedule: "paid", "failed" (declined), "code" (refused, no record)."""
        if outcome not in ("paid", "failed", "code"):
            raise ValueError("outcome is paid, failed or code")
        if type(times) is not int or not 1 <= times <= 1000:
            raise ValueError("times is 1 to 1000")
        self.shop.outcomes.extend([Outcome(outcome, _message(message))] * times)

    def _next_cancel(self, message: str) -> None:
        """Have the PG behind refuse the next cancel with `message`."""
        self.shop.refund_refusals.append(_text("message", message, 500))

    def _cancel_in_console(self, order_id: str, amount: int | None = None, *, reason: str = "console") -> Any:
        """Cancel as a person would in the console: `amount` minor units, else all that is left. Sends the webhook."""
        payment = next((p for p in reversed(self.shop.by_order.get(_text("order_id", order_id, 40), ()))
                        if p.status in ("paid", "cancelled") and p.usage != "issue"), None)
        if payment is None:
            raise ValueError("nothing paid under this order_id")
        try:
            money = payment.remaining if amount is None else Money(amount, payment.order.money.currency)
            if money.is_zero:
                raise ValueError("nothing is left to cancel")
            refund = give_back(self.shop, payment, money, str(reason))
        except Refusal as refusal:
            raise ValueError(refusal.message) from None
        self.shop.tell(payment, refund.cancellation_id)
        return payment.shown(self.shop.switches.sandbox)

    def _resend_hook(self, order_id: str) -> None:
        """Send the webhook of the newest payment of `order_id` once more, as it stands now."""
        payments = self.shop.by_order.get(_text("order_id", order_id, 40))
        if not payments:
            raise ValueError("no payment under this order_id")
        last = payments[-1]
        self.shop.tell(last, last.refunds[-1].cancellation_id if last.refunds else None)

    def _payments(self) -> Any:
        """Every payment, as a look-up shows it."""
        return [p.shown(self.shop.switches.sandbox) for p in self.shop.payments.values()]

    def _schedules(self) -> Any:
        """Every dated charge, as a look-up shows it."""
        return [p.shown() for p in self.shop.plans.values()]

    def _keys(self) -> Any:
        """Every billing key, as a look-up shows it."""
        return [k.shown(self.shop.switches.sandbox) for k in self.shop.keys.values()]

    def _switches(self) -> Any:
        """Every switch as it stands."""
        return asdict(self.shop.switches)

    def _switch(self, name: str, value: Any) -> None:
        """Turn a switch of `Switches`, such as hides_sandbox: whether GET /payments/{imp_uid} knows test payments
        without include_sandbox=true.
        """
        kind: type = type(asdict(Switches()).get(name))
        if kind is type(None):
            raise ValueError(f"there is no switch {name}")
        if kind is float and type(value) in (int, Decimal):
            value = float(value)
        if type(value) is not kind:
            raise ValueError(f"switch {name}: {type(value).__name__} is not a value for it")
        change: dict[str, Any] = {name: value}
        self.shop.switches = evolve(self.shop.switches, **change)

    def _set_webhook_url(self, url: str) -> None:
        """What the merchant enters in the console."""
        self.shop.webhook_url = str(url)


def _text(name: str, value: Any, limit: int) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"{name} is 1 to {limit} characters")
    try:
        return clean_id(value, name, limit)
    except Refusal:
        raise ValueError(f"{name} is 1 to {limit} characters, none of them a control character") from None


def _message(value: Any) -> str | None:
    return None if value is None else _text("message", value, 500)


def _changed(value: Any, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Any:
    if isinstance(value, list):
        return [_changed(item, change) for item in value]
    if isinstance(value, dict):
        if "list" in value:
            return {**value, "list": _changed(value["list"], change)}
        return {**value, **change(value)}
    return value


def _other_order(record: dict[str, Any]) -> dict[str, Any]:
    if "merchant_uid" not in record:
        return {"customer_uid": "another-key"} if "customer_uid" in record else {}
    changed: dict[str, Any] = {"merchant_uid": "another-order"}
    if record.get("imp_uid"):
        changed["imp_uid"] = "imp_999999999999"
    return changed


def _other_amount(record: dict[str, Any]) -> dict[str, Any]:
    changed: dict[str, Any] = {"amount": record["amount"] + 1} if "amount" in record else {}
    if record.get("cancel_amount"):
        changed["cancel_amount"] = record["cancel_amount"] + 1
    return changed
