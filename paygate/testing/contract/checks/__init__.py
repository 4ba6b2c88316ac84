"""The checks, by what they are about. A module here puts its functions on the list as it is imported."""

from __future__ import annotations

from importlib import import_module

ORDER = ("declared", "duties", "claimed", "currencies", "flows", "answers", "machines", "echoes", "windows",
         "approvals", "refunds", "lookups", "lists", "declines", "dated", "apart", "keys", "subscriptions", "tokens",
         "text", "hooks", "signatures", "secrecy", "truth", "books", "model")
"""The rooms, in the order in which they are run and told."""


def load() -> None:
    """Import every room, so that its checks are on the list."""
    for room in ORDER:
        import_module(f"{__name__}.{room}")
