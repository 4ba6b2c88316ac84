"""When to look again at what is in doubt or has ended, and when a miss proves that it never happened."""

from __future__ import annotations

from typing import Any

from ..capability import Absence, Capability
from ..ledger.row import Kind, Row, State
from ..ledger.rules import LOOKS_OF_A_WINDOW, is_absence_proven, is_recorded, next_check
from .account import Account

AWAITS_PAYER = (Kind.PAY, Kind.REGISTER, Kind.SUBSCRIBE)

UNRESOLVED = "unresolved: "
"""How the attention of a doubt begins, as opposed to that of a contradiction."""


def is_captured(account: Account, row: Row) -> bool:
    """Whether it may have been asked for that what the payer approved is done: from then on it is a doubt."""
    return row.kind in AWAITS_PAYER and row.state is State.UNKNOWN and account.supports(Capability.CAPTURE)


def again(account: Account, row: Row, now: float) -> dict[str, Any]:
    """Keep the state, look again later. Whoever asks between two looks of the timetable does not use it up."""
    if row.lease_until is None and row.check_at is not None and now < row.check_at:
        return {"state": row.state, "checks": row.checks, "check_at": row.check_at}
    return {"state": row.state, "checks": row.checks + 1, "check_at": next_check(row.checks + 1, now, account.settle_s)}


def doubt(account: Account, row: Row, now: float) -> dict[str, Any]:
    """Keep or enter doubt, look again later; when there is no later, a person is asked."""
    changes = {**again(account, row, now), "state": State.UNKNOWN}
    if row.state is State.SENT and row.sent_at is not None:
        changes["sent_at"] = min(row.sent_at, now) if row.lease_until is None or now < row.lease_until else row.sent_at
    if changes["check_at"] is None:
        changes["attention"] = row.attention or f"{UNRESOLVED}the PG never told what became of it"
    return changes


def missed(account: Account, row: Row, now: float) -> tuple[str, dict[str, Any]]:
    """The PG knows nothing of it: proof only after the settle window, and only where the profile says so."""
    if row.kind in AWAITS_PAYER and not is_captured(account, row):
        # The payer simply has not begun; the page may still be open. After the whole timetable it is an abandoned cart.
        later = again(account, row, now)
        if later["check_at"] is None:
            return "the payer never came", {**later, **given_up(account, now)}
        return "the payer has not begun", later
    # For a refund it is the balance that was read, and a balance is always an answer.
    proves = row.kind is Kind.CANCEL or account.spec.profile.absence.value is not Absence.NOTHING
    proves = proves and not _was_shown(row)
    if proves and is_absence_proven(row, now, account.settle_s) and _has_waited(account, row):
        account.doubts.pop(row.id, None)
        return "proven absent", {"state": State.NOT_SENT, "checks": 0, "check_at": now + 5 * account.settle_s,
                                 "attention": None}
    return "not found yet", {**doubt(account, row, now), "missed_at": row.missed_at or now}


def given_up(account: Account, now: float) -> dict[str, Any]:
    """What becomes of a window whose timetable is over: it is watched like a refusal, as the page may still be open."""
    return {"state": State.NOT_SENT, "checks": 0, "check_at": now + 5 * account.settle_s}


def _was_shown(row: Row) -> bool:
    """Whether the PG has shown something of it before, be it not what was asked for: then it is an old copy of the PG's
    books that knows nothing of it, for however long.
    """
    if row.kind is Kind.CANCEL:
        return False  # What a balance has shown is judged where it is read.
    contradicted = row.attention is not None and not row.attention.startswith(UNRESOLVED)
    return contradicted or (row.kind not in AWAITS_PAYER and row.result is not None)


def _has_waited(account: Account, row: Row) -> bool:
    """Whether the window is over by a clock that cannot jump, if this process has seen the doubt.

    If it has not, there is the wall clock alone: then the timetable's look after the window must have missed it too, so
    that no single jump of that clock makes a proof, whichever pause it falls into.
    """
    until = account.doubts.get(row.id)
    if until is not None:
        return account.clock.monotonic() >= until
    account.doubts[row.id] = account.clock.monotonic() + account.settle_s
    return row.checks >= LOOKS_OF_A_WINDOW


_WATCH = (5.0, 30.0)


def watch(row: Row, account: Account, now: float) -> dict[str, Any]:
    """After an end: look again after ten minutes, an hour, a day (for a settle window of two minutes)."""
    if row.check_at is None or now < row.check_at or is_recorded(row):
        return {}
    later = (*(w * account.settle_s for w in _WATCH[1:]), 86_400.0)
    return {"checks": row.checks + 1, "check_at": now + later[row.checks] if row.checks < len(later) else None}
