"""`paygate schedules`: the dated charges that paygate runs. Asks no PG."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import click

from ..errors import BadCommand
from ..ledger.row import Kind, Row
from ..model import ScheduledCharge
from ..procedures import dated
from ..procedures.dated import instant
from .books import MOST_ROWS, iso, ledger_options, opened, short, show_json
from .providers import print_table

FOR_EVER = datetime.max.replace(tzinfo=UTC)


@click.group()
def command() -> None:
    """List, show, move or stop dated charges that paygate runs.

    Exit code: 0 done, 4 it is being charged right now: look again later, 2 there is no such charge, or it cannot be.
    """


@command.command("list")
@ledger_options
def list_(ledger: str | None, name: str | None, as_json: bool) -> None:
    """List the dated charges that wait, by their dates. What a PG holds is listed by its billing key only."""
    with opened(ledger, name) as gate:
        rows = [row for row in gate.planned(FOR_EVER, MOST_ROWS) if row.kind is not Kind.PLAN]
    if as_json:
        show_json({"schedules": [{**_plain(dated.told(row)), "attention": row.attention} for row in rows]})
    elif rows:
        print_table([["due", "order", "amount", "state", "needs a person"], *map(_line, rows)])
    else:
        click.echo("no dated charge waits")


@command.command()
@click.argument("order_id")
@ledger_options
def show(order_id: str, ledger: str | None, name: str | None, as_json: bool) -> None:
    """Show the dated charge of ORDER_ID, whatever became of it. One that the PG holds is looked up there."""
    with opened(ledger, name) as gate:
        _show(gate.find_schedule(order_id), as_json)


@command.command()
@click.argument("order_id")
@click.argument("when")
@ledger_options
def move(order_id: str, when: str, ledger: str | None, name: str | None, as_json: bool) -> None:
    """Have ORDER_ID charged at WHEN instead: an instant in the future such as 2026-02-01T09:00+09:00."""
    with opened(ledger, name) as gate:
        _show(gate.move_schedule(order_id, _instant(when)), as_json)


@command.command()
@click.argument("order_id")
@ledger_options
def cancel(order_id: str, ledger: str | None, name: str | None, as_json: bool) -> None:
    """Stop the dated charge of ORDER_ID, unless it was made already. It gives no money back."""
    with opened(ledger, name) as gate:
        _show(gate._run(dated.stop(gate._account, order_id)), as_json)


def _instant(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = datetime.min  # noqa: DTZ901 (no instant: refused below)
    if at.utcoffset() is None:
        raise BadCommand("WHEN is an instant with its zone, such as 2026-02-01T09:00+09:00; nothing was changed")
    return at


def _line(row: Row) -> list[str]:
    assert row.due_at is not None
    return [_short(instant(row.due_at)), row.id, str(row.money), row.state.value, row.attention or "–"]


def _short(at: datetime) -> str:
    return short(at.timestamp())


def _plain(charge: ScheduledCharge) -> dict[str, Any]:
    paid = charge.payment_status
    return {"order_id": charge.order_id, "due_at": iso(charge.due_at.timestamp()), "amount": charge.money.amount,
            "currency": charge.money.currency, "status": charge.status.value,
            "payment": None if paid is None else paid.value, "provider_id": charge.provider_id}


def _show(charge: ScheduledCharge, as_json: bool) -> None:
    if as_json:
        show_json(_plain(charge))
    else:
        paid = charge.payment_status
        print_table([["due", "order", "amount", "status", "payment"], [
            _short(charge.due_at), charge.order_id, str(charge.money), charge.status.value,
            "–" if paid is None else paid.value]])
