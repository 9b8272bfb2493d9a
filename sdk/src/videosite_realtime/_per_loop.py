"""One client per event loop, closed when its loop ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar


class Closable(Protocol):
    """A client with connections, httpx's for example."""

    async def aclose(self) -> Any: ...


C = TypeVar("C", bound=Closable)


@dataclass(frozen=True, slots=True)
class _Open(Generic[C]):
    client: C
    life: AsyncGenerator[None, None]


class ClientPerLoop(Generic[C]):
    """Holds one client per running loop, so that connections stay open within a loop and never cross into another.

    Who closes it: a loop that ends, as in ``asyncio.run``, closes the asynchronous generators that were begun in it
    (``loop.shutdown_asyncgens``), while connections can still be closed in good order. So a client's life is a
    generator whose ``finally`` closes it.
    """

    def __init__(self, make: Callable[[], C]) -> None:
        self._make = make
        # Needs no lock: a thread touches its own loop's entry only, and whole entries of loops that are gone. A forked
        # child keeps its parent's entries untouched; to close them would be to speak on the parent's sockets.
        self._open: dict[asyncio.AbstractEventLoop, _Open[C]] = {}

    async def get(self) -> C:
        """Return the running loop's client."""
        loop = asyncio.get_running_loop()
        if found := self._open.get(loop):
            return found.client
        self._forget_closed_loops()
        client = self._make()
        # Entered before the await below: a second task that comes meanwhile finds it.
        self._open[loop] = _Open(client, self._live(loop, client))
        await anext(self._open[loop].life)
        return client

    async def close(self) -> None:
        """Close the running loop's client, if there is one. The next ``get`` makes another."""
        if found := self._open.get(asyncio.get_running_loop()):
            await found.life.aclose()

    async def _live(self, loop: asyncio.AbstractEventLoop, client: C) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            self._open.pop(loop, None)
            await client.aclose()
            await asyncio.sleep(0)  # the transports' sockets are closed by callbacks of the next step

    def _forget_closed_loops(self) -> None:
        # Loops that were closed without ``shutdown_asyncgens``, as hand-made ones often are.
        for loop in [loop for loop in list(self._open) if loop.is_closed()]:
            self._open.pop(loop, None)
