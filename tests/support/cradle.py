"""What the process that services are forked off does once, so that each of them need not; importing it does it.

A service that was only spared its own imports still cost 200 ms of CPU: it imported the rest by and by, and its first
garbage collection touched, and so copied, every object that it shared with its parent. Now it costs 60.
"""

from __future__ import annotations

import gc
import importlib
import mimetypes
from typing import Final

_MODULES: Final = (
    "node.__main__",
    "router.__main__",
    # What these import once they know their settings:
    "node.inbox",
    "router.inbox",
    "alembic.command",
    "alembic.config",
    "sqlalchemy.dialects.postgresql.asyncpg",
    "sqlalchemy.dialects.sqlite.aiosqlite",
    "shared.otlp",
    "shared.trace_export",
    # What their libraries import late:
    "pydantic.v1",
    "uvicorn.lifespan.off",
)

for name in _MODULES:
    importlib.import_module(name)
mimetypes.init()
gc.collect()
gc.freeze()
