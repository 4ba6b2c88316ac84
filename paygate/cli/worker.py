"""`paygate worker`: charges what is due, until it is told to stop. Killed at any moment, it leaves nothing in doubt
that the next one does not settle.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from datetime import UTC, datetime
from typing import Any

import click

from ..errors import BadSettings
from ..plugins import printable
from ..procedures import inbox
from ..procedures.due import DueReport
from ..workers.loop import Tally, work
from .books import NEEDS_A_PERSON, OPEN, check_known, gateway_arguments, ledger_options

_LOG_EVERY_S = 10.0
_MOST_REASONS = 100


@click.command()
@click.option("--concurrent", type=click.IntRange(1, 10_000), default=20, show_default=True,
              help="How many charges this worker has under way at a time.")
@click.option("--per-second", type=click.FloatRange(0.01, 10_000), metavar="N",
              help="At most N charges a second are begun, by all workers of this ledger together: what the PG allows.")
@click.option("--once", is_flag=True, help="End when nothing is due any more; for cron.")
@ledger_options
@click.pass_context
def command(ctx: click.Context, concurrent: int, per_second: float | None, once: bool, ledger: str | None,
            name: str | None, as_json: bool) -> None:
    """Charge what is due: dated charges and subscriptions that paygate runs.

    SIGTERM and Ctrl-C end it after the charges that are under way. On a terminal it shows its progress, elsewhere it
    writes a line of JSON for each charge that did not succeed, and one every ten seconds.

    Exit code: 0 all that was taken up is decided, 3 something of it could not even be begun (a key of the vault is
    missing) and needs a person, 4 something of it is not decided and is taken up again by itself.
    """
    with gateway_arguments(ledger, name) as arguments:
        if "vault" not in arguments:
            raise BadSettings("PAYGATE_VAULT_KEYS is not set: without a vault there is nothing that paygate could "
                              "charge")
        tally = asyncio.run(_run(arguments, concurrent, per_second, once, quiet=as_json))
    _line("done", tally)
    ctx.exit(NEEDS_A_PERSON if tally.failed else OPEN if tally.unknown or tally.waiting else 0)


async def _run(arguments: dict[str, Any], concurrent: int, per_s: float | None, once: bool, *, quiet: bool) -> Tally:
    from ..assemble import connect_async

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with connect_async(**arguments) as gate:
        check_known(gate, arguments)
        await gate._run(inbox.adopt(gate._account))
        with _Progress() if sys.stderr.isatty() and not quiet else _Log() as shown:
            said: set[str] = set()

            def heard(tally: Tally, report: DueReport) -> None:
                shown.heard(tally, report)
                for why in {*report.failed.values()} - said if len(said) < _MOST_REASONS else ():
                    said.add(why)  # Once each: a missing key fails every charge alike.
                    click.echo(f"paygate: charges cannot be carried out: {printable(why)}", err=True)
            return await work(gate, concurrent=concurrent, per_s=per_s, until_empty=once, stop=stop,
                              heard=heard, looked=shown.looked)


class _Log:
    """Lines of JSON on standard output."""

    def __init__(self) -> None:
        self._told = 0.0

    def __enter__(self) -> _Log:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def heard(self, tally: Tally, report: DueReport) -> None:
        for outcome in ("declined", "unknown"):
            for order_id in getattr(report, outcome):
                _line(outcome, tally, order_id=order_id)
        for order_id, why in report.failed.items():
            _line("failed", tally, order_id=order_id, why=why)
        self.looked(tally)

    def looked(self, tally: Tally) -> None:
        """A line every ten seconds, whether or not anything was charged: a worker that is stuck says so."""
        now = datetime.now(UTC).timestamp()
        if now - self._told >= _LOG_EVERY_S:
            self._told = now
            _line("working", tally)


class _Progress:
    """One line on the terminal that shows how far it is."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        self._bar = Progress(SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(),
                             console=Console(stderr=True))
        self._task = self._bar.add_task("waiting for what is due")

    def __enter__(self) -> _Progress:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def heard(self, tally: Tally, report: DueReport) -> None:
        self.looked(tally)

    def looked(self, tally: Tally) -> None:
        self._bar.update(self._task, description=(
            f"{tally.taken_up} taken up · {tally.paid} paid · {tally.declined} declined · {tally.unknown} unknown · "
            f"{tally.failed} failed · {tally.per_s:.1f}/s · {tally.due} due, the oldest {tally.lag_s:.0f} s late"))


def _line(event: str, tally: Tally, **more: str) -> None:
    click.echo(json.dumps({"at": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": event, **more,
                           "taken_up": tally.taken_up, "paid": tally.paid, "declined": tally.declined,
                           "unknown": tally.unknown, "waiting": tally.waiting, "failed": tally.failed,
                           "per_s": round(tally.per_s, 1), "due": tally.due, "lag_s": round(tally.lag_s, 1)}))
