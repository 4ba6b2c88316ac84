"""StepPay 비관리형: a browser script for the payer, a call to charge a key, a receipt to check everything by.

Only flows live here. StepPay finds no payment by our id and refuses no repeated one: an answer that is lost stays
unknown until a webhook or a person tells, and nothing is ever sent again. Receipts are read in receipts.py.

The idKey of a payment that issued a billing key is that key, so it is sealed wherever it could be stored or shown
(docs/adr/0010); the idKeys of other payments are their names and nothing more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar

from attrs import evolve

from paygate.codec import Unreadable
from paygate.commands import Cancel, Charge, Customer, Pay, Register
from paygate.errors import BadCommand, BadSettings, OutcomeUnknown, PaygateError, Refused
from paygate.flow import Flow
from paygate.model import Checkout, ClientCall, Hint, Payment, PaymentStatus
from paygate.money import Money
from paygate.provider import Provider
from paygate.secret import Secret, opened, sealed, without
from paygate.wire import Response, path

from . import answers, checks, fields, links, receipts, webhooks, words
from .answers import accepted, known, unclear, understood
from .asking import Asking
from .settings import UnmanagedSettings

SEAL = "key:"
"""How a sealed idKey begins. No idKey holds a colon."""
_T = TypeVar("_T")


class Unmanaged(Provider):
    """One StepPay account with one PG behind it."""

    return_keys = links.CHAIN_KEYS

    def __init__(self, settings: UnmanagedSettings) -> None:
        self._settings = settings
        self._asking = Asking(settings.secret_token)
        self._seal = settings.seal_secret or settings.secret_token

    def check(self, command: Any) -> None:
        checks.unmanaged(command)

    def is_unprocessed(self, response: Response) -> bool:
        return answers.is_unprocessed(response)

    def pay(self, command: Pay, prepared: str | None = None) -> Flow[Checkout]:
        """Say how to open the window; nothing is sent. Its amount is the page's, so the receipt's is compared.

        Source: payment SDK guide, Steppay.requestPay (documented).
        """
        yield from ()
        return self._window(command, self._settings.method)

    def register(self, command: Register, prepared: str | None = None) -> Flow[Checkout]:
        """The same with a *_BILL method: an ordinary payment, which takes the money and issues a key (documented)."""
        yield from ()
        return self._window(command, self._settings.key_method)

    def issued_key(self, payment: Payment, note: str | None = None,
                   is_told: Callable[[Secret], bool] | None = None) -> Flow[Secret | None]:
        """The key is the idKey of the first *_BILL payment (documented)."""
        yield from ()
        is_key = words.is_keyed(payment.method) is not False and payment.provider_id is not None
        return self._opened(str(payment.provider_id)) if is_key else None

    def hide_key(self, payment: Payment) -> Payment:
        """Seal the idKey of a payment that may have issued a key, wherever the PG repeats it."""
        if payment.keyed is False or payment.provider_id is None:
            return payment
        key = self._opened(payment.provider_id)
        url = payment.receipt_url
        return evolve(payment, provider_id=SEAL + sealed(key, self._seal), message=without(payment.message, key),
                      code=without(payment.code, key), receipt_url=url if without(url, key) == url else None)

    def payer_of(self, command: Any) -> Secret | None:
        """partnerUserId, which a receipt repeats (observed)."""
        return _payer_id(command.order_id, command.customer) if isinstance(command, Pay | Register | Charge) else None

    def charge(self, command: Charge) -> Flow[Payment]:
        """Charge a key, then read the receipt: the shape of the answer is published nowhere.

        Once the PG has told the new idKey, a receipt that cannot be read yet is a pending payment, not a lost one.

        Raises: Refused (the core makes it unknown: nothing proves that no money moved), OutcomeUnknown.

        Source: unmanaged payment guide, POST /api/payment/billing (documented); answer: assumed.
        """
        reply = yield self._asking.send("POST", path("/api/payment/billing"), self._billing(command))
        key, said = understood(_charged, accepted(reply, command.order_id), command.order_id, order_id=command.order_id)
        if key is None or key == command.billing_key.reveal():
            raise OutcomeUnknown("the PG did not say which payment it made; wait for its webhook, never send it again",
                                 order_id=command.order_id, code=said.code, pg_message=said.says)
        try:
            found = yield from self.lookup(key)
        except PaygateError:
            found = None
        return found or Payment(order_id=command.order_id, provider_id=key, status=PaymentStatus.PENDING,
                                money=command.money)

    def lookup(self, provider_id: str, order_id: str | None = None) -> Flow[Payment | None]:
        """The payment under an idKey, sealed or not; it names our order, so `order_id` is not needed.

        Source: unmanaged payment guide, GET /api/payment/receipt/{idKey} (documented).
        """
        return (yield from _hushed(self._lookup(provider_id), self._opened(provider_id)))

    def cancel(self, command: Cancel, payment: Payment) -> Flow[Payment]:
        """Give money back, then read the receipt. Sent twice it would give back twice, so it never is.

        Source: unmanaged payment guide, POST /api/internal/payment/cancel (documented; the answer: specification).
        """
        if payment.provider_id is None or command.money > payment.left:
            raise BadCommand(f"only {payment.left} is left to give back; nothing was sent", order_id=command.order_id)
        key = self._opened(payment.provider_id)
        return (yield from _hushed(self._cancel(command, payment, payment.provider_id, key), key))

    def _cancel(self, command: Cancel, payment: Payment, provider_id: str, key: Secret) -> Flow[Payment]:
        # Each segment came from a setting that is a plain path.
        reply = yield self._asking.send("POST", path(self._settings.cancel_path), {
            "idKey": key, "requestPrice": command.money.amount}, both_headers=True)
        back = understood(_given_back, accepted(reply, command.order_id), order_id=command.order_id)
        try:
            found = known((yield self._asking.get(path("/api/payment/receipt/{}", key))), command.order_id)
            if payment.cancelled.is_zero and back == command.money < payment.money \
                    and understood(receipts.lists_no_refund, found, key.reveal(), payment):
                # The first refund is what the answer says it is; a second could not be told.
                return evolve(payment, status=PaymentStatus.PARTLY_CANCELLED, cancelled=back)
            if found is None:
                raise unclear("the receipt is gone", command.order_id)
            return self._payment(found, provider_id)
        except PaygateError as error:
            raise answers.accepted_unseen(error, command.order_id) from None

    def read_return(self, query: Mapping[str, str]) -> Hint:
        return links.read_chain(query)

    def read_webhook(self, headers: Mapping[str, str], body: bytes, now: datetime) -> Hint:
        return webhooks.read(headers, body, now, self._settings.webhook_keys, managed=False)

    # What the verbs share

    def _lookup(self, provider_id: str) -> Flow[Payment | None]:
        found = known((yield self._asking.get(path("/api/payment/receipt/{}", self._opened(provider_id)))))
        return None if found is None else self._payment(found, provider_id)

    def _payment(self, content: Any, provider_id: str) -> Payment:
        """The payment of a receipt under the id it was asked for by, which hides again what was hidden."""
        key = self._opened(provider_id)
        made = understood(receipts.payment, content, key.reveal(), self._settings.utc_offset_hours)
        return self.hide_key(made) if provider_id.startswith(SEAL) else made

    def _opened(self, provider_id: str) -> Secret:
        """The idKey that an id of ours stands for.

        Raises: BadSettings where it was sealed under another secret.
        """
        if not provider_id.startswith(SEAL):
            return Secret(provider_id)
        key = opened(provider_id.removeprefix(SEAL), self._seal)
        if key is None:
            raise BadSettings("a billing key's payment was sealed under another seal_secret (the secret_token where "
                              "none is set); nothing was sent")
        return key

    def _window(self, command: Pay | Register, method: str) -> Checkout:
        stated = command.extra.get(words.UNMANAGED, {}).get("paymentMethod", method)
        params = {
            "paymentKey": self._settings.payment_key, "paymentGateway": self._settings.payment_gateway,
            "paymentMethod": stated, "partner": _partner(command.order_id, command.customer),
            "product": {"itemName": command.title, "amount": command.money.amount, "quantity": 1,
                        "currency": command.money.currency},
            "customer": _payer(command.customer)}
        call = ClientCall(script=self._settings.script_url, function="Steppay.requestPay", params=params,
                          returns="chain")
        return Checkout(order_id=command.order_id, action=call, takes_money=True)

    def _billing(self, command: Charge) -> dict[str, Any]:
        free = Money(0, command.money.currency) if command.tax_free is None else command.tax_free
        return {
            "idKey": command.billing_key.value, "partner": _partner(command.order_id, command.customer),
            "product": {"itemName": command.title, "amount": command.money.amount, "quantity": 1},
            "customer": _payer(command.customer), "taxFreeAmount": free.amount, "discount": 0, "isMobile": False}


def _hushed(flow: Flow[_T], key: Secret) -> Flow[_T]:
    """`flow`, whose errors do not repeat the key: the PG's words may."""
    try:
        return (yield from flow)
    except PaygateError as error:
        error.message, error.code = without(error.message, key), without(error.code, key)
        raise


