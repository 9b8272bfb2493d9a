"""An address where everybody is let in and nobody is answered."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.ports import LOOPBACK


@contextmanager
def black_hole() -> Iterator[str]:
    """Give the address of a collector that accepts connections and never says a word."""
    with socket.create_server((LOOPBACK, 0)) as server:
        held: list[socket.socket] = []
        ended = threading.Event()

        def accept() -> None:
            server.settimeout(0.05)
            while not ended.is_set():
                try:
                    held.append(server.accept()[0])
                except TimeoutError:
                    continue

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield f"http://{LOOPBACK}:{server.getsockname()[1]}"
        finally:
            ended.set()
            thread.join()
            for each in held:
                each.close()
