"""`paygate providers`: what is installed, from whom, what each can do, how each behaves. Needs no credentials."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from contextlib import redirect_stdout
from io import StringIO
from typing import Any

import attrs
import click
from attrs import frozen

from ..capability import Capability, with_vault
from ..errors import UnknownProvider
from ..plugins import NARROWED_BY, Found, find_providers, is_allowed, load, printable
from ..provider import ProviderSpec

NO = "–"
WITH_VAULT = "paygate (vault)"
"""The PG does not do it; paygate does, given a vault (docs/subscriptions.md)."""


@frozen(kw_only=True)
class Row:
    """One installed provider: ok with its `spec`, or else broken, duplicate or blocked, and `why`."""

    found: Found
    status: str
    why: str | None = None
    spec: ProviderSpec | None = None


def capability_table(specs: Iterable[ProviderSpec]) -> str:
    """A Markdown table of what each provider can do: a line for each capability, a column for each provider."""
    header, *lines = _matrix(tuple(specs))
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (header, ["---"] * len(header), *lines))


def _matrix(specs: Sequence[ProviderSpec]) -> list[list[str]]:
    header = ["capability", *(spec.name for spec in specs)]
    return [header, *([c.value, *(cell(spec, c) for spec in specs)] for c in Capability)]


def cell(spec: ProviderSpec, capability: Capability) -> str:
    """Who does it at this provider: the PG ("yes"), paygate where it has a vault, or nobody."""
    if capability in spec.capabilities:
        return "yes"
    return WITH_VAULT if capability in with_vault(spec.capabilities) else NO


def survey() -> list[Row]:
    """Every installed provider and whether it loads. Imports each that may be imported."""
    return [_row(found) for found in find_providers()]


def _row(found: Found) -> Row:
    if found.rivals:
        return Row(found=found, status="duplicate", why=f"also claimed by {', '.join(found.rivals)}")
    if not is_allowed(found):
        return Row(found=found, status="blocked", why=f"not in {NARROWED_BY}")
    try:
        return Row(found=found, status="ok", spec=_load(found.name))
    except UnknownProvider as error:
        return Row(found=found, status="broken", why=str(error))


def _load(name: str) -> ProviderSpec:
    # What a plugin prints while it is imported is not our output.
    with redirect_stdout(sys.stderr):
        return load(name)


@click.command()
@click.option("--explain", metavar="NAME", help="How provider NAME behaves, how we know, and from where.")
@click.option("--json", "as_json", is_flag=True, help="The same as JSON.")
def command(explain: str | None, as_json: bool) -> None:
    """List installed providers and what each can do."""
    if explain is None:
        rows = survey()
        _list_json(rows) if as_json else _list(rows)
    else:
        spec = _load(explain)
        _explain_json(spec) if as_json else _explain(spec)


def _list(rows: list[Row]) -> None:
    if not rows:
        click.echo("no provider is installed; pip install the distribution of one, such as paygate-foo")
        return
    print_table([["name", "title", "origin", "version", "status"], *(
        [row.found.name, row.spec.title if row.spec else NO, row.found.distribution, row.found.version, _status(row)]
        for row in rows)])
    if specs := [row.spec for row in rows if row.spec]:
        click.echo()
        print_table(_matrix(specs))


def _status(row: Row) -> str:
    # A message's first clause says what happened; the rest (what to do) is shown by --explain and --json.
    return f"{row.status}: {row.why.partition(';')[0]}" if row.why else row.status


def _list_json(rows: list[Row]) -> None:
    _json({"capabilities": list(Capability), "providers": [
        {"name": row.found.name, "title": row.spec and row.spec.title, "distribution": row.found.distribution,
         "version": row.found.version, "entry_point": row.found.value, "status": row.status, "why": row.why,
         "capabilities": row.spec and [c for c in Capability if c in row.spec.capabilities],
         "with_vault": row.spec and [c for c in Capability if c in with_vault(row.spec.capabilities)]}
        for row in rows]})


def _explain(spec: ProviderSpec) -> None:
    click.echo(printable(f"{spec.name}: {spec.title}"))
    click.echo(f"can: {', '.join(c for c in Capability if c in spec.capabilities) or 'nothing'}")
    if ours := [c for c in Capability if c in with_vault(spec.capabilities)]:
        click.echo(f"paygate does, given a vault: {', '.join(ours)}")
    for name, meaning, fact in spec.profile.describe():
        for text in ("", f"{name}: {_plain(fact.value)}", f"    {meaning}", f"    {fact.certainty}: {fact.source}"):
            click.echo(printable(text))


def _explain_json(spec: ProviderSpec) -> None:
    _json({"name": spec.name, "title": spec.title, "capabilities": [c for c in Capability if c in spec.capabilities],
           "with_vault": [c for c in Capability if c in with_vault(spec.capabilities)],
           "profile": [{"entry": name, "meaning": meaning, "value": fact.value, "certainty": fact.certainty,
                        "source": fact.source} for name, meaning, fact in spec.profile.describe()]})


def _plain(value: object) -> str:
    if value is None or value == ():
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "; ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _json(value: dict[str, Any]) -> None:
    click.echo(json.dumps(value, indent=2, default=lambda v: attrs.asdict(v) if attrs.has(type(v)) else str(v)))


def print_table(rows: Sequence[Sequence[str]]) -> None:
    """A drawn table on a terminal; elsewhere aligned text, one line for each row, however wide."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    drawn = sys.stdout.isatty()
    table = Table(*rows[0], box=box.SIMPLE_HEAD if drawn else None, pad_edge=drawn)
    for cells in rows[1:]:
        # Text, because a plugin's words are not markup.
        table.add_row(*(Text(printable(cell)) for cell in cells))
    if drawn:
        Console().print(table)
        return
    plain = StringIO()
    Console(file=plain, width=100_000, color_system=None, force_terminal=False).print(table)
    click.echo("\n".join(line.rstrip() for line in plain.getvalue().splitlines()))
