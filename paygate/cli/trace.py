"""`paygate trace ORDER_ID`: what was intended, tried, looked up, told and decided about one order. Asks no PG."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click

from ..errors import BadSettings
from ..ledger.row import Book, Line, Row
from ..ledger.rules import UNRESOLVED, is_recorded
from ..plugins import printable
from ..procedures.advice import can_ask
from ..procedures.trace import Trace
from .books import code, iso, ledger_options, opened, plain, redacted, short, show_json

_KINDS = (("opened", "intent"), ("webhook: ", "hook"), ("return: ", "return"), ("reconcile: ", "look-up"),
          ("find: ", "look-up"), ("lookup: ", "look-up"), ("listing: ", "look-up"), ("asked again: ", "look-up"),
          ("could not be looked up", "look-up"), ("resolved as ", "person"), ("acknowledged by ", "person"),
          ("given back elsewhere, says ", "person"), ("sent again", "attempt"), ("balance read; asking", "attempt"),
          ("handed to the payer", "attempt"), ("stray payment", "look-up"))
"""How a line of the trail begins, and what it tells; whatever is not listed is what came of an attempt."""


@click.command()
@click.argument("order_id")
@click.option("--zone", metavar="ZONE", help="The merchant's time zone, such as Asia/Seoul; else this machine's.")
@ledger_options
@click.pass_context
def command(ctx: click.Context, order_id: str, zone: str | None, ledger: str | None, name: str | None,
            as_json: bool) -> None:
    """Tell everything the ledger knows of ORDER_ID (or of the order of that cancel_id), in UTC and the merchant's zone.

    Exit code: 0 settled, 4 open and no person is needed yet, 3 needs a person.
    """
    local = zone_named(zone)
    with opened(ledger, name) as gate:
        found = gate.trace(order_id)
        verdicts = [verdict(row, can_ask=can_ask(gate._account, row)) for row in found.rows]
    if as_json:
        show_json(_as_json(found, local, verdicts))
    else:
        _show(found, local, verdicts)
    ctx.exit(code(found.rows))


def zone_named(zone: str | None) -> tzinfo | None:
    """The time zone of that name; None, the machine's own, without one.

    Raises: BadSettings.
    """
    try:
        return None if zone is None else ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise BadSettings(f"{zone!r} is no time zone that is known here; write one such as Asia/Seoul") from None


def kind_of(line: Line) -> str:
    """What a line of the trail tells: an intent, an attempt, an answer, a look-up, a hook, a return or a person."""
    return next((kind for start, kind in _KINDS if line.note.startswith(start)), "answer")


def verdict(row: Row, *, can_ask: bool = True) -> str:
    """What can be said of a row now, and what is to be done. `can_ask`: the PG can be asked about it."""
    about = f"{row.kind.value} {row.id}: {row.state.value}"
    if row.attention is not None:
        verb = "resolve" if row.state in UNRESOLVED else "acknowledge"
        said = "not_sent …" if is_recorded(row) else "…"
        return f"{about}; needs a person: {row.attention} (paygate {verb} {row.id} {said})"
    if is_recorded(row):
        return (f"{about}; recorded and not sent yet: its command sends it, nothing else does; a person is told at "
                f"{short(row.check_at)}")
    if row.state in UNRESOLVED and not can_ask:
        return (f"{about}; this PG finds nothing by our id: its webhook settles it, else after 15 minutes a person "
                f"(paygate resolve {row.id} …)")
    if row.state in UNRESOLVED:
        return f"{about}; paygate looks again at {short(row.check_at)}"
    return about


def _about(line: Line) -> str:
    return f"{'order' if line.book is Book.PAYMENT else 'refund' if line.book is Book.CANCEL else 'payment'} {line.id}"


def _as_json(found: Trace, local: tzinfo | None, verdicts: Sequence[str]) -> dict[str, Any]:
    return {"order_id": found.order_id, "rows": [plain(row) for row in found.rows],
            "timeline": [_line_as_json(line, local) for line in found.lines],
            "verdicts": [printable(said) for said in verdicts]}


def _line_as_json(line: Line, local: tzinfo | None) -> dict[str, Any]:
    at = datetime.fromtimestamp(line.at, UTC).astimezone(local)
    return {"at": iso(line.at), "local": at.isoformat(timespec="milliseconds"), "book": line.book.value, "id": line.id,
            "state": line.state.value, "what": kind_of(line), "by": printable(line.by), "note": redacted(line.note)}


def _show(found: Trace, local: tzinfo | None, verdicts: Sequence[str]) -> None:
    from .providers import print_table

    click.echo(printable(f"order {found.order_id}"))
    for row in found.rows:
        click.echo(printable(f"  {row}"))
    click.echo()
    zone = str(local) if local is not None else "here"
    print_table([["UTC", zone, "about", "state", "what", "note"], *(
        [short(line.at), short(line.at, local), _about(line), line.state.value, kind_of(line), redacted(line.note)]
        for line in found.lines)])
    click.echo()
    for said in verdicts:
        click.echo(printable(said))
