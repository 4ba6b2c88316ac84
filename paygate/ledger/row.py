"""One row per attempt to move money, and what a store of rows must do. Rules about money stand in rules.py."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Protocol

from attrs import frozen

from ..money import Money


class State(StrEnum):
    """Where an attempt stands. SENT means: it may have been sent, from the moment this is written."""

    SCHEDULED = "scheduled"
    OPENED = "opened"
    SENT = "sent"
    ANSWERED = "answered"
    REFUSED = "refused"
    NOT_SENT = "not_sent"
    UNKNOWN = "unknown"


class Book(StrEnum):
    """Ids are unique within a book: payments share one, refunds another."""

    PAYMENT = "payment"
    CANCEL = "cancel"
    STRAY = "stray"
    """Payments the PG has and we never asked for, by the PG's id."""
    EVENT = "event"
    """What a webhook told beside payments, by the event's identity."""


class Kind(StrEnum):
    """What was asked."""

    PAY = "pay"
    REGISTER = "register"
    CHARGE = "charge"
    RENEW = "renew"
    """A subscription's next period, charged because we asked for it."""
    SCHEDULE = "schedule"
    CANCEL = "cancel"
    SUBSCRIBE = "subscribe"
    STRAY = "stray"
    RENEWAL = "renewal"
    """A payment that the PG took by itself for a subscription of ours."""
    EVENT = "event"
    WINDOW = "window"
    """What a provider noted about a window before it was shown."""

    @property
    def book(self) -> Book:
        return {Kind.CANCEL: Book.CANCEL, Kind.STRAY: Book.STRAY, Kind.RENEWAL: Book.STRAY,
                Kind.EVENT: Book.EVENT, Kind.WINDOW: Book.EVENT}.get(self, Book.PAYMENT)


@frozen(kw_only=True)
class Row:
    """One attempt. Instants are seconds since 1970 (UTC).

    `fence` grows by one with every change and is the lease number: a change names the fence it was read at, and a
    worker whose fence is old has lost the row.
    """

    gateway: str
    kind: Kind
    id: str
    """order_id, or cancel_id for a refund."""
    order_id: str
    """The order concerned; the same as `id` except for a refund."""
    digest: str
    """Of the whole command: the same id with another digest is a conflict."""
    state: State
    opened_at: float
    money: Money | None = None
    fence: int = 0
    lease_until: float | None = None
    """Until then only the worker that holds the row may act on it."""
    sent_at: float | None = None
    """No byte of this attempt can have left after this instant."""
    check_at: float | None = None
    """When to look next; None when there is nothing to look for."""
    checks: int = 0
    missed_at: float | None = None
    """When the PG was first seen to know nothing of it."""
    attention: str | None = None
    """Why a person should look, in our words."""
    provider_id: str | None = None
    due_at: float | None = None
    before: int | None = None
    """For a refund: minor units given back before it."""
    key_digest: str | None = None
    """Which billing key, without saying it; for a renewal, which subscription."""
    payer_digest: str | None = None
    """Which payer the PG was told, without saying it; None where it was told none."""
    result: str | None = None
    """The last result, as ledger text."""
    refusal: str | None = None
    """The PG's refusal, as ledger text."""

    @property
    def book(self) -> Book:
        return self.kind.book

    def __str__(self) -> str:
        told = [f"{self.kind.value} {self.id}"
                + (f" of order {self.order_id}" if self.id != self.order_id else "")
                + ("" if self.money is None else f": {self.money}"),
                f"{self.state.value}, since {_instant(self.opened_at)}"]
        if self.check_at is not None:
            told.append(f"next look {_instant(self.check_at)}")
        if self.attention is not None:
            told.append(f"attention: {self.attention}")
        return ", ".join(told)


def _instant(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


@frozen(kw_only=True)
class Line:
    """One line of the append-only trail: what a row became, when, by whom, why."""

    at: float
    gateway: str
    book: Book
    id: str
    fence: int
    state: State
    note: str


class LedgerError(Exception):
    """The store could not do it (full, locked, gone). Nothing is known to have been written."""


class Ledger(Protocol):
    """A store of rows. Every method is one durable transaction; all raise LedgerError when the store fails.

    `blocking` is True where a call may wait for a disk or a server.
    """

    blocking: bool

    def open(self, rows: Sequence[Row], note: str) -> list[tuple[Row, bool]]:
        """Insert every row whose (gateway, book, id) is new; for each, the stored row and whether it is new.

        A refund is also refused while another refund of the same order is open, sent or unknown: then the other
        one's row is returned, and False.
        """
        ...

    def get(self, gateway: str, book: Book, id: str) -> Row | None:
        """The row, if there is one."""
        ...

    def change(self, row: Row, note: str) -> Row | None:
        """Store `row` if the stored fence still is `row.fence`; returns it with the next fence, or None if not.

        Raises: Taken where `row.provider_id` already belongs to another row of the same gateway and book.
        """
        ...

    def by_provider_id(self, gateway: str, provider_id: str) -> Row | None:
        """The payment row that holds the PG's id."""
        ...

    def refunds(self, gateway: str, order_id: str) -> list[Row]:
        """Every refund of an order, oldest first."""
        ...

    def due(self, gateway: str, now: float, limit: int) -> list[Row]:
        """Rows with check_at <= now, oldest check first."""
        ...

    def of_key(self, gateway: str, key_digest: str) -> list[Row]:
        """Rows of one billing key, oldest first."""
        ...

    def unresolved(self, gateway: str, limit: int) -> list[Row]:
        """Rows that are opened, sent or unknown, oldest first."""
        ...

    def flagged(self, gateway: str, limit: int) -> list[Row]:
        """Rows under attention, oldest first."""
        ...

    def trail(self, gateway: str, id: str) -> list[Line]:
        """Every line about an id, oldest first."""
        ...

    def close(self) -> None:
        """Let go of files and connections."""
        ...


class Taken(LedgerError):
    """A PG's payment id already belongs to another order."""
