"""Fixtures of the tests of ``node``."""

from __future__ import annotations

import pytest

from tests.node.fakes import Host
from tests.node.feed_stage import stage
from tests.shared.fixtures import keys, link, own_server, redis_server, scripts

__all__ = ["keys", "link", "own_server", "redis_server", "scripts", "stage"]


@pytest.fixture
def host() -> Host:
    return Host()
