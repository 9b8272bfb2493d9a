"""Commands whose arguments may begin with a dash: ``-1`` and ``- soon`` are values, for no option is called so.

typer's minor version is pinned; ``tests/cli/test_odd_input.py`` fails when the names used here move.
"""

from __future__ import annotations

import re
from typing import Any, Final

import typer
from typer._click.exceptions import NoSuchOption
from typer.core import TyperCommand

_VALUE: Final = re.compile(r"-[\d.\s]")


class DashedArguments(TyperCommand):
    """Given to ``command`` as its ``cls``."""

    def make_parser(self, ctx: typer.Context) -> Any:  # type: ignore[override]
        parser = super().make_parser(ctx)
        as_option = parser._process_opts

        def option_or_value(arg: str, state: Any) -> None:
            if _VALUE.match(arg):
                state.largs.append(arg)
                return
            try:
                as_option(arg, state)
            except NoSuchOption:
                if arg.startswith("--"):
                    raise
                ctx.fail(f"No such option: {arg!r}. What begins with a dash and is none comes after --")

        parser._process_opts = option_or_value  # type: ignore[method-assign]
        return parser
