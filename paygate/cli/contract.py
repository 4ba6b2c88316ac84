"""`paygate contract`: does a provider keep the contract? Offline against its emulator, or the safe part of it live."""

from __future__ import annotations

import json
import sys
import tempfile
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import click

from ..capability import Capability, Certainty
from ..errors import BadSettings
from ..plugins import printable
from ..testing.contract import all_checks, live, report
from ..testing.contract.subject import named, subject_of


@click.command()
@click.argument("name")
@click.option("--html", "page", type=click.Path(path_type=Path), help="Write the report as a page to this file.")
@click.option("--json", "data", type=click.Path(path_type=Path), help="Write the report as JSON to this file.")
@click.option("--badge", type=click.Path(path_type=Path), help="Write a badge (SVG) to this file.")
@click.option("--live", "is_live", is_flag=True, help="Run the safe part against the PG's real test mode instead.")
@click.option("--settings", metavar="FILE", help="With --live: a JSON file of test settings; - reads stdin.")
@click.option("--billing-key", help="With --live: a test key; a small amount is charged and given back.")
@click.option("--cap", type=click.IntRange(1), help="With --live: the most that is charged, in minor units.")
@click.option("--base-url", help="With --live: the PG's address, one of the provider's hosts or this machine.")
@click.option("--ledger", type=click.Path(path_type=Path), help="With --live: a ledger to keep; else one for the run.")
def command(name: str, page: Path | None, data: Path | None, badge: Path | None, is_live: bool, settings: str | None,
            billing_key: str | None, cap: int | None, base_url: str | None, ledger: Path | None) -> None:
    """Check whether provider NAME keeps the contract. Exit 1 where it does not.

    Without --live nothing is sent anywhere: the provider talks to its emulator, in this process.
    """
    if is_live:
        _live(name, settings, billing_key=billing_key, cap=cap, base_url=base_url, ledger=ledger)
        return
    if settings or billing_key or cap or base_url or ledger:
        raise click.UsageError("--settings, --billing-key, --cap, --base-url and --ledger go with --live")
    with redirect_stdout(sys.stderr):  # What a plugin prints is not our output.
        made = report.made(subject_of(name), all_checks())
    for file, written in ((page, report.as_html), (data, report.as_json), (badge, report.as_badge)):
        if file is not None:
            file.write_text(written(made), encoding="utf-8")
    for line in made.lines:
        if line.verdict == "broken":
            click.echo(printable(f"broken: {line.sentence}"))
            for why in line.why:
                click.echo(printable(f"    {why}"))
    click.echo(f"{name}: {made.count('holds')} hold, {made.count('broken')} broken, {made.count('not here')} do not "
               f"concern it; sha256 {made.to_dict()['sha256']}")
    for text in _left(name):
        click.echo(printable(text))
    if not made.holds:
        sys.exit(1)


def _left(name: str) -> list[str]:
    """What a provider's author may still do: claim more, and find out what is only taken to be so."""
    spec, _ = named(name)
    unclaimed = [c.value for c in Capability if c not in spec.capabilities]
    taken = [entry for entry, _, fact in spec.profile.describe() if fact.certainty is Certainty.ASSUMED]
    return [*([f"not claimed: {', '.join(unclaimed)}"] if unclaimed else []),
            *([f"assumed: {', '.join(taken)}; `paygate providers --explain {name}` says why"] if taken else [])]


def _live(name: str, file: str | None, *, billing_key: str | None, cap: int | None, base_url: str | None,
          ledger: Path | None) -> None:
    if file is None:
        raise click.UsageError("--live needs --settings FILE")
    spec, _ = named(name)
    with tempfile.TemporaryDirectory() as folder:
        told = live.run(spec, _settings(file), ledger=ledger or Path(folder) / "live.db", key=billing_key, cap=cap,
                        base_url=base_url)
    for step in told.steps:
        click.echo(printable(f"{step.verdict}: {step.sentence}" + (f" ({step.why})" if step.why else "")))
    for text in told.left:
        click.echo(printable(f"LEFT BEHIND: {text}"), err=True)
    if not told.holds:
        sys.exit(1)


def _settings(file: str) -> dict[str, Any]:
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
        made = json.loads(text)
    except (OSError, ValueError) as error:
        raise BadSettings(f"{file} cannot be read as JSON ({type(error).__name__})") from None
    if not isinstance(made, dict):
        raise BadSettings(f"{file} is not a JSON object")
    return made
