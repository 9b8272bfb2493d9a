"""``python -m node``: read the settings, build, serve, drain."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from fastapi import APIRouter

from node.admin_page import BUILT, AdminPage, not_built
from node.app import create_app, create_management_app, health_routes
from node.bus import Bus
from node.callers import Callers
from node.drain import CALLS, Drain, DrainingServer
from node.event_reader import EventReader
from node.events_api import EventsApi
from node.gate import Gate
from node.handshake import Handshake
from node.history import History
from node.hub import Hub
from node.membership import Membership
from node.metrics import NodeMetrics
from node.no_inbox import routes_without_inbox
from node.progress import Progress
from node.rest_api import RestApi
from node.settings import NodeSettings
from node.sweep import Sweep
from node.tops import Tops
from node.user_check import user_check_from
from node.wire import NodeProtocol
from shared import logs
from shared.asgi import ASGIApp
from shared.auth import TokenVerifier
from shared.caretaker import Caretaker
from shared.close_codes import CloseCode
from shared.command_times import CommandTimes
from shared.durability import refuse_unsafe_server
from shared.errors import SettingsError
from shared.exposition import Exposition
from shared.http_times import HttpTimes
from shared.keys import SHARED_TAG, TAGS, Keys
from shared.link import Link
from shared.loop_lag import LoopLag
from shared.otel_settings import OtelSettings
from shared.redis_cluster import address_of, link_to_redis
from shared.redis_link import RedisLink
from shared.scripts import NAMES, Scripts
from shared.service_metrics import Sources, command_links, resource
from shared.serving import Server, calm_the_collector, listen, on_stop_signals, run, server_config
from shared.settings import read_settings
from shared.tasks import running
from shared.telemetry import measured, traced
from shared.tracing import SpanCounts, Tracing

logger = logging.getLogger("node")


@dataclass(frozen=True, slots=True)
class Node:
    """The parts of a built node that serving and shutting down need."""

    app: ASGIApp
    management: ASGIApp
    membership: Membership
    drain: Drain


@asynccontextmanager
async def build(settings: NodeSettings, otel: OtelSettings, tracing: Tracing | None = None) -> AsyncIterator[Node]:
    """Build a node and start its background tasks; they end with the context."""
    keys = Keys(settings.redis_prefix)
    scripts = Scripts(keys)
    times = CommandTimes(NAMES)
    verifier = TokenVerifier.from_settings(settings)
    anywhere = address_of(settings, keys, *TAGS)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(verifier.aclose)
        link = await stack.enter_async_context(
            link_to_redis(settings, keys, name="vsrt-node", prepare=scripts.prepare, times=times)
        )
        await refuse_unsafe_server(link, allow_eviction=settings.redis_allow_eviction)
        shared = link.of(SHARED_TAG)
        history = History(link, keys)
        caretaker = Caretaker(link, scripts, keys, settings.node_name)
        hub = Hub(
            history,
            verifier,
            stats=lambda: membership.show(caretaker.stats),
            changed=lambda user: membership.changed(user),  # noqa: PLW0108  # it is built below
            missed=lambda: tops.soon(),  # noqa: PLW0108  # as well
            frame_max_bytes=settings.frame_max_bytes,
            commands_per_second=settings.commands_per_second,
            state_ttl=settings.state_ttl,
            clock=link.clock,
            tracing=tracing,
        )
        connections = hub.connections
        tops = Tops(connections, history, link, keys, hub.spawn, hub.end_user)
        bus = await stack.enter_async_context(
            Bus(anywhere, keys, shared, hub.hear, tops.compare, timeout=settings.redis_timeout, times=times)
        )
        membership = Membership(settings.node_name, link, scripts, keys, connections, bus.use_node_channel, tops.see)
        progress = Progress(connections.admin, bus, link, keys)
        sweep = Sweep(
            hub,
            progress,
            link,
            heartbeat_timeout=settings.heartbeat_timeout,
            slow_client_timeout=settings.slow_client_timeout,
        )
        user_check = user_check_from(
            settings, lambda user, verdict: hub.end_user(user, CloseCode.FORBIDDEN, verdict.value)
        )
        stack.push_async_callback(user_check.aclose)
        callers = Callers(verifier, user_check, link, keys)
        rest = RestApi(hub.stats, callers, link, keys, router_url=settings.router_url)
        stack.push_async_callback(rest.aclose)
        gate = Gate(hub, membership, progress, verifier, user_check, link, keys, settings)
        handshake = Handshake(gate, hub, settings.backend_cors_origins, tracing)
        events = EventsApi(
            gate,
            hub,
            callers,
            EventReader(history, link, keys, membership.register),
            per_second=settings.commands_per_second,
            unacknowledged=settings.heartbeat_timeout,
        )
        drain, loop_lag, requests = Drain(hub, settings.drain_seconds, tracing), LoopLag(), HttpTimes()
        metrics = NodeMetrics(
            resource("vsrt-node", settings.node_name),
            Sources(
                {**command_links(link), "bus": bus.link},
                times,
                requests,
                caretaker,
                loop_lag,
                tracing.counts if tracing else SpanCounts(),
            ),
            hub,
            bus,
            membership,
            sweep,
            drain,
            verifier,
            limit=settings.node_max_connections,
        )
        await stack.enter_async_context(measured(otel, metrics))
        health = health_routes(Exposition(metrics), lambda: _why_not_ready(membership, bus, shared))
        app = create_app(
            handshake,
            rest,
            events.routes(),
            await _inbox(stack, settings, callers, link, keys, history),
            health,
            _admin_page(settings),
            requests,
            origins=settings.backend_cors_origins,
            body_max_bytes=settings.http_body_max_bytes,
            tracing=tracing,
        )
        for work, name in (
            (membership.run(), "membership"),
            (caretaker.run(), "caretaker"),
            (bus.run(), "bus"),
            (tops.run(), "tops"),
            (sweep.run(), "sweep"),
            (loop_lag.run(), "loop lag"),
        ):
            await stack.enter_async_context(running(work, name))
        yield Node(app, create_management_app(health, requests), membership, drain)


async def _inbox(
    stack: AsyncExitStack,
    settings: NodeSettings,
    callers: Callers,
    link: Link,
    keys: Keys,
    history: History,
) -> APIRouter:
    if not settings.has_inbox:
        return routes_without_inbox()
    from node.inbox import inbox

    return await stack.enter_async_context(inbox(settings, callers, link, keys, history))


def _admin_page(settings: NodeSettings) -> ASGIApp:
    directory = settings.admin_page_dir
    if directory is None and not (BUILT / "index.html").exists():
        return not_built
    return AdminPage(directory or BUILT)


def _why_not_ready(membership: Membership, bus: Bus, shared: RedisLink) -> str | None:
    """Return why the node is not ready, if so: draining, not part of the cluster yet, or deaf while Redis works.

    A node without Redis stays ready: one hang of Redis would otherwise empty the Service of all nodes.
    """
    if membership.draining:
        return "draining"
    if not membership.joined:
        return "starting"
    if bus.deaf and shared.connected:
        return "deaf"
    return None


async def serve(settings: NodeSettings, otel: OtelSettings) -> None:
    sock = listen(settings.node_host, settings.node_port, reuse_port=settings.node_reuse_port)
    logs.tell_settings(settings)
    about = resource("vsrt-node", settings.node_name)
    async with (
        traced(otel, about) as tracing,
        build(settings, otel, tracing) as node,
        AsyncExitStack() as stack,
    ):
        server = DrainingServer(
            server_config(
                node.app,
                trusted_proxies=settings.trusted_proxies,
                grace=CALLS,
                http=NodeProtocol,
            )
        )
        server.drain = node.drain

        def stop() -> None:
            node.membership.drain()
            server.stop()

        on_stop_signals(stop)
        if settings.node_management_port is not None:
            await stack.enter_async_context(_management(node, settings.node_host, settings.node_management_port))
        calm_the_collector()
        logger.info("node up", extra={"host": settings.node_host, "port": sock.getsockname()[1]})
        await server.serve(sockets=[sock])
        await node.membership.leave()
    logger.info("node stopped")


@contextlib.asynccontextmanager
async def _management(node: Node, host: str, port: int) -> AsyncIterator[None]:
    """Serve health and metrics on a port of their own, for as long as the node drains too."""
    sock = listen(host, port)
    server = Server(server_config(node.management))
    async with running(server.serve(sockets=[sock]), "management"):
        yield


def main() -> int:
    try:
        settings, otel = read_settings(NodeSettings), read_settings(OtelSettings)
    except SettingsError as exc:
        print(f"node: {exc}", file=sys.stderr)
        return 2
    logs.configure(settings, "node", settings.node_name)
    return run(lambda: serve(settings, otel), "node")


if __name__ == "__main__":
    sys.exit(main())
