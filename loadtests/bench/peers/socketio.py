"""Socket.IO for Python (it comes with Locust), with its Redis manager: a room per user.

Environment: ``REDIS_URL``, ``JWT_SECRET``.
"""

from __future__ import annotations

import os
from typing import Any

import socketio
from fastapi import FastAPI
from jose import JWTError, jwt
from pydantic import BaseModel

server = socketio.AsyncServer(
    async_mode="asgi",
    client_manager=socketio.AsyncRedisManager(os.environ["REDIS_URL"], channel="bench"),
    transports=["websocket"],
    http_compression=False,
    ping_interval=3600,
)
api = FastAPI()


class Publish(BaseModel):
    """A message; to one user, or to all without one."""

    message: dict[str, Any]
    user: str | None = None


@server.event
async def connect(sid: str, _: dict[str, Any], auth: dict[str, str]) -> bool:
    try:
        user = jwt.decode(auth["token"], os.environ["JWT_SECRET"], algorithms=["HS256"])["sub"]
    except (JWTError, KeyError):
        return False
    await server.enter_room(sid, user)
    return True


@api.post("/publish")
async def publish(body: Publish) -> dict[str, bool]:
    await server.emit("message", body.message, room=body.user)
    return {"ok": True}


@api.get("/healthz")
async def healthz() -> str:
    return "ok"


app = socketio.ASGIApp(server, api)
