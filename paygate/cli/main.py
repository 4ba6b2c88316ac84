"""The table of commands and the console entry. Nothing from outside the standard library is imported up here."""

from __future__ import annotations

import sys
from collections.abc import Sequence

COMMANDS = {
    "providers": ("paygate.cli.providers:command", "List installed providers and what each can do."),
    "contract": ("paygate.cli.contract:command", "Check whether a provider keeps the contract of every provider."),
    "new-provider": ("paygate.cli.new_provider:command", "Write a package for a new provider, from a template."),
    "demo": ("paygate.cli.demo:command", "Walk through the main calls against a sandbox on this machine."),
    "pending": ("paygate.cli.pending:pending", "List what is not settled yet, and what of it needs a person."),
    "attention": ("paygate.cli.pending:attention", "List what a person should look at."),
    "reconcile": ("paygate.cli.reconcile:command", "Ask the PG about whatever is due; for cron."),
    "trace": ("paygate.cli.trace:command", "Tell everything the ledger knows of one order."),
    "resolve": ("paygate.cli.resolve:resolve", "Say, as a person, what became of an order nobody can look up."),
    "acknowledge": ("paygate.cli.resolve:acknowledge", "Put an attention aside, as a person."),
    "ledger": ("paygate.cli.ledger:command", "Upgrade, check, export or move a ledger."),
    "worker": ("paygate.cli.worker:command", "Charge what is due, until told to stop."),
    "due": ("paygate.cli.due:command", "List what will be charged, and when. Charges nothing."),
    "schedules": ("paygate.cli.schedules:command", "List, show, move or stop dated charges that paygate runs."),
    "subscriptions": ("paygate.cli.subscriptions:command", "List, show, pause, resume or stop subscriptions."),
    "webhooks": ("paygate.cli.webhooks:command", "List events that wait for their handlers, or tell one again."),
    "sandbox": ("paygate.cli.sandbox:command", "Serve emulated payment gateways on this machine. No real money."),
}
"""Each command's "module:command" and its line in `paygate --help`; the module is imported when the command runs."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `paygate` with the process's arguments, or with these, and exit."""
    try:
        import click  # noqa: F401
        import rich  # noqa: F401
    except ModuleNotFoundError as missing:
        if missing.name not in ("click", "rich"):
            raise
        print(f"paygate: the command line needs {missing.name}: pip install 'paygate-core[cli]'", file=sys.stderr)
        sys.exit(2)
    from .group import group

    group.main(args=None if arguments is None else list(arguments), prog_name="paygate")
