"""`videosite-realtime send`: messages to users, to admins, to everybody, through the router."""

from __future__ import annotations

import json
import math
import sys
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.text import Text

from videosite_realtime_cli import identity, settings, terminal
from videosite_realtime_cli.dashes import DashedArguments
from videosite_realtime_cli.errors import BadInput
from videosite_realtime_cli.local_file import local_file, read
from videosite_realtime_cli.options import ApiKey, JsonOutput, RouterUrl
from videosite_realtime_cli.router_api import Json, RouterApi
from videosite_realtime_cli.settings import RouterAccess
from videosite_realtime_cli.terminal import counted, legible

app = typer.Typer(no_args_is_help=True)


class Level(StrEnum):
    INFO = "info"
    SUCCESS = "success"
    WARNING = "warning"
    ERROR = "error"


def _percent(text: str) -> float:
    try:
        percent = float(text)
    except ValueError:
        percent = math.nan
    if not 0 <= percent <= 100:
        raise typer.BadParameter(f"{text!r} is not a number from 0 to 100")
    return percent


TextArgument = Annotated[str | None, typer.Argument(metavar="[TEXT]", help="Sent as a system message.")]
JsonMessage = Annotated[
    str | None,
    typer.Option(
        "--json", metavar="JSON", help="Any message instead: an object with a `type`; `-` reads it from stdin."
    ),
]
LevelOption = Annotated[Level, typer.Option(help="How a browser shows the text.")]
VideoId = Annotated[int, typer.Argument(metavar="VIDEO_ID")]
Percent = Annotated[float, typer.Argument(parser=_percent, metavar="PERCENT", help="0 to 100.")]
Owner = Annotated[str | None, typer.Option("--user", metavar="USER_ID", help="The video's owner, who gets it too.")]
Title = Annotated[str, typer.Option(help="The video's title.")]


@app.callback()
def send() -> None:
    """Send a message and print the router's receipt.

    For example:

    - `videosite-realtime send user 7 "hello"`
    - `videosite-realtime send user 7 --json '{"type":"order_paid","order":10482}'`
    - `videosite-realtime send progress 123 45 --message "720p done (2/3)" --user 7`
    - `videosite-realtime send system "Maintenance in ten minutes" --level warning --target all`
    """


@app.command("user", cls=DashedArguments)
def to_user(
    user_id: Annotated[str, typer.Argument(metavar="USER_ID")],
    text: TextArgument = None,
    message: JsonMessage = None,
    level: LevelOption = Level.INFO,
    json_output: JsonOutput = False,
    router_url: RouterUrl = None,
    api_key: ApiKey = None,
) -> None:
    """To every connection of one user."""
    audience = {"users": [identity.checked_id(user_id)]}
    body = {"audience": audience, "message": _message(text, message, level)}
    _send(body, _router(router_url, api_key), as_json=json_output)


@app.command("admin", cls=DashedArguments)
def to_admins(
    text: TextArgument = None,
    message: JsonMessage = None,
    level: LevelOption = Level.INFO,
    json_output: JsonOutput = False,
    router_url: RouterUrl = None,
    api_key: ApiKey = None,
) -> None:
    """To the admin pool: all admin connections of the cluster."""
    body = {"audience": "admin", "message": _message(text, message, level)}
    _send(body, _router(router_url, api_key), as_json=json_output)


@app.command("all", cls=DashedArguments)
def to_all(
    text: TextArgument = None,
    message: JsonMessage = None,
    level: LevelOption = Level.INFO,
    json_output: JsonOutput = False,
    router_url: RouterUrl = None,
    api_key: ApiKey = None,
) -> None:
    """To every connection there is."""
    body = {"audience": "all", "message": _message(text, message, level)}
    _send(body, _router(router_url, api_key), as_json=json_output)


@app.command("system", cls=DashedArguments)
def system(
    text: Annotated[str, typer.Argument(metavar="TEXT")],
    level: LevelOption = Level.INFO,
    target: Annotated[str, typer.Option(metavar="admin|all|ID,…", help="Whom it is for.")] = "admin",
    json_output: JsonOutput = False,
    router_url: RouterUrl = None,
    api_key: ApiKey = None,
) -> None:
    """A system message, to admins unless told otherwise."""
    body = {"type": "system_message", "message": text, "level": level.value, "target": _target(target)}
    _send(body, _router(router_url, api_key), as_json=json_output)


