"""`videosite-realtime plan`: how large a cluster has to be, and what breaks first."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import Annotated, Final

import typer

from videosite_realtime_cli import terminal
from videosite_realtime_cli.capacity import costs
from videosite_realtime_cli.capacity.model import Demand, Supply
from videosite_realtime_cli.capacity.model import plan as reckon
from videosite_realtime_cli.capacity.report import report
from videosite_realtime_cli.errors import BadInput
from videosite_realtime_cli.options import JsonOutput

_GIB: Final = 2**30
_GBIT: Final = 125_000_000  # bytes/s
_DAY: Final = 24 * 3600
_A_DAY_EACH: Final = 10  # messages to a user
_PEAK: Final = 3  # times the mean of a day
_WHO, _WHAT, _LIMITS = "Who is there", "What happens, at the peak", "What there is"


def plan(
    users: Annotated[int, typer.Option(min=1, help="Connected at once.", rich_help_panel=_WHO)],
    tabs: Annotated[float, typer.Option(min=1, help="Connections of each.", rich_help_panel=_WHO)] = 1.2,
    accounts: Annotated[
        int | None, typer.Option(min=1, help="Users that ever get a message; tenfold without it.", rich_help_panel=_WHO)
    ] = None,
    admins: Annotated[int, typer.Option(min=0, help="Admin connections.", rich_help_panel=_WHO)] = 50,
    session: Annotated[
        float, typer.Option(min=1, help="Seconds that a connection lasts.", rich_help_panel=_WHO)
    ] = 1800,
    return_time: Annotated[
        float, typer.Option(min=1, help="Seconds in which all come back once cut off.", rich_help_panel=_WHO)
    ] = 300,
    heartbeat: Annotated[float, typer.Option(min=1, help="Seconds between two pings.", rich_help_panel=_WHO)] = 30,
    rate: Annotated[
        float | None,
        typer.Option(
            min=0,
            help=f"Messages to single users per second; without it {_A_DAY_EACH} a day to each, times {_PEAK}.",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    batched: Annotated[
        float, typer.Option(min=0, max=1, help="Share of them that come in batches.", rich_help_panel=_WHAT)
    ] = 0.0,
    videos: Annotated[float, typer.Option(min=0, help="Transcodes that end per second.", rich_help_panel=_WHAT)] = 1.0,
    updates: Annotated[
        float, typer.Option(min=0, help="Progress messages of a transcode.", rich_help_panel=_WHAT)
    ] = 20,
    broadcasts: Annotated[
        float, typer.Option(min=0, help="Messages to everybody per hour.", rich_help_panel=_WHAT)
    ] = 12,
    message: Annotated[int, typer.Option(min=50, max=65536, help="Bytes of a message.", rich_help_panel=_WHAT)] = 300,
    history_length: Annotated[
        int, typer.Option(min=1, help="As the setting HISTORY_LENGTH.", rich_help_panel=_WHAT)
    ] = 200,
    history_ttl: Annotated[
        int, typer.Option(min=1, help="Seconds, as the setting HISTORY_TTL.", rich_help_panel=_WHAT)
    ] = 900,
    busy: Annotated[
        float, typer.Option(min=0.05, max=1, help="Share of a core that may be used.", rich_help_panel=_LIMITS)
    ] = 0.5,
    node_connections: Annotated[
        int, typer.Option(min=1, help="Connections of a node, at most.", rich_help_panel=_LIMITS)
    ] = 50_000,
    node_memory: Annotated[float, typer.Option(min=0.1, help="GiB of a node.", rich_help_panel=_LIMITS)] = 1.0,
    redis_memory: Annotated[float, typer.Option(min=0.1, help="GiB that Redis may use.", rich_help_panel=_LIMITS)] = 64,
    redis_network: Annotated[
        float, typer.Option(min=0.01, help="Gbit/s of Redis's network.", rich_help_panel=_LIMITS)
    ] = 10,
    json_output: JsonOutput = False,
) -> None:
    """Reckon how large a cluster has to be, and what breaks first; `docs/capacity.md` explains how.

    For example:

    - `videosite-realtime plan --users 100000`
    - `videosite-realtime plan --users 10000000 --rate 20000 --batched 0.9 --session 3600`
    """
    demand = Demand(
        users=users,
        tabs=tabs,
        accounts=accounts if accounts is not None else users * 10,
        admins=admins,
        rate=rate if rate is not None else users * _A_DAY_EACH / _DAY * _PEAK,
        batched=batched,
        videos=videos,
        updates=updates,
        broadcasts=broadcasts / 3600,
        message=message,
        session=session,
        return_time=return_time,
        heartbeat=heartbeat,
        history_length=history_length,
        history_ttl=history_ttl,
    )
    if demand.accounts < users:
        raise BadInput(f"--accounts {accounts}: of these {users} users cannot be connected at once")
    supply = Supply(busy, node_connections, node_memory * _GIB, redis_memory * _GIB, redis_network * _GBIT)
    endless = [name for name, value in (asdict(demand) | asdict(supply)).items() if math.isinf(value)]
    if endless:
        raise BadInput(f"--{endless[0].replace('_', '-')} has no end, and nothing can be reckoned with it")
    unit = costs.measured()
    try:
        cluster = reckon(demand, supply, unit)
    except ValueError as error:
        raise BadInput(f"this cannot be reckoned: {error}; give more --busy or --node-memory") from error
    except OverflowError as error:
        raise BadInput("this cannot be reckoned: the numbers are too large") from error
    if json_output:
        answer = {"demand": asdict(demand), "cluster": asdict(cluster), "fits": cluster.fits, "measured": unit.measured}
        typer.echo(json.dumps(answer, ensure_ascii=False))
    else:
        terminal.output().print(report(demand, cluster, unit))
