"""`paygate ledger upgrade | check | export | move`: the ledger itself, without a gateway. Nothing here asks a PG.

Exit codes for cron: 0 all is well · 1 the check found something · 2 the command could not run.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import time
from typing import Any, TypeVar

import click

from ..assemble import open_store
from ..errors import BadSettings
from ..ledger import audit, migrate
from ..ledger import move as moving
from ..ledger.row import LedgerError
from ..ledger.store import SqlLedger
from ..plugins import printable
from .books import iso, short

FOUND = 1
MOST_FINDINGS = 1_000
T = TypeVar("T", bound=Callable[..., Any])


@click.group()
def command() -> None:
    """Upgrade, check, export or move a ledger: the path of a file, or a postgresql:// address; else PAYGATE_LEDGER."""


def _ledger(command: T) -> T:
    return click.argument("ledger", envvar="PAYGATE_LEDGER")(command)


def _json(command: T) -> T:
    return click.option("--json", "as_json", is_flag=True, help="The same as JSON.")(command)


@contextmanager
def _opened(ledger: str, *, upgrades: bool, is_new: bool = False) -> Iterator[SqlLedger]:
    """The ledger, which must be there already unless it may be new.

    Raises: BadSettings.
    """
    if not is_new and "://" not in ledger and "=" not in ledger and not os.path.isfile(ledger):
        # Opened, it would be made: and an empty ledger has no faults.
        raise BadSettings(f"there is no ledger at {ledger}")
    try:
        store = open_store(ledger, upgrades=None if is_new else upgrades)
        try:
            yield store
        finally:
            store.close()
    except (LedgerError, ValueError) as error:
        said = str(error)
    else:
        return
    # Outside of the handler, whose frames hold the address, password and all.
    raise BadSettings(f"the ledger cannot be used: {said}")


@command.command()
@_ledger
@_json
def upgrade(ledger: str, as_json: bool) -> None:
    """Bring a ledger's tables up to date. Doing it twice changes nothing; there is no way back."""
    with _opened(ledger, upgrades=True) as store:
        done = [{"number": m.number, "name": m.name} for m in store.applied]
    if as_json:
        click.echo(json.dumps({"applied": done, "version": len(migrate.migrations())}))
        return
    for migration in done:
        click.echo(f"applied {migration['number']:04} {migration['name']}")
    click.echo(f"the ledger is at version {len(migrate.migrations())}")


@command.command()
@_ledger
@click.option("--seal", metavar="SEAL", help="An earlier check's seal: what it covers must still stand.")
@_json
def check(ledger: str, seal: str | None, as_json: bool) -> None:
    """Verify every row and trail, and print a seal: keep it elsewhere, and hand it to a later check.

    Exit code 1 where something is not as it should be. Reads everything, and stops nobody.
    """
    try:
        sealed = None if seal is None else audit.Seal.read(seal)
    except audit.BadSeal as bad:
        raise BadSettings(str(bad)) from None
    if sealed is not None and not sealed.rows:
        raise BadSettings("this seal covers no row, so it can show nothing: when it was made, all was younger than ten "
                          "minutes, or there was nothing")
    with _opened(ledger, upgrades=False) as store:
        closed = store.closed
        broken = [audit.Finding("", "", "", what) for what in store.health()]
        with store.snapshot() as ask:
            report = audit.check(ask, time(), sealed=sealed)
    findings = broken + report.findings
    if as_json:
        click.echo(json.dumps({"rows": report.rows, "lines": report.lines,
                               "seal": report.seal if report.sealed_rows else None,
                               "sealed": _sealed(report), "closed": closed,
                               "findings": [{"gateway": f.gateway, "book": f.book, "id": f.id, "what": f.what}
                                            for f in findings[:MOST_FINDINGS]], "found": len(findings)}))
    else:
        for finding in findings[:MOST_FINDINGS]:
            click.echo(f"wrong: {printable(str(finding))}")
        click.echo(f"{report.rows} rows, {report.lines} lines, {len(findings)} found to be wrong")
        if sealed is not None and report.is_as_sealed:
            click.echo(f"what was sealed still stands: {sealed.rows} rows as of {short(sealed.until)}")
        _show_seal(report)
        if closed is not None:
            click.echo(f"closed: {printable(closed)}")
    sys.exit(FOUND if findings else 0)


@command.command()
@_ledger
def export(ledger: str) -> None:
    """Print every row with its trail as JSON lines. No secret is in it; what PGs said of payers is."""
    out = sys.stdout
    with _opened(ledger, upgrades=False) as store, store.snapshot() as ask:
        for said in audit.export(ask):
            out.write(json.dumps(said) + "\n")


@command.command()
@_ledger
@click.option("--to", metavar="PLACE", required=True, help="A new file, or an empty PostgreSQL database.")
@click.option("--undo", is_flag=True, help="Open the ledger again, whose move to PLACE was not ended.")
@_json
def move(ledger: str, to: str, undo: bool, as_json: bool) -> None:
    """Move a ledger to another store. From then on the old one refuses everything.

    Workers that are left on it can charge nothing and end; what they have under way is waited for. Broken off at any
    point, the same command goes on. Exit code 1 where it is moved, and a check finds something that was wrong before.
    """
    def heard(step: str, count: int) -> None:
        if not (as_json or (step == "copying" and not count)):
            click.echo(_STEPS[step].format(here=here.place, there=there.place, count=f"{count:,}"), err=True)

    with _opened(ledger, upgrades=False) as here, _opened(to, upgrades=False, is_new=True) as there:
        if undo:
            moving.undo(here, there)
            click.echo(f"{here.place} is open again; {there.place} is empty")
            return
        report = moving.move(here, there, heard)
    if as_json:
        click.echo(json.dumps({"rows": report.rows, "lines": report.lines, "found": len(report.findings),
                               "seal": report.seal}))
    else:
        click.echo(f"{report.rows:,} rows and {report.lines:,} lines are in {there.place}; "
                   f"{len(report.findings)} found to be wrong")
        _show_seal(report)
    sys.exit(FOUND if report.findings else 0)


def _sealed(report: audit.Report) -> dict[str, Any]:
    return {"rows": report.sealed_rows, "lines": report.sealed_lines, "until": iso(report.sealed_until)}


def _show_seal(report: audit.Report) -> None:
    """The seal, and what it covers: one that covers nothing would be broken by nothing."""
    if not report.sealed_rows:
        click.echo("no seal yet: it would cover nothing, as nothing is older than ten minutes")
        return
    click.echo(f"seal {report.seal}")
    click.echo(f"it covers {report.sealed_rows} rows and {report.sealed_lines} lines, up to "
               f"{short(report.sealed_until)}; what is younger is for the next one")


_STEPS = {"closed to new charges": "{here} begins nothing new any more",
          "under way": "waiting for {count} that are being sent", "closed": "{here} is closed",
          "copying": "copied {count}", "compared": "{count} are the same in {there}", "opened": "{there} is open"}
