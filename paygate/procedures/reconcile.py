"""Walk what is open, unknown or pending, and ask the PG. One order's failure never stops the walk."""

from __future__ import annotations

from datetime import datetime, timedelta

from attrs import define, field

from ..capability import Capability
from ..errors import BadCommand
from ..ledger.row import Kind, LedgerError, Row, State
from ..ledger.rules import UNRESOLVED, is_recorded, next_check
from ..model import Payment
from .account import Account
from .orphans import known_or_kept
from .outcome import reason
from .record import given_up
from .refunds import look_at_refund
from .schedule import look_at_schedule
from .settle import look
from .steps import Entry, Steps, change, via
from .talk import Talk
from .timetable import UNRESOLVED as IN_DOUBT


@define
class Report:
    """What a walk did: how many rows it asked about, which it settled, which are still open, which need a person."""

    checked: int = 0
    settled: list[str] = field(factory=list)
    still_open: list[str] = field(factory=list)
    attention: list[str] = field(factory=list)
    failed: dict[str, str] = field(factory=dict)
    """Rows the PG could not be asked about this time: id and reason, in our words."""
    listed: int = 0
    """How many payments of the PG were compared with the ledger, where `since` was given."""
    orphans: list[str] = field(factory=list)
    """The PG's ids of those that this ledger never asked for; each has a row under attention."""
    uncompared: list[str] = field(factory=list)
    """What of `failed` was to be compared because of `since`: nothing but another call with `since` does it."""


def reconcile(account: Account, limit: int, since: datetime | None = None) -> Steps[Report]:
    """Look at up to `limit` rows whose next look is due; then compare every payment that the PG has from `since` on.

    Raises: nothing for a single row; BadCommand; Unsupported (`since`, and the PG lists no payments); LedgerError where
    the ledger itself cannot be read.
    """
    if type(limit) is not int or limit < 1:
        raise BadCommand("limit is a whole number of rows, at least 1; nothing was asked")
    if since is not None:
        account.require(Capability.LISTING)
        if not isinstance(since, datetime) or since.utcoffset() is None or since >= account.clock.now():
            raise BadCommand("since is an instant in the past, with a time zone; nothing was asked")
    report = Report()
    yield from _walk(account, limit, report)
    if since is not None:
        yield from compare(account, since, report)
    return report


def _walk(account: Account, limit: int, report: Report) -> Steps[None]:
    rows: list[Row] = yield Entry("due", (account.scope, account.now(), limit))
    for row in rows:
        report.checked += 1
        try:
            row = yield from via("reconcile", heal(account, row))
        except Exception as error:
            # A provider's bug in one look-up too: told by the report, and the walk goes on.
            report.failed[row.id] = why = reason(error)
            yield from _postponed(account, row, why)
            continue
        (report.still_open if row.state in UNRESOLVED else report.settled).append(row.id)
        if row.attention is not None:
            report.attention.append(row.id)


_DAY = timedelta(days=1)


def compare(account: Account, since: datetime, report: Report) -> Steps[None]:
    """Compare the PG's payments with the ledger, a day at a time: what a restored backup has forgotten."""
    end = account.clock.now()
    while since < end:
        until = min(since + _DAY, end)
        talk = Talk(account)
        try:
            listed: tuple[Payment, ...] = yield from talk.say(account.provider.listing(since, until))
        except Exception as error:
            which = f"payments of {since.isoformat(timespec='minutes')}"
            report.failed[which] = reason(error)
            report.uncompared.append(which)
            listed = ()
        for payment in listed:
            report.listed += 1
            try:
                row = yield from via("listing", known_or_kept(account, payment, talk))
            except Exception as error:
                report.failed[payment.order_id] = reason(error)
                report.uncompared.append(payment.order_id)
                continue
            if row is not None and row.kind is Kind.STRAY:
                report.orphans.append(row.id)
            if row is not None and row.attention is not None and row.id not in report.attention:
                report.attention.append(row.id)
        since = until


def heal(account: Account, row: Row) -> Steps[Row]:
    """One look at a row of any kind."""
    if is_recorded(row):
        return (yield from given_up(row))  # No PG knows of it.
    talk = Talk(account)
    if row.kind is Kind.CANCEL:
        return (yield from look_at_refund(account, row, talk))
    if row.kind is Kind.SCHEDULE:
        return (yield from look_at_schedule(account, row, talk))
    return (yield from look(account, row, talk))


_WEEK_S = 7 * 86_400.0


def _postponed(account: Account, row: Row, why: str) -> Steps[None]:
    """Could not be asked: try again later, for as long as the timetable lasts, then every day, and a person is told."""
    now = account.now()
    checks = row.checks + 1
    check_at = next_check(checks, now, account.settle_s)
    # A promise the PG holds is open as well, though its own command was answered.
    is_open = row.state in UNRESOLVED or (row.kind is Kind.SCHEDULE and row.state is State.ANSWERED)
    if not is_open and now - (row.sent_at or row.opened_at) < _WEEK_S:
        # The looks that follow an end are few, and made up for: only an answer uses one up.
        checks, check_at = row.checks, now + 5 * account.settle_s
    given_up = check_at is None and is_open and row.attention is None
    attention = f"{IN_DOUBT}the PG could not be asked about it" if given_up else row.attention
    try:
        yield from change(row, f"could not be looked up: {why}", state=row.state, checks=checks, attention=attention,
                          check_at=now + 86_400.0 if check_at is None else check_at)
    except (LedgerError, AssertionError):
        pass  # The row keeps its old check_at and is walked again; even a broken rule does not stop the walk.