def _partner(order_id: str, payer: Customer) -> dict[str, str]:
    return {"partnerOrderId": order_id, "partnerUserId": _payer_id(order_id, payer).reveal()}


def _payer_id(order_id: str, payer: Customer) -> Secret:
    """Our name for the payer; without one, the order stands for it (the PG wants some text there)."""
    return Secret(payer.id or order_id)


def _payer(payer: Customer) -> dict[str, Secret]:
    given = {"userName": payer.name, "phone": payer.phone, "email": payer.email}
    return {name: value for name, value in given.items() if value is not None}


def _charged(content: Any, order_id: str) -> tuple[str | None, answers.Fault]:
    """The new idKey in an answer to a charge: in `response`, else beside it (both assumed).

    Raises: Unreadable where the answer names another order, whose payment would be taken for this one.
    """
    body = fields.record(content)
    inner = body.get("response")
    response: fields.Record = inner if isinstance(inner, dict) else {}
    named = response.get("partnerOrderId", body.get("partnerOrderId"))
    if named is not None and str(named) != order_id:
        raise Unreadable("it is the answer to another order")
    key = response.get("idKey") or body.get("idKey")
    says = words.verbatim(response.get("errorMessage")) or words.verbatim(body.get("message"))
    said = answers.Fault(code=words.verbatim(response.get("errorCode")), says=says or None)
    return (None if key is None else fields.id_key(key)), said


def _given_back(content: Any) -> Money:
    """What an answer to a refund says was given back.

    Raises: Refused where `result` is false, Unreadable.
    """
    body = fields.record(content)
    if type(body.get("result")) is not bool:
        raise Unreadable("it does not say whether it was done")
    if body["result"] is False:
        raise Refused("the PG answered no; its own words are in .message",
                      pg_message=words.verbatim(body.get("message")))
    done = fields.record(fields.record(body.get("response"), "response").get("cancelPayment"), "cancelPayment")
    back = fields.money(done.get("canceledAmount"), "canceledAmount")
    if back.is_zero:
        raise Unreadable("nothing was given back")
    return back
