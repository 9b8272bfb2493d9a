"""``python -m router``: read the settings, build, serve."""

from __future__ import annotations

import logging
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from router.app import create_app
from router.archive_counts import ArchiveCounts
from router.call_log import CallLog
from router.callers import Callers, fingerprint
from router.cluster_api import ClusterApi
from router.erasure import Erasure
from router.metrics import RouterMetrics
from router.placement import Placement
from router.publish_api import PublishApi
from router.publish_counts import PublishCounts
from router.publisher import Publisher
from router.queue import reading_queue
from router.queue_calls import QueueCalls
from router.queue_counts import QueueCounts
from router.refusals import Refusals
from router.settings import RouterSettings
from shared import logs
from shared.asgi import ASGIApp
from shared.auth import TokenVerifier
from shared.caretaker import Caretaker
from shared.command_times import CommandTimes
from shared.durability import refuse_unsafe_server
from shared.errors import SettingsError
from shared.exposition import Exposition
from shared.http_times import HttpTimes
from shared.keys import SHARED_TAG, Keys
from shared.loop_lag import LoopLag
from shared.otel_settings import OtelSettings
from shared.redis_cluster import address_of, link_to_redis
from shared.scripts import NAMES, Scripts
from shared.service_metrics import Sources, command_links, resource
from shared.serving import Server, calm_the_collector, listen, on_stop_signals, run, server_config
from shared.settings import read_settings
from shared.tasks import running
from shared.telemetry import measured, traced
from shared.tracing import SpanCounts, Tracing

logger = logging.getLogger("router")


@asynccontextmanager
async def build(settings: RouterSettings, otel: OtelSettings, tracing: Tracing | None = None) -> AsyncIterator[ASGIApp]:
    """Build a router and start its background tasks; they end with the context."""
    keys = Keys(settings.redis_prefix)
    scripts = Scripts(keys)
    redis = address_of(settings, keys, SHARED_TAG)
    times = CommandTimes(NAMES)
    async with AsyncExitStack() as stack:
        link = await stack.enter_async_context(
            link_to_redis(settings, keys, name="vsrt-router", prepare=scripts.prepare, times=times)
        )
        # This does not wait for Redis: without it a router still serves, and answers 503.
        await refuse_unsafe_server(link, allow_eviction=settings.redis_allow_eviction)
        caretaker = Caretaker(link, scripts, keys, settings.router_name)
        await stack.enter_async_context(running(caretaker.run(), "caretaker"))
        verifier = TokenVerifier.from_settings(settings) if settings.has_jwt else None
        if verifier is not None:
            stack.push_async_callback(verifier.aclose)
        callers = Callers(settings.api_keys, verifier)
        publisher = Publisher(
            link,
            scripts,
            keys,
            history_length=settings.history_length,
            history_length_shared=settings.history_length_shared,
            history_ttl=settings.history_ttl,
            state_ttl=settings.state_ttl,
            archive_max_bytes=settings.archive_max_bytes if settings.has_inbox else 0,
        )
        archive, erase_rows = ArchiveCounts(), None
        if settings.has_inbox:
            from router.inbox import inbox

            erase_rows = await stack.enter_async_context(inbox(settings, link, scripts, keys, archive))
        counts, requests, loop_lag = PublishCounts(), HttpTimes(), LoopLag()
        placement = Placement(publisher, link, keys, counts, message_max_bytes=settings.message_max_bytes)
        call_log = CallLog()
        publish = PublishApi(callers, placement, counts, call_log)
        cluster = ClusterApi(callers, link, keys, caretaker, Erasure(link, scripts, keys, erase_rows))
        links, queue = command_links(link), None
        if settings.queue_enabled:
            queue, most = QueueCounts(), settings.http_body_max_bytes
            calls = QueueCalls(placement, call_log, tracing, link.server_us, body_max_bytes=most)
            links["queue"] = await stack.enter_async_context(
                reading_queue(settings, redis, link, scripts, keys, calls, queue)
            )
        metrics = RouterMetrics(
            resource("vsrt-router", settings.router_name),
            Sources(links, times, requests, caretaker, loop_lag, tracing.counts if tracing else SpanCounts()),
            counts,
            archive,
            callers,
            verifier,
            queue,
        )
        await stack.enter_async_context(running(loop_lag.run(), "loop lag"))
        await stack.enter_async_context(measured(otel, metrics))
        yield create_app(
            publish, cluster, Exposition(metrics), requests, Refusals(callers), settings.http_body_max_bytes, tracing
        )


async def serve(settings: RouterSettings, otel: OtelSettings) -> None:
    sock = listen(settings.router_host, settings.router_port)
    logs.tell_settings(settings)
    about = resource("vsrt-router", settings.router_name)
    async with traced(otel, about) as tracing, build(settings, otel, tracing) as app:
        server = Server(server_config(app, trusted_proxies=settings.trusted_proxies))
        on_stop_signals(server.stop)
        calm_the_collector()
        keys = [fingerprint(key) for key in settings.api_keys]
        logger.info("router up", extra={"host": settings.router_host, "port": sock.getsockname()[1], "api_keys": keys})
        await server.serve(sockets=[sock])
    logger.info("router stopped")


def main() -> int:
    try:
        settings, otel = read_settings(RouterSettings), read_settings(OtelSettings)
    except SettingsError as exc:
        print(f"router: {exc}", file=sys.stderr)
        return 2
    logs.configure(settings, "router", settings.router_name)
    return run(lambda: serve(settings, otel), "router")


if __name__ == "__main__":
    sys.exit(main())
