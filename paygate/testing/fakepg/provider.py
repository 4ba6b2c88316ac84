"""The provider half of FakePG: every verb, in one request each."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from attrs import field, frozen
from attrs.validators import instance_of

from ...capability import Absence, CancelGuard, Capability, Profile, assumed
from ...codec import Unreadable, read_json, read_object
from ...commands import Cancel, Charge, DeleteKey, Pay, Register, Schedule, Unschedule
from ...errors import BadCommand, Declined, Forged, NotFound, NotSent, OutcomeUnknown, Unauthorized
from ...flow import Flow
from ...model import Checkout, Hint, KeyInfo, Payment, PaymentStatus, Redirect, ScheduledCharge
from ...money import Money
from ...provider import Provider, ProviderSpec
from ...secret import Secret, secret_or_none
from ...text import is_clean
from ...wire import Request, Token, path
from . import records
from .records import accepted, known, understood

SIGNATURE = "fakepg-signature"
TOLERANCE_S = 300
_SIGNED = re.compile(r"t=([0-9]{1,12}),v=([0-9a-f]{64})")
_ID_LIMIT = 80


@frozen(kw_only=True)
class FakeSettings:
    """Any `api_key` but "wrong" is accepted. `pages` is where the payer's browser finds the payment page.

    Without `webhook_key` webhooks are taken as unsigned: as hints, like those of most PGs.
    """

    api_key: Secret = field(converter=Secret)
    mode: Literal["test", "live"] = "test"
    pages: str = field(default="https://fakepg.example", validator=instance_of(str))
    webhook_key: Secret | None = field(default=None, converter=secret_or_none)


class FakeProvider(Provider):
    """Every verb, in one request each."""

    name = "fakepg"
    return_keys: tuple[str, ...] = ("order_id", "payment_id", "message")

    def __init__(self, settings: FakeSettings) -> None:
        self._settings = settings

    def check(self, command: Any) -> None:
        """`extra` of its own: a `note`, which goes nowhere."""
        given = [command, *getattr(command, "charges", ())]
        for name in {name for c in given for name in getattr(c, "extra", {}).get(self.name, {})} - {"note"}:
            raise BadCommand(f"extra['{self.name}'] has no field {str(name)[:40]!r}; nothing was sent")

    def token(self) -> Flow[Token]:
        reply = yield Request("POST", path("/token"), json={"api_key": self._settings.api_key}, repeatable=True)
        try:
            said = read_object(reply)
        except Unreadable:
            raise NotSent("no token was given") from None
        if reply.status == 401:
            raise Unauthorized("the PG does not accept api_key")
        text, lifetime = said.get("token"), said.get("lifetime_s")
        if reply.status != 200 or not isinstance(text, str) or not re.fullmatch(r"[\x21-\x7e]{1,200}", text) \
                or type(lifetime) is not int or not 0 < lifetime <= 86_400:
            raise NotSent("no token was given")
        return Token(headers={"authorization": Secret(f"Bearer {text}")}, lifetime_s=float(lifetime))

    def pay(self, command: Pay, prepared: str | None = None) -> Flow[Checkout]:
        yield from self._window(command, {"tax_free": _amount(command.tax_free)})
        return self._checkout(command.order_id, takes_money=True)

    def register(self, command: Register, prepared: str | None = None) -> Flow[Checkout]:
        yield from self._window(command, {"key": self.key_of(command.order_id)})
        return self._checkout(command.order_id, takes_money=False)

    def _window(self, command: Pay | Register, more: dict[str, Any]) -> Flow[None]:
        body = {**_bought(command), "return_url": command.return_url, **more}
        reply = yield Request("POST", path("/windows"), json=body, auth=True, repeatable=True)
        said = accepted(reply)
        if (said.get("order_id"), said.get("amount")) != (command.order_id, command.money.amount):
            raise OutcomeUnknown("the PG prepared something else", order_id=command.order_id)

    def _checkout(self, order_id: str, *, takes_money: bool) -> Checkout:
        return Checkout(order_id=order_id, action=Redirect(f"{self._settings.pages}/{order_id}"),
                        takes_money=takes_money)

    def key_value(self, command: Register) -> Secret | None:
        return self.key_of(command.order_id)

    def key_of(self, order_id: str) -> Secret | None:
        return Secret(f"key-{order_id}")

    def charge(self, command: Charge) -> Flow[Payment]:
        body = {**_bought(command), "key": command.billing_key.value, "tax_free": _amount(command.tax_free)}
        reply = yield Request("POST", path("/charges"), json=body, auth=True)
        payment = understood(records.payment, accepted(reply))
        if payment.status is PaymentStatus.FAILED and payment.order_id == command.order_id:
            raise Declined("declined", reason=payment.reason, code=payment.code, pg_message=payment.message)
        return payment

    def cancel(self, command: Cancel, payment: Payment) -> Flow[Payment]:
        assert payment.provider_id is not None
        body = {"amount": command.money.amount, "left": payment.left.amount, "reason": command.reason}
        reply = yield Request("POST", path("/payments/{}/refunds", payment.provider_id), json=body, auth=True)
        return understood(records.payment, accepted(reply))

    def schedule(self, command: Schedule) -> Flow[tuple[ScheduledCharge, ...]]:
        body = {"key": command.billing_key.value, "items": [
            {**_bought(c), "due_at": c.due_at.astimezone(UTC).isoformat(), "tax_free": _amount(c.tax_free)}
            for c in command.charges]}
        reply = yield Request("POST", path("/schedules"), json=body, auth=True)
        return understood(records.scheduled_all, accepted(reply))

    def unschedule(self, command: Unschedule) -> Flow[tuple[str, ...]]:
        reply = yield Request("POST", path("/unschedule"), json={"order_ids": list(command.order_ids)}, auth=True,
                              repeatable=True)
        return understood(lambda said: tuple(map(records.text, records.listed(said["order_ids"]))), accepted(reply))

    def find(self, order_id: str) -> Flow[tuple[Payment, ...]]:
        reply = yield Request("GET", path("/payments"), query=(("order_id", order_id),), auth=True)
        return understood(records.payments, accepted(reply))

    def lookup(self, provider_id: str, order_id: str | None = None) -> Flow[Payment | None]:
        said = known((yield Request("GET", path("/payments/{}", provider_id), auth=True)))
        return None if said is None else understood(records.payment, said)

    def listing(self, start: datetime, end: datetime) -> Flow[tuple[Payment, ...]]:
        between = (("start", start.isoformat()), ("end", end.isoformat()))
        return understood(records.payments, accepted((yield Request("GET", path("/moved"), query=between, auth=True))))

    def find_schedule(self, order_id: str) -> Flow[ScheduledCharge | None]:
        said = known((yield Request("GET", path("/schedules/{}", order_id), auth=True)))
        return None if said is None else understood(records.scheduled, said)

    def schedules(self, key: Secret, start: datetime, end: datetime) -> Flow[tuple[ScheduledCharge, ...]]:
        reply = yield Request("GET", path("/keys/{}/schedules", key), auth=True)
        return tuple([s for s in understood(records.scheduled_all, accepted(reply)) if start <= s.due_at < end])

    def lookup_key(self, key: Secret, gateway: str) -> Flow[KeyInfo | None]:
        said = known((yield Request("GET", path("/keys/{}", key), auth=True)))
        return None if said is None else understood(records.key_info, said, key, gateway)

    def delete_key(self, command: DeleteKey) -> Flow[None]:
        reply = yield Request("DELETE", path("/keys/{}", command.billing_key.value), auth=True, repeatable=True)
        try:
            if accepted(reply).get("deleted") is not True:
                raise OutcomeUnknown("the PG does not say that the key is deleted")
        except NotFound:
            return

    def read_return(self, query: Mapping[str, str]) -> Hint:
        return Hint(order_id=claim(query, "order_id"), provider_id=claim(query, "payment_id"),
                    message=claim(query, "message"))

    def read_webhook(self, headers: Mapping[str, str], body: bytes, now: datetime) -> Hint:
        """What a webhook claims. One whose signature is there is checked; one without is a hint and no more."""
        is_signed = self._is_signed(headers.get(SIGNATURE), body, now)
        try:
            said = read_json(body)
        except Unreadable:
            raise Forged("the webhook is not one of this PG") from None
        if not isinstance(said, dict) or not all(isinstance(said.get(n), str) for n in ("order_id", "payment_id")):
            raise Forged("the webhook is not one of this PG")
        return Hint(order_id=claim(said, "order_id"), provider_id=claim(said, "payment_id"), is_signed=is_signed)

    def _is_signed(self, header: str | None, body: bytes, now: datetime) -> bool:
        key = self._settings.webhook_key
        if header is None or key is None:
            return False
        match = _SIGNED.fullmatch(header)
        if match is None or abs(now.timestamp() - int(match[1])) > TOLERANCE_S:
            raise Forged("the webhook was not signed by this PG just now")
        if not hmac.compare_digest(signature(key, match[1], body), match[2]):
            raise Forged("the webhook's signature does not fit")
        return True


def signature(key: Secret, at: str, body: bytes) -> str:
    """HMAC-SHA256 of the time and the body, in hex."""
    return hmac.new(key.reveal().encode(), at.encode() + b"." + body, hashlib.sha256).hexdigest()


def _bought(command: Any) -> dict[str, Any]:
    return {"order_id": command.order_id, "amount": command.money.amount, "currency": command.money.currency,
            "title": command.title}


def _amount(money: Money | None) -> int | None:
    return None if money is None else money.amount


def claim(said: Mapping[str, Any], name: str) -> str | None:
    """A name's text in what was said to come from the PG. Raises: Forged."""
    value = said.get(name)
    if value is not None and (not isinstance(value, str) or len(value) > _ID_LIMIT or not is_clean(value)):
        raise Forged(f"{name} is not what this PG says")
    return value


