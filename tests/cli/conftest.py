"""The command line in a home of its own, and a node to talk to: a real `websockets` server that follows a script."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result
from videosite_realtime_cli.client import Frame
from videosite_realtime_cli.main import app
from websockets.asyncio.server import ServerConnection, serve

from tests.cli.local_traces import collector, local, span, url

__all__ = ["collector", "local", "span", "url"]

SECRET = "a-development-secret-of-more-than-32-bytes"
VARIABLES = (
    *("NODE_URL", "ROUTER_URL", "ROUTER_API_KEY", "ROUTER_API_KEYS", "REDIS_URL"),
    *("JWT_SECRET", "JWT_ALGORITHM", "JWT_ISSUER", "JWT_AUDIENCE"),
    *("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_TRACES_EXPORTER", "OTEL_SDK_DISABLED"),
)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state directory of this test's own, and an environment that says nothing."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path / "state" / "videosite-realtime"


@pytest.fixture
def command() -> Callable[..., Result]:
    """`command("token", "user", "7")`: run a command in this process."""

    def run(*arguments: str, **more: Any) -> Result:
        return CliRunner().invoke(app, arguments, **more)

    return run


@dataclass
class RecordingView:
    """Keeps what it is shown, and lets a test wait for it."""

    frames: list[Frame] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def frame(self, frame: Frame) -> None:
        self.frames.append(frame)
        self.changed.set()

    def notice(self, text: str) -> None:
        self.notices.append(text)
        self.changed.set()

    @property
    def types(self) -> list[str]:
        return [frame.message["type"] for frame in self.frames]

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not condition():
                self.changed.clear()
                await self.changed.wait()


@pytest.fixture
def view() -> RecordingView:
    return RecordingView()


Script = Callable[[ServerConnection], Awaitable[None]]


class ScriptedNode:
    """A node that does, connection by connection, what the test wrote down; it keeps the paths it was asked for."""

    def __init__(self, scripts: list[Script]) -> None:
        self.scripts = scripts
        self.paths: list[str] = []
        self.tokens: list[str] = []
        self.url = ""

    async def handle(self, socket: ServerConnection) -> None:
        assert socket.request is not None
        self.paths.append(socket.request.path)
        self.tokens.append(socket.request.headers["Sec-WebSocket-Protocol"].removeprefix("bearer, "))
        await self.scripts[min(len(self.paths), len(self.scripts)) - 1](socket)


@pytest.fixture
def scripted_node() -> Callable[..., Any]:
    @asynccontextmanager
    async def run(*scripts: Script, **more: Any) -> AsyncIterator[ScriptedNode]:
        node = ScriptedNode(list(scripts))
        async with serve(node.handle, "127.0.0.1", 0, subprotocols=["bearer"], **more) as server:
            node.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            yield node

    return run


def _frame(kind: str, **fields: object) -> str:
    return json.dumps({"type": kind, **fields}, ensure_ascii=False)


@pytest.fixture
def frame() -> Callable[..., str]:
    return _frame


@pytest.fixture
def connected() -> Callable[..., str]:
    def make(cursor: str = "u.Nw.1-0,all.1-0", **more: object) -> str:
        fields: dict[str, object] = {"message": "用户 Ann 已连接", "user_id": 7, "recovered": None, "cursor": cursor}
        return _frame("connected", **(fields | more))

    return make


@pytest.fixture
def secret() -> str:
    return SECRET
