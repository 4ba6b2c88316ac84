"""The click group behind `paygate`: it imports a command's module when that command is asked for."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

from ..errors import PaygateError, SetupError
from ..plugins import printable
from .main import COMMANDS


class LazyGroup(click.Group):
    """The commands of `COMMANDS`. A paygate error ends as one line on stderr: exit 2 for a wrong setup, else 4, as what
    is asked again.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every command's name, without importing any."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, imported now."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        try:
            command: click.Command = getattr(import_module(module), name)
        except ModuleNotFoundError as missing:
            if (missing.name or "paygate").partition(".")[0] == "paygate":
                raise
            raise click.UsageError(f"paygate {cmd_name} needs {missing.name}, which is not installed") from missing
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list in `paygate --help`, from the table rather than from the commands."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name][1]) for name in self.list_commands(ctx)])

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except PaygateError as error:
            click.echo(f"paygate: {printable(str(error))}", err=True)
            from .books import OPEN

            ctx.exit(2 if isinstance(error, SetupError) else OPEN)


def _show_version(ctx: click.Context, _: click.Parameter, asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        click.echo(f"paygate-core {version('paygate-core')}")
        ctx.exit()


@click.group(cls=LazyGroup)
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_show_version,
              help="Show the version and exit.")
def group() -> None:
    """Take money through any payment gateway with one piece of code."""
