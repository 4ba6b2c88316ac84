"""`paygate webhooks`: events that wait for their handlers, telling one again, and posting a webhook by hand."""

from __future__ import annotations

import asyncio
import inspect
import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

import click

from ..commands import check_url
from ..errors import PaygateError
from ..plugins import printable
from ..procedures import inbox as steps
from ..procedures.facts import event_of
from ..web import AsyncInbox, Inbox
from .books import MOST_ROWS, NEEDS_A_PERSON, OPEN, iso, ledger_options, opened, short, show_json
from .providers import print_table


@click.group()
def command() -> None:
    """List events that wait for their handlers, tell one again, or post a webhook by hand."""


@command.command("list")
@ledger_options
@click.pass_context
def list_(ctx: click.Context, ledger: str | None, name: str | None, as_json: bool) -> None:
    """List the events that were not told to every handler yet, the longest waiting first.

    Exit code: 0 every event was told, 4 some are told again by themselves, 3 a handler has failed for a week.
    """
    with opened(ledger, name) as gate:
        rows = gate._run(steps.waiting(gate._account, MOST_ROWS))
    events = [(row, event_of(row)) for row in rows]
    if as_json:
        show_json({"events": [{"event": row.id, "kind": event.kind.value, "order_id": event.order_id,
                               "written_at": iso(row.opened_at), "failures": row.checks,
                               "next_at": iso(row.check_at), "attention": row.attention} for row, event in events]})
    elif events:
        print_table([["event", "kind", "order", "written", "failures", "next", "needs a person"], *(
            [row.id, event.kind.value, event.order_id or "–", short(row.opened_at), str(row.checks),
             short(row.check_at), row.attention or "–"] for row, event in events)])
    else:
        click.echo("every event was told")
    ctx.exit(NEEDS_A_PERSON if any(row.attention for row in rows) else OPEN if rows else 0)


@command.command()
@click.argument("event")
@click.option("--app", required=True, metavar="MODULE:NAME", help="The shop's inbox, such as shop.payments:inbox.")
@click.option("--gateway", metavar="NAME", help="Where the inbox has several.")
def replay(event: str, app: str, gateway: str | None) -> None:
    """Call the handlers of EVENT once more, whether or not they know it."""
    inbox = _inbox(app)
    happened = _carried_out(inbox.replay(event, gateway=gateway))
    click.echo(f"{happened.kind.value} of order {happened.order_id or '–'} was told again")


@command.command()
@click.argument("url")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option("--type", "media_type", default="application/json", show_default=True, help="The content type.")
@click.option("--header", "headers", multiple=True, metavar="NAME:VALUE", help="Such as a signature.")
def send(url: str, file: str, media_type: str, headers: tuple[str, ...]) -> None:
    """Post FILE (- for standard input), byte by byte, to URL as a PG would, and say what was answered."""
    try:
        check_url("URL", url)
    except PaygateError as error:
        raise click.BadParameter(str(error).partition(";")[0], param_hint="URL") from None
    body = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    given = {"content-type": media_type, **dict(_header(h) for h in headers)}
    request = Request(url, data=body, headers=given, method="POST")  # noqa: S310 (checked above)
    try:
        with build_opener(ProxyHandler({}), _NoRedirect).open(request, timeout=60) as answer:
            status, said = answer.status, answer.read(2000)
    except HTTPError as error:
        with error:
            status, said = error.code, error.read(2000)
    except URLError as error:
        raise click.ClickException(f"nothing answers there: {printable(str(error.reason))}") from None
    click.echo(f"{status} {printable(said.decode('utf-8', 'replace'))}")
    sys.exit(0 if 200 <= status < 300 else 1)


class _NoRedirect(HTTPRedirectHandler):
    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> None:
        return None


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise click.BadParameter("write NAME:VALUE", param_hint="--header")
    return name.strip(), value.strip()


def _inbox(app: str) -> Inbox | AsyncInbox:
    module, _, name = app.partition(":")
    if not module or not name:
        raise click.BadParameter("write MODULE:NAME, such as shop.payments:inbox", param_hint="--app")
    sys.path.insert(0, os.getcwd())
    try:
        found: Any = import_module(module)
    except ModuleNotFoundError as missing:
        if missing.name is None or not module.startswith(missing.name):
            raise
        raise click.BadParameter(f"there is no module {module}", param_hint="--app") from None
    for part in name.split("."):
        found = getattr(found, part, None)
    if not isinstance(found, (Inbox, AsyncInbox)):
        raise click.BadParameter(f"{app} is no Inbox", param_hint="--app")
    return found


def _carried_out(value: Any) -> Any:
    """The value, or what it comes to in an event loop of its own."""
    if not inspect.isawaitable(value):
        return value

    async def wait() -> Any:
        return await value
    return asyncio.run(wait())
