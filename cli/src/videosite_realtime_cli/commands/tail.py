"""`videosite-realtime tail`: a live view of what a user or the admin pool receives."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from videosite_realtime_cli import identity, render, settings, terminal
from videosite_realtime_cli.client import Client
from videosite_realtime_cli.errors import BadInput
from videosite_realtime_cli.listen import Credential, GivenToken, MintedToken, endpoint, listen
from videosite_realtime_cli.local_file import local_file, read
from videosite_realtime_cli.options import Audience, Issuer, JwtAlgorithm, JwtSecret, NodeUrl
from videosite_realtime_cli.settings import SigningOptions

_ADMIN_ID = "1"


def tail(
    user: Annotated[str | None, typer.Option(metavar="USER_ID", help="What this user receives.")] = None,
    admin: Annotated[bool, typer.Option("--admin", help="What the admin pool receives (the default).")] = False,
    token: Annotated[str | None, typer.Option(help="What the bearer of this token receives.")] = None,
    raw: Annotated[bool, typer.Option("--raw", help="The frames' JSON, one per line, for pipes.")] = False,
    since: Annotated[str | None, typer.Option(metavar="ID,…", help="Begin after these ids, one per stream.")] = None,
    node_url: NodeUrl = None,
    jwt_secret: JwtSecret = None,
    jwt_algorithm: JwtAlgorithm = None,
    issuer: Issuer = None,
    audience: Audience = None,
) -> None:
    """Watch what a user or the admin pool receives, live; Ctrl-C ends it.

    It reconnects by itself and catches up with what it missed, as a browser does.

    For example:

    - `videosite-realtime tail --admin`
    - `videosite-realtime tail --user 7`
    - `videosite-realtime tail --user 7 --raw | jq -r .type`
    """
    if sum((user is not None, admin, token is not None)) > 1:
        raise BadInput("one of --user, --admin and --token, not several")
    local = read(local_file())
    url = settings.node_url(node_url, local)
    credential: Credential
    if token is not None:
        as_admin, credential = identity.claims_of(token).get("is_admin") is True, GivenToken(token)
    else:
        as_admin, claims = user is None, identity.admin(_ADMIN_ID) if user is None else identity.user(user)
        signing = SigningOptions(jwt_secret, jwt_algorithm, issuer, audience)
        credential = MintedToken(settings.signer(signing, local, for_node=url), claims)
    view = render.Raw(terminal.errors()) if raw else render.Lines(terminal.output())
    client = Client(since=since.split(",") if since else ())
    if since and client.since != since:
        raise BadInput(f"--since is not a list of ids like u.Nw.1760092200123-3, one per stream: {since!r}")
    try:
        asyncio.run(listen(endpoint(url, admin=as_admin), client, credential, view))
    except KeyboardInterrupt as interrupt:
        raise typer.Exit(130) from interrupt
