"""The verbs, as flows: each yields the requests that the PG wants, and returns what its answers say.

No clock, no client, no retry, no ledger: those are the core's. A flow returns a value only where the PG's answer says
so, raises Refused (or a class under it) only where the PG says no in its own words, and OutcomeUnknown for the rest.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar

from paygate import (
    BadCommand,
    Cancel,
    Cancelled,
    Charge,
    Declined,
    DeclineReason,
    Flow,
    Forged,
    Hint,
    Money,
    NotFound,
    OutcomeUnknown,
    Payment,
    PaymentStatus,
    Provider,
    RateLimited,
    Request,
    Response,
    Secret,
    Unauthorized,
    path,
)
from paygate.codec import Unreadable, read_object
from paygate.webhook import clean_text, json_fields

from .settings import Settings
from .words import CUSTOMER_KEY, DECLINES, MINIMUM, NAME, REFUSALS, STATUSES, TITLE_LIMIT

T = TypeVar("T")
Said = Mapping[str, Any]

EVENT = "PAYMENT_STATUS_CHANGED"
ID_LIMIT = 200
"""A paymentKey (결제 키) is at most that long. API reference, the Payment object."""


class TossProvider(Provider):
    """Toss Payments (토스페이먼츠), API of 2022-11-16: billing (자동결제), refunds, look-ups and webhooks."""

    def __init__(self, settings: Settings) -> None:
        # The key is the user's name, and there is no password. API reference, authorization.
        pair = base64.b64encode(f"{settings.secret_key.reveal()}:".encode()).decode()
        self._headers = {"authorization": Secret(f"Basic {pair}")}

    def check(self, command: Any) -> None:
        """Refuse what this PG would not take: a title too long, too little money, a payer without a name of yours."""
        if isinstance(command, Charge):
            if len(command.title) > TITLE_LIMIT:
                raise BadCommand(f"title has more than {TITLE_LIMIT} characters; nothing was sent")
            if command.money.currency == MINIMUM.currency and command.money < MINIMUM:
                raise BadCommand(f"less than {MINIMUM} is not taken; nothing was sent")
            if command.tax_free is not None:
                raise BadCommand("tax_free is not taken; nothing was sent")
            customer_key(command)
        if getattr(command, "extra", {}).get(NAME):
            raise BadCommand(f"extra['{NAME}'] has no fields; nothing was sent")

    def charge(self, command: Charge) -> Flow[Payment]:
        """Charge a billing key now (자동결제 승인).

        The order id is the idempotency key: where the core sends an order again, once it is proven not to have
        happened, and the first one was only slow, the PG answers with that first one.

        Source: API reference, billing; idempotency guide.
        """
        body = {"customerKey": customer_key(command), "amount": command.money.amount, "orderId": command.order_id,
                "orderName": command.title}
        reply = yield self._post("/v1/billing/{}", body, command.billing_key.value, once=f"charge-{command.order_id}")
        said = accepted(reply, may_decline=True)
        payment = understood(lambda: read_payment(said))
        if payment.status is PaymentStatus.FAILED and payment.order_id == command.order_id:
            raise Declined("declined", reason=payment.reason, code=payment.code, pg_message=payment.message)
        return payment

    def cancel(self, command: Cancel, payment: Payment) -> Flow[Payment]:
        """Give exactly `command.money` back (결제 취소). The PG compares `refundableAmount` with what it still holds.

        Source: API reference, cancel; error list; idempotency guide.
        """
        assert payment.provider_id is not None
        body = {"cancelReason": command.reason, "cancelAmount": command.money.amount,
                "refundableAmount": payment.left.amount}
        said = accepted((yield self._post("/v1/payments/{}/cancel", body, payment.provider_id,
                                          once=f"cancel-{command.cancel_id}")))
        return understood(lambda: read_payment(said))

    def find(self, order_id: str) -> Flow[tuple[Payment, ...]]:
        """The payment under our order id; this PG names one at most.

        Source: API reference, look-up by orderId.
        """
        found = yield from self._look("/v1/payments/orders/{}", order_id)
        return () if found is None else (found,)

    def lookup(self, provider_id: str, order_id: str | None = None) -> Flow[Payment | None]:
        """The payment under the PG's own id, its paymentKey.

        Source: API reference, look-up by paymentKey.
        """
        return (yield from self._look("/v1/payments/{}", provider_id))

    def read_webhook(self, headers: Mapping[str, str], body: bytes, now: datetime) -> Hint:
        """What a webhook (웹훅) claims. This event bears no signature, so it is a hint: the core looks the payment up.

        Source: webhook guide.
        """
        told = json_fields(body)
        data = told.get("data")
        if told.get("eventType") != EVENT or not isinstance(data, dict):
            raise Forged(f"a webhook that is no {EVENT}; nothing was changed")
        order_id, key = clean_text(data, "orderId", 64), clean_text(data, "paymentKey", ID_LIMIT)
        if order_id is None or key is None:
            raise Forged("a webhook that names no payment; nothing was changed")
        return Hint(order_id=order_id, provider_id=key, claim=clean_text(data, "status", 40), event=EVENT)

    def _look(self, template: str, id: str) -> Flow[Payment | None]:
        try:
            said = accepted((yield Request("GET", path(template, id), headers=self._headers)))
        except NotFound:
            return None
        return understood(lambda: read_payment(said))

    def _post(self, template: str, body: Mapping[str, Any], id: str | Secret, *, once: str) -> Request:
        # Not `repeatable`, although the PG would recognise a second one: an idempotency key holds for 15 days, the
        # ledger for ever, and whether to send again is the ledger's decision.
        return Request("POST", path(template, id), json=body, headers={**self._headers, "idempotency-key": once})


def customer_key(command: Charge) -> str:
    """The merchant's name for the payer whose billing key it is. Raises: BadCommand where it is missing."""
    key = command.customer.id
    if key is None or not CUSTOMER_KEY.fullmatch(key):
        raise BadCommand("customer.id must be the customerKey that the billing key was issued for, "
                         "2 to 50 of A-Z a-z 0-9 _ - = . @; nothing was sent")
    return key


