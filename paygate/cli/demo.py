"""`paygate demo`: the main calls against a sandbox on this machine, over HTTP, with every step shown."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape

from ..assemble import connect
from ..errors import PaygateError
from ..plugins import find_providers, is_allowed, load
from ..sandbox import Sandbox
from .brief import brief
from .brief import ended as how_it_ended
from .providers import NO, WITH_VAULT, cell, print_table
from .tale import Failed, Tale
from .wire_view import WireView

Ends = dict[str, str]
"""How each step ended, by its number and title: in few words; "–" (not offered), "paygate (vault)" or "FAILED"."""


def tell(name: str, console: Console) -> Ends:
    """Run one provider's demo."""
    start = load(name).load_emulator()().story().start
    with tempfile.TemporaryDirectory() as folder, Sandbox([name], start=start) as box:
        settings = box.settings(name)
        story = box.emulator(name).story()
        gate = connect(name, settings, ledger=Path(folder) / "demo.db", base_url=box.url(name), clock=box.clock)
        _head(console, f"{name} against its emulator at {box.url(name)}: no real money")
        with gate:
            return _play(Tale(gate, box, story), WireView(box.stations[name], settings, story), console)


def _console() -> Console:
    """A terminal's; elsewhere plain text, one line for each thing said, however wide."""
    return Console(highlight=False) if sys.stdout.isatty() else Console(
        highlight=False, width=100_000, color_system=None, force_terminal=False)


def _head(console: Console, text: str) -> None:
    if console.is_terminal:
        console.rule(text)
    else:
        console.print(text, soft_wrap=True)


def _play(tale: Tale, view: WireView, console: Console) -> Ends:
    steps = list(tale.steps())
    spec = load(tale.gate.provider)
    ends: Ends = {}
    for number, (title, needs, do) in enumerate(steps, 1):
        head = f"[{number}/{len(steps)}] {title}"
        if not tale.gate.supports(*needs):
            ends[f"{number}. {title}"] = who = NO if NO in [cell(spec, c) for c in needs] else WITH_VAULT
            ours = "; paygate does it in a shop that has a vault" if who == WITH_VAULT else ""
            console.print(f"[dim]{escape(head)}: not offered by {tale.gate.provider}{ours}[/dim]")
            continue
        tale.asked = None
        try:
            result = do()
        except (PaygateError, Failed) as error:
            console.print(f"[bold red]{escape(head)}: {type(error).__name__}: {escape(str(error))}[/bold red]")
            _show_wire(view, console)
            return {**ends, f"{number}. {title}": "FAILED"}
        ends[f"{number}. {title}"] = how_it_ended(result)
        if tale.key is not None:
            view.hide(tale.key.reveal())
        console.print(f"[bold]{escape(head)}[/bold]")
        if tale.asked is not None:
            console.print(f"    [cyan]{escape(view.redact(brief(tale.asked)))}[/cyan]", soft_wrap=True)
        if result is not None:
            console.print(f"    [green]{escape(view.redact(brief(result)))}[/green]", soft_wrap=True)
        _show_wire(view, console)
    return ends


def _side_by_side(ended: dict[str, Ends]) -> list[list[str]]:
    """The same calls on every provider: only names and settings differed."""
    longest = max(ended.values(), key=len)
    return [["the same calls", *ended],
            *([step, *(ends.get(step, "") for ends in ended.values())] for step in longest)]


def _show_wire(view: WireView, console: Console) -> None:
    for line in view.news():
        console.print(f"    [dim]{escape(line)}[/dim]", soft_wrap=True)


@click.command(name="demo")
@click.option("--provider", "names", multiple=True, help="Only this provider (may be given more than once).")
def command(names: tuple[str, ...]) -> None:
    """Walk through the main calls against emulated payment gateways on this machine."""
    console = _console()
    try:
        allowed = {found.name for found in find_providers() if is_allowed(found)}
        chosen = names or tuple(sorted(name for name in allowed if load(name).emulator is not None))
        if not chosen:
            raise PaygateError("no installed provider ships an emulator; install a provider's package first")
        ended = {name: tell(name, console) for name in chosen}
    except PaygateError as error:
        console.print(f"[bold red]{escape(str(error))}[/bold red]")
        sys.exit(2)
    print_table(_side_by_side(ended))
    failed = [name for name, ends in ended.items() if "FAILED" in ends.values()]
    for name in ended:
        console.print(f"{name}: {'a step failed' if name in failed else 'every step as it must be'}", style="bold")
    sys.exit(1 if failed else 0)
