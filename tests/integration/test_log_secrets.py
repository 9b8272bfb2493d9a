"""What must never be in a log: planted in every call there is, looked for in every line there was."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json

import pytest

from tests.support.client import Client
from tests.support.cluster import Cluster, Service
from tests.support.logged import lines_of

CANARY = "kanarienvogel"  # in every text that a message may have
TRANSCODE = {"video_id": 5, "title": f"{CANARY}-title"}


def parts_of(*tokens: str) -> set[str]:
    """Return what may not be seen of tokens: claims and signature. Their header is the same for all."""
    return {part for token in tokens for part in token.split(".")[1:] if len(part) > 4}


def assert_silent(services: list[Service], secrets: set[str]) -> None:
    for service in services:
        log = service.log()
        assert "up" in log
        for secret in secrets:
            assert secret not in log, next(line for line in log.splitlines() if secret in line)


@pytest.mark.parametrize("log_format", ["json", "text"])
async def test_no_token_key_secret_or_payload_is_ever_logged(new_cluster, log_format: str) -> None:
    cluster: Cluster = await new_cluster(
        LOG_LEVEL="DEBUG", LOG_FORMAT=log_format, LOG_USER_IDS="true", MESSAGE_MAX_BYTES="2000"
    )
    tokens, node, router = cluster.tokens, cluster.node, cluster.router
    good, fresh = tokens.user("alice", n=CANARY), tokens.user("alice", n=CANARY * 2)
    admin = tokens.admin(scope="publish read admin", username=CANARY)
    refused, bad = tokens.user("no spaces"), tokens.user("alice")[:-5] + "AAAAA"
    async with await Client.open(node.socket_url(token=good)) as browser:
        await browser.receive("connected")
        await browser.refresh(fresh)
        await browser.refresh(bad)
        await browser.send(json.dumps({"type": CANARY, "token": good}))
    async with await Client.open(node.socket_url(admin=True), subprotocols=["bearer", admin]) as page:
        await page.receive("connected")
        await send_all_kinds(cluster)
    for token in (refused, bad):
        await cluster.refusal(token)
        await node.get("/api/v1/transcodes", bearer=token)
        await router.get("stats", bearer=token)
        await router.post("messages", {"audience": "all", "message": {"type": "x"}}, bearer=token)
    for path in ("/api/v1/transcodes", "/nowhere", "/api/v1/ws", "/api/v1/ws/stats"):
        await node.get(f"{path}?token={good}&secret={CANARY}", bearer=good)
        with contextlib.suppress(Exception):
            await Client.open(
                node.socket_url(token=good).replace("/api/v1/ws", path), origin="https://evil.example.com"
            )
    await garbage(node, f"GET /{CANARY}?token={good} HTTP/1.1\r\nAuthorization: Bearer {admin}\r\n\x00\r\n\r\n")
    await garbage(router, f"POST /api/v1/messages?token={good} HTTP/9\r\nBearer {cluster.api_key}\r\n\r\n")
    await node.call("POST", "/api/v1/admin/system-messages", bearer=admin, json={"message": CANARY})
    await node.call("POST", "/api/v1/admin/system-messages", bearer=admin, content=CANARY.encode())
    await router.get(f"stats?token={admin}", bearer=admin)
    for service in cluster.services:
        await service.terminate()
        assert "audit" in service.log() or service is node
    secrets = parts_of(good, fresh, admin, refused, bad) | {cluster.api_key, tokens.secret, CANARY}
    assert_silent(cluster.services, secrets | {base64.b64encode(CANARY.encode()).decode().rstrip("=")})


async def send_all_kinds(cluster: Cluster) -> None:
    """Publish messages with a canary in every text, good ones and bad ones."""
    router = cluster.router
    notifications = [
        {"type": "transcode_progress", "video_id": 5, "status": "s", "progress": 1, "message": CANARY},
        {"type": "transcode_complete", **TRANSCODE, "format_type": "av1", "file_size": 1},
        {"type": "transcode_failed", **TRANSCODE, "error": CANARY, "user_id": "alice"},
        {"type": "system_message", "message": CANARY, "target": "all"},
        {"type": "system_message", "message": CANARY, "level": CANARY},
        {"type": "system_message", "message": CANARY, CANARY: 1},
        {"type": "system_message", "message": CANARY, "expires_at": CANARY},
        {"type": CANARY},
    ]
    messages = [
        *({"audience": a, "message": {"type": "x", "text": CANARY}} for a in ("all", "admin", {"users": ["alice"]})),
        {"audience": CANARY, "message": {"type": "x", "text": CANARY}},
        {"audience": {"users": [f"{CANARY} !"]}, "message": {"type": "x"}},
        {"audience": "all", "message": {"type": "x", "text": CANARY * 1000}},
        {"audience": "all", "message": {"id": CANARY, "type": "x"}},
        {"audience": "all", "message": {"type": "x", CANARY: float("1e308")}},
    ]
    for path, bodies in (("notifications", notifications), ("messages", messages)):
        for body in bodies:
            await router.post(path, body, key=f"{CANARY}-{len(str(body))}")
        await router.post(f"{path}/batch", {"items": [*bodies, CANARY, {CANARY: CANARY}]})
        await router.post(f"{path}/batch", {"items": [*bodies], CANARY: 1})
        await router.post(path, content=f"{CANARY}, broken".encode())
        await router.post(path, content=f'{{"{CANARY}": "\\ud800'.encode())
    await router.delete(f"users/{CANARY}!/connections")
    await router.get(f"transcodes/{CANARY}")


async def garbage(service: Service, text: str) -> None:
    """Send what is no HTTP, and wait for the end of the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    writer.write(text.encode())
    writer.write_eof()
    await reader.read()
    writer.close()


@pytest.mark.parametrize("log_format", ["json", "text"])
async def test_an_error_that_holds_secrets_is_logged_without_them(new_cluster, log_format: str) -> None:
    cluster: Cluster = await new_cluster(nodes=0, routers=0, LOG_FORMAT=log_format)
    node = await cluster.start_node(module="tests.support.failing.node")
    router = await cluster.start_router(module="tests.support.failing.router")
    token = cluster.tokens.user("alice")
    with contextlib.suppress(Exception):
        async with await Client.open(node.socket_url(token=token)) as client:
            await client.closed()
    with contextlib.suppress(Exception):
        await node.get("/api/v1/transcodes", bearer=token)
    body = {"audience": "admin", "message": {"type": "x", "text": CANARY}}
    assert (await router.post("messages", body)).status_code == 500
    for service, told in ((node, "came to nothing"), (router, "RuntimeError: with *** and ***")):
        await service.terminate()
        assert told in service.log()
        assert "Traceback" not in service.log(), "of Python's own making, past our formatter"
    assert "ValidationError: dict[str,int]: int_parsing, int_parsing" in router.log()
    assert_silent(cluster.services, parts_of(token) | {CANARY, cluster.api_key, cluster.tokens.secret})
    if log_format == "json":
        (failed,) = [line for line in lines_of(router.log()) if line["level"] == "error"]
        assert failed["logger"] == "uvicorn.error"
        assert len(failed["trace_id"]) == 32