# Answers

def accepted(reply: Response, *, may_decline: bool = False) -> Said:
    """The object in an answer.

    Raises: Refused or a class under it where the PG says no in its own words, else OutcomeUnknown.
    """
    try:
        said = read_object(reply)
    except Unreadable:
        said = {}
        if reply.status == 200:
            raise OutcomeUnknown("the PG's answer cannot be read") from None
    if reply.status == 200:
        return said
    code, message = (value if isinstance(value, str) else None for value in (said.get("code"), said.get("message")))
    if reply.status == 429:
        raise RateLimited("the PG asks for fewer requests", code=code, pg_message=message)
    if reply.status == 401:
        raise Unauthorized("the PG does not accept the key", code=code, pg_message=message)
    if 400 <= reply.status < 500 and code is not None:
        if may_decline and code in DECLINES:
            raise Declined("declined", reason=DECLINES[code], code=code, pg_message=message)
        if code in REFUSALS:
            raise REFUSALS[code]("the PG refused", code=code, pg_message=message)
    raise OutcomeUnknown(f"the PG answered {reply.status}", code=code, pg_message=message)


def understood(read: Callable[[], T]) -> T:
    """`read()`, where what does not fit is OutcomeUnknown."""
    try:
        return read()
    except (KeyError, TypeError, ValueError):
        raise OutcomeUnknown("the PG's record is not understood") from None


def read_payment(said: Said) -> Payment:
    """A Payment object. Raises: KeyError, TypeError, ValueError.

    Where money was taken, `balanceAmount` says what was given back. A word that does not fit it is not understood:
    the whole given back in two parts has been seen as PARTIAL_CANCELED, so that word goes with any balance but all.
    """
    currency, word = text(said["currency"]), text(said["status"])
    money, left = Money(said["totalAmount"], currency), Money(said["balanceAmount"], currency)
    status, back = STATUSES[word], Money(0, currency)
    if status.took_money:
        back = money - left
        status = PaymentStatus.PAID if back.is_zero else PaymentStatus.CANCELLED if left.is_zero \
            else PaymentStatus.PARTLY_CANCELLED
        fits = {"DONE": back.is_zero, "CANCELED": left.is_zero, "PARTIAL_CANCELED": not back.is_zero}
        if not fits[word]:
            raise ValueError
    cancels = tuple(read_cancel(one, currency) for one in array_or_none(said["cancels"]))
    if sum(one.money.amount for one in cancels) != back.amount:
        raise ValueError  # Two places of one record that do not agree.
    failure = said["failure"] if status is PaymentStatus.FAILED else None
    code, message = (None, None) if failure is None else (text(failure["code"]), text_or_none(failure["message"]))
    return Payment(
        order_id=text(said["orderId"]), provider_id=text(said["paymentKey"]), status=status, money=money,
        cancelled=back, paid_at=instant(said["approvedAt"]) if status.took_money else None,
        method=text_or_none(said["method"]), code=code, message=message,
        reason=DECLINES.get(code or "", DeclineReason.UNMAPPED) if status is PaymentStatus.FAILED else None,
        cancellations=cancels)


def read_cancel(said: Said, currency: str) -> Cancelled:
    """One element of `cancels`. Raises: KeyError, TypeError, ValueError."""
    return Cancelled(money=Money(said["cancelAmount"], currency), at=instant(said["canceledAt"]),
                     reason=text_or_none(said["cancelReason"]), provider_id=text_or_none(said["transactionKey"]))


def array_or_none(value: object) -> list[Any]:
    """A list; null is an empty one. Raises: TypeError."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise TypeError
    return value


def text(value: object) -> str:
    """Text that is there. Raises: TypeError."""
    if not isinstance(value, str) or not value:
        raise TypeError
    return value


def text_or_none(value: object) -> str | None:
    """Text, or nothing. Raises: TypeError."""
    return None if value is None else text(value)


def instant(value: object) -> datetime:
    """ISO 8601 with its offset from UTC. Raises: TypeError, ValueError."""
    made = datetime.fromisoformat(text(value))
    if made.utcoffset() is None:
        raise ValueError
    return made
