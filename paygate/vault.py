"""What a vault is: it keeps, encrypted, what paygate needs to charge later. `KeyVault` is the one that comes along."""

from __future__ import annotations

from typing import Protocol

from .errors import PaygateError
from .secret import Secret


class VaultError(PaygateError):
    """No key of the vault opens it, or it was changed since. Nothing was sent."""

    moved = False


class Vault(Protocol):
    """Keeps what a later charge needs. Both are quick and reach nobody but, maybe, a key service."""

    def seal(self, text: Secret, about: str) -> str:
        """`text` as printable text that only `open` with the same `about` gives back."""
        ...

    def open(self, sealed: str, about: str) -> Secret:
        """What was sealed.

        Raises: VaultError.
        """
        ...
