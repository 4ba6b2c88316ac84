"""Which order a browser began: kept in a signed cookie that goes to one return address only.

So the order that is confirmed is the session's own, whatever a query says; two windows of one browser do not meet; and
nobody's framework needs sessions.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from typing import Any

from attrs import frozen

from ..commands import check_url
from ..errors import BadSettings
from ..secret import Secret
from .exchange import Asked, Cookie

LASTS_S = 86_400
"""A payer who needs longer is found by webhook and reconciliation."""


@frozen(kw_only=True)
class Begun:
    """What a browser began, and at which gateway."""

    order_id: str
    verb: str
    gateway: str


class Session:
    """Makes return addresses and their cookies; `url` is the receiver's public address, `secret` signs."""

    def __init__(self, url: str, secret: str | Secret) -> None:
        check_url("url", url)
        if "?" in url:
            raise BadSettings("url is where the receiver is mounted, without a query")
        self.url = url.rstrip("/")
        scheme, _, rest = self.url.partition("://")
        host, slash, path = rest.partition("/")
        self.origin = f"{scheme}://{host}"
        self.path = f"{slash}{path}"
        self._is_secure = scheme == "https"
        text = secret.reveal() if isinstance(secret, Secret) else secret
        if not isinstance(text, str) or len(text) < 16:
            raise BadSettings("secret signs the payer's cookie: at least 16 characters that nobody can guess")
        # A key of its own: the merchant's secret may sign other things elsewhere.
        self._key = Secret(hmac.digest(text.encode(), b"paygate.web", hashlib.sha256).hex())

    def tag(self, order_id: str) -> str:
        """What stands for an order in addresses: the same each time, and it gives the order away to nobody."""
        return self._mac(f"tag:{order_id}")[:32]

    def return_url(self, order_id: str) -> str:
        """The return address of an order."""
        return f"{self.url}/complete/{self.tag(order_id)}"

    def keep(self, begun: Begun, now: float) -> Cookie:
        """The cookie with which the browser comes back to the return address."""
        said = json.dumps([begun.order_id, begun.verb, begun.gateway, int(now) + LASTS_S])
        text = base64.urlsafe_b64encode(said.encode()).decode().rstrip("=")
        tag = self.tag(begun.order_id)
        return self._cookie(tag, f"paygate-{tag}", f"{text}.{self._mac(f'{tag}:{text}')}", LASTS_S)

    def begun(self, asked: Asked, tag: str, now: float) -> Begun | None:
        """What this browser began under that return address; None where it did not, or too long ago."""
        text, _, mac = (asked.cookie(f"paygate-{tag}") or "").partition(".")
        if not hmac.compare_digest(mac.encode(), self._mac(f"{tag}:{text}").encode()):
            return None
        try:
            said: Any = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
            order_id, verb, gateway, until = said
        except (ValueError, binascii.Error):
            return None
        return Begun(order_id=order_id, verb=verb, gateway=gateway) if now < until else None

    def forget_window(self, tag: str) -> Cookie:
        """Takes back what paygate.js said: that a window beside the page waits for this return."""
        return self._cookie(tag, WINDOW, "", 0)

    def _cookie(self, tag: str, name: str, value: str, max_age_s: int) -> Cookie:
        return Cookie(name=name, value=value, path=f"{self.path}/complete/{tag}", max_age_s=max_age_s,
                      secure=self._is_secure)

    def _mac(self, text: str) -> str:
        return hmac.digest(self._key.reveal().encode(), text.encode(), hashlib.sha256).hex()


WINDOW = "paygate-window"
"""The cookie that paygate.js sets where the payer pays in a pop-up or an iframe."""
