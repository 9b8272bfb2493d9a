"""Strikes the stage as the schedule says, and mends what was struck."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from tests.faults.schedule import Act, Fault
from tests.faults.stage import Stage
from tests.support.cluster import Service
from tests.support.redis_server import RedisServer
from tests.support.tcp_proxy import TcpProxy, Weather

_LATE: Final = 0.4  # s, each way, that a delayed byte takes
_LEAVING: Final = 30.0  # s for an ordered end, perhaps without Redis
_COMING: Final = 60.0  # s to be of use again, on a busy machine and perhaps without Redis at first

Process = Service | RedisServer


class Conductor:
    def __init__(self, stage: Stage, schedule: Sequence[Fault]) -> None:
        self._stage, self._schedule = stage, schedule
        # A part that is slow to come back is hit by its next fault when it has: locks, beside the schedule's times.
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def run(self) -> None:
        """Return when the last fault is over and every part is of use again."""
        begun = asyncio.get_running_loop().time()
        async with asyncio.TaskGroup() as blows:
            for fault in self._schedule:
                blows.create_task(self._blow(fault, begun))

    async def _blow(self, fault: Fault, begun: float) -> None:
        await asyncio.sleep(begun + fault.at - asyncio.get_running_loop().time())
        async with self._locks[fault.part]:
            if fault.part in self._stage.ways:
                await self._cut(self._stage.ways[fault.part], fault)
            else:
                await self._strike(self._stage.process(fault.part), fault)

    @staticmethod
    async def _cut(proxy: TcpProxy, fault: Fault) -> None:
        proxy.become(Weather(fault.kind.act), delay=_LATE)
        await asyncio.sleep(fault.lasts)
        proxy.become(Weather.CLEAR)

    @staticmethod
    async def _strike(process: Process, fault: Fault) -> None:
        if fault.kind.act is Act.PAUSE:
            process.pause()
            await asyncio.sleep(fault.lasts)
            process.resume()
            return
        if fault.kind.act is Act.KILL:
            await process.kill()
        else:
            status = await process.terminate(timeout=_LEAVING)
            assert status == 0, f"{process.name} ended with status {status}"
        await asyncio.sleep(fault.lasts)
        if isinstance(process, Service):
            process.launch()
            await process.ready(_COMING)
        else:
            await process.start()
