"""The provider half of FakePG: every verb, in one request each."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from attrs import field, frozen
from attrs.validators import instance_of

from ...capability import Absence, CancelGuard, Capability, Profile, assumed
from ...codec import Unreadable, read_json, read_object
from ...commands import Cancel, Charge, DeleteKey, Pay, Register, Schedule, Unschedule
from ...errors import Conflict, Declined, Forged, NotFound, NotSent, OutcomeUnknown, Refused, Unauthorized
from ...flow import Flow
from ...model import (
    BillingKey,
    Cancelled,
    Checkout,
    DeclineReason,
    Hint,
    KeyInfo,
    Payment,
    PaymentStatus,
    Redirect,
    ScheduledCharge,
    ScheduleStatus,
)
from ...money import Money
from ...provider import Provider, ProviderSpec
from ...secret import Secret
from ...wire import Request, Response, Token, path


@frozen(kw_only=True)
class FakeSettings:
    """Any `api_key` but "wrong" is accepted. `pages` is where the payer's browser finds the payment page."""

    api_key: Secret = field(converter=Secret)
    mode: Literal["test", "live"] = "test"
    pages: str = field(default="https://fakepg.example", validator=instance_of(str))


class FakeProvider(Provider):
    """Every verb, in one request each."""

    return_keys = ("order_id", "payment_id", "message")

    def __init__(self, settings: FakeSettings) -> None:
        self._settings = settings

    def token(self) -> Flow[Token]:
        reply = yield Request("POST", path("/token"), json={"api_key": self._settings.api_key}, repeatable=True)
        if reply.status == 401:
            raise Unauthorized("the PG does not accept api_key")
        try:
            said = read_object(reply)
            held = Secret(f"Bearer {said['token']}")
            return Token(headers={"authorization": held}, lifetime_s=float(said["lifetime_s"]))
        except (Unreadable, KeyError, TypeError, ValueError):
            raise NotSent("no token was given") from None

    def pay(self, command: Pay, prepared: str | None = None) -> Flow[Checkout]:
        body = {"order_id": command.order_id, "amount": command.money.amount, "currency": command.money.currency,
                "return_url": command.return_url}
        _body((yield Request("POST", path("/windows"), json=body, auth=True, repeatable=True)))
        return Checkout(order_id=command.order_id, action=Redirect(f"{self._settings.pages}/{command.order_id}"),
                        takes_money=True)

    def register(self, command: Register, prepared: str | None = None) -> Flow[Checkout]:
        body = {"order_id": command.order_id, "amount": command.money.amount, "currency": command.money.currency,
                "return_url": command.return_url, "key": self.key_of(command.order_id)}
        _body((yield Request("POST", path("/windows"), json=body, auth=True, repeatable=True)))
        return Checkout(order_id=command.order_id, action=Redirect(f"{self._settings.pages}/{command.order_id}"),
                        takes_money=False)

    def key_value(self, command: Register) -> Secret:
        return self.key_of(command.order_id)

    def key_of(self, order_id: str) -> Secret:
        return Secret(f"key-{order_id}")

    def charge(self, command: Charge) -> Flow[Payment]:
        body = {"order_id": command.order_id, "key": command.billing_key.value, "amount": command.money.amount,
                "currency": command.money.currency}
        payment = _payment(_body((yield Request("POST", path("/charges"), json=body, auth=True))))
        if payment.status is PaymentStatus.FAILED and payment.order_id == command.order_id:
            raise Declined("declined", reason=payment.reason, pg_message=payment.message)
        return payment

    def cancel(self, command: Cancel, payment: Payment) -> Flow[Payment]:
        assert payment.provider_id is not None
        body = {"amount": command.money.amount, "left": payment.left.amount, "reason": command.reason}
        reply = yield Request("POST", path("/payments/{}/refunds", payment.provider_id), json=body, auth=True)
        return _payment(_body(reply))

    def schedule(self, command: Schedule) -> Flow[tuple[ScheduledCharge, ...]]:
        body = {"key": command.billing_key.value, "items": [
            {"order_id": c.order_id, "due_at": c.due_at.astimezone(UTC).isoformat(), "amount": c.money.amount,
             "currency": c.money.currency} for c in command.charges]}
        said = _body((yield Request("POST", path("/schedules"), json=body, auth=True)))
        return tuple(_scheduled(item) for item in said["items"])

    def unschedule(self, command: Unschedule) -> Flow[tuple[str, ...]]:
        said = _body((yield Request("POST", path("/unschedule"), json={"order_ids": list(command.order_ids)}, auth=True,
                                    repeatable=True)))
        stopped = said.get("order_ids")
        if not isinstance(stopped, list):
            raise OutcomeUnknown("the PG's answer does not say what it stopped")
        return tuple(stopped)

    def find(self, order_id: str) -> Flow[tuple[Payment, ...]]:
        said = _body((yield Request("GET", path("/payments"), query=(("order_id", order_id),), auth=True)))
        return tuple(_payment(item) for item in said["items"])

    def lookup(self, provider_id: str, order_id: str | None = None) -> Flow[Payment | None]:
        reply = yield Request("GET", path("/payments/{}", provider_id), auth=True)
        return None if reply.status == 404 else _payment(_body(reply))

    def listing(self, start: datetime, end: datetime) -> Flow[tuple[Payment, ...]]:
        between = (("start", start.isoformat()), ("end", end.isoformat()))
        said = _body((yield Request("GET", path("/moved"), query=between, auth=True)))
        return tuple(_payment(item) for item in said["items"])

    def find_schedule(self, order_id: str) -> Flow[ScheduledCharge | None]:
        reply = yield Request("GET", path("/schedules/{}", order_id), auth=True)
        return None if reply.status == 404 else _scheduled(_body(reply))

    def schedules(self, key: Secret, start: datetime, end: datetime) -> Flow[tuple[ScheduledCharge, ...]]:
        reply = yield Request("GET", path("/keys/{}/schedules", key), auth=True)
        items = [_scheduled(item) for item in _body(reply)["items"]]
        return tuple(s for s in items if start <= s.due_at < end)

    def lookup_key(self, key: Secret, gateway: str) -> Flow[KeyInfo | None]:
        reply = yield Request("GET", path("/keys/{}", key), auth=True)
        return None if reply.status == 404 else KeyInfo(billing_key=BillingKey(gateway, key), test=_body(reply)["test"])

    def delete_key(self, command: DeleteKey) -> Flow[None]:
        reply = yield Request("DELETE", path("/keys/{}", command.billing_key.value), auth=True, repeatable=True)
        if reply.status != 404:
            _body(reply)

    def read_return(self, query: Mapping[str, str]) -> Hint:
        return Hint(order_id=query.get("order_id"), provider_id=query.get("payment_id"), message=query.get("message"))

    def read_webhook(self, headers: Mapping[str, str], body: bytes, now: datetime) -> Hint:
        try:
            said = read_json(body)
            return Hint(order_id=str(said["order_id"]), provider_id=str(said["payment_id"]))
        except (Unreadable, KeyError, TypeError):
            raise Forged("the webhook is not one of this PG") from None


