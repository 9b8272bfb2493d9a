"""Fixtures of the tests of ``shared``."""

from __future__ import annotations

from tests.shared.ear import ear
from tests.shared.fixtures import keys, link, own_server, press, redis_server, scripts
from tests.shared.links import proxy

__all__ = ["ear", "keys", "link", "own_server", "press", "proxy", "redis_server", "scripts"]
