"""What goes wrong with a call, drawn from a seed: hundreds of times more often than in life."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from random import Random

from attrs import define, field

from ..asks import Asks
from ..emulator import FaultKind


class Odd(StrEnum):
    """Faults that no emulator knows of, because they lie between it and the client."""

    STALE = "stale"
    """A look-up is answered from a copy that lags behind."""
    OTHERS_ANSWER = "others_answer"
    """The PG did it, and the answer of another call arrives."""
    OTHERS_ANSWER_BEFORE = "others_answer_before"
    """The answer of another call arrives, and the PG did nothing."""
    PAUSED = "paused"
    """The process stands still between two steps, and wakes right before it would send."""


Trouble = FaultKind | Odd

BEFORE = (FaultKind.REFUSE, FaultKind.UNAUTHORIZED, FaultKind.TOO_MANY, FaultKind.DROP_BEFORE, FaultKind.RESET_BEFORE,
          FaultKind.HANG_BEFORE, FaultKind.ERROR_500_BEFORE, FaultKind.BAD_GATEWAY_BEFORE, FaultKind.HTML_BEFORE,
          FaultKind.REDIRECT_BEFORE)
"""The PG does nothing."""
AFTER = tuple(k for k in FaultKind if k.value.endswith("_after"))
"""The PG does everything, and says something of no use."""
LIES = (FaultKind.LIE_FAILED, FaultKind.WRONG_ORDER, FaultKind.WRONG_AMOUNT)

RATES = {"send": 0.45, "look": 0.15, "token": 0.10, "other": 0.15}
"""Of requests that move money or promise to, of look-ups, of token calls, of what only prepares."""
_RARELY = {FaultKind.HUGE_AFTER: 0.1, FaultKind.DEEP_JSON_AFTER: 0.05}
"""These cost milliseconds each."""


def _weighed(kinds: tuple[Trouble, ...]) -> tuple[tuple[Trouble, ...], tuple[float, ...]]:
    weights = [_RARELY.get(k, 1.0) if isinstance(k, FaultKind) else 1.0 for k in kinds]
    total, sums = 0.0, []
    for weight in weights:
        total += weight
        sums.append(total)
    return kinds, tuple(sums)


_SEND = _weighed((*BEFORE, *AFTER, *LIES, FaultKind.LATE, FaultKind.LATE, Odd.OTHERS_ANSWER, Odd.OTHERS_ANSWER_BEFORE,
                 Odd.PAUSED))
_LOOK = _weighed((*BEFORE, *AFTER, *LIES, Odd.STALE, Odd.STALE, Odd.STALE, Odd.PAUSED))
_TOKEN = _weighed((*BEFORE, *AFTER, FaultKind.LIE_FAILED, Odd.PAUSED))
_OF = {"look": ("look", _LOOK), "token": ("token", _TOKEN), "other": ("other", _SEND)}


@define
class Weather:
    """Draws the trouble of each call. `met` counts what was drawn, by what was asked for."""

    rng: Random
    is_bad: bool = True
    rates: dict[str, float] = field(factory=lambda: dict(RATES))
    met: Counter[tuple[str, str]] = field(factory=Counter)

    def draw(self, asks: Asks) -> Trouble | None:
        """What goes wrong with this call, if anything does."""
        if not self.is_bad:
            return None
        name, (kinds, sums) = _OF.get(asks.kind, ("send", _SEND))
        if self.rng.random() >= self.rates[name]:
            return None
        (drawn,) = self.rng.choices(kinds, cum_weights=sums)
        self.met[asks.kind, drawn.value] += 1
        return drawn


@define
class Script(Weather):
    """Trouble that is dialled instead of drawn: each entry meets the next calls of that kind, or of any ("")."""

    dialled: list[tuple[str, Trouble]] = field(factory=list)

    def draw(self, asks: Asks) -> Trouble | None:
        for entry in self.dialled if self.is_bad else ():
            kind, trouble = entry
            fits = not isinstance(trouble, Odd) or trouble is not Odd.STALE or asks.kind == "look"
            if fits and kind in ("", asks.kind):
                self.dialled.remove(entry)
                self.met[asks.kind, trouble.value] += 1
                return trouble
        return None
