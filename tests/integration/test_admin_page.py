"""What the admin page needs of a node over HTTP, and health."""

from __future__ import annotations

import pytest

from tests.integration.conftest import ADMIN_PAGE
from tests.support.cluster import Cluster, Node

MESSAGES = "/api/v1/admin/system-messages"
NODES = "/api/v1/admin/nodes"


async def post(node: Node, bearer: str | None, body: object = None, **request):
    return await node.call(
        "POST", MESSAGES, bearer=bearer, json=body or {"message": "维护", "level": "warning"}, **request
    )


async def test_an_admin_with_the_scope_publish_sends_a_system_message(cluster: Cluster) -> None:
    user = cluster.number()
    bearer = cluster.tokens.admin(scope="publish")
    async with cluster.admin() as page, cluster.user(user, node=cluster.nodes[1]) as browser:
        answer = await post(cluster.node, bearer)
        assert answer.status_code == 202
        assert (await page.receive("system_message"))["id"] == answer.json()["id"]
        await cluster.nobody_hears(browser)
        answer = await post(cluster.node, bearer, {"message": "给你", "target": {"users": [user]}})
        assert (await browser.receive("system_message"))["message"] == "给你"
        answer = await post(cluster.nodes[1], bearer, {"message": "全体", "target": "all"})
        for client in (page, browser):
            message = await client.receive("system_message")
            assert (message["message"], message["id"]) == ("全体", answer.json()["id"])


async def test_the_nodes_openapi_page_shows_who_may_call_and_what_a_system_message_is(cluster: Cluster) -> None:
    document = (await cluster.node.get("/openapi.json")).json()
    router = (await cluster.router.read("/openapi.json"))["components"]["schemas"]["SystemNotification"]
    post = document["paths"][MESSAGES]["post"]
    body = post["requestBody"]["content"]["application/json"]["schema"]
    assert post["requestBody"]["required"]
    assert body["required"] == [name for name in router["required"] if name != "type"]
    for name, field in body["properties"].items():
        assert field.get("enum") == router["properties"][name].get("enum"), name
        assert field.get("default") == router["properties"][name].get("default"), name
    (scheme,) = document["components"]["securitySchemes"]
    assert post["security"] == [{scheme: ["publish"]}]
    assert [document["paths"][path]["get"].get("security") for path in (NODES, "/api/v1/ws/stats")] == [
        [{scheme: []}],
        None,
    ]


async def test_it_can_send_nothing_but_a_system_message(cluster: Cluster) -> None:
    bearer = cluster.tokens.admin(scope="publish")
    body = {"type": "transcode_failed", "video_id": 1, "title": "t", "error": "e"}
    assert (await post(cluster.node, bearer, body)).status_code == 422


async def test_the_routers_word_on_a_bad_message_is_passed_on(cluster: Cluster) -> None:
    answer = await post(cluster.node, cluster.tokens.admin(scope="publish"), {"message": "m", "level": "fatal"})
    assert answer.status_code == 422
    assert "level" in answer.text


async def test_an_idempotency_key_is_passed_on(cluster: Cluster) -> None:
    bearer = cluster.tokens.admin(scope="publish")
    async with cluster.admin() as page:
        answers = [await post(cluster.node, bearer, headers={"Idempotency-Key": "once"}) for _ in range(2)]
        assert answers[0].text == answers[1].text
        await page.receive("system_message")
        await cluster.nobody_hears(page)


async def test_everybody_else_is_refused(cluster: Cluster) -> None:
    tokens = cluster.tokens
    for bearer, status in (
        (tokens.admin(), 403),
        (tokens.admin(scope="read"), 403),
        (tokens.user("7", scope="publish"), 403),
        (tokens.user("7", scope="publish", is_admin="true"), 403),
        (None, 401),
        ("garbage", 401),
        (cluster.api_key, 401),
    ):
        assert (await post(cluster.node, bearer)).status_code == status
    for bearer, status in ((tokens.user("7"), 403), (None, 401)):
        assert (await cluster.node.get(NODES, bearer=bearer)).status_code == status


@pytest.mark.parametrize(
    "body",
    [b"", b"not json", b"\xff", b"[]", b"5", b"null", b'{"message":"x","level":NaN}', b'{"message":"x","level":1e999}'],
)
async def test_a_body_that_is_no_json_is_422(cluster: Cluster, body: bytes) -> None:
    bearer = cluster.tokens.admin(scope="publish")
    answer = await cluster.node.call("POST", MESSAGES, bearer=bearer, content=body)
    assert answer.status_code == 422, answer.text


async def test_too_large_a_body_is_413(cluster: Cluster) -> None:
    bearer = cluster.tokens.admin(scope="publish")
    assert (await post(cluster.node, bearer, {"message": "x" * 1_100_000})).status_code == 413
    assert (await post(cluster.node, bearer, {"message": "x" * 70_000})).status_code == 413


async def test_an_admin_is_told_every_node(cluster: Cluster) -> None:
    answer = await cluster.nodes[1].get(NODES, bearer=cluster.tokens.admin())
    assert answer.status_code == 200
    assert [node["name"] for node in answer.json()["nodes"]] == ["node-1", "node-2"]
    assert answer.json()["nodes"][0].keys() >= {"users", "user_connections", "admin_connections", "state", "version"}


async def test_without_a_router_the_answer_is_503(new_cluster) -> None:
    cluster = await new_cluster(routers=1)
    await cluster.router.kill()
    answer = await post(cluster.node, cluster.tokens.admin(scope="publish"))
    assert answer.status_code == 503
    assert answer.headers["retry-after"]


# --- browsers from elsewhere


async def preflight(node: Node, origin: str):
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    return await node.call("OPTIONS", MESSAGES, headers=headers)


async def test_a_preflight_from_the_admin_page_is_allowed_with_credentials(cluster: Cluster) -> None:
    answer = await preflight(cluster.node, ADMIN_PAGE)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == ADMIN_PAGE
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert "authorization" in answer.headers["access-control-allow-headers"]


async def test_a_preflight_from_elsewhere_is_not(cluster: Cluster) -> None:
    answer = await preflight(cluster.node, "https://evil.example.com")
    assert "access-control-allow-origin" not in answer.headers


async def test_answers_to_the_admin_page_may_be_read_by_it(cluster: Cluster) -> None:
    for origin, allowed in ((ADMIN_PAGE, ADMIN_PAGE), ("https://evil.example.com", None)):
        answer = await cluster.node.get("/api/v1/ws/stats", headers={"Origin": origin})
        assert answer.headers.get("access-control-allow-origin") == allowed


# --- health


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_every_service_is_healthy_and_ready(cluster: Cluster, path: str) -> None:
    for service in cluster.services:
        assert (await service.health(path)).status_code == 200
        assert (await service.get(path)).status_code == 200


async def test_metrics_count_what_happens(cluster: Cluster) -> None:
    async with cluster.user(cluster.number()) as browser:
        await cluster.router.send("all", {"type": "measured"})
        await browser.receive("measured")
        text = (await cluster.node.health("/metrics")).text
        assert 'vsrt_node_connections{kind="user"} 1.0' in text
        assert 'vsrt_node_delivered_messages_total{audience="all",type="custom"}' in text
        assert 'vsrt_redis_connected{link="bus"} 1.0' in text
        assert (await cluster.router.get("/metrics")).status_code == 200


async def test_the_management_port_serves_nothing_else(cluster: Cluster) -> None:
    assert (await cluster.node.health("/api/v1/ws/stats")).status_code == 404
    assert (await cluster.node.health("/openapi.json")).status_code == 404
