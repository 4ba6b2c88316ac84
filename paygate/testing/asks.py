"""What a call asks of a PG, in words that are no PG's own: for a judge who counts what was sent how often."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, Literal

from attrs import frozen

AskedFor = Literal["charge", "refund", "schedule", "unschedule", "look", "token", "other"]


@frozen
class Dated:
    """A charge of a schedule as it is asked for; None where the call does not say it."""

    order: str
    amount: int | None
    currency: str | None = None
    due_at: datetime | None = None


@frozen(kw_only=True)
class Asks:
    """`orders` are the merchant's own ids that the call names, `provider_id` is the PG's id of the payment it names.

    `kind` "other" moves no money. `amount` is in minor units. `guarded`: it states the balance, which the PG compares.
    `note` is the reason that a refund gives. `key` is the billing key, or the PG's id of the subscription, that is to
    be charged. What a call does not say is None, and is then not judged.
    """

    kind: AskedFor
    orders: tuple[str, ...] = ()
    provider_id: str | None = None
    amount: int | None = None
    currency: str | None = None
    key: str | None = None
    dated: tuple[Dated, ...] = ()
    """The charges of a schedule, each with its order of `orders`."""
    guarded: bool = False
    note: str | None = None


def fields(body: bytes) -> dict[str, Any]:
    """The JSON object in a body; empty where it is none."""
    try:
        said = json.loads(body) if body else {}
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}