@app.command("progress", cls=DashedArguments)
def progress(
    video_id: VideoId,
    percent: Percent,
    message: Annotated[str, typer.Option(help="What has just been done.")] = "",
    status: Annotated[str, typer.Option(help="What the transcoder is doing.")] = "processing",
    user: Owner = None,
    json_output: JsonOutput = False,
    router_url: RouterUrl = None,
    api_key: ApiKey = None,
) -> None:
    """How far a transcode has come: a state, of which only the newest counts."""
    # 45.0 reads as 45, as a transcoder would send it.
    number = int(percent) if percent.is_integer() else percent
    body = {
        "type": "transcode_progress",
        "video_id": video_id,
        "status": status,
        "progress": number,
        "message": message,
    }
    _send(body | _owner(user), _router(router_url, api_key), as_json=json_output)


@app.command("complete", cls=DashedArguments)
def complete(
    video_id: VideoId,
    title: Title = "Example video",
    format_type: Annotated[str, typer.Option("--format", help="The codec or container.")] = "av1",
    file_size: Annotated[int, typer.Option("--size", min=0, help="Bytes.")] = 1_024_000_000,
    user: Owner = None,
    json_output: JsonOutput = False,
    router_url: RouterUrl = None,
    api_key: ApiKey = None,
) -> None:
    """A transcode that ended well.

    Example: `videosite-realtime send complete 123 --title "Holiday" --format av1 --size 1024000000 --user 7`
    """
    body = {"type": "transcode_complete", "video_id": video_id, "title": title}
    body |= {"format_type": format_type, "file_size": file_size} | _owner(user)
    _send(body, _router(router_url, api_key), as_json=json_output)


@app.command("failed", cls=DashedArguments)
def failed(
    video_id: VideoId,
    title: Title = "Example video",
    error: Annotated[str, typer.Option(help="What went wrong.")] = "FFmpeg process exited with code 1",
    user: Owner = None,
    json_output: JsonOutput = False,
    router_url: RouterUrl = None,
    api_key: ApiKey = None,
) -> None:
    """A transcode that failed."""
    body = {"type": "transcode_failed", "video_id": video_id, "title": title, "error": error} | _owner(user)
    _send(body, _router(router_url, api_key), as_json=json_output)


def receipt(answer: Json) -> Text:
    """Return what became of a message, as a person reads it."""
    nodes = answer.get("nodes")
    online = answer.get("online")
    handed = f"handed to {counted(nodes, 'node')}" if isinstance(nodes, int) else "accepted"
    there = {True: ("somebody is connected", "green"), False: ("nobody is connected", "yellow")}
    lines = [Text.assemble(("sent  ", "bold green"), handed)]
    if isinstance(online, bool):
        lines[0].append(", ").append(*there[online])
    ids = answer.get("ids")
    named = ids if isinstance(ids, dict) and ids else {"": answer["id"]} if answer.get("id") else {}
    for audience, event_id in named.items():
        lines.append(Text.assemble(("id    ", "dim"), legible(str(event_id)), (f"  {legible(audience)}", "dim")))
    if not named:
        lines.append(Text.assemble(("id    ", "dim"), ("none: a state has no place in history", "dim")))
    if answer.get("trace_id"):
        lines.append(Text.assemble(("trace ", "dim"), legible(str(answer["trace_id"]))))
    return Text("\n").join(lines)


def _router(url: str | None, api_key: str | None) -> RouterAccess:
    return settings.router_access(url, api_key, read(local_file()))


def _send(body: dict[str, Any], access: RouterAccess, *, as_json: bool) -> None:
    with RouterApi(access) as router:
        answer = router.send(body["audience"], body["message"]) if "audience" in body else router.notify(body)
    if as_json:
        typer.echo(json.dumps(answer, ensure_ascii=False))
    else:
        terminal.output().print(receipt(answer), soft_wrap=True)


def _message(text: str | None, given: str | None, level: Level) -> Json:
    if (text is None) == (given is None):
        raise BadInput("say what to send: either a TEXT or --json")
    if given is None:
        return {"type": "system_message", "message": text, "level": level.value}
    try:
        message = json.loads(sys.stdin.read() if given == "-" else given)
        json.dumps(message, allow_nan=False, ensure_ascii=False).encode()  # Python reads more than JSON allows
    except (ValueError, RecursionError) as error:
        raise BadInput(f"--json is not JSON: {error}") from error
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise BadInput('--json is not an object with a `type`, such as {"type":"order_paid"}')
    return message


def _target(text: str) -> object:
    if text in ("admin", "all"):
        return text
    return {"users": [identity.checked_id(each.strip()) for each in text.split(",")]}


def _owner(user: str | None) -> dict[str, Any]:
    return {} if user is None else {"user_id": identity.checked_id(user)}
