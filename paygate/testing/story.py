"""The example a provider's emulator brings along: values with which the whole interface can be walked through.

Tests, the demo and the contract kit use it, so that none of them needs to know a PG's own words.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from attrs import frozen

from ..commands import Charge, Pay, Register, Schedule
from ..model import BillingKey
from ..money import Money
from ..subscriptions import Subscribe


@frozen(kw_only=True)
class Story:
    """Commands that a provider's emulator accepts; None for what the provider does not offer.

    `start` is the instant at which the emulator's clock stands when they are sent.
    """

    start: datetime
    pay: Pay | None = None
    register: Register | None = None
    charge: Callable[[BillingKey, str], Charge] | None = None
    """A charge of a key under an order id."""
    charge_order_id: str = "story-charge"
    schedule: Callable[[BillingKey], Schedule] | None = None
    """At least two dated charges, the first within 40 days of `start`."""
    subscribe: Subscribe | None = None
    cancel_part: Money | None = None
    """Part of `pay.money`."""
