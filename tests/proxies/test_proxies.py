"""The shipped configurations of nginx and HAProxy at work: real proxies, two real nodes."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from tests.proxies.conftest import Silent
from tests.support.client import Client, welcomed
from tests.support.cluster import Cluster
from tests.support.proxies import Proxy, haproxy, nginx
from tests.support.waiting import until, until_equal

pytestmark = pytest.mark.asyncio(loop_scope="session")

DEFAULT_TIMEOUT = 60  # s; nginx's own for reading from whom it proxies to, and longer than any that HAProxy's file sets
SPOOFED = "203.0.113.9"
BROWSER = "127.0.0.2"  # an address of this host that is not the proxies'


async def test_messages_pass_in_both_directions(cluster: Cluster, proxy: Proxy) -> None:
    user = cluster.number()
    async with await welcomed(proxy.socket_url(token=cluster.tokens.user(user))) as client:
        await cluster.router.send({"users": [user]}, {"type": "greeting", "text": "你好" * 5000})
        assert (await client.receive("greeting"))["text"] == "你好" * 5000
        assert (await client.stats())["total_users"] >= 1


async def test_the_admin_endpoint_the_api_and_the_page_are_behind_the_same_address(
    cluster: Cluster, proxy: Proxy
) -> None:
    token = cluster.tokens.admin(1, scope="publish")
    async with await welcomed(proxy.socket_url(admin=True, token=token)) as client:
        async with cluster.node.http(proxy.url) as http:

            async def admins() -> int:
                return (await http.get("/api/v1/ws/stats")).json()["total_admin_connections"]

            await until(admins)
            body = {"message": "维护", "target": "admin"}
            headers = {"Authorization": f"Bearer {token}"}
            sent = await http.post("/api/v1/admin/system-messages", json=body, headers=headers)
            assert sent.status_code == 202, sent.text
            assert (await http.get("/")).headers["content-type"].startswith("text/")
        assert (await client.receive("system_message"))["message"] == "维护"


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/%6detrics", "/%68ealthz?a=b"])
async def test_probes_and_metrics_are_not_published(cluster: Cluster, proxy: Proxy, path: str) -> None:
    assert (await cluster.node.get(path)).status_code == 200
    async with cluster.node.http(proxy.url) as http:
        assert (await http.get(path)).status_code == 404


async def test_a_longest_token_and_since_pass(cluster: Cluster, proxy: Proxy) -> None:
    user = cluster.number()
    token = cluster.tokens.user(user, padding="x" * 2000)
    assert 2800 < len(token) < 3072
    async with await Client.open(proxy.socket_url(token=token, since="x" * 512)) as client:
        assert (await client.receive("connected"))["recovered"] is False


async def test_a_page_of_another_site_is_refused(cluster: Cluster, proxy: Proxy) -> None:
    url = proxy.socket_url(token=cluster.tokens.user(1))
    async with await Client.open(url, origin=proxy.url) as client:  # what Host says passes the proxy unchanged
        await client.receive("connected")
    with pytest.raises(InvalidStatus, match="403"):
        await Client.open(url, origin="https://evil.example.com")


async def test_a_refusal_reaches_the_browser_with_its_code(proxy: Proxy) -> None:
    async with await Client.open(proxy.socket_url(token="garbage")) as client:
        assert (await client.closed())[0] == 4401


async def test_the_client_address_is_taken_from_the_proxy_and_from_nobody_else(cluster: Cluster, proxy: Proxy) -> None:
    """The audit of a call that is refused names it; what the client says of itself is not believed."""
    for url in (proxy.url, cluster.node.url):
        caller = f"caller-{cluster.number()}"
        headers = {"Authorization": f"Bearer {cluster.tokens.user(caller)}", "X-Forwarded-For": SPOOFED}
        elsewhere = httpx.AsyncHTTPTransport(local_address=BROWSER)
        async with httpx.AsyncClient(base_url=url, transport=elsewhere) as http:
            answer = await http.post("/api/v1/admin/system-messages", json={"message": "x"}, headers=headers)
            assert answer.status_code == 403
        line = await until(partial(audited, cluster, f"sub:{caller}"))
        assert line["address"] == BROWSER, line


def audited(cluster: Cluster, caller: str) -> dict[str, Any] | None:
    """Return the audit's line about a caller, whichever node wrote it."""
    lines = (json.loads(line) for node in cluster.nodes for line in node.log().splitlines())
    return next((line for line in lines if line.get("caller") == caller), None)


async def arrives(url: str) -> bool:
    """Connect, as a browser would that is told to come again: in the moment before a leaving node stops listening."""
    async with await Client.open(url) as client:
        await until(lambda: client.unread or not client.is_open)
        return client.unread[0]["type"] == "connected" or (await client.closed())[0] == 1012


