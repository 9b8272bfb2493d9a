"""By how much the event loop is late: everything in a process waits for that long."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from shared.metrics import LATENCY, Buckets

INTERVAL: Final = 0.25  # s; a timer costs some 10 µs


class LoopLag:
    """Sets a timer again and again, and notes by how much it was late.

    Attributes:
        buckets: seconds; one observation per interval, so a share of them is a share of the time.
    """

    def __init__(self) -> None:
        self.buckets = Buckets(LATENCY)

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            # Not by the loop's time: uvloop's does not advance during a step, and has a resolution of milliseconds.
            due = time.monotonic() + INTERVAL
            await asyncio.sleep(INTERVAL)
            self.buckets.add(max(time.monotonic() - due, 0.0))
