"""The verbs, as flows: each yields the requests that the PG wants, and returns what its answers say.

No clock, no client, no retry, no ledger: those are the core's. A flow returns a value only where the PG's answer says
so, raises Refused (or a class under it) only where the PG says no in its own words, and OutcomeUnknown for the rest.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from paygate import (
    BadCommand,
    Cancel,
    Charge,
    Checkout,
    ClientCall,
    Declined,
    Flow,
    Forged,
    Hint,
    Money,
    NotFound,
    Pay,
    Payment,
    PaymentStatus,
    Provider,
    Refused,
    Register,
    Request,
    Secret,
    path,
)
from paygate.secret import opened, sealed
from paygate.webhook import clean_text, json_fields

from .answers import accepted, read_payment, text, understood
from .settings import SCRIPT, Settings
from .words import ANONYMOUS, CUSTOMER_KEY, MINIMUM, NAME, TITLE_LIMIT

EVENT = "PAYMENT_STATUS_CHANGED"
ID_LIMIT = 200
"""A paymentKey (결제 키) is at most that long. API reference, the Payment object."""
AUTH_LIMIT = 300
"""An authKey is at most that long. API reference, billing key issue."""
KEY_ID = "key-"
"""How the ids begin under which this provider keeps a registration, of which no look-up of this PG tells."""


class TossProvider(Provider):
    """Toss Payments (토스페이먼츠), API of 2022-11-16: windows, billing (자동결제), refunds, look-ups and webhooks."""

    return_keys = ("paymentKey", "orderId", "code", "message", "authKey", "customerKey")

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        # The key is the user's name, and there is no password. API reference, authorization.
        pair = base64.b64encode(f"{settings.secret_key.reveal()}:".encode()).decode()
        self._headers = {"authorization": Secret(f"Basic {pair}")}

    def check(self, command: Any) -> None:
        """Refuse what this PG would not take: a title too long, too little money, a payer without a name of yours."""
        if isinstance(command, (Pay, Register, Charge)) and len(command.title) > TITLE_LIMIT:
            raise BadCommand(f"title has more than {TITLE_LIMIT} characters; nothing was sent")
        if isinstance(command, (Pay, Charge)):
            if command.money.currency == MINIMUM.currency and command.money < MINIMUM:
                raise BadCommand(f"less than {MINIMUM} is not taken; nothing was sent")
            if command.tax_free is not None:
                raise BadCommand("tax_free is not taken; nothing was sent")
        if isinstance(command, (Register, Charge)) or (isinstance(command, Pay) and command.customer.id is not None):
            customer_key(command)
        if getattr(command, "extra", {}).get(NAME):
            raise BadCommand(f"extra['{NAME}'] has no fields; nothing was sent")

    def pay(self, command: Pay, prepared: str | None = None) -> Flow[Checkout]:
        """Open the window (결제창) by the PG's script. Nothing is asked before, and nothing is taken in it.

        Source: SDK reference, payment().requestPayment().
        """
        yield from ()
        params = {"method": "CARD", "amount": {"currency": "KRW", "value": command.money.amount},
                  "orderId": command.order_id, "orderName": command.title, **self._window(command)}
        return self._checkout(command, "requestPayment", params, takes_money=True)

    def register(self, command: Register, prepared: str | None = None) -> Flow[Checkout]:
        """Open the window in which a card is registered (빌링키 발급).

        Source: SDK reference, payment().requestBillingAuth().
        """
        yield from ()
        return self._checkout(command, "requestBillingAuth", {"method": "CARD", **self._window(command)},
                              takes_money=False)

    def _window(self, command: Pay | Register) -> dict[str, Any]:
        told = {"customerName": command.customer.name, "customerEmail": command.customer.email}
        return {"successUrl": command.return_url, "failUrl": command.return_url,
                **{name: value for name, value in told.items() if value is not None}}

    def _checkout(self, command: Pay | Register, function: str, params: dict[str, Any], *,
                  takes_money: bool) -> Checkout:
        payer = {"customerKey": command.customer.id or ANONYMOUS}
        call = ClientCall(script=SCRIPT, function=function, params=params, returns="redirect",
                          through=(("TossPayments", self._settings.client_key), ("payment", payer)))
        return Checkout(order_id=command.order_id, action=call, takes_money=takes_money)

    def payer_of(self, command: Any) -> Secret | None:
        """The customerKey for which a billing key is issued: the return and the PG's answer repeat it."""
        return Secret(customer_key(command)) if isinstance(command, Register) else None

    def read_return(self, query: Mapping[str, str]) -> Hint:
        """What the payer came back with: a paymentKey or an authKey to be handed on, or why there is none.

        The amount in it is not even read: the ledger's is what is confirmed.

        Source: payment window guide and billing guide, successUrl and failUrl.
        """
        payment, auth = clean_text(query, "paymentKey", ID_LIMIT), clean_text(query, "authKey", AUTH_LIMIT)
        payer = clean_text(query, "customerKey", 50)
        if (payment is not None and auth is not None) or (auth is None) is not (payer is None):
            raise Forged("a return that is neither of a payment nor of a billing key; nothing was changed")
        return Hint(order_id=clean_text(query, "orderId", 64), provider_id=payment, approval=payment or auth,
                    payer=payer, code=clean_text(query, "code", 80), message=clean_text(query, "message", 500))

    def capture(self, order_id: str, money: Money | None, hint: Hint) -> Flow[Payment]:
        """Confirm what the payer approved (결제 승인), or exchange the authKey for the billing key (빌링키 발급).

        The PG compares order id and amount with those of the window. What the answer names is compared with ours.

        Source: API reference, payments/confirm and billing/authorizations/issue; idempotency guide.
        """
        assert hint.approval is not None
        if (money is None) is (hint.payer is None):
            raise Refused("the return is of another kind of window; nothing was sent")
        if money is None:
            return (yield from self._issue(order_id, hint))
        body = {"paymentKey": hint.approval, "orderId": order_id, "amount": money.amount}
        reply = yield self._post("/v1/payments/confirm", body, once=f"confirm-{order_id}-{short(hint.approval)}")
        said = accepted(reply, may_decline=True)
        payment = understood(lambda: read_payment(said))
        if payment.status is PaymentStatus.FAILED and payment.order_id == order_id:
            raise Declined("declined", reason=payment.reason, code=payment.code, pg_message=payment.message)
        return payment

    def _issue(self, order_id: str, hint: Hint) -> Flow[Payment]:
        body = {"authKey": hint.approval, "customerKey": hint.payer}
        said = accepted((yield self._post("/v1/billing/authorizations/issue", body,
                                          once=f"issue-{order_id}-{short(hint.approval)}")))
        key, payer = understood(lambda: (Secret(text(said["billingKey"])), Secret(text(said["customerKey"]))))
        return Payment(order_id=order_id, provider_id=KEY_ID + sealed(key, self._settings.secret_key),
                       status=PaymentStatus.PAID, money=Money(0, "KRW"), for_key=True, key=key, payer=payer)

    def issued_key(self, payment: Payment, note: str | None = None,
                   is_told: Callable[[Secret], bool] | None = None) -> Flow[Secret | None]:
        """The billing key that a registration was answered with: its id is the key, sealed with the secret key."""
        yield from ()
        id = payment.provider_id or ""
        return opened(id.removeprefix(KEY_ID), self._settings.secret_key) if id.startswith(KEY_ID) else None

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

    def _post(self, template: str, body: Mapping[str, Any], *ids: str | Secret, once: str) -> Request:
        # Not `repeatable`, although the PG would recognise a second one: an idempotency key holds for 15 days, the
        # ledger for ever, and whether to send again is the ledger's decision.
        return Request("POST", path(template, *ids), json=body, headers={**self._headers, "idempotency-key": once})


def short(approval: Secret | None) -> str:
    """A name for an approval, which does not give it away."""
    return hashlib.sha256((approval or Secret("")).reveal().encode()).hexdigest()[:32]


def customer_key(command: Pay | Register | Charge) -> str:
    """The merchant's name for the payer whose billing key it is. Raises: BadCommand where it is missing."""
    key = command.customer.id
    if key is None or not CUSTOMER_KEY.fullmatch(key):
        raise BadCommand("customer.id must be the customerKey that the billing key is or was issued for, "
                         "2 to 50 of A-Z a-z 0-9 _ - = . @; nothing was sent")
    return key
