"""`videosite-realtime token`: mints a development JWT and prints it alone, so that ``TOKEN=$(…)`` works."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import typer

from videosite_realtime_cli import identity, settings
from videosite_realtime_cli.dashes import DashedArguments
from videosite_realtime_cli.identity import Claims
from videosite_realtime_cli.local_file import local_file, read
from videosite_realtime_cli.options import Audience, Expires, Issuer, JwtAlgorithm, JwtSecret
from videosite_realtime_cli.settings import SigningOptions

app = typer.Typer(no_args_is_help=True, help="Mint a development token and print it, alone, on standard output.")

_HOUR = timedelta(hours=1)

UserId = Annotated[str, typer.Argument(metavar="USER_ID", help="1 to 128 characters of A-Z a-z 0-9 _ : @ -")]
Username = Annotated[str | None, typer.Option(help="The name people see; without it, the id.")]
Scope = Annotated[str | None, typer.Option(help="For calls of the router: any of `publish read admin`.")]


@app.command("user", cls=DashedArguments)
def user_token(
    user_id: UserId,
    username: Username = None,
    scope: Scope = None,
    expires: Expires = _HOUR,
    jwt_secret: JwtSecret = None,
    jwt_algorithm: JwtAlgorithm = None,
    issuer: Issuer = None,
    audience: Audience = None,
) -> None:
    """Mint a user's token, as the site's login would.

    Example: `TOKEN=$(videosite-realtime token user 7 --username Ann --expires 1h)`
    """
    claims = identity.user(user_id, username=username, scope=scope)
    _print(claims, expires, SigningOptions(jwt_secret, jwt_algorithm, issuer, audience))


@app.command("admin", cls=DashedArguments)
def admin_token(
    user_id: UserId,
    username: Username = None,
    scope: Scope = None,
    expires: Expires = _HOUR,
    jwt_secret: JwtSecret = None,
    jwt_algorithm: JwtAlgorithm = None,
    issuer: Issuer = None,
    audience: Audience = None,
) -> None:
    """Mint an admin's token (`is_admin` is true); with the scope `publish`, the admin page may send.

    Example: `videosite-realtime token admin 1 --scope publish`
    """
    claims = identity.admin(user_id, username=username, scope=scope)
    _print(claims, expires, SigningOptions(jwt_secret, jwt_algorithm, issuer, audience))


@app.command("service")
def service_token(
    scope: Annotated[str, typer.Option(help="What the service may do: any of `publish read admin`.")],
    name: Annotated[str, typer.Option(help="The service's name, shown in logs.")] = "service",
    expires: Expires = _HOUR,
    jwt_secret: JwtSecret = None,
    jwt_algorithm: JwtAlgorithm = None,
    issuer: Issuer = None,
    audience: Audience = None,
) -> None:
    """Mint a token for a program that calls the router.

    Example: `export ROUTER_API_KEY=$(videosite-realtime token service --name transcoder --scope "publish read")`
    """
    claims = identity.service(name, scope=scope)
    _print(claims, expires, SigningOptions(jwt_secret, jwt_algorithm, issuer, audience))


def _print(claims: Claims, lifetime: timedelta, options: SigningOptions) -> None:
    typer.echo(settings.signer(options, read(local_file())).mint(claims, lifetime))
