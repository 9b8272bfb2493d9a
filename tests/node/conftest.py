"""Fixtures of the tests of ``node``."""

from __future__ import annotations

from tests.shared.fixtures import keys, link, own_server, redis_server, scripts

__all__ = ["keys", "link", "own_server", "redis_server", "scripts"]
