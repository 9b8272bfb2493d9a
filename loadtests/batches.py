"""What a personal message costs in batches: CPU of router, Redis and node together, in rounds.

    TEST_REDIS=redis-server .venv/bin/python -m loadtests.batches [--rounds 40]

and beside another version, by turns, so that the machine's moods fall on both:

    git worktree add /tmp/before <revision>
    TEST_REDIS=redis-server .venv/bin/python -m loadtests.batches --beside /tmp/before

The servers run on core 0, users and publishers on core 1. In a round, 40 batches of 100 messages go to single users of
1,000; each message is received and counted. CPU is that of the three servers, from /proc/<pid>/schedstat in ns. Printed
are medians, the quickest tenth of the rounds (what else a shared host runs only adds), and of two versions the median
of the rounds' ratios: it was the same within 1 % where one version by itself varied by a third. Beside them stands what
the kernel alone takes, in the same rounds, for a frame of that size to a TCP socket: a node does that once per message,
and hosts differ in it by more than a factor of two.

The other version needs no such script: this one drives it, with its own `loadtests/stage.py` and `tests/support`, and
with its own `.venv` if it has one, else with ours: interpreters can be compared too. `TEST_REDIS=redis-server` takes
Debian's Redis instead of the bundled Valkey; neither keeps a file.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TEXT = "Order 10482 was handed to the courier and will arrive tomorrow between 10:00 and 14:00. " * 2
SEND = "one send"  # the kernel's part alone

Costs = dict[str, float]  # µs per message, by process; and of SEND


@dataclass(frozen=True, slots=True)
class Load:
    """What a round consists of."""

    users: int
    batch: int
    batches: int
    publishers: int

    def bodies(self) -> list[str]:
        return [json.dumps({"items": [self._item() for _ in range(self.batch)]}) for _ in range(self.batches)]

    def _item(self) -> dict[str, Any]:
        message = {"type": "order_status_changed", "title": "On its way", "body": TEXT}
        return {"audience": {"users": [random.randrange(self.users)]}, "message": message}


# --- in the version's own process


class Crowd:
    """Users who are connected, and count together what they receive."""

    def __init__(self, users: int) -> None:
        self._users = users
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
            for user in range(self._users):
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


def bare_send() -> float:
    """Return the µs of CPU that a ``send`` of such a frame takes, to a hundred sockets whose peers do not read yet."""
    from loadtests.stage import SERVER_CORE, on_core

    pairs, frame = [_connected_pair() for _ in range(100)], bytes(300)
    with on_core(SERVER_CORE):
        before = time.thread_time_ns()
        for _ in range(20):
            for ours, _ in pairs:
                ours.send(frame)
        took = time.thread_time_ns() - before
    for pair in pairs:
        for each in pair:
            each.close()
    return took / 1000 / (20 * len(pairs))


def _connected_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname())
        return ours, listener.accept()[0]


async def take_turns(load: Load) -> None:
    """Take a round for each line that comes, and answer with its costs; an empty one ends it."""
    from loadtests.stage import stage

    crowd = Crowd(load.users)
    async with stage(persistent=False) as cluster, crowd.connected(cluster), cluster.router.http(timeout=30) as http:
        pids = {"redis": cluster.redis.pid, "node": cluster.node.pid, "router": cluster.router.pid}
        headers = {"Authorization": f"Bearer {cluster.api_key}"}
        print("ready", flush=True)
        while (await asyncio.to_thread(sys.stdin.readline)).strip():
            bodies = iter(load.bodies())
            crowd.expect(load.batch * load.batches)
            before = _cpu_ns(pids)

            async def publish(bodies: Any = bodies) -> None:
                for body in bodies:
                    answer = await http.post("/api/v1/messages/batch", content=body, headers=headers)
                    assert all(result["status"] == 202 for result in answer.json()["results"]), answer.text[:500]

            await asyncio.gather(*(publish() for _ in range(load.publishers)))
            await crowd.complete()
            costs = {name: (ns - before[name]) / crowd.received / 1000 for name, ns in _cpu_ns(pids).items()}
            print(json.dumps({**costs, SEND: bare_send()}), flush=True)


# --- in ours


class Version:
    """A version, in a process of its own."""

    def __init__(self, tree: Path, options: list[str]) -> None:
        own = tree / ".venv/bin/python"
        python = str(own) if own.exists() else sys.executable
        command = [python, str(Path(__file__).resolve()), "--take-turns", *options]
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

    def totals(self) -> list[float]:
        return [sum(cost for name, cost in costs.items() if name != SEND) for costs in self.costs]

    def shown(self) -> str:
        """Return the medians in one line."""
        parts = {name: statistics.median(costs[name] for costs in self.costs) for name in self.costs[0]}
        told = ", ".join(f"{name} {cost:.1f}" for name, cost in parts.items() if name != SEND)
        quick = statistics.quantiles(self.totals(), n=10)[0]
        median = statistics.median(self.totals())
        return f"{median:.1f} µs per message ({told}), quickest tenth {quick:.1f}; {SEND} to a socket {parts[SEND]:.1f}"


def measure(versions: list[Version], rounds: int) -> None:
    for version in versions:
        version.wait_ready()
    for number in range(rounds + 2):
        for version in versions[:: 1 if number % 2 else -1]:
            version.take_a_round()
    for version in versions:
        version.end()
        del version.costs[:2]  # warming up
    for name, version in zip(("now", "before"), versions, strict=False):
        print(f"{name:7}", version.shown())
    if len(versions) == 2:
        now, before = (version.totals() for version in versions)
        ratio = statistics.median(ours / theirs for ours, theirs in zip(now, before, strict=True))
        print(f"median ratio of {rounds} rounds {ratio:.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--beside", type=Path, metavar="TREE", help="a checkout of the version to compare with")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--users", type=int, default=1000)
    parser.add_argument("--batch", type=int, default=100, help="messages in a batch")
    parser.add_argument("--batches", type=int, default=40, help="in a round")
    parser.add_argument("--publishers", type=int, default=16)
    parser.add_argument("--take-turns", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    load = Load(options.users, options.batch, options.batches, options.publishers)
    if options.take_turns:
        asyncio.run(take_turns(load))
        return
    trees = [Path(__file__).resolve().parents[1], *([options.beside.resolve()] if options.beside else [])]
    told = [f"--{name}={getattr(load, name)}" for name in ("users", "batch", "batches", "publishers")]
    measure([Version(tree, told) for tree in trees], options.rounds)


if __name__ == "__main__":
    main()
