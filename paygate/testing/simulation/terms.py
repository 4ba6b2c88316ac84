"""What the merchant commanded of one thing that may happen once, and how what was asked of the PG, or what the PG then
did, differs from it. It imports nothing of paygate.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from .notes import Event

SOON_S = 1.0
"""PGs that know a date know it to the second."""


@dataclass
class Terms:
    """Each list holds what was commanded, once for each command: a repeat may be of other terms, and be refused."""

    amounts: list[int | None] = field(default_factory=list)
    """None: all that is left."""
    currencies: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    dues: list[float | None] = field(default_factory=list)
    """None: at once."""
    orders: list[str] = field(default_factory=list)

    def command(self, e: Event) -> None:
        """Take a command of the merchant's."""
        self.amounts.append(e["amount"])
        for name, commanded in (("currency", self.currencies), ("key", self.keys), ("order", self.orders)):
            if e.get(name) is not None:
                commanded.append(e[name])
        if "due" in e:
            self.dues.append(e["due"])

    def differs(self, said: Event, left: int, *, owner: str | None = None) -> Iterator[tuple[str, str]]:
        """(kind, text) of each thing that was not commanded. `said` has amount, currency, key and due, each None where
        nothing is said of it; `left` is what could still be given back; `owner` is the order whose money it is about.
        """
        if not self.amounts:
            return  # Made beside the merchant, or by the PG itself: others judge that.
        wanted = [left if amount is None else amount for amount in self.amounts]
        yield from _other("amount", said.get("amount"), wanted)
        yield from _other("currency", said.get("currency"), self.currencies)
        yield from _other("key", said.get("key"), self.keys)
        yield from _other("order", owner, self.orders)
        due = said.get("due")
        if due is not None and self.dues and all(one is None or abs(due - one) > SOON_S for one in self.dues):
            dates = " or ".join("one at once" if one is None else f"{one:.0f} s" for one in self.dues)
            yield "wrong date", f"one at {due:.0f} s; commanded was {dates}"

    def is_before(self, at: float) -> bool:
        """Whether that is before any date it was commanded for."""
        return bool(self.dues) and all(one is not None and at < one - SOON_S for one in self.dues)


def _other(what: str, said: Any, commanded: list[Any]) -> Iterator[tuple[str, str]]:
    if said is not None and commanded and said not in commanded:
        yield f"wrong {what}", f"{said}; commanded was {' or '.join(map(str, dict.fromkeys(commanded)))}"
