"""Fixtures of the tests of ``router``."""

from __future__ import annotations

from tests.router.served import router
from tests.shared.fixtures import keys, link, own_server, redis_server, scripts

__all__ = ["keys", "link", "own_server", "redis_server", "router", "scripts"]
