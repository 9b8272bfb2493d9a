"""Fixtures of the SDK's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.sdk.queue_ways import way
from tests.sdk.router_stub import KEY, Router

__all__ = ["cold_router", "router", "way"]


@pytest.fixture
def cold_router(monkeypatch: pytest.MonkeyPatch) -> Iterator[Router]:
    """A router that does not listen yet; the environment names it, as a producer's would."""
    router = Router()
    for proxy in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(proxy, raising=False)
    monkeypatch.setenv("ROUTER_URL", router.url)
    monkeypatch.setenv("ROUTER_API_KEY", KEY)
    try:
        yield router
    finally:
        router.stop()


@pytest.fixture
def router(cold_router: Router) -> Router:
    return cold_router.start()
