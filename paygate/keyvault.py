"""The door to cryptography: what paygate must keep to charge later is encrypted with the merchant's own keys.

AES-256-GCM with a random nonce for each text, bound to whom it is about: what was sealed for one subscription does not
open as another's. Losing every key loses what was sealed; it never loses an outcome, which is not encrypted.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Sequence

from .errors import BadSettings
from .secret import Secret
from .vault import VaultError

_KEY_BYTES = 32
_NONCE_BYTES = 12
_MARK = "v1"


def new_vault_key() -> Secret:
    """A fresh key for `KeyVault`, as text to be stored as carefully as a password."""
    return Secret(base64.urlsafe_b64encode(os.urandom(_KEY_BYTES)).decode("ascii"))


class KeyVault:
    """A vault with keys of your own: the first one seals, every one opens. `new_vault_key()` makes one.

    To change keys, put the new one first and leave the old one behind it for as long as something sealed with it waits.
    Needs the extra `vault`.

    Raises: BadSettings.
    """

    def __init__(self, keys: Sequence[str | Secret] | str | Secret) -> None:
        try:
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        except ImportError:
            raise BadSettings("a KeyVault needs the package cryptography: pip install 'paygate-core[vault]'") from None
        stated = [keys] if isinstance(keys, (str, Secret)) else list(keys)
        if not stated:
            raise BadSettings("a KeyVault needs at least one key; paygate.new_vault_key().reveal() "
                          "is one")
        raw = [_raw(key) for key in stated]
        self._ciphers = {_name(key): AESGCM(key) for key in raw}
        self._first = _name(raw[0])

    def __repr__(self) -> str:
        return f"<KeyVault of {len(self._ciphers)} keys>"

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("a vault is not pickled: it holds keys")

    def seal(self, text: Secret, about: str) -> str:
        nonce = os.urandom(_NONCE_BYTES)
        cipher = self._ciphers[self._first]
        sealed = cipher.encrypt(nonce, text.reveal().encode("utf-8"), about.encode("utf-8"))
        return ".".join([_MARK, self._first, base64.urlsafe_b64encode(nonce + sealed).decode("ascii")])

    def open(self, sealed: str, about: str) -> Secret:
        from cryptography.exceptions import InvalidTag

        mark, _, rest = sealed.partition(".")
        name, _, body = rest.partition(".")
        cipher = self._ciphers.get(name)
        if mark != _MARK or cipher is None:
            raise VaultError("what was sealed needs a key that this vault does not have; nothing was sent; "
                             "add the old key behind the new one")
        try:
            data = base64.urlsafe_b64decode(body)
            return Secret(cipher.decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], about.encode("utf-8")).decode())
        except (InvalidTag, ValueError):
            raise VaultError("what was sealed does not open: it was changed, or is about something else; "
                             "nothing was sent") from None


def _raw(key: str | Secret) -> bytes:
    text = key.reveal() if isinstance(key, Secret) else key
    try:
        raw = base64.urlsafe_b64decode(text.encode("ascii"))
    except (ValueError, AttributeError):
        raw = b""
    if len(raw) != _KEY_BYTES:
        raise BadSettings("a key of a KeyVault is 32 random bytes in base64, such as the text of "
                          "paygate.new_vault_key().reveal()")
    return raw


def _name(raw: bytes) -> str:
    """Which key it is, without saying it."""
    return hashlib.sha256(b"paygate vault key:" + raw).hexdigest()[:8]
