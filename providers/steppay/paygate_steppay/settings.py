"""The settings of both StepPay providers: what a merchant copies from the portal. No I/O."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Literal
from urllib.parse import urlsplit

from attrs import Attribute, field, frozen

from paygate.commands import check_url
from paygate.errors import BadCommand, BadSettings
from paygate.secret import Secret

from . import words

BASE_URL = "https://api.steppay.kr"
SCRIPT = "https://cdn.steppay.kr/js/steppay-0.7.1.js"
"""The browser script (documented)."""
HOSTS = ("api.steppay.kr",)
CANCEL_PATH = "/api/internal/payment/cancel"

_PATH = re.compile(r"(?:/[A-Za-z0-9_-]{1,60}){1,8}")
_CODE = re.compile(r"[A-Za-z0-9_-]{1,100}")
_MOST_KEYS = 5


def _credential(value: object) -> Secret:
    if not isinstance(value, (str, Secret)) or not re.fullmatch(r"[\x21-\x7e]{1,500}", Secret(value).reveal()):
        raise BadSettings("a token or key is copied from the portal, without spaces")
    return Secret(value)


def _credential_or_none(value: object) -> Secret | None:
    return None if value is None else _credential(value)


def _credentials(values: object) -> tuple[Secret, ...]:
    if isinstance(values, (str, Secret)) or not isinstance(values, Iterable):
        raise BadSettings("webhook_keys is a list of verification keys")
    keys = tuple(_credential(v) for v in values)
    if len(keys) > _MOST_KEYS:
        raise BadSettings(f"webhook_keys holds at most {_MOST_KEYS} keys")
    return keys


def _mode(_: object, __: object, value: object) -> None:
    if value not in ("test", "live"):
        raise BadSettings("mode is 'test' or 'live'")


def _like(pattern: re.Pattern[str], meaning: str) -> Any:
    def check(_: object, attribute: Attribute[Any], value: object) -> None:
        if value is not None and not (isinstance(value, str) and pattern.fullmatch(value)):
            raise BadSettings(f"{attribute.name} is {meaning}")
    return check


def _one_of(words: frozenset[str]) -> Any:
    def check(_: object, attribute: Attribute[Any], value: object) -> None:
        if value is not None and value not in words:
            raise BadSettings(f"{attribute.name} is one of {', '.join(sorted(words))}")
    return check


def _between(least: int, most: int) -> Any:
    def check(_: object, attribute: Attribute[Any], value: object) -> None:
        if value is not None and (type(value) is not int or not least <= value <= most):
            raise BadSettings(f"{attribute.name} is a whole number from {least} to {most}")
    return check


def _origin(_: object, attribute: Attribute[Any], value: object) -> None:
    try:
        check_url(attribute.name, value)
    except BadCommand as fault:
        raise BadSettings(str(fault)) from None
    parts = urlsplit(str(value))
    if parts.path not in ("", "/") or parts.query:
        raise BadSettings(f"{attribute.name} is https://host, without path or query")


def _script(settings: UnmanagedSettings, attribute: Attribute[Any], value: object) -> None:
    try:
        check_url(attribute.name, value)
    except BadCommand as fault:
        raise BadSettings(str(fault)) from None
    if settings.mode == "live" and not str(value).startswith("https:"):
        raise BadSettings(f"{attribute.name} must be https in live mode")


@frozen(kw_only=True)
class _Shared:
    """What both providers need."""

    secret_token: Secret = field(converter=_credential)
    """The portal's Secret-Token. It never goes into a browser."""
    mode: Literal["test", "live"] = field(default="test", validator=_mode)
    """Test mode is a switch of each PG in the portal, and no answer tells it: this says what you set there."""
    webhook_keys: tuple[Secret, ...] = field(default=(), converter=_credentials)
    """Verification keys of V2 webhooks, several while they are rotated. Without one, a signed webhook is
    neither believed nor called forged: BadSettings.
    """
    utc_offset_hours: int = field(default=0, validator=_between(-12, 14))
    """Offset of the PG's zone-less times: UTC by all evidence but one integrator's code."""


@frozen(kw_only=True)
class ManagedSettings(_Shared):
    """One StepPay account, 관리형.

    Raises: BadSettings naming the field at fault, never its value.
    """

    product_code: str = field(validator=_like(_CODE, "the code of a product on sale, product_…"))
    """The product under which amounts are sold; its name is what the payer reads."""
    customer_id: int | None = field(default=None, validator=_between(1, 2**63 - 1))
    """StepPay's number of the customer for commands that name none by e-mail; without it those are refused."""
    payment_gateway: str | None = field(default=None, validator=_one_of(words.GATEWAYS))
    """Restrict the hosted page to one PG."""
    vat_percent: int = field(default=0, validator=_between(0, 50))
    """What StepPay adds to a plan's price; 0 where the portal says that prices include VAT."""
    link_origin: str = field(default=BASE_URL, validator=_origin)
    """Where the payer's browser finds pay links."""


@frozen(kw_only=True)
class UnmanagedSettings(_Shared):
    """One StepPay account, 비관리형, with one PG.

    Raises: BadSettings naming the field at fault, never its value.
    """

    payment_key: Secret = field(converter=_credential)
    """The portal's Payment-Key, for the browser's script."""
    payment_gateway: str = field(validator=_one_of(words.GATEWAYS))
    """The PG behind StepPay, in its word: NICE, TOSS, KG…"""
    method: str = field(default="CARD", validator=_one_of(words.METHODS))
    """paymentMethod of one-off payments."""
    key_method: str = field(default="CARD_BILL", validator=_one_of(words.KEY_METHODS))
    """paymentMethod of registrations."""
    cancel_path: str = field(default=CANCEL_PATH, validator=_like(_PATH, "a plain path such as /api/payment/cancel"))
    """Where refunds go; the guide's sample names an internal path."""
    seal_secret: Secret | None = field(default=None, converter=_credential_or_none)
    """What billing keys are sealed with in the ledger; the secret_token where none is set. It must never change: before
    the token does, put the old token here.
    """
    script_url: str = field(default=SCRIPT, validator=_script)
    """Where the payer's browser finds the script; a sandbox states its own."""
