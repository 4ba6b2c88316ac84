"""StepPay 관리형: orders of price plans, a hosted page, subscriptions that the PG runs.

Only flows live here. StepPay keeps no id of ours: the ledger binds an order's code to our order before the payer is
shown its link (docs/adr/0007). Flows of their own: looking.py looks up, plans.py finds a price, saving.py tells which
means of payment was saved, renewing.py renews. Orders are read in orders.py, subscriptions in recurring.py, customers
in customers.py, webhooks in webhooks.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from attrs import evolve

from paygate.commands import Cancel, Customer, DeleteKey, KeysOf, Pay, Register
from paygate.errors import BadCommand, PaygateError
from paygate.flow import Flow
from paygate.model import Checkout, Hint, KeyInfo, Payment
from paygate.money import Money
from paygate.provider import Provider
from paygate.secret import Secret
from paygate.subscriptions import (
    ChangeInterval,
    ChangeMethod,
    Interval,
    MoveNext,
    Renew,
    Subscribe,
    Subscription,
    SubscriptionStatus,
    Unsubscribe,
)
from paygate.wire import Response, path

from . import answers, checks, customers, fields, links, orders, plans, recurring, renewing, saving, webhooks, words
from .answers import accepted, known, unclear, understood
from .asking import Asking
from .looking import Looking
from .orders import Order
from .settings import ManagedSettings


class Managed(Provider):
    """One StepPay account with one product to sell under."""

    return_keys = links.RETURN_KEYS

    def __init__(self, settings: ManagedSettings) -> None:
        self._settings = settings
        self._asking = Asking(settings.secret_token)
        self._look = Looking(self._asking, settings)
        self._plans = plans.Plans(self._asking, settings.product_code)

    def check(self, command: Any) -> None:
        checks.managed(command, self._settings)

    def is_unprocessed(self, response: Response) -> bool:
        return answers.is_unprocessed(response)

    # One-off payments

    def pay(self, command: Pay, prepared: str | None = None) -> Flow[Checkout]:
        """Find or make the payer's customer and a plan of this very amount, order it, and send the payer to its page.

        Shown again, it is the same order: a second one could be paid as well.

        Source: V1 specification, POST /api/v1/orders; order payment guide (documented).
        """
        code = prepared or (yield from self._order(command, command.money, None))
        return self._checkout(command.order_id, code, command.return_url, takes_money=True)

    def lookup(self, provider_id: str, order_id: str | None = None) -> Flow[Payment | None]:
        """The payment of an order, by its code or its number.

        `order_id` is what the ledger bound to the code. Without one the order is nobody's, and says so.
        """
        order = yield from self._look.maybe_order(provider_id)
        return None if order is None else (yield from self._look.payment(order, order_id))

    def cancel(self, command: Cancel, payment: Payment) -> Flow[Payment]:
        """Give money back from an order, then read it again: the answer itself says nothing about amounts.

        Cancelling the first order of a subscription ends the subscription, so that must have been said.

        Source: V1 specification, PATCH /api/v1/orders/{orderIdOrCode}/cancel; subscription guide (documented).
        """
        if payment.provider_id is None or command.money > payment.left:
            raise BadCommand(f"only {payment.left} is left to give back; nothing was sent", order_id=command.order_id)
        order = yield from self._look.order(payment.provider_id, command.order_id)
        if _ends_a_subscription(order) and not command.extra.get(words.MANAGED, {}).get("ends_subscription", False):
            raise BadCommand("giving this back also ends the subscription it began; if you mean it, say so with "
                             'extra={"steppay-managed": {"ends_subscription": True}} under a new cancel_id; nothing '
                             "was sent",
                             order_id=command.order_id)
        accepted((yield self._asking.send("PATCH", path("/api/v1/orders/{}/cancel", payment.provider_id), {
            "requestPrice": command.money.amount, "reason": command.reason})), command.order_id)
        try:
            after = yield from self._look.order(payment.provider_id, command.order_id)
            return (yield from self._look.payment(after, payment.order_id))
        except PaygateError as error:
            raise answers.accepted_unseen(error, command.order_id) from None

    # Saved means of payment

    def register(self, command: Register, prepared: str | None = None) -> Flow[Checkout]:
        """Have the payer save a means of payment: an order without an amount.

        Source: V1 specification, POST /api/v1/customers/{id}/payment-method (documented; later untagged).
        """
        if prepared is None:
            customer = yield from self._customer(command.customer, command.extra)
            where = path("/api/v1/customers/{}/payment-method", str(customer))
            made = accepted((yield self._asking.send("POST", where)))
            order = self._new_order(made, "PAYMENT_METHOD", customer)
            window = self._checkout(command.order_id, order.code, command.return_url, takes_money=False)
            return evolve(window, note=str((yield from saving.before(self._look, customer, order.number))))
        return self._checkout(command.order_id, prepared, command.return_url, takes_money=False)

    def issued_key(self, payment: Payment, note: str | None = None,
                   is_told: Callable[[Secret], bool] | None = None) -> Flow[Secret | None]:
        return (yield from saving.issued_key(self._look, payment, note, is_told))

    def lookup_key(self, key: Secret, gateway: str) -> Flow[KeyInfo | None]:
        """A saved means of payment, as the customer's record lists it."""
        customer, _ = customers.parts(key)
        found = known((yield self._asking.get(path("/api/v1/customers/{}", customer))))
        return None if found is None else understood(customers.key_info, found, key, gateway)

    def keys(self, command: KeysOf, gateway: str) -> Flow[tuple[KeyInfo, ...]]:
        """Every saved means of payment of the customer that `register` would use; nobody is made a customer."""
        stated = command.extra.get(words.MANAGED, {}).get("customerId")
        customer = stated or (yield from customers.find(self._asking, command.customer))
        if customer is None:
            return ()
        found = known((yield self._asking.get(path("/api/v1/customers/{}", str(customer)))))
        return () if found is None else understood(customers.key_infos, found, int(customer), gateway)

    def delete_key(self, command: DeleteKey) -> Flow[None]:
        """Delete a saved means of payment; one that is gone already is deleted. Subscriptions that use it cannot renew.

        Source: V1 specification, DELETE /api/v1/customers/{customerId}/payment-method/{methodId} (documented).
        """
        customer, method = customers.parts(command.billing_key.value)
        where = path("/api/v1/customers/{}/payment-method/{}", customer, method)
        known((yield self._asking.send("DELETE", where, repeatable=True)))

    # Subscriptions

    def subscribe(self, command: Subscribe, prepared: str | None = None) -> Flow[Checkout]:
        """As `pay`, with a plan that recurs: the payer's approval begins the subscription (documented)."""
        code = prepared or (yield from self._order(command, command.money, command.every))
        return self._checkout(command.order_id, code, command.return_url, takes_money=True)

    def subscription(self, order_id: str, prepared: str) -> Flow[Subscription | None]:
        """The subscription that an order began."""
        order = yield from self._look.order(prepared, order_id)
        if len(order.subscriptions) > 1:
            raise unclear("the order began more than one subscription", order_id)
        if not order.subscriptions:
            return None
        found = yield from self._look.subscription(str(order.subscriptions[0][0]), order_id)
        settings = self._settings
        return understood(recurring.read, found, order_id, settings.utc_offset_hours, settings.vat_percent,
                          order_id=order_id)

    def unsubscribe(self, command: Unsubscribe, subscription: Subscription) -> Flow[None]:
        """Stop it now, at the end of the paid period, or at an instant (documented); it gives nothing back."""
        if subscription.status is SubscriptionStatus.ENDED \
                or (subscription.status is SubscriptionStatus.ENDING and command.when == "period_end"):
            return
        yield from self._change(subscription, "POST", "cancel", recurring.end(command.when))

    def pause(self, subscription: Subscription) -> Flow[None]:
        """Pause at once and until resumed (documented)."""
        if subscription.status is not SubscriptionStatus.PAUSED:
            yield from self._change(subscription, "POST", "pause", recurring.PAUSE)

    def resume(self, subscription: Subscription) -> Flow[None]:
        """Go on after a pause, or take an end that has not come yet back (documented)."""
        if subscription.status is not SubscriptionStatus.ACTIVE:
            yield from self._change(subscription, "POST", "active", None)

    def move_next(self, command: MoveNext, subscription: Subscription) -> Flow[None]:
        """Move the next charge; the instant goes as UTC without a zone (documented)."""
        body = {"when": fields.written(command.due_at)}
        yield from self._change(subscription, "POST", "change-pay-datetime", body)

    def change_interval(self, command: ChangeInterval, subscription: Subscription) -> Flow[None]:
        """Another interval from the next period on (documented)."""
        every = command.every
        body = {"interval": words.UNITS[every.unit], "intervalCount": every.count}
        yield from self._change(subscription, "PUT", "interval", body)

    def change_method(self, command: ChangeMethod, subscription: Subscription) -> Flow[Checkout]:
        """An order without an amount, after which this subscription uses what the payer chose there (documented)."""
        assert subscription.provider_id is not None
        body = {} if self._settings.payment_gateway is None else {"paymentGateway": self._settings.payment_gateway}
        where = path("/api/v1/subscriptions/{}/payment-method", subscription.provider_id)
        made = accepted((yield self._asking.send("PUT", where, body)), command.order_id)
        order = self._new_order(made, "PAYMENT_METHOD")
        return self._checkout(command.order_id, order.code, command.return_url, takes_money=False)

    def renew(self, command: Renew, subscription: Subscription) -> Flow[Payment]:
        assert subscription.provider_id is not None
        if subscription.status is not SubscriptionStatus.ACTIVE:
            raise BadCommand(f"the subscription is {subscription.status.value}, so it is not renewed; nothing was sent",
                             order_id=command.order_id)
        return (yield from renewing.renew(self._asking, self._look, command, subscription.provider_id))

    # What comes back

    def read_return(self, query: Mapping[str, str]) -> Hint:
        return links.read_return(query)

    def read_webhook(self, headers: Mapping[str, str], body: bytes, now: datetime) -> Hint:
        return webhooks.read(headers, body, now, self._settings.webhook_keys, managed=True)

    def look_at(self, hint: Hint) -> Flow[Hint | None]:
        """A subscription that an unsigned webhook names, as its own record has it."""
        if hint.kind != "subscription" or hint.provider_id is None:
            return None
        found = known((yield self._asking.get(path("/api/v1/subscriptions/{}", hint.provider_id))))
        if found is None:
            return None
        held = understood(recurring.known, found)
        if str(held.number) != hint.provider_id:
            raise unclear("it is another subscription", None)
        return evolve(hint, claim=held.word, began_by=held.began_by, identity=f"{held.number}|{held.state}")

    # What the verbs share

    def _customer(self, payer: Customer, extra: Mapping[str, Mapping[str, Any]]) -> Flow[int]:
        stated = extra.get(words.MANAGED, {}).get("customerId")
        if stated is not None:
            return int(stated)
        if payer.email is None or payer.name is None:
            assert self._settings.customer_id is not None  # checks.py asks for one or the other
            return self._settings.customer_id
        return (yield from customers.find_or_create(self._asking, payer))

    def _order(self, command: Pay | Subscribe, money: Money, every: Interval | None) -> Flow[str]:
        settings = self._settings
        customer = yield from self._customer(command.customer, command.extra)
        price = orders.net_of(money, settings.vat_percent)
        assert price is not None  # checks.py
        plan = yield from self._plans.find_or_create(price, every)
        body: dict[str, Any] = {"customerId": customer, "items": [{
            "currency": money.currency, "minimumQuantity": 1, "maximumQuantity": 1,
            "productCode": settings.product_code, "priceCode": plan.code}]}
        if settings.payment_gateway is not None:
            body["paymentGateway"] = settings.payment_gateway
        made = accepted((yield self._asking.send("POST", path("/api/v1/orders"), body)), command.order_id)
        order = self._new_order(made, "ONE_TIME" if every is None else "RECURRING_INITIAL", customer)
        if order.price_codes != (plan.code,) or order.due != money or order.extras:
            raise unclear("it is an order of something else", command.order_id)
        return order.code

    def _checkout(self, order_id: str, code: str, return_url: str, *, takes_money: bool) -> Checkout:
        action = links.redirect(self._settings.link_origin, code, return_url)
        return Checkout(order_id=order_id, action=action, takes_money=takes_money, provider_id=code)

    def _new_order(self, content: Any, kind: str, customer: int | None = None) -> Order:
        order = self._look.read(content)
        if order.type != kind or order.paid_at is not None or customer not in (None, order.customer):
            raise unclear("it is not a new order of that kind and payer", None)
        return order

    def _change(self, subscription: Subscription, method: Any, verb: str, body: Any) -> Flow[None]:
        assert subscription.provider_id is not None
        where = path(f"/api/v1/subscriptions/{{}}/{verb}", subscription.provider_id)
        accepted((yield self._asking.send(method, where, body)), subscription.order_id)


def _ends_a_subscription(order: Order) -> bool:
    """Whether giving money back ends a subscription that is not over: also one that the order does not show yet."""
    if not order.subscriptions:
        return order.type == "RECURRING_INITIAL"
    return any(word not in words.OVER for _, word in order.subscriptions)
