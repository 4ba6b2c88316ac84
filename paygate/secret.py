"""Text that never prints: credentials, billing keys, a payer's name, phone and e-mail address."""

from __future__ import annotations

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
