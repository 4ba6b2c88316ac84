"""How a checkout ended, for the payer's next page: values, and what makes them. Nothing here asks anybody."""

from __future__ import annotations

import math
from collections.abc import Mapping
from copy import copy
from enum import StrEnum
from typing import Any

from attrs import evolve, field, frozen

from ..errors import Forged, InProgress, PaygateError
from ..model import BillingKey, Payment, PaymentStatus
from ..subscriptions import Subscription, SubscriptionStatus
from .session import Begun, Session
from .turns import FRESH_S


@frozen(kw_only=True)
class Visit:
    """A payer's request, as the merchant's own functions get it."""

    request: Any
    """The framework's own request: for its user and its session."""
    form: Mapping[str, str] = field(factory=dict, repr=False)
    """What the page's form said. It says what is wanted, never what it costs."""
    _session: Session = field(repr=False, alias="session")

    def return_url(self, order_id: str) -> str:
        """The `return_url` of the command for this order."""
        return self._session.return_url(order_id)


class Status(StrEnum):
    """How a checkout ended, for the payer's next page."""

    PAID = "paid"
    REGISTERED = "registered"
    SUBSCRIBED = "subscribed"
    PENDING = "pending"
    """Not finished: the window was closed, the PG is still at it, or a subscription is past due."""
    FAILED = "failed"
    """Nothing was taken; `error.message` has the PG's words for the payer."""
    CANCELLED = "cancelled"
    """It was paid and given back, or the subscription has ended."""
    UNKNOWN = "unknown"
    """The PG could not be asked. It is asked again later; the payer must not pay again."""
    FORGED = "forged"
    """The browser brought what belongs to another order; nothing was changed."""
    LOST = "lost"
    """This browser began no such order, or too long ago; the inbox will hear what came of it."""


@frozen(kw_only=True)
class Outcome:
    """What came of a checkout, looked up at the PG."""

    status: Status
    order_id: str | None = None
    payment: Payment | None = None
    billing_key: BillingKey | None = None
    subscription: Subscription | None = None
    error: PaygateError | None = None


def once_each(given: list[tuple[str, str]], expected: tuple[str, ...]) -> dict[str, str]:
    """The expected names of a return, each there at most once; all names where a provider tells none.

    Where one is there twice, nothing of it is a hint: the PG is asked all the same.
    """
    kept = [(name, value) for name, value in given if not expected or name in expected]
    return dict(kept) if len(dict(kept)) == len(kept) else {}


_STANDING = {SubscriptionStatus.PAST_DUE: Status.PENDING, SubscriptionStatus.ENDED: Status.CANCELLED}


def ended(begun: Begun, came: Payment | BillingKey | Subscription | None) -> Outcome:
    match came:
        case None:
            return Outcome(status=Status.PENDING, order_id=begun.order_id)
        case BillingKey():
            return Outcome(status=Status.REGISTERED, order_id=begun.order_id, billing_key=came)
        case Subscription():
            return Outcome(status=_STANDING.get(came.status, Status.SUBSCRIBED), order_id=begun.order_id,
                           subscription=came)
    words = {PaymentStatus.PENDING: Status.PENDING, PaymentStatus.FAILED: Status.FAILED,
             PaymentStatus.CANCELLED: Status.CANCELLED}
    return Outcome(status=words.get(came.status, Status.PAID), order_id=begun.order_id, payment=came)


def failed(error: PaygateError) -> Status:
    if isinstance(error, Forged):
        return Status.FORGED
    if isinstance(error, InProgress) or error.moved is None:
        return Status.UNKNOWN
    return Status.FAILED


_LAST_WORDS = (Status.PAID, Status.CANCELLED, Status.FAILED)


def holds_s(begun: Begun, outcome: Outcome) -> float:
    """How long an outcome holds while the ledger says the same of the order."""
    if begun.verb == "pay" and outcome.status in _LAST_WORDS:
        return math.inf
    if outcome.status is Status.UNKNOWN:
        return 0.0
    # Where a subscription stands, and whether a key is in use, is the PG's to say.
    return 60.0 if outcome.status in (*_LAST_WORDS, Status.REGISTERED, Status.SUBSCRIBED) else FRESH_S


def light(outcome: Outcome) -> Outcome:
    """The outcome as it may be kept: its error without the frames in which it was raised."""
    return outcome if outcome.error is None else evolve(outcome, error=copy(outcome.error))
