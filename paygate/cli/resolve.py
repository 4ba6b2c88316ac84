"""`paygate resolve` and `paygate acknowledge`: what only a person may decide. Asks no PG."""

from __future__ import annotations

import click

from ..gateway import Gateway
from ..ledger.row import Row
from ..procedures.decide import Resolution
from .books import ledger_options, opened, plain, show_json, show_rows

_WORDS: dict[str, Resolution] = {"paid": "paid", "failed": "failed", "not_sent": "not_sent"}


@click.command()
@click.argument("id")
@click.argument("as_", metavar="paid|failed|not_sent", type=click.Choice(list(_WORDS)))
@click.option("--by", required=True, metavar="WHO", help="Who decides; stays in the trail.")
@click.option("--why", required=True, metavar="TEXT", help="How they know; stays in the trail.")
@ledger_options
def resolve(id: str, as_: str, by: str, why: str, ledger: str | None, name: str | None, as_json: bool) -> None:
    """Say what became of the unknown order, or of the refund, called ID.

    "paid" means that the money moved (for a refund: was given back), "not_sent" that the PG knows nothing of it: the
    same id may then be sent again.
    """
    with opened(ledger, name) as gate:
        _show(gate.resolve(id, _WORDS[as_], by=by, why=why), as_json)


@click.command()
@click.argument("id")
@click.option("--by", required=True, metavar="WHO", help="Who has looked; stays in the trail.")
@click.option("--why", required=True, metavar="TEXT", help="What they found; stays in the trail.")
@ledger_options
def acknowledge(id: str, by: str, why: str, ledger: str | None, name: str | None, as_json: bool) -> None:
    """Put the attention of the settled order, refund or payment called ID aside. Nothing else about it changes."""
    with opened(ledger, name) as gate:
        _show(_acknowledged(gate, id, by, why), as_json)


def _acknowledged(gate: Gateway, id: str, by: str, why: str) -> Row:
    return gate.acknowledge(id, by=by, why=why)


def _show(row: Row, as_json: bool) -> None:
    if as_json:
        show_json(plain(row))
    else:
        show_rows([row])
