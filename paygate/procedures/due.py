"""What has fallen due: claimed in one durable step, then carried out, each as an ordinary charge.

Whoever calls this, however often and from however many machines, charges each period once: a claim only spares
workers from meeting; what keeps money from moving twice is the ledger's row of each charge.
"""

from __future__ import annotations

from datetime import datetime

from attrs import define, field

from ..errors import BadCommand, Declined, InProgress, NotSent, OutcomeUnknown, PaygateError
from ..ledger.row import Book, Kind, LedgerError, Row, State
from ..model import Payment, PaymentStatus
from . import dated, plans
from .account import Account
from .outcome import reason
from .steps import Entry, Sign, Steps, change, get_row

_MARGIN_S = 30.0
_REST_S = 60.0
"""How long a charge that could not be sent rests before it is tried again."""


@define
class DueReport:
    """What became of the charges that were due: order ids by outcome. `waiting` will be taken up again by itself."""

    taken_up: int = 0
    paid: list[str] = field(factory=list)
    declined: list[str] = field(factory=list)
    unknown: list[str] = field(factory=list)
    waiting: list[str] = field(factory=list)
    failed: dict[str, str] = field(factory=dict)
    """What could not be carried out, and why, in our words."""


@define
class Backlog:
    """What is due and not decided: how many (counted up to a thousand), and how late the oldest is."""

    due: int = 0
    lag_s: float = 0.0


_COUNTED = 1000


def backlog(account: Account) -> Steps[Backlog]:
    """How far behind the workers are. What is under way counts.

    Raises: LedgerError.
    """
    now = account.now()
    rows: list[Row] = yield Entry("planned", (account.scope, now, _COUNTED))
    return Backlog(len(rows), 0.0 if not rows or rows[0].due_at is None else now - rows[0].due_at)


def lease_s(account: Account) -> float:
    """How long a claim lasts: one subscription may need a look-up, a charge and a dated charge."""
    return 3 * account.deadline_s + _MARGIN_S


def claim(account: Account, limit: int) -> Steps[list[Row]]:
    """Take up to `limit` of what is due, longest due first, so that no other worker takes it for a while.

    Raises: BadCommand, LedgerError.
    """
    if type(limit) is not int or limit < 1:
        raise BadCommand("limit is a whole number of charges, at least 1; nothing was sent")
    now = account.now()
    note = yield Sign("claimed")
    rows: list[Row] = yield Entry("claim", (account.scope, now, limit, now + lease_s(account), note))
    return rows


def turns(account: Account, most: int, per_s: float, within_s: float) -> Steps[tuple[float, int]]:
    """Take up to `most` of the turns that all workers of the ledger share: in how many seconds the first is, how many.

    Raises: LedgerError.
    """
    now = account.now()
    taken: tuple[float, int] = yield Entry("turns", (f"pace {account.scope}", now, most, per_s, now + within_s))
    return taken[0] - now, taken[1]


def allowed(account: Account, most: int, per_s: float | None) -> Steps[int]:
    """How many of up to `most` that are due may be begun within this second; they are taken from the shared turns.

    Raises: LedgerError.
    """
    if per_s is None:
        return most
    rows: list[Row] = yield Entry("planned", (account.scope, account.now(), most))
    return (yield from turns(account, len(rows), per_s, 1.0))[1] if rows else 0


def planned(account: Account, until: datetime, limit: int) -> Steps[list[Row]]:
    """What is to be carried out by `until`, the longest due first."""
    rows: list[Row] = yield Entry("planned", (account.scope, until.timestamp(), limit))
    return rows


def run_due(account: Account, limit: int) -> Steps[DueReport]:
    """Charge up to `limit` of what is due now. One charge's failure never stops the others.

    Raises: BadCommand; LedgerError where the ledger itself cannot be used.
    """
    report = DueReport()
    for row in (yield from claim(account, limit)):
        yield from run_claimed(account, row, report)
    return report


def execute(account: Account, id: str, fence: int) -> Steps[DueReport]:
    """Carry out what `claim` gave as (`id`, `fence`); nothing where somebody else has taken it over since."""
    report = DueReport()
    for book in (Book.PLAN, Book.PAYMENT):
        row = yield from get_row(account.scope, book, id)
        if row is not None and row.fence == fence and row.state in (State.SCHEDULED, State.NOT_SENT):
            yield from run_claimed(account, row, report)
            break
    return report


def run_one(account: Account, row: Row) -> Steps[DueReport]:
    """Carry out one row just as `claim` gave it; nothing where somebody else has taken it over since."""
    report = DueReport()
    yield from run_claimed(account, row, report)
    return report


def let_go(account: Account, row: Row) -> Steps[None]:
    """Give back a claimed row that was not begun, for others to claim.

    Raises: LedgerError.
    """
    yield from change(row, "let go", state=row.state, lease_until=None)


def run_claimed(account: Account, row: Row, report: DueReport) -> Steps[None]:
    """Carry out one claimed row; whatever happens is told by `report`."""
    report.taken_up += 1
    try:
        if row.kind is Kind.PLAN:
            for outcome in (yield from plans.take_up(account, row)):
                _note(report, *outcome)
        else:
            yield from _charged(account, row, report)
    except InProgress:
        pass  # Another worker has it.
    except Exception as error:
        report.failed[row.id] = why = reason(error)
        yield from _rest(row, account, f"could not be carried out: {why}")


def _charged(account: Account, row: Row, report: DueReport) -> Steps[None]:
    try:
        payment = yield from dated.run(account, row)
    except (Declined, OutcomeUnknown, NotSent) as error:
        _note(report, row.id, error)
        if isinstance(error, NotSent):
            now = yield from get_row(row.gateway, row.book, row.id)
            if now is not None and now.state is State.NOT_SENT:
                yield from _rest(now, account, "not sent; tried again later")
    else:
        _note(report, row.id, payment)


def _note(report: DueReport, id: str, outcome: Payment | PaygateError | None) -> None:
    match outcome:
        case Declined():
            report.declined.append(id)
        case OutcomeUnknown():
            report.unknown.append(id)
        case Payment(status=PaymentStatus.PENDING) | None | NotSent():
            report.waiting.append(id)
        case Payment():
            report.paid.append(id)
        case PaygateError():
            report.failed[id] = reason(outcome)


def _rest(row: Row, account: Account, note: str) -> Steps[None]:
    """Let it rest: until then no worker claims it."""
    try:
        yield from change(row, note, state=row.state, lease_until=account.now() + _REST_S)
    except LedgerError:
        pass  # The claim runs out by itself.
