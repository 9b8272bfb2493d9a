"""A router's HTTP calls, served as they are, on a real server for Redis."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from router.__main__ import build
from router.settings import RouterSettings
from shared.keys import Keys
from shared.otel_settings import OtelSettings
from tests.shared.redis_server import RedisServer
from tests.shared.tokens import SECRET, claims, hmac_token
from tests.support.waiting import until

KEY = "service-key-number-one"
PROGRESS = {"type": "transcode_progress", "video_id": 123, "status": "processing", "progress": 45}
SYSTEM = {"type": "system_message", "message": "系统将于10分钟后维护"}
CUSTOM: dict[str, Any] = {"audience": {"users": [7, 8]}, "message": {"type": "order_paid", "order": 10482}}

# Method, path and needed scope of every call.
CALLS = [
    ("POST", "/notifications", "publish"),
    ("POST", "/messages", "publish"),
    ("POST", "/notifications/batch", "publish"),
    ("POST", "/messages/batch", "publish"),
    ("GET", "/stats", "read"),
    ("GET", "/nodes", "read"),
    ("GET", "/users/7/connections", "read"),
    ("GET", "/transcodes", "read"),
    ("GET", "/transcodes/1", "read"),
    ("DELETE", "/users/7/connections", "admin"),
    ("DELETE", "/users/7/block", "admin"),
    ("DELETE", "/users/7/data", "admin"),
]


def settings(url: str, keys: Keys) -> RouterSettings:
    return RouterSettings(
        redis_url=url,
        redis_prefix=keys.prefix,
        router_api_keys=KEY,
        jwt_secret=SECRET,
        http_body_max_bytes=200_000,
        database_url="off",
    )


@pytest.fixture
async def router(redis_server: RedisServer, keys: Keys) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a router under the test's own keys, with the service key."""
    async with build(settings(redis_server.url, keys), OtelSettings()) as app:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://router/api/v1", headers={"Authorization": f"Bearer {KEY}"}
        ) as client:
            await until_connected(client)
            yield client


async def until_connected(router: httpx.AsyncClient) -> None:
    """Wait until it can publish: it starts without Redis, if that takes more than a second to answer."""

    async def all_connected() -> bool:
        return set((await metric(router, "vsrt_redis_connected")).values()) == {1}

    await until(all_connected)


def bearer(scope: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {hmac_token(claims(scope=scope))}"}


async def metric(router: httpx.AsyncClient, name: str) -> dict[str, float]:
    """Return a metric's values by their labels as they are written, without those of a convention."""
    text = (await router.get("http://router/metrics")).text
    found = re.findall(rf"^{name}(?:{{(.*)}})? (\S+)$", text, re.MULTILINE)
    kept = [
        (",".join(label for label in labels.split(",") if "messaging" not in label), value) for labels, value in found
    ]
    return {labels: float(value) for labels, value in kept}
