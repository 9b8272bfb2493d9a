"""``python -m router``: read the settings, build, serve."""

from __future__ import annotations

import logging
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from router.app import create_app
from router.callers import Callers
from router.cluster_api import ClusterApi
from router.erasure import EraseRows, Erasure
from router.metrics import RouterMetrics
from router.publish_api import PublishApi
from router.publisher import Publisher
from router.settings import RouterSettings
from shared import logs
from shared.asgi import ASGIApp
from shared.auth import TokenVerifier
from shared.caretaker import Caretaker
from shared.durability import refuse_unsafe_server
from shared.errors import SettingsError
from shared.keys import Keys
from shared.redis_link import RedisLink
from shared.scripts import Scripts
from shared.serving import Server, calm_the_collector, listen, on_stop_signals, run, server_config
from shared.settings import read_settings
from shared.tasks import running

logger = logging.getLogger("router")


@asynccontextmanager
async def build(settings: RouterSettings) -> AsyncIterator[ASGIApp]:
    """Build a router; what it runs ends with the context."""
    keys = Keys(settings.redis_prefix)
    scripts = Scripts(keys)
    async with AsyncExitStack() as stack:
        link = await stack.enter_async_context(
            RedisLink(settings.redis_url, name="vsrt-router", timeout=settings.redis_timeout, prepare=scripts.prepare)
        )
        # A router is of use without Redis too: it says 503.
        await refuse_unsafe_server(link, allow_eviction=settings.redis_allow_eviction)
        caretaker = Caretaker(link, scripts, keys)
        await stack.enter_async_context(running(caretaker.run(), "caretaker"))
        metrics = RouterMetrics(link)
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
        erase_rows: EraseRows | None = None
        if settings.has_inbox:
            from router.inbox import inbox

            erase_rows = (await stack.enter_async_context(inbox(settings, link, keys))).erase_rows
        publish = PublishApi(callers, publisher, link, keys, metrics, message_max_bytes=settings.message_max_bytes)
        cluster = ClusterApi(callers, link, keys, caretaker, Erasure(link, scripts, keys, erase_rows))
        yield create_app(publish, cluster, metrics, settings.http_body_max_bytes)


async def serve(settings: RouterSettings) -> None:
    sock = listen(settings.router_host, settings.router_port)
    async with build(settings) as app:
        server = Server(server_config(app))
        on_stop_signals(server.stop)
        calm_the_collector()
        logger.info("router up", extra={"host": settings.router_host, "port": sock.getsockname()[1]})
        await server.serve(sockets=[sock])
    logger.info("router stopped")


def main() -> int:
    try:
        settings = read_settings(RouterSettings)
    except SettingsError as exc:
        print(f"router: {exc}", file=sys.stderr)
        return 2
    logs.configure(settings.log_level, settings.log_format)
    return run(lambda: serve(settings), "router")


if __name__ == "__main__":
    sys.exit(main())
