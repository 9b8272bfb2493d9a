"""What the process that services are forked off does once, so that each of them need not; importing it does it.

A service that was only spared its own imports still cost 200 ms of CPU: the rest of what it would import, and a
garbage collection at its start, which touches, and so copies, every object it shares with its parent. Now it is 60.
"""

from __future__ import annotations

import gc
import mimetypes

import pydantic.v1  # FastAPI asks it about every parameter
import uvicorn.lifespan.off  # uvicorn imports it by name

import node.__main__
import router.__main__

__all__ = ["node", "pydantic", "router", "uvicorn"]

mimetypes.init()
gc.collect()
gc.freeze()
