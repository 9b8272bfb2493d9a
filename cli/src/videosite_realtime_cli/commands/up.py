"""`videosite-realtime up`: a whole cluster on this machine, for as long as the command runs."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Annotated

import httpx
import typer
from rich.console import Console

from videosite_realtime_cli import identity, local_file, terminal
from videosite_realtime_cli.client import Client
from videosite_realtime_cli.cluster import plan as planning
from videosite_realtime_cli.cluster import ports, valkey
from videosite_realtime_cli.cluster.crew import Crew, StopAsked, StopRequest
from videosite_realtime_cli.cluster.follow import Follower, Printer
from videosite_realtime_cli.cluster.plan import Options, Plan
from videosite_realtime_cli.cluster.welcome import welcome
from videosite_realtime_cli.errors import BadInput
from videosite_realtime_cli.listen import MintedToken, endpoint, listen
from videosite_realtime_cli.local_file import LocalCluster
from videosite_realtime_cli.render import Lines


def up(
    demo: Annotated[
        bool, typer.Option("--demo", help="Set a transcoder to work and show what admins receive.")
    ] = False,
    nodes: Annotated[int, typer.Option(min=1, max=32, help="How many nodes; they share one port.")] = 2,
    routers: Annotated[int, typer.Option(min=1, max=10, help="How many routers, on ports in a row.")] = 1,
    port: Annotated[int, typer.Option(min=1, max=65535, help="The nodes' port.")] = 8000,
    router_port: Annotated[
        int, typer.Option(min=1, max=65535, help="The first router's port; the nodes' management begins ten above.")
    ] = 8001,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show all that the parts log, not only warnings.")
    ] = False,
) -> None:
    """Run a local cluster until Ctrl-C: Valkey, nodes, routers; a second Ctrl-C does not wait for them.

    With `REDIS_URL` set, that server is used instead of the embedded Valkey; with `DATABASE_URL`, that database instead
    of an inbox that lasts as long as the cluster. `JWT_SECRET` and `ROUTER_API_KEYS` are
    taken from the environment too, and made anew otherwise. While it runs, the other commands find it by themselves.

    For example:

    - `videosite-realtime up --demo`
    - `videosite-realtime up --nodes 3 --routers 2 --verbose`
    - `REDIS_URL=redis://127.0.0.1:6379 videosite-realtime up --port 9000 --router-port 9001`
    """
    plan = planning.make(Options(nodes, routers, port, router_port), os.environ)
    ports.check(plan.claims())
    console = terminal.output()
    asyncio.run(_run(plan, os.environ, console, demo=demo, verbose=verbose))


async def _run(plan: Plan, environment: Mapping[str, str], console: Console, *, demo: bool, verbose: bool) -> None:
    """Run everything on one exit stack: what was started last is stopped first."""
    logs = local_file.logs_directory(plan.options.port, environment)
    stop = StopRequest()
    try:
        async with AsyncExitStack() as stack:
            stack.enter_context(stop.on_signals())
            crew = Crew(logs, stop)
            follower = Follower(logs, lambda: [process.name for process in crew.processes])
            printer = Printer(follower, console, everything=verbose)
            await stack.enter_async_context(crew.companion(printer.run()))
            environment = stack.enter_context(_with_inbox(environment))
            redis_url = await stack.enter_async_context(_redis(crew, environment))
            client = await stack.enter_async_context(httpx.AsyncClient(trust_env=False, timeout=2.0))
            if plan.traces_url:
                receiver = planning.receiver_part(plan, environment, client)
                await stack.enter_async_context(crew.running([receiver]))
            for parts in (planning.node_parts, planning.router_parts):
                await stack.enter_async_context(crew.running(parts(plan, redis_url, environment, client)))
            with console.status("waiting until all are ready…"):
                await crew.all_ready()
            page = await _serves_page(client, plan.node_url)
            welcome(console, plan, redis_url, logs, embedded=not environment.get("REDIS_URL"), page=page)
            if demo:
                await stack.enter_async_context(_demo(plan, crew, environment, console))
            stack.enter_context(
                local_file.published(_found_by_others(plan, redis_url), local_file.local_file(environment))
            )
            try:
                await crew.until_stopped()
            finally:
                if stop.asked.is_set():
                    console.print("\nstopping; Ctrl-C again to stop at once", style="dim")
    except StopAsked:
        console.print("stopped", style="dim")


async def _serves_page(client: httpx.AsyncClient, node_url: str) -> bool:
    try:
        return (await client.get(node_url)).is_success
    except httpx.HTTPError:
        return False  # a node that has just died; the crew is about to say so


@contextmanager
def _with_inbox(environment: Mapping[str, str]) -> Iterator[Mapping[str, str]]:
    """Give the environment with an inbox: the database that was named, or one that lasts as long as the cluster."""
    if environment.get("DATABASE_URL"):
        yield environment
        return
    with tempfile.TemporaryDirectory(prefix="videosite-realtime-", ignore_cleanup_errors=True) as directory:
        yield {**environment, "DATABASE_URL": f"sqlite:///{directory}/inbox.db"}


@asynccontextmanager
async def _redis(crew: Crew, environment: Mapping[str, str]) -> AsyncIterator[str]:
    """Give the URL of the server for Redis: the one that was named, or our own."""
    for name in ("REDIS_SENTINELS", "REDIS_CLUSTER_NODES"):
        if environment.get(name):  # nodes and routers would go there, and what we show and tell others be wrong
            raise BadInput(f"{name} is set, but up works with one server: unset it, and name that server in REDIS_URL")
    if given := environment.get("REDIS_URL"):
        await valkey.check(given)
        yield given
        return
    # What is left in it when the server has gone is nobody's any more.
    with tempfile.TemporaryDirectory(prefix="videosite-realtime-", ignore_cleanup_errors=True) as data:
        port = ports.free_port()
        async with crew.running([valkey.embedded(port, Path(data), environment)]):
            await crew.all_ready()
            yield f"redis://{ports.LOOPBACK}:{port}/0"


@asynccontextmanager
async def _demo(plan: Plan, crew: Crew, environment: Mapping[str, str], console: Console) -> AsyncIterator[None]:
    """Set the example transcoder to work, and show what the admin pool receives."""
    console.print("\nwhat admins receive, live:", style="bold")
    credential = MintedToken(plan.signer, identity.admin("1"))
    view = listen(endpoint(plan.node_url, admin=True), Client(), credential, Lines(console, crop=True))
    async with crew.running([planning.demo_part(plan, environment)]), crew.companion(view):
        yield


def _found_by_others(plan: Plan, redis_url: str) -> LocalCluster:
    return LocalCluster(
        node_url=plan.node_url,
        router_url=plan.router_url,
        jwt_secret=plan.jwt_secret,
        jwt_algorithm=planning.ALGORITHM,
        router_api_key=plan.router_api_key,
        redis_url=redis_url,
        management_urls=plan.management_urls,
        pid=os.getpid(),
        traces_url=plan.traces_url,
    )
