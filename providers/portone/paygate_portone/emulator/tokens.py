"""The access token: one per key pair, with the four rules of its life."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from attrs import define

from .bodies import Asked, text
from .words import IMP_KEY, IMP_SECRET, NO_CREDENTIALS, UNAUTHORIZED, WRONG_CREDENTIALS, Refusal

if TYPE_CHECKING:
    from .shop import Shop

LIFE_S = 30 * 60
LAST_MINUTE_S = 60
EXTENSION_S = 5 * 60


@define
class Tokens:
    """The token of the one key pair this PG knows. Times are unix seconds."""

    token: str = ""
    until: int = 0
    count: int = 0

    def grant(self, now: int) -> dict[str, Any]:
        """The token to use: the same one until it expires, extended once its last minute has begun.

        Source: PortOne V1 REST, POST /users/getToken (documented). 40 hex digits: observed.
        """
        if now >= self.until:
            self.count += 1
            self.token = hashlib.sha256(f"token {self.count}".encode()).hexdigest()[:40]
            self.until = now + LIFE_S
        elif self.until - now <= LAST_MINUTE_S:
            self.until += EXTENSION_S
        return {"access_token": self.token, "expired_at": self.until, "now": now}

    def accepts(self, authorization: str, now: int, *, bare: bool) -> bool:
        """Whether the Authorization header holds the live token, as `Bearer <token>` or, where `bare`, alone."""
        scheme, _, rest = authorization.strip().partition(" ")
        token = rest.strip() if scheme.lower() == "bearer" else authorization.strip() if bare else ""
        return bool(self.token) and now < self.until and token == self.token


def get_token(shop: Shop, asked: Asked) -> dict[str, Any]:
    """POST /users/getToken."""
    key, secret = text(asked.body, "imp_key", 200), text(asked.body, "imp_secret", 200)
    if not key or not secret:
        raise Refusal(NO_CREDENTIALS, code=-1, status=shop.switches.missing_credential_status)
    if (key, secret) != (IMP_KEY, IMP_SECRET):
        raise Refusal(WRONG_CREDENTIALS, code=-1, status=401)
    return shop.tokens.grant(shop.now())


def check_token(shop: Shop, asked: Asked) -> None:
    """Refuse a call without the live token. Raises: Refusal with HTTP 401 for a missing, unknown or expired token."""
    if not shop.tokens.accepts(asked.authorization, shop.now(), bare=shop.switches.bare_tokens):
        raise Refusal(UNAUTHORIZED, code=-1, status=401)
