"""What is said: request bodies and the parameters of the payment window, built from commands. Pure.

`extra` fields come first, what the command states comes after: no extra field can replace an amount or an id.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any

from paygate.commands import Cancel, Charge, Customer, DatedCharge, Pay, Register
from paygate.errors import BadCommand
from paygate.model import Checkout, ClientCall, Payment
from paygate.money import Money
from paygate.secret import Secret

from . import words
from .settings import Settings


def won(money: Money) -> int:
    """An amount as the PG takes it: a whole number of won. Raises: BadCommand for any other currency."""
    if money.currency != words.MINIMUM.currency:
        raise BadCommand("only KRW is taken; nothing was sent")
    return money.amount


def charge(settings: Settings, command: Charge | DatedCharge, customer: Customer) -> dict[str, Any]:
    """One charge of a billing key, now or dated. name and currency always: sources disagree on who needs them."""
    given = _extra(command.extra)
    day = {"extra": {"naverUseCfm": given.pop("naverUseCfm")}} if "naverUseCfm" in given else {}
    return {**_hook(settings), **given, **day, **_stated(command), "currency": command.money.currency,
            **_buyer(customer), **_tax_free(command.tax_free)}


def dated(settings: Settings, command: DatedCharge, customer: Customer) -> dict[str, Any]:
    """One charge for later; the instant goes as unix seconds."""
    return {"schedule_at": int(command.due_at.timestamp()), **charge(settings, command, customer)}


def cancel(command: Cancel, payment: Payment) -> dict[str, Any]:
    """A refund. Always with amount (none or 0 means everything) and checksum (what we think is left)."""
    given = _extra(command.extra)
    if "tax_free" in given:
        given["tax_free"] = won(given["tax_free"])
    return {**given, "imp_uid": payment.provider_id, "amount": won(command.money), "checksum": won(payment.left),
            "reason": command.reason, "extra": {"requester": command.requested_by}}


def pay_window(settings: Settings, command: Pay) -> Checkout:
    """The window for a one-off payment."""
    params = {**_window(settings, command), **_tax_free(command.tax_free)}
    return _checkout(settings, command, params, takes_money=True)


def key_window(settings: Settings, command: Register) -> Checkout:
    """The window for a registration: without customer_uid it would take an ordinary payment."""
    params = {**_window(settings, command), "customer_uid": key_value(settings, command)}
    return _checkout(settings, command, params, takes_money=False)


def key_value(settings: Settings, command: Register) -> Secret:
    """customer_uid: stated in `extra`, else derived."""
    stated = command.extra.get(words.NAME, {}).get("customer_uid")
    return derived_key(settings, command.order_id) if stated is None else Secret(stated)


def derived_key(settings: Settings, order_id: str) -> Secret:
    """customer_uid from the order id and imp_secret: the same every time, and nobody else can work it out."""
    secret, named = settings.imp_secret.reveal().encode(), f"customer_uid:{order_id}".encode()
    return Secret("pk_" + hmac.new(secret, named, "sha256").hexdigest()[:32])


def _window(settings: Settings, command: Pay | Register) -> dict[str, Any]:
    channel = {"pg": "naverpay"} if settings.channel_key is None else {"channelKey": settings.channel_key}
    defaults = {"naverProductCode": settings.product_code, "naverChainId": settings.naver_chain_id}
    return {**{name: value for name, value in defaults.items() if value is not None}, **_hook(settings),
            **_extra(command.extra), **channel, **_stated(command), **_buyer(command.customer),
            "naverPopupMode": settings.popup, "m_redirect_url": command.return_url}


def _checkout(settings: Settings, command: Pay | Register, params: dict[str, Any], *, takes_money: bool) -> Checkout:
    setup = ("IMP.init", settings.merchant_code)
    call = ClientCall(script=settings.script_url, setup=setup, function="IMP.request_pay", params=params)
    return Checkout(order_id=command.order_id, action=call, takes_money=takes_money)


def _extra(extra: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    return dict(extra.get(words.NAME, {}))


def _stated(command: Pay | Register | Charge | DatedCharge) -> dict[str, Any]:
    return {"merchant_uid": command.order_id, "name": command.title, "amount": won(command.money)}


def _tax_free(part: Money | None) -> dict[str, int]:
    return {} if part is None else {"tax_free": won(part)}


def _hook(settings: Settings) -> dict[str, str]:
    return {} if settings.webhook_url is None else {"notice_url": settings.webhook_url}


def _buyer(customer: Customer) -> dict[str, Secret]:
    """Personal data stays Secret until it is written to the socket or the payer's page."""
    given = {theirs: getattr(customer, ours) for ours, (theirs, _) in words.BUYER_LIMITS.items()}
    return {name: value for name, value in given.items() if value is not None}
