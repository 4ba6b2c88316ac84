"""The merchant's account at the PG: every record, the dice a test has loaded, ids, and webhooks.

The modules beside it are the PG's endpoints; they change a Shop and nothing else.
"""

from __future__ import annotations

import json
import random
from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime
from urllib.parse import urlencode

from attrs import define, field, frozen

from paygate.money import Money
from paygate.testing.emulator import VirtualClock

from .records import CARD, NAVER, Channel, Json, Key, Payment, Plan
from .switches import Switches
from .tokens import Tokens
from .words import NO_CHANNEL, NO_PAYMENT, Refusal, not_found


@frozen
class Outcome:
    """How the next charge ends: "paid", "failed" (a record with a reason) or "code" (no record, `code` not 0)."""

    kind: str
    message: str | None = None


@define
class Window:
    """A payment window the payer has before them. `came` are the browser's hints, once the payer has acted."""

    id: str
    payment: Payment
    customer_uid: str | None
    redirect_url: str | None
    is_open: bool = True
    came: Json | None = None
    late_at: datetime | None = None
    """When the approval of a payer whose browser is gone arrives."""


@frozen
class Prepared:
    """An amount registered beforehand; without a currency none is compared."""

    merchant_uid: str
    amount: int | float
    currency: str | None


@define(kw_only=True)
class Shop:
    switches: Switches
    clock: VirtualClock
    move: Callable[[str, str, str, Money], None]
    send: Callable[[str, Mapping[str, str], bytes], None]
    webhook_url: str = ""
    tokens: Tokens = field(factory=Tokens)
    payments: dict[str, Payment] = field(factory=dict)
    """By imp_uid, oldest first."""
    by_order: dict[str, list[Payment]] = field(factory=dict)
    """By merchant_uid: one to many, oldest first."""
    keys: dict[str, Key] = field(factory=dict)
    plans: dict[str, Plan] = field(factory=dict)
    prepared: dict[str, Prepared] = field(factory=dict)
    windows: list[Window] = field(factory=list)
    outcomes: deque[Outcome] = field(factory=deque)
    refund_refusals: deque[str] = field(factory=deque)
    count: int = 0
    salt: Callable[[], str] = str

    def now(self) -> int:
        """Unix seconds."""
        return int(self.clock.now().timestamp())

    def digits(self, kind: str, how_many: int) -> str:
        """Digits that look drawn at random and depend on the salt alone."""
        self.count += 1
        return "".join(random.Random(f"{kind} {self.count}{self.salt()}").choices("0123456789", k=how_many))

    def keep(self, payment: Payment) -> Payment:
        self.payments[payment.imp_uid] = payment
        self.by_order.setdefault(payment.order.merchant_uid, []).append(payment)
        return payment

    def payment(self, imp_uid: str) -> Payment:
        """Raises: Refusal (404)."""
        if imp_uid not in self.payments:
            raise not_found(NO_PAYMENT)
        return self.payments[imp_uid]

    def is_used(self, merchant_uid: str) -> bool:
        """Whether `merchant_uid` cannot be charged any more: paid or cancelled before, or a dated charge waits.

        With `strict_reuse` any record at all, a failed one included, uses it up.
        """
        plan = self.plans.get(merchant_uid)
        if plan is not None and plan.status == "scheduled":
            return True
        return self.has_record(merchant_uid)

    def has_record(self, merchant_uid: str) -> bool:
        """Whether a payment stands in the way of another under `merchant_uid`."""
        failed = self.switches.strict_reuse and any(p.status == "failed" for p in self.by_order.get(merchant_uid, ()))
        return failed or self.is_paid(merchant_uid)

    def is_paid(self, merchant_uid: str) -> bool:
        """Whether one of its payments was ever paid."""
        return any(p.status in ("paid", "cancelled") for p in self.by_order.get(merchant_uid, ()))

    def channel(self, channel_key: str | None, pg: str | None, *, by_api: bool) -> Channel:
        """The channel a request names, else the merchant's default for such a request.

        Raises: Refusal for a channel_key nobody has.
        """
        card = self.switches.card_channel
        if channel_key:
            known = {NAVER.channel_key: NAVER} | ({CARD.channel_key: CARD} if card else {})
            if channel_key not in known:
                raise Refusal(NO_CHANNEL)
            return known[channel_key]
        if pg:
            return CARD if card and not pg.startswith("naver") else NAVER
        return CARD if card and by_api else NAVER

    def tell(self, payment: Payment, cancellation_id: str | None = None) -> None:
        """Send the webhook about `payment`: unsigned, and without customer_uid (documented)."""
        body = {"imp_uid": payment.imp_uid, "merchant_uid": payment.order.merchant_uid,
                "status": "cancelled" if cancellation_id else payment.status}
        if cancellation_id:
            body["cancellation_id"] = cancellation_id
        url = payment.order.notice_url or self.webhook_url
        if self.switches.form_hooks:
            self.send(url, {"content-type": "application/x-www-form-urlencoded"}, urlencode(body).encode())
        else:
            text = json.dumps(body, ensure_ascii=False)
            self.send(url, {"content-type": "application/json; charset=utf-8"}, text.encode("utf-8", "replace"))
