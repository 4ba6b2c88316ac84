"""What the commands about the ledger share: the gateway they open, how a row is shown, and the exit codes for cron.

0 nothing is open · 2 the command could not run · 3 something needs a person · 4 something is open and is looked at
again by itself. 1 is none of them: a crash, a held lock and a shell's `cd` that fails all end with it.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, tzinfo
from typing import Any, TypeVar

import click

from ..assemble import connect, is_database, open_existing
from ..config import from_environment
from ..errors import BadSettings, OutcomeUnknown
from ..gateway import Base, Gateway
from ..ledger.row import LedgerError, Row
from ..ledger.rules import UNRESOLVED
from ..plugins import printable
from ..procedures import inbox

OPEN, NEEDS_A_PERSON = 4, 3
MOST_ROWS = 10_000
_NAMES = 20
"""How many names of gateways are told."""
T = TypeVar("T", bound=Callable[..., Any])


def ledger_options(command: T) -> T:
    """The options that every command about the ledger has."""
    for option in (
            click.option("--json", "as_json", is_flag=True, help="The same as JSON."),
            click.option("--name", metavar="NAME", help="The gateway's name, where the program gives it one."),
            click.option("--ledger", metavar="PLACE", help="The ledger's path or address; else PAYGATE_LEDGER.")):
        command = option(command)
    return command


@contextmanager
def gateway_arguments(ledger: str | None, name: str | None) -> Iterator[dict[str, Any]]:
    """The arguments of `connect` from the environment (PAYGATE_PROVIDER, …), on a ledger that is there already.

    Raises: BadSettings, where the ledger cannot be used as well: then the command could not run, and that is all.
    """
    stated = {"PAYGATE_LEDGER": ledger, "PAYGATE_NAME": name}
    arguments = from_environment({**os.environ, **{variable: said for variable, said in stated.items() if said}})
    where = arguments["ledger"]
    if not is_database(where) and not os.path.isfile(where):
        # Opened, it would be made: and an empty ledger says that nothing is open.
        raise BadSettings(f"there is no ledger at {where}")
    with _usable():
        store = open_existing(where)
        try:
            yield arguments | {"ledger": store}
        finally:
            store.close()


@contextmanager
def opened(ledger: str | None, name: str | None) -> Iterator[Gateway]:
    """The gateway of `gateway_arguments`.

    Raises: BadSettings.
    """
    with gateway_arguments(ledger, name) as arguments, connect(**arguments) as gate:
        check_known(gate, arguments)
        gate._run(inbox.adopt(gate._account))
        yield gate


def check_known(gate: Base, arguments: Mapping[str, Any]) -> None:
    """Say so where the ledger holds rows of other gateways and none of this one: under a wrong name nothing is open.

    Raises: BadSettings where the name was not stated; it may be a new gateway's otherwise, and then a person is told.
    """
    names, ours = arguments["ledger"].gateways, gate._account.scope
    if not names or ours in names:
        return
    said = f"the ledger holds nothing of gateway {ours}, but of {', '.join(names[:_NAMES])}"
    if "name" not in arguments and gate.name not in {known.removesuffix("/test") for known in names}:
        raise BadSettings(f"{said}; say which with --name or PAYGATE_NAME, without /test")
    click.echo(f"paygate: {printable(said)}", err=True)


@contextmanager
def _usable() -> Iterator[None]:
    """A ledger that cannot be used is no doubt about money: the command could not run.

    Raises: BadSettings.
    """
    said = None
    try:
        yield
    except LedgerError as error:
        said = str(error)
    except OutcomeUnknown as error:
        if isinstance(error.__cause__, LedgerError):
            raise BadSettings(f"the ledger cannot be used: {error.__cause__}") from None
        raise
    if said is not None:
        raise BadSettings(said)


def code(rows: Iterable[Row]) -> int:
    """The exit code that `rows` stand for."""
    rows = list(rows)
    if any(row.attention is not None for row in rows):
        return NEEDS_A_PERSON
    return OPEN if any(row.state in UNRESOLVED for row in rows) else 0


def plain(row: Row) -> dict[str, Any]:
    """A row as JSON."""
    return {"kind": row.kind.value, "id": row.id, "order_id": row.order_id, "state": row.state.value,
            "amount": None if row.money is None else row.money.amount,
            "currency": None if row.money is None else row.money.currency,
            "provider_id": row.provider_id, "opened_at": iso(row.opened_at), "checks": row.checks,
            "next_look_at": iso(row.check_at), "is_open": row.state in UNRESOLVED, "attention": row.attention}


def iso(seconds: float | None) -> str | None:
    """An instant of the ledger in UTC, to the millisecond."""
    return None if seconds is None else _at(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def short(seconds: float | None, zone: tzinfo | None = UTC) -> str:
    """An instant of the ledger as a person reads it."""
    if seconds is None:
        return "–"
    at = _at(seconds, zone)
    return f"{at:%Y-%m-%d %H:%M:%S}{'Z' if zone is UTC else ''}"


def _at(seconds: float, zone: tzinfo | None) -> datetime:
    return datetime.fromtimestamp(seconds, UTC).astimezone(zone)


def show_json(value: dict[str, Any]) -> None:
    """Print `value`; what would not print in a terminal stands as an escape, as JSON does anyway."""
    click.echo(json.dumps(value, indent=2))


def show_rows(rows: Sequence[Row], instead: Mapping[str, str] | None = None) -> None:
    """Print rows as a table; `instead` says by id what stands in the place of the next look."""
    from .providers import print_table

    said = instead or {}
    print_table([["kind", "id", "order", "amount", "state", "since", "next look", "needs a person"], *(
        [row.kind.value, row.id, row.order_id, "–" if row.money is None else str(row.money), row.state.value,
         short(row.opened_at), said.get(row.id) or short(row.check_at), row.attention or "–"]
        for row in rows)])


_PERSONAL = (
    (re.compile(r"[^\s@]+@[^\s@]+"), "…@…"),
    (re.compile(r"\d(?:[ -]?\d){6,}"), "…"),
)
_PG_SAYS = "the PG said "


def redacted(note: str) -> str:
    """A line of the trail as it may be shown. What the PG said may name a payer: addresses and numbers are left out."""
    ours, said, theirs = note.partition(_PG_SAYS)
    for pattern, instead in _PERSONAL:
        theirs = pattern.sub(instead, theirs)
    return printable(ours + said + theirs)
