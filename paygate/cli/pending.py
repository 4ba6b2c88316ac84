"""`paygate pending` and `paygate attention`: what is not settled, and what a person should look at. Asks no PG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import click

from ..ledger.row import Row
from ..ledger.rules import UNRESOLVED, is_recorded
from ..procedures.advice import can_ask
from .books import MOST_ROWS, code, ledger_options, opened, plain, show_json, show_rows


@click.command()
@ledger_options
@click.pass_context
def pending(ctx: click.Context, ledger: str | None, name: str | None, as_json: bool) -> None:
    """List what is not settled yet, oldest first.

    "webhook" stands where the PG cannot be asked by our id: only its webhook settles that, or a person. "recorded"
    stands for what your program has written down in its own transaction: its command sends it, nothing else does.

    Exit code: 0 nothing is open, 4 something is and no person is needed yet, 3 something of it needs a person.
    """
    with opened(ledger, name) as gate:
        rows = gate.pending(MOST_ROWS)
        # A person is needed for what came after as many rows as are read, too.
        flagged = [row for row in gate.attention(MOST_ROWS) if row.state in UNRESOLVED]
        instead = {row.id: "webhook" for row in rows if not can_ask(gate._account, row)}
    instead |= {row.id: "recorded" for row in rows if is_recorded(row)}
    _show(rows, as_json, "nothing is open", instead)
    ctx.exit(code([*flagged, *rows]))


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


def _show(rows: Sequence[Row], as_json: bool, nothing: str, instead: Mapping[str, str] | None = None) -> None:
    if as_json:
        show_json({"rows": [plain(row) for row in rows]})
    elif rows:
        show_rows(rows, instead)
    else:
        click.echo(nothing)
