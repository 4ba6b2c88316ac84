"""What the judge remembers of each order, refund and thing that may happen once. It imports nothing of paygate."""

from __future__ import annotations

from dataclasses import dataclass, field

from .notes import Event
from .terms import Terms


@dataclass
class Intent:
    """One thing that may happen once at most."""

    terms: Terms = field(default_factory=Terms)
    sent_at: float | None = None
    """When the last request that may have arrived did."""
    misses: list[float] = field(default_factory=list)
    """Whole answers since then that showed nothing of it."""
    shown: bool = False
    """Whether a whole answer since then showed a record."""
    moves: int = 0
    no_at: int | None = None
    """The event at which the merchant was told that it did not happen."""
    sent_since_no: bool = False
    is_late: bool = False
    """Whether it happened after a "no": a person must be told, and until then the "no" may be repeated."""
    is_denied: bool = False
    """Whether the PG's own record untruly said that it failed."""
    back: int | None = None
    """For a refund: what had been given back when it was sent last."""


@dataclass
class OrderNote:
    cart: str | None = None
    charges: list[int] = field(default_factory=list)
    back: int = 0
    refunds: dict[str, int] = field(default_factory=dict)
    """Given back, by refund."""
    last_refund: str | None = None
    row: Event | None = None
    is_asked: bool = False
    is_to_stop: bool = False

    @property
    def taken(self) -> int:
        return sum(self.charges)
