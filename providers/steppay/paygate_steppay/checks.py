"""What StepPay could not take, refused before anything is sent. Pure. What only the PG can judge is left to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from paygate.commands import Cancel, CancelWhole, Charge, Customer, DeleteKey, KeysOf, Pay, Register
from paygate.errors import BadCommand, Unsupported
from paygate.money import Money
from paygate.subscriptions import ChangeMethod, Renew, Subscribe

from . import customers, orders, words
from .fields import ID_KEY
from .links import check_return_url
from .settings import ManagedSettings

_MANAGED = {"pay": ("customerId",), "register": ("customerId",), "subscribe": ("customerId",),
            "keysof": ("customerId",), "cancel": ("ends_subscription",)}
_UNMANAGED = {"pay": ("paymentMethod",), "register": ("paymentMethod",), "charge": (), "cancel": ()}
"""Command → the fields it takes in `extra[provider]`."""


def managed(command: Any, settings: ManagedSettings) -> None:
    """Raises: BadCommand naming the field, never its value; Unsupported."""
    match command:
        case Pay() | Register() | Subscribe():
            check_return_url(command.return_url)
            given = _extra(words.MANAGED, type(command).__name__.lower(), command.extra, _MANAGED)
            _customer_id(given.get("customerId"))
            if given.get("customerId") is None and isinstance(command, Register):
                _named(command.customer, "in extra")  # It is never saved with a customer that payers share.
            elif given.get("customerId") is None and settings.customer_id is None:
                _named(command.customer, "in extra, or customer_id in the settings")
            if isinstance(command, Pay):
                _no_tax_free(command.tax_free)
            if not isinstance(command, Register):
                _money(command.money)
                if orders.net_of(command.money, settings.vat_percent) is None:
                    raise BadCommand(f"no price makes exactly this with {settings.vat_percent}% tax; nothing was sent")
        case ChangeMethod():
            check_return_url(command.return_url)
        case Renew():
            _money(command.money)
        case Cancel() | CancelWhole():
            given = _extra(words.MANAGED, "cancel", command.extra, _MANAGED)
            if type(given.get("ends_subscription", False)) is not bool:
                raise BadCommand("ends_subscription must be True or False; nothing was sent")
        case DeleteKey():
            customers.parts(command.billing_key.value)
        case KeysOf():
            given = _extra(words.MANAGED, "keysof", command.extra, _MANAGED)
            _customer_id(given.get("customerId"))
            if given.get("customerId") is None and not command.customer.email:
                raise BadCommand("customer.email is needed, or customerId in extra; nothing was sent")


def unmanaged(command: Any) -> None:
    """Raises: BadCommand naming the field, never its value; Unsupported."""
    match command:
        case Pay() | Register():
            kind = "pay" if isinstance(command, Pay) else "register"
            _money(command.money)
            payer = command.customer
            if not payer.name or not payer.phone or not payer.email:
                raise BadCommand("customer.name, .phone and .email are needed for the window; nothing was sent")
            given = _extra(words.UNMANAGED, kind, command.extra, _UNMANAGED)
            allowed = words.METHODS if isinstance(command, Pay) else words.KEY_METHODS
            if given.get("paymentMethod", next(iter(allowed))) not in allowed:
                raise BadCommand(f"paymentMethod is one of {', '.join(sorted(allowed))}; nothing was sent")
            if isinstance(command, Pay):
                _no_tax_free(command.tax_free)
        case Charge():
            _money(command.money)
            _extra(words.UNMANAGED, "charge", command.extra, _UNMANAGED)
            if not ID_KEY.fullmatch(command.billing_key.value.reveal()):
                raise BadCommand("this is no billing key of this PG; nothing was sent")
        case Cancel() | CancelWhole():
            _extra(words.UNMANAGED, "cancel", command.extra, _UNMANAGED)


def _money(money: Money) -> None:
    if money.currency != words.CURRENCY:
        raise BadCommand("only KRW is taken; nothing was sent")


def _no_tax_free(part: Money | None) -> None:
    if part is not None:
        raise Unsupported("tax_free has no place in this PG's payment page; nothing was sent")


def _named(payer: Customer, otherwise: str) -> None:
    if not payer.name or not payer.email:
        raise BadCommand(f"customer.name and .email are needed, or customerId {otherwise}; nothing was sent")


def _customer_id(value: Any) -> None:
    if value is not None and (type(value) is not int or not 0 < value < 2**63):
        raise BadCommand("customerId is StepPay's number of a customer; nothing was sent")


def _extra(name: str, kind: str, extra: Mapping[str, Mapping[str, Any]], known: Mapping[str, tuple[str, ...]]
           ) -> Mapping[str, Any]:
    given = extra.get(name, {})
    if unknown := sorted(set(given) - set(known[kind])):
        shown = ", ".join(repr(str(field)[:40]) for field in unknown)
        raise BadCommand(f"{name} takes no extra field {shown} for {kind}; nothing was sent")
    return given
