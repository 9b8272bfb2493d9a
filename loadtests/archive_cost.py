"""What leaving events for the inbox adds to a publish: CPU of Redis, with and without, in turn.

    .venv/bin/python -m loadtests.archive_cost [--rounds 6] [--messages 20000]

The router's own publisher and the real script, single messages and batches of 100, to 1,000 users of whom nobody is
connected. Redis keeps no file. `appending` is what stands in a publish's way; in the rounds with `emptying` it is read
and taken off beside that, ten times a second, by the archiver's own script. Single messages are sent 16 at a time.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from itertools import islice
from pathlib import Path

import uvloop

from loadtests.batches import TEXT, cpu_seconds
from router.operations import Operation, Origin, made_key
from router.order import Order
from router.publisher import Publisher
from shared.keys import TAGS, Keys
from shared.messages import prepare
from shared.redis_link import RedisLink
from shared.scripts import TAKE_OFF, Scripts
from tests.support.redis_server import RedisServer

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"
MESSAGE = {"type": "order_status_changed", "title": "On its way", "body": TEXT}
ENOUGH = 1 << 28


def publisher(link: RedisLink, scripts: Scripts, keys: Keys, archive_max_bytes: int) -> Publisher:
    return Publisher(
        link,
        scripts,
        keys,
        history_length=200,
        history_length_shared=10_000,
        history_ttl=900,
        state_ttl=3600,
        archive_max_bytes=archive_max_bytes,
    )


async def empty(link: RedisLink, scripts: Scripts, keys: Keys) -> None:
    """Read and take off what waits, ten times a second as an archiver does."""
    while True:
        await take_off_all(link, scripts, keys)
        await asyncio.sleep(0.1)


async def take_off_all(link: RedisLink, scripts: Scripts, keys: Keys) -> None:
    for tag in TAGS:
        entries = await link.send("XRANGE", keys.archive(tag), "-", "+")
        if entries:
            last = entries[-1][0].split(b"-")
            await scripts.run(link, TAKE_OFF, (keys.archive(tag), keys.archive_done(tag)), last)


async def publish_all(to: Publisher, messages: int, size: int) -> None:
    users = iter(range(messages))

    async def publish() -> None:
        while batch := list(islice(users, size)):
            now = int(time.time() * 1e6)
            orders = []
            for user in batch:
                operation = Operation("bench", made_key(), "-", explicit=False)
                message = prepare(MESSAGE, now_us=now)
                orders.append(Order(message, [to.user(str(user % 1000))], operation, Origin(TRACE, now)))
            await to.publish(orders)

    await asyncio.gather(*(publish() for _ in range(16 if size == 1 else 2)))


async def measure(server: RedisServer, options: argparse.Namespace) -> None:
    keys = Keys("bench")
    scripts = Scripts(keys)
    async with RedisLink(server.url, name="bench", prepare=scripts.prepare) as link:
        await link.wait_connected()
        archiving = publisher(link, scripts, keys, ENOUGH)
        ways = {"without": publisher(link, scripts, keys, 0), "appending": archiving, "emptying": archiving}
        for size in (1, 100):
            costs: dict[str, list[float]] = {name: [] for name in ways}
            for _ in range(options.rounds):
                for name, to in ways.items():
                    await take_off_all(link, scripts, keys)
                    emptying = asyncio.create_task(empty(link, scripts, keys)) if name == "emptying" else None
                    before = cpu_seconds({"redis": server.pid})["redis"]
                    await publish_all(to, options.messages, size)
                    used = cpu_seconds({"redis": server.pid})["redis"] - before
                    costs[name].append(used / options.messages * 1e6)
                    if emptying is not None:
                        emptying.cancel()
            without, appending, emptying_too = (statistics.median(costs[name]) for name in ways)
            what = "single messages" if size == 1 else f"batches of {size}"
            print(
                f"{what}: {without:.1f} µs of Redis per message without; appending {appending - without:+.1f}, "
                f"emptying too {emptying_too - without:+.1f}"
            )


async def run(options: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as directory:
        server = RedisServer(Path(directory), persistent=False)
        await server.start()
        try:
            await measure(server, options)
        finally:
            await server.end()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--messages", type=int, default=20_000)
    uvloop.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
