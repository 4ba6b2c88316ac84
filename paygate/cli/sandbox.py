"""`paygate sandbox`: serve the emulators of installed providers on this machine until interrupted. No real money."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Set
from contextlib import contextmanager, redirect_stdout
from threading import Event
from typing import Any

import click

from ..errors import BadSettings, UnknownProvider
from ..plugins import find_providers, is_allowed, load, printable
from ..sandbox import Sandbox
from ..sandbox.routes import BANNER
from ..sandbox.snippet import connect_call, exports
from ..secret import reveal_all
from ..testing.fakepg import FAKEPG


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--port", "ports", multiple=True, metavar="NAME=PORT", help="The port of one gateway; else a free one.")
@click.option("--control-port", type=click.IntRange(0, 65535), default=0, help="Else a free one.")
@click.option("--host", default="127.0.0.1", show_default=True, help="127.0.0.1 or ::1; nothing else is accepted.")
@click.option("--json", "as_json", is_flag=True, help="Say where everything is as one line of JSON.")
def command(names: tuple[str, ...], ports: tuple[str, ...], control_port: int, host: str, as_json: bool) -> None:
    """Serve emulated payment gateways on this machine. No real money.

    NAMEs are installed providers, or fakepg, which comes with paygate; without one, all of them that have an emulator
    are served. Open the control room's address in a browser.
    Ends with SIGINT (Ctrl-C) or SIGTERM.
    """
    _refuse_live(os.environ)
    wanted = _ports(ports)
    # What a plugin prints while it is imported is not our output.
    with redirect_stdout(sys.stderr):
        box = Sandbox(names or _installed(), ports=wanted, control_port=control_port, host=host)
    with _told_to_stop() as stop, box:
        where = {name: {"url": box.url(name), "settings": reveal_all(box.settings(name))} for name in box.stations}
        built_in = {name for name, station in box.stations.items() if station.built_in}
        click.echo(_line(box.control_url, where) if as_json else _text(box.control_url, where, built_in))
        sys.stdout.flush()
        # In steps, because a wait without end cannot be interrupted on every system.
        while not stop.wait(1.0):
            if not box.is_running:
                raise click.ClickException("the sandbox ended by itself; its log says why")


def _refuse_live(environ: Mapping[str, str]) -> None:
    """A shell that is set up for live money is not one to play in: what runs in it would not reach the sandbox."""
    try:
        settings = json.loads(environ.get("PAYGATE_SETTINGS") or "{}")
    except ValueError:
        return
    if isinstance(settings, dict) and settings.get("mode") == "live":
        raise BadSettings("PAYGATE_SETTINGS says mode live; start the sandbox in an environment without live settings")


def _ports(given: tuple[str, ...]) -> dict[str, int]:
    ports = {}
    for item in given:
        name, _, port = item.partition("=")
        if not name or not port.isascii() or not port.isdecimal() or not 0 <= int(port[:6]) <= 65535:
            raise click.BadParameter("write NAME=PORT, such as acme=8081", param_hint="--port")
        ports[name] = int(port)
    return ports


def _installed() -> list[str]:
    names = []
    for found in find_providers():
        if found.rivals or not is_allowed(found):
            continue
        try:
            spec = load(found.name)
        except UnknownProvider as error:
            click.echo(f"paygate: {printable(str(error))}", err=True)
            continue
        if spec.emulator is not None:
            names.append(found.name)
    return list(dict.fromkeys([*names, FAKEPG.name]))


@contextmanager
def _told_to_stop() -> Iterator[Event]:
    """An event that SIGINT and SIGTERM set while the block runs."""
    stop = Event()
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _line(control_url: str, where: Mapping[str, Mapping[str, Any]]) -> str:
    return json.dumps({"banner": BANNER, "control_url": control_url, "gateways": where}, default=str)


def _text(control_url: str, where: Mapping[str, Mapping[str, Any]], built_in: Set[str]) -> str:
    width = max(map(len, ("control room", *where)))
    lines = [BANNER, "", f"{'control room':<{width}}  {control_url}",
             *(f"{name:<{width}}  {at['url']}" for name, at in where.items()), ""]
    for name, at in where.items():
        call = connect_call(name, at["settings"], at["url"], built_in=name in built_in)
        lines.append(f"# from paygate.testing.fakepg import FAKEPG\n{call}\n" if name in built_in else
                     f"{call}\n\n{exports(name, at['settings'], at['url'])}\n")
    return _printable_lines([*lines, "Stop with Ctrl-C."])


def _printable_lines(lines: list[str]) -> str:
    """The lines as they may be shown on a terminal."""
    return "\n".join(printable(line) for text in lines for line in text.split("\n"))
