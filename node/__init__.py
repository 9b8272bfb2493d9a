"""The connection node: one process that holds WebSocket connections."""
