"""A rolling restart as it is seen from outside: which nodes there are, and when all of them are others."""

from __future__ import annotations

import logging
import subprocess
import time
from collections.abc import Callable
from typing import Final

import httpx

logger = logging.getLogger("loadtest")

_EVERY: Final = 1.0  # s


class RestartWatch:
    """Begins a restart, or waits for somebody to, and watches it in a greenlet of its own.

    Args:
        command: a shell command that begins it; None if it comes from elsewhere.

    Attributes:
        before: the ids of the nodes that are to go; an id has the random part of a start, so none comes again.
        failed: why it did not begin; empty if it did.
    """

    def __init__(self, router_url: str, api_key: str, command: str | None) -> None:
        self._http = httpx.Client(base_url=router_url, headers={"Authorization": f"Bearer {api_key}"}, timeout=5)
        self._command = command
        self.before: set[str] = set()
        self.now: set[str] = set()
        self.failed = ""

    @property
    def replaced(self) -> set[str]:
        return self.before - self.now

    @property
    def over(self) -> bool:
        """All nodes of the beginning are gone, and as many are there."""
        replaced = bool(self.before) and not self.before & self.now and len(self.now) >= len(self.before)
        return replaced or bool(self.failed)

    def run(self, sleep: Callable[[float], None] = time.sleep) -> None:
        self._look()
        self.before = set(self.now)
        logger.info("rolling restart of %d nodes%s", len(self.before), "" if self._command else ": waiting for it")
        if self._command:
            ended = subprocess.run(self._command, shell=True, check=False)
            if ended.returncode:
                self.failed = f"--restart-command ended with exit status {ended.returncode}"
                logger.error(self.failed)
        while not self.over:
            sleep(_EVERY)
            self._look()
        logger.info("%d of %d nodes have been replaced", len(self.replaced), len(self.before))

    def _look(self) -> None:
        try:
            answer = self._http.get("/api/v1/nodes").raise_for_status()
            self.now = {node["node_id"] for node in answer.json()["nodes"]}
        except httpx.HTTPError as exc:
            logger.warning("the router does not tell which nodes there are: %s", exc)
