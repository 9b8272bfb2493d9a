"""What a call of the SDK costs the producer: its CPU per message and messages/s, by how many calls are under way.

    .venv/bin/python loadtests/sdk_cost.py [--calls 2000]

One process on core 1 calls one router; router and Redis run on core 0. CPU is the producer's alone.
"""

from __future__ import annotations

import argparse
import asyncio
import time

from videosite_realtime import NotificationService

from loadtests.stage import stage

AT_ONCE = (1, 8, 32, 100, 300, 1000)


async def call(service: NotificationService, calls: int, at_once: int) -> None:
    rest = iter(range(calls))

    async def one_after_another() -> None:
        for number in rest:
            await service.send_personal_message({"type": "order_status_changed", "body": "x" * 200}, number % 100)

    await asyncio.gather(*(one_after_another() for _ in range(at_once)))


async def run(calls: int) -> None:
    async with stage(nodes=0) as cluster:
        print("at once   µs per call   messages/s")
        for at_once in AT_ONCE:
            async with NotificationService(cluster.router.url, cluster.api_key) as service:
                await call(service, at_once, at_once)  # connections are opened
                cpu, started = time.process_time(), time.perf_counter()
                await call(service, calls, at_once)
                seconds = time.perf_counter() - started
                print(f"{at_once:7} {(time.process_time() - cpu) / calls * 1e6:13.0f} {calls / seconds:12.0f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=2000)
    asyncio.run(run(parser.parse_args().calls))


if __name__ == "__main__":
    main()
