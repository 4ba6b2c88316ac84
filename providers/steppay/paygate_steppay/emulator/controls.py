"""What a test or the sandbox may do to StepPay beside HTTP. The argument names are the same for every PG."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import wraps
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from . import billing, checkout, customers, fulfilment, ordering, words
from .pg import Outcome, Pg
from .reading import Fields, Rejected, unknown, whole_text
from .shapes_orders import order as order_json
from .shapes_orders import receipt
from .shapes_subscriptions import row
from .state import Payment

OUTCOMES = ("paid", "failed", "code")


class Controls:
    """Every public method is a control: keyword arguments in, JSON-like values out, ValueError for a bad one."""

    def __init__(self, pg: Pg, *, managed: bool, webhook_key: Callable[[], str]) -> None:
        self._pg = pg
        self._managed = managed
        self._webhook_key = webhook_key

    def all(self) -> dict[str, Callable[..., Any]]:
        """The controls by name."""
        names = ("payer", "open_window", "deposit", "next_charge", "renewals", "issue_key", "orders", "payments",
                 "subscriptions", "keys", "switch", "switches", "set_webhook_url", "rotate_webhook_key",
                 "drop_old_webhook_keys", "resend_hook")
        return {name: self._control(getattr(self, name)) for name in names}

    def _control(self, do: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(do)
        def control(*arguments: Any, **named: Any) -> Any:
            self._pg.emulator.clock.run_due()
            try:
                return do(*arguments, **named)
            except Rejected as no:
                raise ValueError(no.message) from None
            except TypeError as error:
                raise ValueError(f"{do.__name__}: {error}") from error
            finally:
                self._pg.flush()
        return control

    # The payer

    def payer(self, order_id: str, action: str = "approve", *, quantity: int | None = None, method: str | None = None,
              message: str | None = None, after_s: float = 600) -> dict[str, Any] | None:
        """The payer approves, declines, closes, or is "late": approval arrives `after_s` seconds on, the browser gone.

        `order_id` is an order's code, number or idKey (hosted page), else a partner's order id or an idKey (window).
        Returns {"redirect": address or None, "query": {...}}, {"event": "success" | "error" | "cancel", "payload":
        {...}, "query": {...}}, or None where the browser is gone. `query` is what goes to `confirm`; without the
        address of an opened pay link there is no redirect, and an empty query.
        """
        if action not in (*checkout.ACTIONS, "late"):
            raise ValueError(f"action is one of {', '.join(checkout.ACTIONS)}, late")
        if quantity is not None and type(quantity) is not int:
            raise ValueError("quantity is a whole number")
        if type(after_s) not in (int, float) or not 0 <= after_s <= 10**9:
            raise ValueError("after_s is a number of seconds from now")
        _text("message", message)
        if method is not None and method not in words.METHODS:
            raise ValueError("method is not one of StepPay's")
        order = self._pg.find_order(order_id)
        payment = checkout.waiting_window(self._pg, order_id)
        if action == "late" and order is not None:
            fulfilment.open_for_payment(self._pg, order)
            checkout.later(self._pg, after_s, order.code, lambda: checkout.act(
                self._pg, order, "approve", quantity=quantity, method=method))
            return None
        if order is not None:
            url = checkout.act(self._pg, order, action, quantity=quantity, method=method, message=message)
            return {"redirect": url, "query": dict(parse_qsl(urlsplit(url or "").query, keep_blank_values=True))}
        if payment is None and self._managed:
            raise ValueError("no such order: StepPay keeps no id of yours, name it by checkout.provider_id, its code")
        if payment is None:
            raise unknown("order")
        if action == "late":
            checkout.check_open(payment)
            checkout.later(self._pg, after_s, payment.order_id,
                           lambda: checkout.answer_window(self._pg, payment, "approve", None))
            return None
        came = checkout.answer_window(self._pg, payment, action, message)
        return {**came, "query": {"event": came["event"], **{k: str(v) for k, v in came["payload"].items()}}}

    def open_window(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """The browser script's requestPay is called with `params`."""
        f = Fields(whole_text(_exact(params)), self._pg.switches.zone_hours)
        made = billing.open_window(self._pg, f)
        return {"order_id": made.order_id, "idKey": made.id_key}

    def deposit(self, order_id: str) -> None:
        """The payer pays into the account that the window or page gave out."""
        order = self._pg.find_order(order_id)
        payment = order.payment if order else checkout.waiting_window(self._pg, order_id)
        if payment is None:
            raise unknown("order")
        fulfilment.deposit(self._pg, payment)

    def issue_key(self, key: str | None = None) -> str:
        """A payer registers a card with nothing to pay.

        Unmanaged: the idKey of a *_BILL payment of 0 won (`key`, if given). Managed: "customer id/method id" of a
        method saved for customer number `key`, or for a new customer.
        """
        _text("key", key)
        if not self._managed:
            return billing.issue_key(self._pg, key, "NICE").id_key
        if key is None:
            customer = customers.add(self._pg, "Payer", "payer@example.com")
        else:
            customer = self._pg.customer(next((n for n in self._pg.customers if str(n) == key), -1))
        return f"{customer.id}/{ordering.new_method(self._pg, customer, 'NICE').id}"

    # What happens next

    def next_charge(self, outcome: str = "paid", message: str | None = None, code: str | None = None) -> None:
        """Script the next charge of a key, or renewal by hand: "paid", "failed" (recorded) or "code" (not)."""
        self._pg.next_charges.append(_outcome(outcome, message, code))

    def renewals(self, outcome: str = "paid", times: int = 1, message: str | None = None) -> None:
        """Script the next `times` renewals, tries after a failure included."""
        if type(times) is not int or not 1 <= times <= 1000:
            raise ValueError("times is a whole number from 1 to 1000")
        self._pg.next_renewals += [_outcome(outcome, message, None)] * times

    def switch(self, name: str, value: Any) -> None:
        """Turn a switch of `Switches`."""
        self._pg.switches.set(name, value)

    def switches(self) -> dict[str, Any]:
        """Every switch as it stands."""
        from attrs import asdict

        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self._pg.switches).items()}

    # Webhooks

    def set_webhook_url(self, url: str, kind: str | None = None) -> None:
        """Register a webhook: kind "v2", or V1's "order", "subscription", "payment"; without one, each of them.

        The switch `hooks` says which generations are sent.
        """
        if kind is not None and kind not in self._pg.hook_urls:
            raise ValueError("kind is v2, order, subscription or payment")
        _text("url", url)
        self._pg.hook_urls.update({each: url for each in self._pg.hook_urls if kind in (None, each)})

    def rotate_webhook_key(self) -> str:
        """A new verification key; until the old ones are dropped, every V2 webhook is signed with all (documented)."""
        self._pg.webhook_keys.insert(0, self._webhook_key())
        return self._pg.webhook_keys[0]

    def drop_old_webhook_keys(self) -> None:
        """End of the rotation."""
        del self._pg.webhook_keys[1:]

    def resend_hook(self, index: int = -1) -> None:
        """Send a webhook once more, byte for byte, as the portal's button does."""
        hooks_sent = self._pg.emulator.hooks
        if type(index) is not int or not -len(hooks_sent) <= index < len(hooks_sent):
            raise ValueError("there is no such webhook")
        self._pg.emulator.send_hook(hooks_sent[index].url, hooks_sent[index].headers, hooks_sent[index].body)

    # What there is

    def orders(self) -> list[dict[str, Any]]:
        """Every order, as its look-up shows it."""
        return [order_json(self._pg, o) for o in self._pg.orders.values()]

    def payments(self) -> list[dict[str, Any]]:
        """Every payment as it really is, without the lag of look-ups."""
        return [_payment(self._pg, p) for p in self._pg.payments.values()]

    def subscriptions(self) -> list[dict[str, Any]]:
        """Every subscription, as the list shows it."""
        return [row(self._pg, s) for s in self._pg.subscriptions.values()]

    def keys(self) -> list[dict[str, Any]]:
        """Every billing key: payments that issued one, and customers' saved methods."""
        own = [{"key": p.id_key, "gateway": p.gateway, "info": p.card} for p in self._pg.payments.values()
               if p.is_key and p.payment_only]
        saved = [{"key": f"{c.id}/{m.id}", "gateway": m.gateway, "info": m.info}
                 for c in self._pg.customers.values() for m in c.methods]
        return own + saved


def _payment(pg: Pg, p: Payment) -> dict[str, Any]:
    return {**receipt(pg, p), "paymentStatus": p.status, "paymentDate": pg.maybe_time(p.paid_at), "ref": p.ref,
            "left": p.left.amount, "currency": p.money.currency}


def _outcome(word: str, message: str | None, code: str | None) -> Outcome:
    _text("message", message)
    _text("code", code)
    if word not in OUTCOMES:
        raise ValueError(f"outcome is one of {', '.join(OUTCOMES)}")
    plain = Outcome()
    return Outcome(word, code or ("PAYMENT_REFUSED" if word == "code" else plain.code), message or plain.message)


def _text(name: str, value: object) -> None:
    if value is not None and (not isinstance(value, str) or not value.isprintable() or len(value) > 2000):
        raise ValueError(f"{name} is printable text")


def _exact(value: Any) -> Any:
    """JSON-like values with their floats as Decimals, which is how bodies are read."""
    if isinstance(value, Mapping):
        return {k: _exact(v) for k, v in value.items()}
    return Decimal(str(value)) if isinstance(value, float) and value == value and abs(value) < 1e18 else value
