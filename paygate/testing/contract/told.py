"""What a call told: a value or an error, and what it claims about money; and how a check says that it is wrong."""

from __future__ import annotations

from typing import Any

from attrs import frozen

from ...errors import OutcomeUnknown, PaygateError


class Broke(AssertionError):
    """The contract is broken. The message says what the provider did, what the PG did, and what should have been."""


class NotHere(Exception):
    """A check finds out, while it runs, that it does not concern this provider; the message says why."""


def expect(holds: object, otherwise: str) -> None:
    """Break the contract unless it holds. Not `assert`: the kit must not be silent under `python -O`.

    Raises: Broke.
    """
    if not holds:
        raise Broke(otherwise)


@frozen
class Told:
    """How one call ended. Exactly one of the two is there; a value may be None."""

    value: Any = None
    error: BaseException | None = None
    asked: bool = True
    """Whether something that may not be repeated had been asked for by then."""

    @property
    def is_yes(self) -> bool:
        """It says that what was asked for is done."""
        return self.error is None

    @property
    def is_no(self) -> bool:
        """It says that nothing moved."""
        return isinstance(self.error, PaygateError) and self.error.moved is False

    @property
    def in_doubt(self) -> bool:
        """It says that nobody knows yet."""
        return isinstance(self.error, OutcomeUnknown)

    def __str__(self) -> str:
        if self.error is None:
            return f"returned {_short(self.value)}"
        return f"raised {type(self.error).__name__} ({_short(self.error)})"

    def expected(self, what: str) -> Any:
        """The value, where there has to be one.

        Raises: Broke.
        """
        if self.error is not None:
            raise Broke(f"{what} {self}") from self.error
        return self.value


def _short(value: object) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= 200 else f"{text[:199]}…"
