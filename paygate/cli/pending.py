"""`paygate pending` and `paygate attention`: what is not settled, and what a person should look at. Asks no PG."""

from __future__ import annotations

from collections.abc import Sequence

import click

from ..ledger.row import Row
from .books import MOST_ROWS, code, ledger_options, opened, plain, show_json, show_rows


@click.command()
@ledger_options
@click.pass_context
def pending(ctx: click.Context, ledger: str | None, name: str | None, as_json: bool) -> None:
    """List what is not settled yet, oldest first.

    Exit code: 0 nothing is open, 1 something is and paygate looks again by itself, 3 something of it needs a person.
    """
    with opened(ledger, name) as gate:
        rows = gate.pending(MOST_ROWS)
    _show(rows, as_json, "nothing is open")
    ctx.exit(code(rows))


@click.command()
@ledger_options
@click.pass_context
def attention(ctx: click.Context, ledger: str | None, name: str | None, as_json: bool) -> None:
    """List what a person should look at, settled or not, oldest first.

    Exit code: 0 nothing, 3 something.
    """
    with opened(ledger, name) as gate:
        rows = gate.attention(MOST_ROWS)
    _show(rows, as_json, "nothing needs a person")
    ctx.exit(code(rows))


def _show(rows: Sequence[Row], as_json: bool, nothing: str) -> None:
    if as_json:
        show_json({"rows": [plain(row) for row in rows]})
    elif rows:
        show_rows(rows)
    else:
        click.echo(nothing)
