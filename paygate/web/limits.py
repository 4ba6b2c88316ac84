"""How many look-ups the webhooks of one gateway may cause: anybody can post one, and each unsigned one asks the PG.

Kept in memory and of bounded size; time is passed in.
"""

from __future__ import annotations

import threading
from collections import OrderedDict

from attrs import define, field

from ..clock import Clock

FORGET_S = 30.0
"""How long the PG is not asked again about what it knew nothing of."""
AGAIN_S = 5.0
"""How long what was just asked about has no claim to what is kept for orders of the ledger."""
REMEMBERED = 10_000


@define
class Bucket:
    """At most `rate` a second on average, and what comes together in `kept_s` seconds (at least one) at once."""

    rate: float
    kept_s: float = 1.0
    _left: float = field(init=False, default=0.0)
    _at: float | None = field(init=False, default=None)

    def take(self, now: float, *, spare: float) -> bool:
        """Take one, if there is one and `spare` (a part of all it can hold) stays behind."""
        most = max(1.0, self.rate * self.kept_s)
        self._left = most if self._at is None else min(most, self._left + (now - self._at) * self.rate)
        self._at = now
        if self._left < 1.0 or self._left < spare * most:
            return False
        self._left -= 1.0
        return True


class Lookups:
    """Lets look-ups through: `per_s` a second, one at a time for each transaction, none about what was just refused.

    Half of what may be asked at once is kept for what names an order or a payment of the ledger, so that a flood of
    invented ones does not keep true ones waiting; of one order only now and then, because anybody may begin an order.
    """

    def __init__(self, clock: Clock, per_s: float) -> None:
        self._clock = clock
        self._bucket = Bucket(per_s)
        # Whoever works comes once a minute or so.
        self._again = Bucket(per_s / 2, kept_s=60.0)
        self._asking: set[str] = set()
        self._refused: OrderedDict[str, float] = OrderedDict()
        self._asked: OrderedDict[str, float] = OrderedDict()
        self._lock = threading.Lock()

    def is_refused(self, claim: str) -> bool:
        """Whether the PG said only just now that it has no record of `claim`."""
        with self._lock:
            until = self._refused.get(claim)
            return until is not None and self._clock.monotonic() < until

    def refuse(self, claim: str) -> None:
        """The PG has no record of `claim`; the oldest of too many is forgotten first."""
        with self._lock:
            _keep(self._refused, claim, self._clock.monotonic() + FORGET_S)

    def begin(self, subject: str, *, known: str | None) -> bool:
        """Whether `subject` may be looked up now; if so, call `end` afterwards. `known` is what it names of the ledger.
        """
        with self._lock:
            if subject in self._asking:
                return False
            now = self._clock.monotonic()
            is_kept_for = known is not None and now >= self._asked.get(known, now)
            if not self._bucket.take(now, spare=0.0 if is_kept_for else 0.5):
                return False
            if known is not None:
                _keep(self._asked, known, now + AGAIN_S)
            self._asking.add(subject)
            return True

    def begin_again(self, subject: str) -> bool:
        """Whether what was looked up in vain may be looked up once more: half as many as `begin` allows, besides those.
        """
        with self._lock:
            if subject in self._asking or not self._again.take(self._clock.monotonic(), spare=0.0):
                return False
            self._asking.add(subject)
            return True

    def end(self, subject: str) -> None:
        """The look-up is over."""
        with self._lock:
            self._asking.discard(subject)


def _keep(remembered: OrderedDict[str, float], name: str, until: float) -> None:
    """Remember `name`; the oldest of too many is forgotten first."""
    remembered.pop(name, None)
    remembered[name] = until
    if len(remembered) > REMEMBERED:
        remembered.popitem(last=False)
