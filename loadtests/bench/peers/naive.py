"""What is usually written: FastAPI, a set of sockets per user, a loop of ``send_json``, one Redis channel.

Environment: ``REDIS_URL``, ``JWT_SECRET``.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from jose import JWTError, jwt
from pydantic import BaseModel
from redis.asyncio import Redis

CHANNEL = "bench"
sockets: defaultdict[str, set[WebSocket]] = defaultdict(set)
redis = Redis.from_url(os.environ["REDIS_URL"], socket_timeout=None)


class Publish(BaseModel):
    """A message; to one user, or to all without one."""

    message: dict[str, Any]
    user: str | None = None


async def listen() -> None:
    async with redis.pubsub() as pubsub:
        await pubsub.subscribe(CHANNEL)
        async for item in pubsub.listen():
            if item["type"] == "message":
                await deliver(Publish.model_validate_json(item["data"]))


async def deliver(publish: Publish) -> None:
    for user in [publish.user] if publish.user is not None else list(sockets):
        for socket in list(sockets.get(user, ())):
            await socket.send_json(publish.message)


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    listening = asyncio.create_task(listen())
    yield
    listening.cancel()
    await redis.aclose()


app = FastAPI(lifespan=lifespan)


@app.post("/publish")
async def publish(body: Publish) -> dict[str, bool]:
    await redis.publish(CHANNEL, body.model_dump_json())
    return {"ok": True}


@app.get("/healthz")
async def healthz() -> str:
    return json.dumps("ok")


@app.websocket("/ws")
async def connect(socket: WebSocket, token: str) -> None:
    try:
        user = jwt.decode(token, os.environ["JWT_SECRET"], algorithms=["HS256"])["sub"]
    except JWTError:
        await socket.close(1008)
        return
    await socket.accept()
    sockets[user].add(socket)
    try:
        while True:
            await socket.receive_text()
    except WebSocketDisconnect:
        sockets[user].discard(socket)
