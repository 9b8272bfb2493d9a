"""Fixtures of the tests of ``shared``."""

from __future__ import annotations

from tests.shared.fixtures import keys, link, own_server, redis_server, scripts

__all__ = ["keys", "link", "own_server", "redis_server", "scripts"]
