"""What paygate must keep to charge later, encrypted: the whole command, billing key and personal data included."""

from __future__ import annotations

from typing import TypeVar

from ..codec import dump_whole, load
from ..errors import Unsupported
from ..ledger.row import Row
from .account import Account

T = TypeVar("T")


def seal(account: Account, value: object, about: str) -> str:
    """`value` as text that only this merchant's vault can open; `about` is bound to it.

    Raises: Unsupported where the gateway has no vault.
    """
    require_vault(account)
    assert account.vault is not None
    return account.vault.seal(dump_whole(value), f"{account.scope} {about}")


def unseal(account: Account, row: Row, kind: type[T]) -> T:
    """What `seal` was given.

    Raises: Unsupported where the gateway has no vault; VaultError where its keys do not open it.
    """
    require_vault(account)
    assert account.vault is not None
    assert row.sealed is not None
    return load(account.vault.open(row.sealed, f"{account.scope} {row.id}").reveal(), kind)


def require_vault(account: Account, what: str = "this") -> None:
    """Raises: Unsupported."""
    if account.vault is None:
        raise Unsupported(f"{account.spec.name} leaves {what} to paygate, which must keep the billing key for it: "
                          "connect(..., vault=...) says how it is encrypted; nothing was sent")
