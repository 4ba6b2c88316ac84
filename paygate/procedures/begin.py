"""How every command that moves money begins: written down first, and judged by what the ledger knows of its id."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from attrs import frozen

from ..errors import Conflict, InProgress, NotSent
from ..ledger.row import Damaged, Kind, LedgerError, Row, State, Taken
from ..ledger.rules import Verdict, payer_digest, verdict
from ..ledger.rules import digest as digest_of
from .account import Account
from .steps import Steps, change, open_rows

_MARGIN = 1.1
"""How much longer than its deadline a call holds its row, as a factor."""


def lease_until(account: Account) -> float:
    """Until when a call that begins now holds its row."""
    return account.now() + account.deadline_s * _MARGIN


def new_row(account: Account, kind: Kind, id: str, command: Any, *, order_id: str | None = None,
            state: State = State.SENT, digest: str | None = None, **fields: Any) -> Row:
    """A row for `command`, leased to this call. `digest` is the command's, where it is known."""
    now, until = account.now(), lease_until(account)
    payer = account.provider.payer_of(command)
    return Row(gateway=account.scope, kind=kind, id=id, order_id=order_id or id, digest=digest or digest_of(command),
               state=state, opened_at=now, lease_until=until, sent_at=until, check_at=until,
               payer_digest=None if payer is None else payer_digest(payer), **fields)


@frozen
class Begun:
    """`row` as it stands; `verdict` says what to do. SEND means that this call holds the row."""

    row: Row
    verdict: Verdict


def begin(account: Account, row: Row) -> Steps[Begun]:
    """Write `row` down, or judge the one that has its id.

    Raises: NotSent (the ledger cannot be written), Conflict, InProgress, Damaged.
    """
    try:
        stored, is_new = (yield from open_rows([row], "opened"))[0]
        if is_new:
            return Begun(stored, Verdict.SEND)
        if stored.id != row.id:
            raise InProgress(f"another refund ({stored.id}) of order {row.order_id} is not settled yet; "
                             "ask again when it is", order_id=row.order_id)
        judged = judge_row(account, stored, row)
        if judged is Verdict.SEND:
            return Begun((yield from retake(row, stored)), judged)
    except (Taken, Damaged):
        raise  # What became of a row that cannot be read is not known: "not sent" might be untrue.
    except LedgerError as error:
        raise NotSent(f"nothing was sent for {row.id}: the ledger cannot be written ({error}); "
                      "the same id may be sent again", order_id=row.order_id) from None
    check_verdict(stored, judged)
    return Begun(stored, judged)


def judge_row(account: Account, stored: Row, wanted: Row) -> Verdict:
    """The verdict on a known id; what this process is sending right now is in progress, whatever the clock says."""
    judged = verdict(stored, wanted.digest, account.now())
    return Verdict.IN_PROGRESS if judged in (Verdict.LOOK, Verdict.SEND) and account.is_held(stored) else judged


def retake(wanted: Row, stored: Row) -> Steps[Row]:
    """Lease again a row that was never sent.

    Raises: InProgress where another worker was quicker.
    """
    # A refund keeps the balance it was first measured against: if the first asking was done late, it will show.
    kept = {} if stored.kind is Kind.CANCEL else {"result": None}
    note = "sent again after it was proven not sent" if stored.state is State.NOT_SENT else "taken up"
    taken = yield from change(stored, note, state=wanted.state,
                              lease_until=wanted.lease_until, sent_at=wanted.sent_at, check_at=wanted.check_at,
                              missed_at=None, checks=0, refusal=None, attention=None,
                              payer_digest=wanted.payer_digest, **kept)
    if taken is None:
        raise InProgress(f"another worker holds {wanted.id}; ask again later", order_id=wanted.order_id)
    return taken


def check_verdict(stored: Row, judged: Verdict) -> None:
    """Raises: Conflict, InProgress."""
    if judged is Verdict.CONFLICT:
        raise Conflict(f"{stored.id} was used before with other parameters, and that {stored.kind.value} is "
                       f"{stored.state.value}; nothing was sent; look with find({stored.order_id!r}) before you take a "
                       "new id", order_id=stored.order_id)
    if judged is Verdict.IN_PROGRESS:
        raise InProgress(f"another worker holds {stored.id}{_until(stored)}; ask again later, do not use a new id",
                         order_id=stored.order_id)


def _until(row: Row) -> str:
    """Until when a worker holds a row that has died and lets go of nothing."""
    if row.lease_until is None:
        return ""
    return f", until {datetime.fromtimestamp(row.lease_until, UTC):%H:%M:%S} UTC at the latest"
