"""The example commands that both emulators accept, and the payer's browser that follows what a checkout asks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote, urlsplit

from attrs import evolve

from paygate.commands import Charge, Customer, Pay, Register
from paygate.model import BillingKey
from paygate.money import Money
from paygate.subscriptions import Interval, Subscribe
from paygate.testing.emulator import Call
from paygate.testing.story import Story
from paygate.wire import Response

from .checkout import ACTIONS, PAGE

START = datetime(2026, 1, 5, 3, 0, tzinfo=UTC)
_WON = Money(14_000, "KRW")
_PAYER = Customer(id="payer-77", name="Kim Minji", phone="01012345678", email="minji.kim@example.com")
_BACK = "https://shop.example/done"


def managed() -> Story:
    """A payment, a part of it back, a saved method, a subscription. No charge: no key can be charged."""
    return evolve(_story(None), subscribe=Subscribe(
        order_id="story-subscribe", money=Money(9_900, "KRW"), every=Interval("month"), title="plan", return_url=_BACK,
        customer=_PAYER))


def unmanaged() -> Story:
    """The same, and charges of the key. No schedule: this PG holds none."""
    def charge(key: BillingKey, order_id: str) -> Charge:
        return Charge(order_id=order_id, billing_key=key, money=_WON, title="plan", customer=_PAYER)

    return _story(charge)


def _story(charge: Callable[[BillingKey, str], Charge] | None) -> Story:
    return Story(
        start=START, cancel_part=Money(4_000, "KRW"), charge=charge,
        pay=Pay(order_id="story-pay", money=_WON, title="book", return_url=_BACK, customer=_PAYER),
        register=Register(order_id="story-register", money=_WON, title="plan", return_url=_BACK, customer=_PAYER))


def browse(answer: Callable[[Call], Response], controls: Mapping[str, Callable[..., Any]], action: Mapping[str, Any],
           outcome: str) -> dict[str, str]:
    """Follow a redirect to the hosted page, or call the script; then do what the payer does there.

    Raises: ValueError for an action that is not StepPay's, or another outcome.
    """
    if outcome not in ACTIONS:
        raise ValueError(f"outcome is one of {', '.join(ACTIONS)}")
    if action.get("type") == "client_call" and action.get("function") == "Steppay.requestPay":
        window = controls["open_window"](params=action["params"])
        came = controls["payer"](order_id=window["idKey"], action=outcome)
        query: dict[str, str] = came["query"]
        return query
    if action.get("type") != "redirect":
        raise ValueError("StepPay asks a browser for a redirect or for Steppay.requestPay")
    parts = urlsplit(str(action.get("url")))
    page = answer(Call("GET", f"{parts.path}?{parts.query}")).headers.get("location", "")
    if not page.startswith(PAGE):
        raise ValueError("the address is not a pay link of this StepPay")
    code = unquote(page.partition("?")[0].removeprefix(PAGE))
    brought: dict[str, str] = controls["payer"](order_id=code, action=outcome)["query"]
    return brought
