"""The options that several commands share. Typer reads the environment where an option is missing."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import typer

from videosite_realtime_cli import identity

_WHERE = "Where and who"


def _duration(text: str | timedelta) -> timedelta:
    # Typer parses a default too, which is a timedelta already.
    if isinstance(text, timedelta):
        return text
    try:
        return identity.duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


NodeUrl = Annotated[
    str | None,
    typer.Option(envvar="NODE_URL", help="The node, e.g. http://127.0.0.1:8000.", rich_help_panel=_WHERE),
]
RouterUrl = Annotated[
    str | None,
    typer.Option(envvar="ROUTER_URL", help="The router, e.g. http://127.0.0.1:8001.", rich_help_panel=_WHERE),
]
ApiKey = Annotated[
    str | None,
    typer.Option(envvar="ROUTER_API_KEY", help="A service key, or a JWT with the scope.", rich_help_panel=_WHERE),
]
JwtSecret = Annotated[
    str | None,
    typer.Option(
        envvar="JWT_SECRET", help="The secret (or PEM key) that tokens are signed with.", rich_help_panel=_WHERE
    ),
]
JwtAlgorithm = Annotated[
    str | None,
    typer.Option(envvar="JWT_ALGORITHM", help="HS256 unless told otherwise.", rich_help_panel=_WHERE),
]
Issuer = Annotated[
    str | None,
    typer.Option(envvar="JWT_ISSUER", help="The claim `iss`, if the nodes ask for it.", rich_help_panel=_WHERE),
]
Audience = Annotated[
    str | None,
    typer.Option(envvar="JWT_AUDIENCE", help="The claim `aud`, if the nodes ask for it.", rich_help_panel=_WHERE),
]
Expires = Annotated[
    timedelta,
    typer.Option(parser=_duration, metavar="DURATION", help="How long the token is good: 90s, 30m, 1h, 7d."),
]
JsonOutput = Annotated[bool, typer.Option("--json-output", help="Print JSON, for scripts.")]
