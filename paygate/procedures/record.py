"""Write a command down without sending it: an intent, inside a transaction of the merchant's own.

The command's own steps are run up to the moment at which they would write their rows; the rows are written as OPENED,
held by nobody. So whatever the command checks is checked, and the same command sends it later. What paygate charges by
itself (dated charges, subscriptions) has nothing to send now, and is written as it stands.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import evolve

from ..errors import InProgress, NotSent, SetupError
from ..ledger.row import LedgerError, Row, State
from ..ledger.rules import RECORDED_FOR_S, Verdict
from .account import Account
from .begin import check_verdict, judge_row
from .steps import Entry, Pause, Send, Steps, change, reread
from .timetable import AWAITS_PAYER

NEVER_SENT = "recorded and never sent: giving its command sends it, resolving it as not_sent gives it up"
_TO_BE_SENT = (State.SENT, State.OPENED)


def record(account: Account, steps: Steps[object]) -> Steps[tuple[Row, ...]]:
    """Write down what `steps` would begin with; returns the rows as they stand.

    Raises: SetupError (the command cannot be written without asking the PG first), Conflict, InProgress, NotSent (the
    ledger cannot be written; nothing was recorded), and what the command raises before it is written.
    """
    try:
        return (yield from _recorded(account, steps))
    except LedgerError as error:
        raise NotSent(f"nothing was recorded: the ledger cannot be written on this connection ({error}); roll the "
                      "transaction back, then do it again") from None


def _recorded(account: Account, steps: Steps[object]) -> Steps[tuple[Row, ...]]:
    written: tuple[Row, ...] = ()
    come: object = None
    fault: BaseException | None = None
    while True:
        try:
            effect = steps.send(come) if fault is None else steps.throw(fault)
        except StopIteration:
            return written
        come = fault = None
        if isinstance(effect, (Send, Pause)):
            steps.close()
            raise SetupError("this command asks the PG before it is written down, which nothing does inside a "
                             "transaction of yours; nothing was sent; give the command itself, outside of it")
        if isinstance(effect, Entry) and effect.verb == "open":
            wanted: Sequence[Row] = effect.args[0]
            if any(row.state in _TO_BE_SENT for row in wanted):
                steps.close()
                intents = [_intent(account, row) for row in wanted]
                return _judged(account, intents, (yield Entry("open", (intents, effect.args[1]))))
            written += tuple(wanted)
        try:
            come = yield effect
        except BaseException as raised:
            fault = raised


def _intent(account: Account, row: Row) -> Row:
    """Whether its command has come by then is looked at once; nothing sends it by itself."""
    return evolve(row, state=State.OPENED, lease_until=None, sent_at=None, check_at=account.now() + RECORDED_FOR_S)


def given_up(row: Row) -> Steps[Row]:
    """What becomes of an intent whose command has not come: a person is told; a window was never shown to a payer."""
    if row.kind in AWAITS_PAYER:
        moved = yield from change(row, "recorded, and never shown to a payer", state=State.NOT_SENT, check_at=None)
    else:
        moved = yield from change(row, "recorded, and its command never came", state=row.state, check_at=None,
                                  attention=NEVER_SENT)
    return moved if moved is not None else (yield from reread(row))


def _judged(account: Account, wanted: Sequence[Row], opened: Sequence[tuple[Row, bool]]) -> tuple[Row, ...]:
    """The rows, where each is new or the same command's.

    Raises: Conflict, InProgress.
    """
    for row, (stored, is_new) in zip(wanted, opened, strict=True):
        if is_new:
            continue
        if stored.id != row.id:
            raise InProgress(f"another refund ({stored.id}) of order {row.order_id} is not settled yet; nothing was "
                             "recorded; ask again when it is", order_id=row.order_id)
        if (said := judge_row(account, stored, row)) in (Verdict.CONFLICT, Verdict.IN_PROGRESS):
            check_verdict(stored, said)
    return tuple([stored for stored, _ in opened])