def _body(reply: Response) -> dict[str, Any]:
    try:
        said = read_object(reply)
    except Unreadable:
        raise OutcomeUnknown("the PG's answer cannot be read") from None
    if reply.status == 200:
        return said
    message = said.get("message")
    words = {"code": str(said.get("code")), "pg_message": message if isinstance(message, str) else None}
    match reply.status:
        case 401:
            raise Unauthorized("the PG does not accept the token", **words)
        case 404:
            raise NotFound("the PG knows no such thing", **words)
        case 409:
            raise Conflict("the PG has that order already", **words)
        case 400 | 402 | 422 | 429:
            raise Refused("the PG refused", **words)
    raise OutcomeUnknown(f"the PG answered {reply.status}", code=words["code"], pg_message=words["pg_message"])


def _payment(said: dict[str, Any]) -> Payment:
    try:
        currency = said["currency"]
        money, back = Money.parse(said["amount"], currency), Money.parse(said["given_back"], currency)
        paid = {"paid": PaymentStatus.PAID if back.is_zero else
                PaymentStatus.CANCELLED if back == money else PaymentStatus.PARTLY_CANCELLED}
        status = (paid | {"failed": PaymentStatus.FAILED, "pending": PaymentStatus.PENDING})[said["status"]]
        return Payment(order_id=said["order_id"], provider_id=said["id"], status=status, money=money, cancelled=back,
                       cancellations=tuple([Cancelled(money=Money.parse(r["amount"], currency), reason=r["reason"],
                                                      provider_id=r["id"]) for r in said.get("refunds", ())]),
                       test=said["test"], for_key=said["for_key"], key=said["key"], message=said["message"],
                       reason=DeclineReason.UNMAPPED if status is PaymentStatus.FAILED else None)
    except (KeyError, TypeError, ValueError):
        raise OutcomeUnknown("the PG's payment record is not understood") from None


def _scheduled(said: dict[str, Any]) -> ScheduledCharge:
    try:
        return ScheduledCharge(order_id=said["order_id"], due_at=datetime.fromisoformat(said["due_at"]),
                               money=Money.parse(said["amount"], said["currency"]),
                               status=ScheduleStatus(said["status"]), provider_id=said["payment_id"],
                               payment_status=PaymentStatus(said["payment_status"]) if said["payment_status"] else None)
    except (KeyError, TypeError, ValueError):
        raise OutcomeUnknown("the PG's schedule record is not understood") from None


_SOURCE = "FakePG is what this file says"
_NOT_OFFERED = {Capability.SUBSCRIBE, Capability.UNSUBSCRIBE, Capability.PAUSE, Capability.MOVE_NEXT,
                Capability.CHANGE_INTERVAL, Capability.CHANGE_METHOD, Capability.RENEW}

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
        hooks_never_sent=assumed((), _SOURCE), hook_signature=assumed("none", _SOURCE),
        settle_s=assumed(120.0, _SOURCE)))
"""Hand it to `connect(FAKEPG, {"api_key": "any"}, ledger=MemoryLedger(), http=...)`."""
