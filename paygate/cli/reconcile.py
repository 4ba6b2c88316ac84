"""`paygate reconcile`: ask the PG about whatever is due, once, until nothing is. Made for cron."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import click

from ..errors import BadCommand
from ..gateway import Gateway
from ..plugins import printable
from ..procedures.reconcile import Report
from .books import MOST_ROWS, NEEDS_A_PERSON, OPEN, code, ledger_options, opened, plain, show_json, show_rows

_UNITS = {"m": 60, "h": 3600, "d": 86_400}


@click.command()
@click.option("--since", metavar="WHEN", help="Compare every payment that the PG has from then on as well: 36h, 7d, or "
                                              "an instant such as 2026-01-05T09:00+09:00.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="Rows read at a time.")
@ledger_options
@click.pass_context
def command(ctx: click.Context, since: str | None, limit: int, ledger: str | None, name: str | None,
            as_json: bool) -> None:
    """Ask the PG about whatever is due.

    Exit code: 0 nothing is open, 4 something is and paygate looks again by itself, 3 something needs a person; 3 as
    well where not all of --since could be compared: nothing does that but the same command again.
    """
    began = None if since is None else instant(since, datetime.now(UTC))
    with opened(ledger, name) as gate:
        report = walk(gate, limit, began)
        waiting, flagged = gate.pending(MOST_ROWS), gate.attention(MOST_ROWS)
    if as_json:
        show_json({"checked": report.checked, "settled": report.settled, "still_open": report.still_open,
                   "failed": report.failed, "listed": report.listed, "orphans": report.orphans,
                   "uncompared": report.uncompared,
                   "pending": len(waiting), "attention": [plain(row) for row in flagged]})
    else:
        for line in _told(report, began):
            click.echo(printable(line))
        if flagged:
            show_rows(flagged)
    ctx.exit(NEEDS_A_PERSON if report.uncompared else code([*flagged, *waiting]) or (OPEN if report.failed else 0))


def walk(gate: Gateway, limit: int, since: datetime | None) -> Report:
    """Reconcile until nothing is due any more; a row that cannot even be postponed is met once."""
    whole = Report()
    while True:
        report = gate.reconcile(limit)
        _add(whole, report)
        if report.checked < limit or len(report.failed) == report.checked:
            break
    if since is not None:
        _add(whole, gate.reconcile(limit, since=since))
    return whole


def _add(whole: Report, report: Report) -> None:
    whole.checked += report.checked
    whole.listed += report.listed
    whole.settled += report.settled
    whole.still_open += report.still_open
    whole.attention += report.attention
    whole.orphans += report.orphans
    whole.uncompared += report.uncompared
    whole.failed |= report.failed


def instant(text: str, now: datetime) -> datetime:
    """The instant that `--since` names: so many minutes, hours or days ago, or an ISO instant with a zone.

    Raises: BadCommand.
    """
    ago = re.fullmatch(r"([0-9]{1,6})([mhd])", text)
    try:
        if ago is not None:
            return now - timedelta(seconds=int(ago[1]) * _UNITS[ago[2]])
        at = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        at = datetime.min  # noqa: DTZ901 (no instant: refused below)
    if at.utcoffset() is None:
        raise BadCommand("--since is 36h, 7d or the like, or an instant with its zone, such as 2026-01-05T09:00+09:00")
    return at


def _told(report: Report, since: datetime | None) -> list[str]:
    told = [f"looked at {report.checked}: {len(report.settled)} settled, {len(report.still_open)} still open, "
            f"{len(report.failed)} could not be asked about"]
    if since is not None:
        told.append(f"compared {report.listed} payments of the PG since {since.isoformat(timespec='minutes')}: "
                    f"{len(report.orphans)} that this ledger never asked for")
    told += [f"could not be asked about: {id}: {why}" for id, why in report.failed.items()]
    if since is not None and report.uncompared:
        told.append(f"not compared: {len(report.uncompared)} of these; run it again with --since "
                    f"{since.isoformat(timespec='minutes')} until all is")
    return told
