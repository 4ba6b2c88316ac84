"""The rules of the ledger, pure: which state may follow which, and what a repeated command means."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import Enum, auto
from typing import Any

import attrs

from ..secret import Secret
from .row import Book, Row, State

FOLLOWS: dict[State, frozenset[State]] = {
    # Answered without being sent: a subscription that has ended.
    State.SCHEDULED: frozenset({State.SCHEDULED, State.OPENED, State.SENT, State.NOT_SENT, State.ANSWERED}),
    # Answered without being sent: a refund asked for again, whose first asking turns out to have been done.
    # Unknown without being sent: a refund that may be one of those the PG knows and this ledger does not.
    State.OPENED: frozenset({State.OPENED, State.SENT, State.NOT_SENT, State.ANSWERED, State.UNKNOWN}),
    State.SENT: frozenset({State.SENT, State.ANSWERED, State.REFUSED, State.NOT_SENT, State.UNKNOWN}),
    State.UNKNOWN: frozenset({State.UNKNOWN, State.ANSWERED, State.REFUSED, State.NOT_SENT}),
    State.ANSWERED: frozenset({State.ANSWERED}),
    # The two negative ends. Truth may come late: the PG approved after all (raises attention).
    State.REFUSED: frozenset({State.REFUSED, State.ANSWERED}),
    # Not sent: the same id may be sent again.
    State.NOT_SENT: frozenset({State.NOT_SENT, State.SCHEDULED, State.OPENED, State.SENT, State.ANSWERED}),
}
"""States only move forward."""

UNRESOLVED = (State.OPENED, State.SENT, State.UNKNOWN)


RECORDED_FOR_S = 3600.0
"""How long what was recorded in a merchant's transaction waits for its command, before a person is told."""


def is_recorded(row: Row) -> bool:
    """Whether it was only written down, in a transaction of the merchant's: no byte of it can have left."""
    return row.state is State.OPENED and row.sent_at is None and row.book in (Book.PAYMENT, Book.CANCEL)


class Verdict(Enum):
    """What a command with a known id means."""

    SEND = auto()
    RETURN = auto()
    RAISE = auto()
    LOOK = auto()
    IN_PROGRESS = auto()
    CONFLICT = auto()


def verdict(row: Row, digest: str, now: float) -> Verdict:
    """Judge a command whose id is in the ledger already. Whatever may have been sent is looked up, never sent."""
    if row.digest != digest:
        return Verdict.CONFLICT
    leased = row.lease_until is not None and now < row.lease_until
    match row.state:
        case State.ANSWERED:
            return Verdict.RETURN
        case State.REFUSED:
            return Verdict.RAISE
        case State.NOT_SENT | State.SCHEDULED:
            return Verdict.SEND
        case State.OPENED:
            return Verdict.IN_PROGRESS if leased else Verdict.SEND
        case State.SENT:
            return Verdict.IN_PROGRESS if leased else Verdict.LOOK
        case State.UNKNOWN:
            return Verdict.LOOK


_LADDER = (1 / 24, 1 / 4, 1.0, 5.0, 30.0)
"""Look-ups after a doubt, in settle windows: 5 s, 30 s, 2 min, 10 min and 1 h for a window of 120 s."""
LOOKS_OF_A_WINDOW = 3
"""How many of them a settle window has."""
_DAY = 86_400.0
_DAILY = 7


def next_check(checks: int, now: float, settle_s: float) -> float | None:
    """When to look again after `checks` look-ups; None when the timetable is exhausted."""
    if checks < len(_LADDER):
        before = _LADDER[checks - 1] if checks else 0.0
        return now + (_LADDER[checks] - before) * settle_s
    return now + _DAY if checks < len(_LADDER) + _DAILY else None


def is_absence_proven(row: Row, now: float, settle_s: float) -> bool:
    """Whether a miss at `now` proves that it never happened.

    Needs an earlier miss at least a quarter window ago, and the settle window to be over since the last moment at
    which a byte can have left.
    """
    if row.missed_at is None or row.sent_at is None:
        return False
    return now - row.missed_at >= settle_s / 4 and now - row.sent_at >= settle_s


def digest(command: Any) -> str:
    """A fingerprint of everything a command says, secrets included, which gives none of it away."""
    said = [type(command).__name__, _plain(command)]
    text = json.dumps(said, ensure_ascii=True, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def key_digest(key: Secret) -> str:
    """A fingerprint of a billing key."""
    return hashlib.sha256(b"key:" + key.reveal().encode("utf-8")).hexdigest()


def renewals_digest(began: str) -> str:
    """A fingerprint under which the renewals of the subscription stand that the PG's order `began` began."""
    return hashlib.sha256(b"renewals:" + began.encode("utf-8")).hexdigest()


def payer_digest(payer: Secret) -> str:
    """A fingerprint of our name for a payer."""
    return hashlib.sha256(b"payer:" + payer.reveal().encode("utf-8")).hexdigest()


_ATTRIBUTES: dict[type, tuple[str, ...] | None] = {}


def _attributes(kind: type) -> tuple[str, ...] | None:
    if kind not in _ATTRIBUTES:
        _ATTRIBUTES[kind] = tuple(f.name for f in attrs.fields(kind)) if attrs.has(kind) else None
    return _ATTRIBUTES[kind]


def _plain(value: Any) -> Any:
    if isinstance(value, Secret):
        return value.reveal()
    if (names := _attributes(type(value))) is not None:
        return {name: _plain(getattr(value, name)) for name in names}
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return value if value is None or isinstance(value, (str, int, bool)) else repr(value)
