"""Upgrades as proxies and clients may write them, however seldom: served as any other, or told what is wrong."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.support.client import Message
from tests.support.cluster import Cluster, socket_path
from tests.support.ports import LOOPBACK

OURS = "realtime.example.com"


class Upgrade:
    """One request for a WebSocket, by hand; an async context manager."""

    def __init__(self, cluster: Cluster, target: str, *headers: str) -> None:
        self._port, self._head = cluster.node.port, [f"GET {target} HTTP/1.1", *_HANDSHAKE, *headers]

    async def __aenter__(self) -> Upgrade:
        self._reader, self._writer = await asyncio.open_connection(LOOPBACK, self._port)
        self._writer.write("".join(f"{line}\r\n" for line in [*self._head, ""]).encode())
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._writer.transport.abort()

    async def status(self) -> int:
        line = await asyncio.wait_for(self._reader.readline(), 5)
        await asyncio.wait_for(self._reader.readuntil(b"\r\n\r\n"), 5)
        return int(line.split()[1])

    async def first_frame(self) -> Message:
        """Read the first text frame, whose length takes 16 bits."""
        assert await self.status() == 101
        head = await asyncio.wait_for(self._reader.readexactly(4), 5)
        assert head[:2] == b"\x81\x7e", head
        frame: Message = json.loads(await asyncio.wait_for(self._reader.readexactly(int.from_bytes(head[2:])), 5))
        return frame

    async def rest(self) -> bytes:
        return await asyncio.wait_for(self._reader.read(), 5)


_HANDSHAKE = (
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
)


def path(cluster: Cluster, **query: str) -> str:
    return socket_path(token=cluster.tokens.user(cluster.number()), **query)


async def test_a_token_is_found_among_any_number_of_parameters(cluster: Cluster) -> None:
    others = "&".join(f"utm_{number}=x" for number in range(2000))
    for query in (f"{path(cluster)}&{others}", path(cluster).replace("?", f"?{others}&")):
        async with Upgrade(cluster, query, f"Host: {OURS}") as upgrade:
            assert (await upgrade.first_frame())["type"] == "connected"


@pytest.mark.parametrize("scheme", ["http", "https", "ws", "wss"])
async def test_a_target_with_scheme_and_host_is_served(cluster: Cluster, scheme: str) -> None:
    target = f"{scheme}://{OURS}{path(cluster, since='nonsense')}"
    async with Upgrade(cluster, target, f"Host: {OURS}") as upgrade:
        assert (await upgrade.first_frame())["recovered"] is False


@pytest.mark.parametrize(("origin", "status"), [(OURS, 101), ("proxy.internal", 403)])
async def test_its_host_counts_and_not_the_header(cluster: Cluster, origin: str, status: int) -> None:
    headers = "Host: proxy.internal", f"Origin: https://{origin}"
    async with Upgrade(cluster, f"http://{OURS}{path(cluster)}", *headers) as upgrade:
        assert await upgrade.status() == status


@pytest.mark.parametrize("target", [f"http://{OURS}", f"http://{OURS}?token=x", "http://[/", "*"])
async def test_a_target_without_a_path_is_no_such_path(cluster: Cluster, target: str) -> None:
    async with Upgrade(cluster, target, f"Host: {OURS}") as upgrade:
        assert await upgrade.status() == 403


@pytest.mark.parametrize(
    ("origin", "hosts", "status"),
    [
        (f"https://{OURS}", [f"{OURS}:443"], 101),
        (f"http://{OURS}", [f"{OURS}:80"], 101),
        (f"https://{OURS}:8443", [f"{OURS}:8443"], 101),
        (f"http://{OURS}", [OURS, OURS], 101),
        (f"https://{OURS}", [f"{OURS}:80"], 403),
        (f"https://{OURS}", [f"{OURS}:8443"], 403),
        ("https://evil.example.com", [OURS, "evil.example.com"], 403),
        ("https://evil.example.com", ["evil.example.com", OURS], 403),
        ("null", [], 403),
        ("null", [""], 403),
        ("https://", [""], 403),
    ],
)
async def test_an_origin_is_the_host_whether_or_not_a_proxy_adds_the_default_port(
    cluster: Cluster, origin: str, hosts: list[str], status: int
) -> None:
    async with Upgrade(cluster, path(cluster), *(f"Host: {host}" for host in hosts), f"Origin: {origin}") as upgrade:
        assert await upgrade.status() == status


async def test_who_has_no_sockets_serves_the_request_as_if_it_asked_for_none(cluster: Cluster) -> None:
    offer = dict(line.split(": ") for line in _HANDSHAKE)
    published = await cluster.router.post("messages", {"audience": "admin", "message": {"type": "x"}}, headers=offer)
    assert published.status_code == 202
    async with cluster.node.http(f"http://{LOOPBACK}:{cluster.node.health_port}", timeout=5) as http:
        assert (await http.get("/healthz", headers=offer)).status_code == 200
        assert (await http.request("GET", "/healthz", headers=offer, content=b"body")).status_code == 200


@pytest.mark.parametrize("header", ["Content-Length: 5", "Transfer-Encoding: chunked"])
async def test_an_upgrade_with_a_body_is_told_so(cluster: Cluster, header: str) -> None:
    async with Upgrade(cluster, path(cluster), f"Host: {OURS}", header) as upgrade:
        assert await upgrade.status() == 400
        assert b"support" in await upgrade.rest()
