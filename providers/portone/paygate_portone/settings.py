"""The settings of portone-naverpay: what a merchant copies from the PortOne console. No I/O."""

from __future__ import annotations

import re
from typing import Any, Literal

from attrs import Attribute, field, frozen

from paygate.commands import check_url
from paygate.errors import BadCommand, BadSettings
from paygate.secret import Secret

BASE_URL = "https://api.iamport.kr"
SCRIPT = "https://cdn.iamport.kr/v1/iamport.js"
"""The browser script, rolling (documented)."""
HOSTS = ("api.iamport.kr", "static-api.iamport.kr")
"""The second is the same API under fixed addresses (observed: the official Java client)."""

_MERCHANT_CODE = re.compile(r"imp[A-Za-z0-9_-]{1,37}")
_CHANNEL_KEY = re.compile(r"[\x21-\x7e]{1,55}")
_TIER = re.compile(r"[A-Za-z0-9]{3}")
_NAVER = re.compile(r"[^\s\x00-\x1f\x7f]{1,100}")


def _credential(value: object) -> Secret:
    if not isinstance(value, (str, Secret)) or not re.fullmatch(r"[\x21-\x7e]{1,300}", Secret(value).reveal()):
        raise BadSettings("imp_key and imp_secret are the console's REST API key and secret, without spaces")
    return Secret(value)


def _like(pattern: re.Pattern[str], meaning: str) -> Any:
    def check(_: object, attribute: Attribute[Any], value: object) -> None:
        if value is not None and not (isinstance(value, str) and pattern.fullmatch(value)):
            raise BadSettings(f"{attribute.name} is {meaning}")
    return check


def _required(_: object, attribute: Attribute[Any], value: object) -> None:
    if value is None:
        raise BadSettings(f"{attribute.name} is missing")


def _mode(_: object, __: object, value: object) -> None:
    if value not in ("test", "live"):
        raise BadSettings("mode is 'test' or 'live'")


def _flag(_: object, attribute: Attribute[Any], value: object) -> None:
    if type(value) is not bool:
        raise BadSettings(f"{attribute.name} is True or False")


def _script(settings: Settings, attribute: Attribute[Any], value: object) -> None:
    _url(settings, attribute, value)
    if settings.mode == "live" and not str(value).startswith("https:"):
        raise BadSettings(f"{attribute.name} must be https in live mode")


def _url(_: object, attribute: Attribute[Any], value: object) -> None:
    if value is None:
        return
    try:
        check_url(attribute.name, value)
    except BadCommand as fault:
        raise BadSettings(str(fault)) from None


@frozen(kw_only=True)
class Settings:
    """One PortOne account with one NaverPay (결제형) channel.

    Raises: BadSettings naming the field at fault, never its value.
    """

    imp_key: Secret = field(converter=_credential)
    """REST API key."""
    imp_secret: Secret = field(converter=_credential)
    """REST API secret. Derived billing-key names depend on it (see `NaverPay.key_value`)."""
    merchant_code: str = field(validator=[_required, _like(_MERCHANT_CODE, "the console's merchant code, imp…")])
    """고객사 식별코드, for the payment window."""
    channel_key: str | None = field(default=None, validator=_like(_CHANNEL_KEY, "a key of at most 55 characters"))
    """Channel for the window; without it the window is told `pg: "naverpay"`."""
    mode: Literal["test", "live"] = field(default="test", validator=_mode)
    """Which kind of channel this is; a record of the other kind is never believed."""
    popup: bool = field(default=True, validator=_flag)
    """naverPopupMode: True pops up, False redirects the page."""
    naver_chain_id: str | None = field(default=None, validator=_like(_NAVER, "NaverPay's chain id"))
    """Group merchants only."""
    product_code: str | None = field(default=None, validator=_like(_NAVER, "a product code of at most 100 characters"))
    """Default naverProductCode: keeps one payer from registering one product twice."""
    webhook_url: str | None = field(default=None, validator=_url)
    """notice_url of every payment; without it the console's URL holds."""
    script_url: str = field(default=SCRIPT, validator=[_required, _script])
    """Where the payer's browser finds the window's script; a sandbox states its own."""
    tier: str | None = field(default=None, validator=_like(_TIER, "3 letters or digits"))
    """Sub-merchant of an agency. Server calls only: the window has no way to name a tier."""

    @property
    def is_test(self) -> bool:
        return self.mode == "test"
