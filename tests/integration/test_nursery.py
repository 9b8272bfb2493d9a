"""A service that was forked ends with the tests, however they end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import httpx

from tests.support.cluster import Service
from tests.support.nursery import ROOT
from tests.support.ports import LOOPBACK, free_port
from tests.support.waiting import until

TESTS = """
import sys, time
from pathlib import Path
from tests.support.nursery import Fork
Fork("router", dict(line.split("=", 1) for line in sys.argv[2:]), Path(sys.argv[1]))
time.sleep(60)
"""


async def test_a_run_of_tests_that_is_killed_leaves_no_service_behind(tmp_path: Path) -> None:
    port = free_port()
    settings = {"ROUTER_PORT": str(port), "ROUTER_API_KEYS": "a" * 16, "REDIS_URL": f"redis://{LOOPBACK}:{free_port()}"}
    router = Service("router", "router", port, port, settings, tmp_path)
    arguments = [str(router.log_file), *(f"{name}={value}" for name, value in settings.items())]

    async def answers() -> bool:
        try:
            return (await router.get("/healthz")).is_success
        except httpx.TransportError:
            return False

    async def is_gone() -> bool:
        return not await answers()

    tests = subprocess.Popen([sys.executable, "-c", TESTS, *arguments], cwd=ROOT)
    try:
        await until(answers, timeout=60)
    finally:
        tests.kill()
        tests.wait()
    await until(is_gone)
