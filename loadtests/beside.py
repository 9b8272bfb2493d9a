"""Two versions side by side: what a message costs in batches, by turns, so that the machine's moods fall on both.

    git worktree add /tmp/before <revision>
    TEST_REDIS=redis-server .venv/bin/python -m loadtests.beside /tmp/before [--rounds 40]

Each version has a cluster of its own on core 0 and 1,000 users on core 1. In a round each of the two takes 40 batches
of 100 messages to single users, now the one first, now the other; each message is received and counted. CPU is that of
router, Redis and node, from /proc/<pid>/schedstat in ns. Printed are medians, and the median of the rounds' ratios: it
was the same within 1 % on a machine where one version by itself varied by a third.

The other version needs no such script: this one drives it, with its own `loadtests/stage.py` and `tests/support`, and
with its own `.venv` if it has one, else with ours.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import statistics
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

USERS, BATCH, BATCHES, PUBLISHERS = 1000, 100, 40, 16
TEXT = "Order 10482 was handed to the courier and will arrive tomorrow between 10:00 and 14:00. " * 2

Costs = dict[str, float]  # µs per message, by process


# --- in the version's own process


def _body() -> str:
    items = [
        {
            "audience": {"users": [random.randrange(USERS)]},
            "message": {"type": "order_status_changed", "title": "On its way", "body": TEXT},
        }
        for _ in range(BATCH)
    ]
    return json.dumps({"items": items})


class Crowd:
    """Users who are connected, and count together what they receive."""

    def __init__(self) -> None:
        self.received = 0
        self._wanted = 0
        self._complete = asyncio.Event()

    def expect(self, messages: int) -> None:
        self.received, self._wanted = 0, messages
        self._complete.clear()

    async def complete(self) -> None:
        await asyncio.wait_for(self._complete.wait(), 60)

    @contextlib.asynccontextmanager
    async def connected(self, cluster: Any) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as tasks:
            listeners = []
            for user in range(USERS):
                welcomed = asyncio.Event()
                listeners.append(tasks.create_task(self._listen(cluster, user, welcomed)))
                await welcomed.wait()
            yield
            for listener in listeners:
                listener.cancel()

    async def _listen(self, cluster: Any, user: int, welcomed: asyncio.Event) -> None:
        from tests.support.client import dial

        async with dial(cluster.node.socket_url(token=cluster.tokens.user(user))) as client:
            await client.recv()
            welcomed.set()
            async for _ in client:
                self.received += 1
                if self.received == self._wanted:
                    self._complete.set()


def _cpu_ns(pids: dict[str, int]) -> dict[str, int]:
    return {name: int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) for name, pid in pids.items()}


async def take_turns() -> None:
    """Take a round for each line that comes, and answer with its costs; an empty one ends it."""
    from loadtests.stage import stage

    crowd = Crowd()
    async with stage(persistent=False) as cluster, crowd.connected(cluster), cluster.router.http(timeout=30) as http:
        pids = {"redis": cluster.redis.pid, "node": cluster.node.pid, "router": cluster.router.pid}
        headers = {"Authorization": f"Bearer {cluster.api_key}"}
        print("ready", flush=True)
        while (await asyncio.to_thread(sys.stdin.readline)).strip():
            bodies = iter([_body() for _ in range(BATCHES)])
            crowd.expect(BATCH * BATCHES)
            before = _cpu_ns(pids)

            async def publish(bodies: Any = bodies) -> None:
                for body in bodies:
                    answer = await http.post("/api/v1/messages/batch", content=body, headers=headers)
                    assert all(result["status"] == 202 for result in answer.json()["results"]), answer.text[:500]

            await asyncio.gather(*(publish() for _ in range(PUBLISHERS)))
            await crowd.complete()
            costs = {name: (ns - before[name]) / crowd.received / 1000 for name, ns in _cpu_ns(pids).items()}
            print(json.dumps(costs), flush=True)


# --- in ours


class Version:
    """One of the two, in a process of its own."""

    def __init__(self, tree: Path) -> None:
        own = tree / ".venv/bin/python"  # so that interpreters can be compared as well
        command = [str(own) if own.exists() else sys.executable, str(Path(__file__).resolve()), "--take-turns"]
        env = {**os.environ, "PYTHONPATH": str(tree)}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self._process: subprocess.Popen[str] = subprocess.Popen(command, cwd=tree, env=env, **pipes)  # type: ignore[call-overload]
        self.costs: list[Costs] = []

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def _hear(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "this version has ended; what it printed is above"
        return line

    def wait_ready(self) -> None:
        self._hear()

    def take_a_round(self) -> None:
        self._say("go")
        self.costs.append(json.loads(self._hear()))

    def end(self) -> None:
        self._say("")
        self._process.wait(60)

    def median(self, name: str) -> float:
        return statistics.median(costs[name] for costs in self.costs)

    def totals(self) -> list[float]:
        return [sum(costs.values()) for costs in self.costs]


def compare(other: Path, rounds: int) -> None:
    versions = [Version(other), Version(Path(__file__).resolve().parents[1])]
    for version in versions:
        version.wait_ready()
    for number in range(rounds + 2):
        for version in versions[:: 1 if number % 2 else -1]:
            version.take_a_round()
    for version in versions:
        version.end()
        del version.costs[:2]  # warming up
    before, after = versions
    for name in before.costs[0]:
        print(f"{name:8} {before.median(name):6.1f} µs before, {after.median(name):6.1f} now")
    ratio = statistics.median(now / then for then, now in zip(before.totals(), after.totals(), strict=True))
    sums = [statistics.median(version.totals()) for version in versions]
    quick = [statistics.quantiles(version.totals(), n=10)[0] for version in versions]
    print(f"together {sums[0]:6.1f} µs before, {sums[1]:6.1f} now; median ratio of {rounds} rounds {ratio:.3f}")
    print(f"         {quick[0]:6.1f} µs before, {quick[1]:6.1f} now in the quickest tenth: what else runs only adds")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("other", nargs="?", type=Path, help="a checkout of the version to compare with")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--take-turns", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.take_turns:
        asyncio.run(take_turns())
    elif options.other is None:
        parser.error("name a checkout of the version to compare with")
    else:
        compare(options.other.resolve(), options.rounds)


if __name__ == "__main__":
    main()
