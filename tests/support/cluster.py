"""A cluster of real processes: nodes and routers around one server for Redis."""

from __future__ import annotations

import asyncio
import itertools
import secrets
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from tests.support.client import Client, Message
from tests.support.nursery import Fork, can_fork
from tests.support.ports import LOOPBACK, free_port
from tests.support.process import Child, Process
from tests.support.raw_client import RawClient
from tests.support.redis_server import RedisServer
from tests.support.tokens import Tokens
from tests.support.waiting import until

_TLS = ssl.create_default_context()  # never used, but made anew for every client it would cost 20 ms
_DEFAULT = object()


class Service(Process):
    """A node or a router: a process that answers HTTP.

    Attributes:
        forks: whether it may be forked off one that has read its modules; measures start it from nothing.
    """

    forks = False

    def __init__(self, name: str, module: str, port: int, health_port: int, env: dict[str, str], directory: Path):
        super().__init__(name, [], env, directory / f"{name}.log")
        self.become(module)
        self.port, self.health_port = port, health_port
        self.url = f"http://{LOOPBACK}:{port}"

    def become(self, module: str) -> None:
        """Run another program from the next start on, as an update would."""
        self.module, self.command = module, [sys.executable, "-m", module]

    def _begin(self, env: dict[str, str]) -> Child:
        if self.forks and can_fork(self.module, env):
            return Fork(self.module, env, self.log_file)
        return super()._begin(env)

    async def start(self) -> None:
        self.launch()
        await self.ready()

    async def ready(self, timeout: float = 40) -> None:
        await until(self._answers_ready, timeout=timeout)

    async def _answers_ready(self) -> bool:
        if not self.running:
            raise RuntimeError(f"{self.name} ended with status {await self.exit_status()}:\n{self.log_tail()}")
        try:
            return (await self.health("/readyz")).status_code == 200
        except httpx.TransportError:
            return False

    async def health(self, path: str) -> httpx.Response:
        """Ask the port that the cluster's probes ask."""
        async with self.http(f"http://{LOOPBACK}:{self.health_port}") as http:
            return await http.get(path)

    def http(self, base_url: str | None = None, *, timeout: float = 60) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=base_url or self.url, verify=_TLS, trust_env=False, timeout=timeout)

    async def call(self, method: str, path: str, *, bearer: str | None = None, **request: Any) -> httpx.Response:
        """Make one call; ``bearer`` is the credential."""
        headers = dict(request.pop("headers", None) or {})
        if bearer is not None:
            headers["Authorization"] = f"Bearer {bearer}"
        async with self.http() as http:
            return await http.request(method, path, headers=headers, **request)

    async def get(self, path: str, **request: Any) -> httpx.Response:
        return await self.call("GET", path, **request)


class Node(Service):
    def socket_url(self, *, admin: bool = False, **query: str) -> str:
        return f"ws://{LOOPBACK}:{self.port}{socket_path(admin=admin, **query)}"

    async def stats(self) -> Message:
        return (await self.get("/api/v1/ws/stats")).json()


class Router(Service):
    """A router, called with the cluster's service key unless a call brings a credential of its own."""

    api_key: str = ""

    async def call(self, method: str, path: str, *, bearer: Any = _DEFAULT, **request: Any) -> httpx.Response:
        """Make one call under ``/api/v1``, or of the whole path if it begins with ``/``."""
        full = path if path.startswith("/") else f"/api/v1/{path}"
        return await super().call(method, full, bearer=self.api_key if bearer is _DEFAULT else bearer, **request)

    async def post(self, path: str, body: Any = None, *, key: str | None = None, **request: Any) -> httpx.Response:
        if key is not None:
            request["headers"] = {**request.get("headers", {}), "Idempotency-Key": key}
        if body is not None:
            request["json"] = body
        return await self.call("POST", path, **request)

    async def delete(self, path: str, **request: Any) -> httpx.Response:
        return await self.call("DELETE", path, **request)

    async def read(self, path: str) -> Any:
        answer = await self.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def notify(self, kind: str, **fields: Any) -> Message:
        """Publish a typed message and return the answer."""
        return _accepted(await self.post("notifications", {"type": kind, **fields}))

    async def send(self, audience: Any, message: Message, **more: Any) -> Message:
        """Publish any message and return the answer."""
        return _accepted(await self.post("messages", {"audience": audience, "message": message, **more}))


def socket_path(*, admin: bool = False, **query: str) -> str:
    path = "/api/v1/ws/admin" if admin else "/api/v1/ws"
    text = "&".join(f"{name}={quote(value, safe='')}" for name, value in query.items())
    return f"{path}?{text}" if text else path


def _accepted(answer: httpx.Response) -> Message:
    assert answer.status_code == 202, f"{answer.status_code}: {answer.text}"
    return answer.json()


