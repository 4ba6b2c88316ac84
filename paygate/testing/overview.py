"""What an emulated PG holds at this moment, in words that are no PG's own: for a person who looks at a sandbox.

Values only. A status is the PG's word for it, shown as it is and never interpreted.
"""

from __future__ import annotations

from collections.abc import Reversible
from datetime import datetime
from itertools import islice
from typing import TypeVar

from attrs import frozen

from ..money import Money

T = TypeVar("T")


@frozen(kw_only=True)
class Waiting:
    """A page or window of the PG before which a payer sits undecided.

    `handle` is what the control `payer` takes as its order_id; `page` is the path of the payer's page.
    """

    handle: str
    order_id: str
    title: str
    money: Money
    opened_at: datetime
    takes_money: bool
    page: str | None = None


@frozen(kw_only=True)
class Held:
    """An order or payment. `provider_id` is None until the PG gives one; `returned` is what was given back so far."""

    at: datetime
    order_id: str
    provider_id: str | None
    title: str
    money: Money
    returned: Money
    status: str
    takes_money: bool = True
    note: str | None = None


@frozen(kw_only=True)
class Key:
    """A billing key, under the value that a merchant charges it by."""

    value: str
    about: str
    at: datetime | None


@frozen(kw_only=True)
class Dated:
    """Something with a date of its own: a dated charge, a renewal, a late approval. `is_due`: it is still to come."""

    at: datetime
    what: str
    order_id: str
    money: Money | None
    status: str
    is_due: bool
    note: str | None = None


@frozen(kw_only=True)
class Running:
    """A subscription that the PG runs. `order_id` is the order that began it."""

    number: str
    order_id: str
    title: str
    money: Money
    every: str
    status: str
    began_at: datetime
    next_at: datetime | None
    renewals: int


@frozen(kw_only=True)
class Overview:
    """What there is, oldest first; of `held`, `keys` and `dated` the last ones, and in `totals` how many there are.

    `webhook_urls` are those that a merchant registered, by the PG's word for each.
    """

    waiting: tuple[Waiting, ...] = ()
    held: tuple[Held, ...] = ()
    keys: tuple[Key, ...] = ()
    dated: tuple[Dated, ...] = ()
    running: tuple[Running, ...] = ()
    webhook_urls: tuple[tuple[str, str], ...] = ()
    totals: tuple[tuple[str, int], ...] = ()


def last(most: int, values: Reversible[T]) -> list[T]:
    """The last so many of what is kept oldest first, without looking at the others; still oldest first."""
    return [*islice(reversed(values), most)][::-1]