_SOURCE = "FakePG is what this file says"
_NOT_OFFERED = {Capability.SUBSCRIBE, Capability.UNSUBSCRIBE, Capability.PAUSE, Capability.MOVE_NEXT,
                Capability.CHANGE_INTERVAL, Capability.CHANGE_METHOD, Capability.RENEW, Capability.KEYS,
                Capability.CAPTURE}

FAKEPG = ProviderSpec(
    name="fakepg", title="FakePG (tests only)", settings=FakeSettings, build=FakeProvider,
    base_url="https://fakepg.example", hosts=("fakepg.example",), capabilities=frozenset(Capability) - _NOT_OFFERED,
    emulator="paygate.testing.fakepg:FakePG",
    profile=Profile(
        currencies=assumed(("KRW", "USD"), _SOURCE), minimum=assumed(None, _SOURCE),
        order_id_pattern=assumed("[A-Za-z0-9_-]{1,40}", _SOURCE), title_limit=assumed(200, _SOURCE),
        refuses_reused_order_id=assumed(True, _SOURCE), refuses_concurrent_order_id=assumed(True, _SOURCE),
        absence=assumed(Absence.NEVER_HAPPENED_AFTER_SETTLING, _SOURCE), schedule_run_by=assumed("pg", _SOURCE),
        register_takes_money=assumed(False, _SOURCE), cancel_guard=assumed(CancelGuard.CHECKSUM, _SOURCE),
        hooks_never_sent=assumed(("a closed payment page",), _SOURCE),
        hook_signature=assumed("HMAC-SHA256 of time and body, checked where it is there, at most 300 s old", _SOURCE),
        settle_s=assumed(120.0, _SOURCE)))
"""Hand it to `connect(FAKEPG, {"api_key": "any"}, ledger=MemoryLedger(), http=...)`."""
