"""What the judge is told and what it finds. It imports nothing of paygate.

A history is a list of JSON-like events in the order in which they happened (`at` is seconds, ids are text):

- ``asked``   call, verb, order, intent, amount, cart, currency, key, due: the merchant calls. `intent` is what may
              happen once at most: the order for a charge, the refund's own id for a refund. `cart` is what the payer
              wants to pay once; `key` is what is charged, `due` the second at which (None: at once). The `amount` of a
              refund is None where it is all that is left.
- ``request`` n, kind, orders, intents, terms, guarded, fate, call: what reached the PG. `kind` is charge, refund,
              schedule or unschedule; `fate` is "unprocessed" where the PG did not begin and the client was told so
              completely, else "maybe". `guarded`: the PG compares the balance the request states. `terms` has for each
              intent the amount, currency, key and due that it states, None where it does not.
- ``look``    orders, shown, back: a question that reached the PG, and what its whole answer showed: "absent",
              "record", "failed" (a record that untruly says so) or "nothing" (no usable answer); `back` is the balance
              given back it showed.
- ``moved``   kind, order, intent, amount, currency, since, call: the PG moved money, at the second `since`. `kind` is
              charge or refund.
- ``told``    call, said, amount: what the merchant was told: paid, pending, no (it did not happen), unknown, busy,
              bad (this very call did nothing), done (a refund), held (dated charges). A call that died is told nothing.
- ``decided`` intent: a person said what became of it, so it may be sent again.
- ``row``     book ("payment" or "cancel"), id, order, state, amount, paid, attention: the ledger in the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
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
