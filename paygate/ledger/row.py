"""One row per attempt to move money, and what a store of rows must do. Rules about money stand in rules.py."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Protocol

from attrs import field, frozen

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
    PLAN = "plan"
    """Subscriptions that paygate runs, by the order that began them."""


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
    PLAN = "plan"
    """A subscription that paygate runs."""

    @property
    def book(self) -> Book:
        return _BOOKS.get(self, Book.PAYMENT)


_BOOKS = {Kind.CANCEL: Book.CANCEL, Kind.STRAY: Book.STRAY, Kind.RENEWAL: Book.STRAY,
          Kind.EVENT: Book.EVENT, Kind.WINDOW: Book.EVENT, Kind.PLAN: Book.PLAN}


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
    """No byte of this attempt can have left after this instant. Written before the first byte, so it is no time of
    sending but the end of the lease, in the future, until something is known of the attempt; and it stays so where the
    answer came at once.
    """
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
    sealed: str | None = field(default=None, repr=False)
    """What paygate needs to charge later, encrypted by the merchant's vault; gone once the charge is decided."""
    hash: str = field(default="", eq=False, repr=False)
    """Of the last line of its trail; the store's business (chain.py). Two rows that say the same are equal."""

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
class Note:
    """What is said of a change: in which words, when, and by whom. Made once for each change."""

    text: str
    at: float
    by: str
    """A person's name, or the worker that did it, as "host:process"."""
    salt: str = field(factory=lambda: secrets.token_hex(8))
    """Random: tells two equal changes apart, and keeps a line's hash from giving away what was hashed."""


@frozen(kw_only=True)
class Line:
    """One line of the append-only trail: what a row became, when, by whom, why.

    The lines of a row are a chain: each `hash` covers the one before it and everything said here (chain.py).
    """

    at: float
    gateway: str
    book: Book
    id: str
    fence: int
    state: State
    note: str
    by: str = ""
    content: str = ""
    """Hash of the whole row as it became; empty where it was written before rows were hashed."""
    salt: str = ""
    hash: str = ""


class LedgerError(Exception):
    """The store could not do it (full, locked, gone). Nothing is known to have been written."""


class NoPlace(LedgerError):
    """No ledger can be there."""


class Closed(LedgerError):
    """The ledger was moved to another place, or is not whole yet: nothing is written here, whoever asks again."""


class Damaged(LedgerError):
    """A row or line that was changed by somebody else, so that it cannot be read. It stands as it is."""

    def __init__(self, said: str, why: str = "") -> None:
        super().__init__(said)
        self.why = why


CLOSED = "this ledger is closed"
"""How every message of a closed ledger begins; its store's own too (fence.py)."""


def trouble(said: str) -> LedgerError:
    """The error for what a store said."""
    return Closed(said) if CLOSED in said else LedgerError(said)


class Ledger(Protocol):
    """A store of rows. Every method is one durable transaction; all raise LedgerError when the store fails.

    `blocking` is True where a call may wait for a disk or a server. LedgerContract in paygate.testing checks a store.

    A store may offer two more methods, which the gateways then use for every call: `perform(verb, args, until)`, and
    `aperform(verb, args, until, threads)` to be awaited: the same verbs, which give up when the monotonic clock of the
    machine reaches `until`. Without the second one, the verbs of a blocking ledger are called in a thread.
    """

    blocking: bool

    def open(self, rows: Sequence[Row], note: Note) -> list[tuple[Row, bool]]:
        """Insert every row whose (gateway, book, id) is new; for each, the stored row and whether it is new.

        A refund is also refused while another refund of the same order is open, sent or unknown: then the other
        one's row is returned, and False. Told again with the same note, because nobody knew whether it was written,
        the answer is the same as at first.
        """
        ...

    def get(self, gateway: str, book: Book, id: str) -> Row | None:
        """The row, if there is one."""
        ...

    def change(self, row: Row, note: Note) -> Row | None:
        """Store `row` if the stored one still has `row.fence` and `row.hash`; returns it with the next ones, else None.

        Told again with the same note, the answer is the same as at first.

        Raises: Taken where `row.provider_id` already belongs to another row of the same gateway and book; LedgerError
        for a state that may not follow the stored one.
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

    def claim(self, gateway: str, now: float, limit: int, until: float, note: Note) -> list[Row]:
        """Lease until `until` what paygate is to carry out by `now` and nobody holds, the longest due first.

        That is: rows with `sealed` and due_at <= now that are scheduled or not_sent. One that another worker takes at
        the same moment is left out.
        """
        ...

    def planned(self, gateway: str, until: float, limit: int) -> list[Row]:
        """What paygate is to carry out by `until`, the longest due first; held or not."""
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
