"""What a merchant copies from the PG's developer centre (개발자센터). No I/O."""

from __future__ import annotations

import re
from typing import Literal

from attrs import field, frozen

from paygate import BadSettings, Secret

BASE_URL = "https://api.tosspayments.com"
SCRIPT = "https://js.tosspayments.com/v2/standard"
"""The browser script (SDK) of version 2. SDK reference."""
SECRET = re.compile(r"(test|live)_g?sk_")
"""How a secret key begins; a client key has "ck" there. API reference, authorization."""
HOSTS = ("api.tosspayments.com",)
"""Toss Payments' API reference, every endpoint."""


@frozen(kw_only=True)
class Settings:
    """`secret_key` (시크릿 키) is secret, `client_key` (클라이언트 키) is for the payer's browser: one pair of keys.

    `mode` says whether they are test keys or take real money. A key says itself which of the two it is: it begins with
    "test_" or "live_".

    Source: Toss Payments' API reference, authorization.
    """

    secret_key: Secret = field(converter=Secret)
    client_key: str
    mode: Literal["test", "live"]

    def __attrs_post_init__(self) -> None:
        if self.mode not in ("test", "live"):
            raise BadSettings("mode must be 'test' or 'live'; nothing was sent")
        for name, key in (("secret_key", self.secret_key.reveal()), ("client_key", self.client_key)):
            if not isinstance(key, str) or not key.startswith(f"{self.mode}_"):
                raise BadSettings(f"{name} is not a key of mode {self.mode!r}: it begins with \"{self.mode}_\"; "
                                  "nothing was sent")
        if SECRET.match(self.client_key):
            raise BadSettings("client_key is a secret key, which no browser may be shown; nothing was sent")
