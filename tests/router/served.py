"""A router's HTTP calls, served as they are, on a real server for Redis."""

from __future__ import annotations

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

KEY = "service-key-number-one"
PROGRESS = {"type": "transcode_progress", "video_id": 123, "status": "processing", "progress": 45}
SYSTEM = {"type": "system_message", "message": "系统将于10分钟后维护"}
CUSTOM: dict[str, Any] = {"audience": {"users": [7, 8]}, "message": {"type": "order_paid", "order": 10482}}


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
            yield client


def bearer(scope: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {hmac_token(claims(scope=scope))}"}
