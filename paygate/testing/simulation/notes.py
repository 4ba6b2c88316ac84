"""What the judge remembers of each order, refund and thing that may happen once. It imports nothing of paygate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Event = Mapping[str, Any]

READINGS = ("look", "hook")
"""What these tell is how the PG's record stands, not what became of a call."""
OPEN = ("scheduled", "opened", "sent", "unknown")


@dataclass(frozen=True)
class Rules:
    """How the PG behaves: what the judge must know of it.

    `askable`: it can be asked by our order id and its "not found" counts once the settle window is over.
    """

    askable: bool = True
    settle_s: float = 120.0


@dataclass(frozen=True)
class Violation:
    """What must never happen, and did. `step` is the number of the event at which it showed; None: in the end."""

    kind: str
    about: str
    text: str
    step: int | None = None

    def __str__(self) -> str:
        where = "in the end" if self.step is None else f"event {self.step}"
        return f"{self.kind}: {self.about}: {self.text} ({where})"


@dataclass
class Intent:
    """One thing that may happen once at most."""

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
    amounts: list[int] = field(default_factory=list)
    """What it was asked for under."""
    cart: str | None = None
    charges: list[int] = field(default_factory=list)
    back: int = 0
    refunds: dict[str, int] = field(default_factory=dict)
    """Given back, by refund."""
    last_refund: str | None = None
    row: Event | None = None
    is_asked: bool = False

    @property
    def taken(self) -> int:
        return sum(self.charges)
