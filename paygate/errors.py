"""The errors a merchant meets; each class answers one question: did money move?

`PaygateError.moved` is False where it certainly did not and None where it is not known (or not the question).
No error ever means "money moved": that is what results are for.
A message is one line: what happened, to which order, the next safe step; never a secret, never personal data.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Literal


def without_advice(text: str) -> str:
    """What happened, as a message tells it, without its advice: for a message that gives an advice of its own."""
    kept: list[str] = []
    depth, cut = 0, -1
    for c in text:
        if cut < 0 and c == ";":
            cut = depth
        depth += (c == "(") - (c == ")")
        if depth < cut:
            cut = -1  # The bracket in which the advice stood ends here.
        if cut < 0:
            kept.append(c)
    return "".join(kept)


class PaygateError(Exception):
    """Anything paygate raises on purpose. `order_id` is the merchant's own id of the order concerned, if any."""

    moved: ClassVar[Literal[False] | None] = None

    def __init__(self, message: str, *, order_id: str | None = None, code: str | None = None,
                 pg_message: str | None = None) -> None:
        super().__init__(message)
        self.order_id = order_id
        self.code = code
        """The PG's own code, verbatim; None where the PG gave none."""
        self.message = pg_message
        """The PG's own words, verbatim (some PGs require that the payer is shown exactly these)."""
        self.unrecorded = False
        """True when the outcome could not be written to the ledger after money was already asked for."""

    def __reduce__(self) -> tuple[Callable[..., PaygateError], tuple[Any, ...]]:
        return _rebuild, (type(self), self.args, dict(self.__dict__))


def _rebuild(cls: type[PaygateError], args: tuple[Any, ...], state: dict[str, Any]) -> PaygateError:
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class SetupError(PaygateError):
    """Code or settings are wrong; nothing was sent."""

    moved = False


class UnknownProvider(SetupError):
    """No installed distribution offers a provider of that name, or it could not be loaded."""


class BadSettings(SetupError):
    """A setting is missing, unknown or not allowed."""


class BadCommand(SetupError, ValueError):
    """A command holds a value that may not be sent."""


class Unsupported(SetupError):
    """The provider does not offer this; found out before a byte left."""


class NotSent(PaygateError):
    """Nothing that moves money left this machine, or the PG is proven to know nothing of it.

    The same order_id may be sent again.
    """

    moved = False


class InProgress(PaygateError):
    """Another worker holds this order_id. Ask again later; do not use a new order_id."""


class Refused(PaygateError):
    """The PG answered no. `.code` and `.message` are its own words."""

    moved = False


class Declined(Refused):
    """The payer's means of payment was declined; `.reason` says why as far as the PG tells."""

    def __init__(self, message: str, *, reason: Any = None, order_id: str | None = None, code: str | None = None,
                 pg_message: str | None = None) -> None:
        super().__init__(message, order_id=order_id, code=code, pg_message=pg_message)
        self.reason = reason


class Unauthorized(Refused):
    """The PG does not accept the credentials."""


class NotFound(Refused):
    """The PG knows nothing under that id (for what this proves, see the provider's profile)."""


class Conflict(Refused):
    """The order_id was used before, with other parameters or by somebody else."""


class RateLimited(Refused):
    """The PG asks for fewer requests; `.retry_after_s` seconds if it says how long."""

    def __init__(self, message: str, *, retry_after_s: float | None = None, order_id: str | None = None,
                 code: str | None = None, pg_message: str | None = None) -> None:
        super().__init__(message, order_id=order_id, code=code, pg_message=pg_message)
        self.retry_after_s = retry_after_s


class OutcomeUnknown(PaygateError):
    """Money may have moved. Look up, never resend; `.next_step` says how."""

    def __init__(self, message: str, *, next_step: str = "call find(order_id) or reconcile(); never send again",
                 order_id: str | None = None, code: str | None = None, pg_message: str | None = None) -> None:
        super().__init__(message, order_id=order_id, code=code, pg_message=pg_message)
        self.next_step = next_step
        self.accepted = False
        """True where the PG said that it did it, and only what that left could not be read."""


class Forged(PaygateError):
    """A callback or webhook contradicts the PG's own record. Nothing was changed."""
