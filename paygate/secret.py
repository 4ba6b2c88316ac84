"""Text that never prints: credentials, billing keys, a payer's name, phone and e-mail address.

And text that may be stored and shown although it stands for a secret: `sealed` makes it, `opened` takes it apart.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable
from typing import Any, NoReturn


class Secret:
    """Text that only `reveal()` gives back.

    `str`, `repr`, `format` and f-strings show `***`; pickling, copying into JSON and iterating fail.
    """

    __slots__ = ("_hold",)
    _hold: Callable[[], str]

    def __init__(self, text: str | Secret) -> None:
        value = text.reveal() if isinstance(text, Secret) else text
        if not isinstance(value, str):
            raise TypeError("a Secret is made from text")
        # A closure, so that not even a debugger's or traceback's listing of attributes shows the text.
        self._hold = lambda: value

    def reveal(self) -> str:
        """The text itself. Call it where the text is used, and keep it out of variables."""
        return self._hold()

    def __repr__(self) -> str:
        return "Secret(***)"

    def __str__(self) -> str:
        return "***"

    def __format__(self, spec: str) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self.reveal().encode("utf-8", "surrogatepass"),
                                   other.reveal().encode("utf-8", "surrogatepass"))

    def __hash__(self) -> int:
        return hash(self.reveal())

    def __bool__(self) -> bool:
        return bool(self.reveal())

    def __len__(self) -> int:
        return len(self.reveal())

    def __deepcopy__(self, memo: dict[int, Any]) -> Secret:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not pickled")


def secret_or_none(value: str | Secret | None) -> Secret | None:
    """Converter for optional secret fields."""
    return None if value is None else Secret(value)


def reveal_all(value: Any) -> Any:
    """A copy of plain JSON-like data with every Secret in it revealed: only for the moment of sending."""
    if isinstance(value, Secret):
        return value.reveal()
    if isinstance(value, dict):
        return {k: reveal_all(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [reveal_all(v) for v in value]
    return value


def without(text: str | None, secret: Secret) -> str | None:
    """`text` with the secret in it, if it is there, replaced: PGs quote ids back."""
    held = secret.reveal()
    return text if not text or len(held) < 4 or held not in text else text.replace(held, "***")


_TAG = 16


def sealed(text: Secret, under: Secret) -> str:
    """`text` as it may be stored and shown: letters, digits, "-" and "_", which nobody without `under` can open.

    The same text under the same secret gives the same seal, so seals can be looked up and compared. It hides what the
    text says, not how long it is. (A synthetic initialisation vector, as in RFC 5297, with HMAC-SHA256 as both the
    authenticator and the key stream: the standard library has no cipher.)
    """
    plain = text.reveal().encode("utf-8")
    tag = _digest(under, b"tag", plain)[:_TAG]
    return base64.urlsafe_b64encode(tag + _crossed(plain, under, tag)).decode("ascii").rstrip("=")


def opened(seal: str, under: Secret) -> Secret | None:
    """The text that `sealed` closed; None where it was closed under another secret, or is no seal."""
    try:
        raw = base64.urlsafe_b64decode(seal + "=" * (-len(seal) % 4))
        made = Secret(_crossed(raw[_TAG:], under, raw[:_TAG]).decode("utf-8"))
    except ValueError:
        return None
    # Sealed once more: proves the tag, and that there is one way only to write a seal.
    return made if hmac.compare_digest(sealed(made, under).encode("ascii"), seal.encode("utf-8", "replace")) else None


def _crossed(text: bytes, under: Secret, tag: bytes) -> bytes:
    """`text` with a stream of digests added to it bit by bit; the same again takes it off."""
    blocks = range(0, len(text), hashlib.sha256().digest_size)
    stream = b"".join(_digest(under, b"stream", tag + at.to_bytes(4, "big")) for at in blocks)
    return bytes(a ^ b for a, b in zip(text, stream, strict=False))


def _digest(under: Secret, use: bytes, text: bytes) -> bytes:
    """A digest that only who has `under` can make, for one use alone."""
    key = hmac.digest(under.reveal().encode("utf-8"), b"paygate seal 1 " + use, "sha256")
    return hmac.digest(key, text, "sha256")
