"""The command `videosite-realtime`: its subcommands, and how an error becomes one line and exit status 1."""

from __future__ import annotations

import os
import sys
from importlib.metadata import version
from typing import Annotated

import typer
from typer.core import TyperGroup

from videosite_realtime_cli import terminal
from videosite_realtime_cli.commands.plan import plan
from videosite_realtime_cli.commands.send import app as send_app
from videosite_realtime_cli.commands.stats import stats
from videosite_realtime_cli.commands.tail import tail
from videosite_realtime_cli.commands.token import app as token_app
from videosite_realtime_cli.commands.trace import trace
from videosite_realtime_cli.commands.up import up
from videosite_realtime_cli.errors import CliError


class OneLineErrors(TyperGroup):
    """Shows an error of ours as the line it is; anything else is a fault in the program and keeps its traceback."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        for argument in args:
            try:
                argument.encode()
            except UnicodeEncodeError:
                ctx.fail(f"not text in UTF-8: {argument!r}")
        return super().parse_args(ctx, args)

    def invoke(self, ctx: typer.Context) -> object:  # type: ignore[override]
        terminal.survive_any_text((sys.stdout, sys.stderr))
        try:
            return super().invoke(ctx)
        except CliError as error:
            terminal.errors().print(f"videosite-realtime: {error}", style="red", soft_wrap=True)
            raise typer.Exit(1) from error
        except BrokenPipeError as error:
            # The reader of our output has left (`… tail --raw | head -1`): nothing may be flushed to it at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from error


app = typer.Typer(
    cls=OneLineErrors,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_show_locals=False,  # locals hold secrets
)


def _tell_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"videosite-realtime {version('videosite-realtime-cli')}")
        raise typer.Exit


Version = Annotated[
    bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Show the version and exit.")
]


@app.callback()
def main(version: Version = False) -> None:
    """Try VideoSite Realtime, talk to it, and watch it at work.

    - one terminal: `videosite-realtime up --demo`
    - another: `videosite-realtime tail --user 7`
    - a third: `videosite-realtime send user 7 "hello"`

    While `up` runs, the other commands find it by themselves. For any other cluster, set `NODE_URL`, `ROUTER_URL`,
    `ROUTER_API_KEY` and `JWT_SECRET`, or the options of the same names.
    """


app.command()(up)
app.add_typer(token_app, name="token")
app.add_typer(send_app, name="send")
app.command()(tail)
app.command()(stats)
app.command()(plan)
app.command()(trace)
