"""The connection node: one process that holds WebSocket connections."""

import shared.propagators  # noqa: F401  # before FastAPI