@pytest.mark.parametrize("make", [nginx, haproxy])
async def test_a_node_that_leaves_hurts_nobody(cluster: Cluster, tmp_path: Path, make: Callable[..., Proxy]) -> None:
    """Its clients are sent away in an orderly manner and come back through the proxy; new ones meet no error."""
    leaving, staying = [await cluster.start_node(DRAIN_SECONDS="2") for _ in range(2)]
    proxy = make([leaving, staying], tmp_path / "proxy")
    await proxy.start()
    try:
        users = [cluster.number() for _ in range(6)]
        clients = {user: await welcomed(proxy.socket_url(token=cluster.tokens.user(user))) for user in users}
        leaving.signal(signal.SIGTERM)
        while leaving.running:  # while it drains, and thereafter
            assert await arrives(proxy.socket_url(token=cluster.tokens.user(cluster.number())))
        assert await leaving.exit_status() == 0
        # With the fewest connections first, half of them were on the node that left.
        await until_equal(lambda: sum(not client.is_open for client in clients.values()), 3)
        sent_away = {user: client for user, client in clients.items() if not client.is_open}
        for user, client in sent_away.items():
            assert [message["type"] for message in client.unread] == ["reconnect"]
            assert (await client.closed())[0] == 1012
            clients[user] = await welcomed(proxy.socket_url(token=cluster.tokens.user(user)))
        for user, client in clients.items():
            await cluster.router.send({"users": [user]}, {"type": "still_there"})
            await client.receive("still_there")
            await client.connection.close()
    finally:
        await proxy.end()
        await staying.end()


@pytest.mark.parametrize("make", [nginx, haproxy])
async def test_no_token_is_logged_even_where_no_node_answers(
    cluster: Cluster, tmp_path: Path, make: Callable[..., Proxy]
) -> None:
    node = cluster.add_node()  # never started
    proxy = make([node, cluster.add_node()], tmp_path / "proxy")
    del cluster.nodes[-2:]
    await proxy.start()
    token = cluster.tokens.user("canary")
    try:
        for path in ("/api/v1/ws", "/api/v1/ws/admin", "/api/v1/events", "/api/v1/transcodes", "/"):
            async with node.http(proxy.url) as http:
                assert (await http.get(f"{path}?token={token}")).status_code in {502, 503, 504}
        with pytest.raises(InvalidStatus):
            await Client.open(proxy.socket_url(token=token))
    finally:
        await proxy.end()
    written = proxy.written().replace("\\/", "/")
    assert "/api/v1/ws" in written, "requests are logged, without their query string"
    assert token[-40:] not in written
    assert "token=" not in written


async def test_no_token_was_logged_of_all_that_passed(cluster: Cluster, proxy: Proxy) -> None:
    token = cluster.tokens.user("logged")
    async with await welcomed(proxy.socket_url(token=token)), proxy.http() as http:
        accept = {"Accept": "text/event-stream"}
        async with http.stream("GET", "/api/v1/events", params={"token": token}, headers=accept) as answer:
            assert answer.status_code == 200
    await until(lambda: "/api/v1/events" in proxy.written().replace("\\/", "/"))
    assert "token=" not in proxy.written()
    assert "eyJ" not in proxy.written()


async def test_who_hears_nothing_for_longer_than_the_default_timeout_stays(
    cluster: Cluster, silent: dict[str, Silent]
) -> None:
    """Begun before all other tests; this one waits for what is left."""
    now = asyncio.get_running_loop().time
    for name, one in silent.items():
        answer = await one.poll
        assert (answer.status_code, answer.json()["events"]) == (200, [])
        await asyncio.sleep(max(0, one.since + DEFAULT_TIMEOUT + 3 - now()))
        assert one.socket.is_open, f"{name} cut it off"
        await cluster.router.send({"users": [one.user]}, {"type": "after_silence"})
        await one.socket.receive("after_silence")
        await one.stream.receive("after_silence")
        assert one.stream.comments >= 3


@pytest.mark.parametrize(
    ("make", "shorter"),
    [
        (nginx, {"proxy_read_timeout 600s": "proxy_read_timeout 1s"}),
        (haproxy, {"timeout tunnel  600s": "timeout tunnel 1s"}),
    ],
)
async def test_those_timeouts_are_what_keeps_it(
    cluster: Cluster, tmp_path: Path, make: Callable[..., Proxy], shorter: dict[str, str]
) -> None:
    proxy = make(cluster.nodes[:2], tmp_path / "proxy", **shorter)
    await proxy.start()
    try:
        async with await welcomed(proxy.socket_url(token=cluster.tokens.user(cluster.number()))) as client:
            assert (await client.closed())[0] == 1006
    finally:
        await proxy.end()
