"""What a merchant copies from the PG's developer centre (개발자센터). No I/O."""

from __future__ import annotations

from typing import Literal

from attrs import field, frozen

from paygate import BadSettings, Secret

BASE_URL = "https://api.tosspayments.com"
HOSTS = ("api.tosspayments.com",)
"""Toss Payments' API reference, every endpoint."""


@frozen(kw_only=True)
class Settings:
    """`secret_key` (시크릿 키) is secret; `mode` says whether it is a test key or takes real money.

    The key says itself which of the two it is: it begins with "test_" or "live_".

    Source: Toss Payments' API reference, authorization.
    """

    secret_key: Secret = field(converter=Secret)
    mode: Literal["test", "live"]

    def __attrs_post_init__(self) -> None:
        if self.mode not in ("test", "live"):
            raise BadSettings("mode must be 'test' or 'live'; nothing was sent")
        key = self.secret_key.reveal()
        if not isinstance(key, str) or not key.startswith(f"{self.mode}_"):
            raise BadSettings(f"secret_key is not a key of mode {self.mode!r}: it begins with \"{self.mode}_\"; "
                              "nothing was sent")