class Cluster:
    """Starts nodes and routers under a key prefix of its own, and ends them.

    Attributes:
        page: the admin page that its nodes serve; None: the built one, and to compress it is half of a node's start.
    """

    page: Path | None = None

    def __init__(self, redis: RedisServer, directory: Path, **env: str) -> None:
        self.redis, self.directory = redis, directory
        self.prefix = f"test-{secrets.token_hex(4)}"
        self.api_key = secrets.token_urlsafe(24)
        self.tokens = Tokens(secrets.token_urlsafe(40))
        self.nodes: list[Node] = []
        self.routers: list[Router] = []
        self._env = env
        self._numbers = itertools.count(1000)

    @property
    def node(self) -> Node:
        return self.nodes[0]

    @property
    def router(self) -> Router:
        return self.routers[0]

    @property
    def services(self) -> list[Service]:
        return [*self.routers, *self.nodes]

    def number(self) -> int:
        """Return a number that this cluster has never heard: a user's, a video's."""
        return next(self._numbers)

    # --- its processes

    async def start(self, *, nodes: int = 1, routers: int = 1, **env: str) -> None:
        """Start several at once."""
        started = [self.add_router(**env) for _ in range(routers)] + [self.add_node(**env) for _ in range(nodes)]
        for service in started:
            service.launch()
        await asyncio.gather(*(service.ready() for service in started))

    async def start_node(self, *, module: str = "node", **env: str) -> Node:
        node = self.add_node(module=module, **env)
        await node.start()
        return node

    async def start_router(self, *, module: str = "router", **env: str) -> Router:
        router = self.add_router(module=module, **env)
        await router.start()
        return router

    def add_node(self, *, module: str = "node", **env: str) -> Node:
        """Make a node without starting it; an empty value leaves a setting out."""
        name = f"node-{len(self.nodes) + 1}"
        settings = self._settings() | {
            "NODE_HOST": LOOPBACK,
            "NODE_PORT": str(free_port()),
            "NODE_MANAGEMENT_PORT": str(free_port()),
            "NODE_NAME": name,
            "DRAIN_SECONDS": "0",
            **({"ADMIN_PAGE_DIR": str(self.page)} if self.page else {}),
            **({"ROUTER_URL": self.router.url} if self.routers else {}),
            **self._env,
            **env,
        }
        ports = int(settings["NODE_PORT"]), int(settings["NODE_MANAGEMENT_PORT"])
        node = Node(name, module, *ports, settings, self.directory)
        self.nodes.append(node)
        return node

    def add_router(self, *, module: str = "router", **env: str) -> Router:
        """Make a router without starting it; an empty value leaves a setting out."""
        name = f"router-{len(self.routers) + 1}"
        settings = self._settings() | {
            "ROUTER_HOST": LOOPBACK,
            "ROUTER_PORT": str(free_port()),
            "ROUTER_NAME": name,
            **self._env,
            **env,
        }
        port = int(settings["ROUTER_PORT"])
        router = Router(name, module, port, port, settings, self.directory)
        router.api_key = self.api_key
        self.routers.append(router)
        return router

    def _settings(self) -> dict[str, str]:
        return {
            "REDIS_URL": self.redis.url,
            "REDIS_PREFIX": self.prefix,
            "JWT_SECRET": self.tokens.secret,
            "ROUTER_API_KEYS": self.api_key,
            "LOG_FORMAT": "text",
            "DATABASE_URL": "off",  # but for the inbox's own tests
        }

    async def close(self) -> None:
        """End everything at once; what does not end when asked is an error."""
        outcomes = await asyncio.gather(*(service.end() for service in self.services), return_exceptions=True)
        stubborn = [(s.name, o) for s, o in zip(self.services, outcomes, strict=True) if isinstance(o, BaseException)]
        assert not stubborn, f"did not end when asked: {stubborn}"

    def complaints(self) -> list[str]:
        """Return what nodes and routers logged that somebody would have to look into."""
        marks = (" error ", " critical ", "Traceback")
        return [
            f"{service.name}: {line}"
            for service in self.services
            for line in service.log().splitlines()
            if any(mark in line for mark in marks)
        ]

    # --- its clients

    @asynccontextmanager
    async def user(
        self, user_id: int | str, *, node: Node | None = None, since: str | None = None, **claims: Any
    ) -> Any:
        """Connect a user; it has been welcomed."""
        token = self.tokens.user(user_id, **claims)
        async with self._welcomed(node, token, admin=False, since=since) as client:
            yield client

    @asynccontextmanager
    async def admin(self, user_id: int | str = 1, *, node: Node | None = None, since: str | None = None, **claims: Any):
        """Connect an admin; it has been welcomed."""
        token = self.tokens.admin(user_id, **claims)
        async with self._welcomed(node, token, admin=True, since=since) as client:
            yield client

    @asynccontextmanager
    async def _welcomed(
        self, node: Node | None, token: str, *, admin: bool, since: str | None
    ) -> AsyncIterator[Client]:
        query = {"token": token} | ({"since": since} if since is not None else {})
        async with await Client.open((node or self.node).socket_url(admin=admin, **query)) as client:
            client.connected = await client.receive("connected")
            yield client

    async def refusal(self, token: str | None, *, admin: bool = False, node: Node | None = None) -> tuple[int, str]:
        """Connect, and return the code and reason with which the node ended it before any welcome."""
        query = {"token": token} if token is not None else {}
        async with await Client.open((node or self.node).socket_url(admin=admin, **query)) as client:
            closed = await client.closed()
            assert [message["type"] for message in client.unread if message["type"] != "reconnect"] == []
            return closed

    async def raw(self, user_id: int | str, *, node: Node | None = None) -> RawClient:
        """Connect a user by a socket that may say anything; it has been welcomed."""
        client = await RawClient.open((node or self.node).port, socket_path(token=self.tokens.user(user_id)))
        assert '"type":"connected"' in await client.receive_text()
        return client

    async def nobody_hears(self, *clients: Client) -> None:
        """Assert that clients have nothing unread: not now, and nothing is on its way to them.

        A broadcast sent now passes every channel after whatever was published before it.
        """
        fence = secrets.token_hex(8)
        await self.router.send("all", {"type": "fence", "fence": fence})
        for client in clients:
            while (await client.receive("fence"))["fence"] != fence:
                continue  # of an earlier call, for others
            assert client.unread == []
