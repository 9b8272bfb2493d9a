"""Who may call the router, what it can be asked, and ending a user's connections."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.cluster import Cluster
from tests.support.tokens import in_seconds, unsigned
from tests.support.waiting import until, until_equal

POSTS = ["messages", "notifications", "messages/batch", "notifications/batch"]
READS = ["stats", "nodes", "users/7/connections", "transcodes", "transcodes/1"]
DELETES = ["users/7/connections", "users/7/block"]
CALLS = [("POST", path) for path in POSTS] + [("GET", path) for path in READS] + [("DELETE", path) for path in DELETES]
SCOPES = {"POST": "publish", "GET": "read", "DELETE": "admin"}


@pytest.mark.parametrize(("method", "path"), CALLS)
async def test_every_call_wants_a_credential_with_its_scope(cluster: Cluster, method: str, path: str) -> None:
    async def status(bearer: str | None) -> int:
        body = {"json": {}} if method == "POST" else {}
        return (await cluster.router.call(method, path, bearer=bearer, **body)).status_code

    mint = cluster.tokens.mint
    bad = {
        "none": None,
        "a wrong key": "x" * 32,
        "our key with a tail": cluster.api_key + "x",
        "our key, cut": cluster.api_key[:-1],
        "an expired token": mint(sub="t", scope=SCOPES[method], exp=in_seconds(-1)),
        "alg none": unsigned(sub="t", scope=SCOPES[method]),
    }
    for what, bearer in bad.items():
        assert await status(bearer) == 401, what
    lesser = [
        None,
        "",
        " ".join(set(SCOPES.values()) - {SCOPES[method]}),
        f"{SCOPES[method]}s",
        [SCOPES[method]],
    ]
    for scope in lesser:
        assert await status(mint(sub="t", scope=scope)) == 403, scope
    assert await status(mint(sub="t", is_admin=True)) == 403, "an admin of the site is none of the router"
    for good in (mint(sub="t", scope=SCOPES[method]), mint(sub="t", scope="x publish read admin"), cluster.api_key):
        assert await status(good) in (200, 404, 422)


async def test_a_401_says_what_is_wanted(cluster: Cluster) -> None:
    for path in ("messages", "stats"):
        answer = await cluster.router.call("POST" if path == "messages" else "GET", path, bearer=None)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert "Bearer" in answer.json()["detail"]


async def test_a_caller_without_the_scope_publishes_nothing(cluster: Cluster) -> None:
    async with cluster.admin() as page:
        body = {"audience": "admin", "message": {"type": "forbidden"}}
        bearer = cluster.tokens.mint(sub="t", scope="read admin")
        assert (await cluster.router.post("messages", body, bearer=bearer)).status_code == 403
        await cluster.nobody_hears(page)


async def test_the_openapi_page_names_every_call(cluster: Cluster) -> None:
    paths = (await cluster.router.read("/openapi.json"))["paths"]
    generic = {path.replace("/7/", "/{user_id}/").replace("/1", "/{video_id}") for _, path in CALLS}
    assert {f"/api/v1/{path}" for path in generic} <= paths.keys()
    assert (await cluster.router.get("/docs")).status_code == 200


# --- reading


async def test_a_users_connections_are_told_node_by_node(cluster: Cluster) -> None:
    user = cluster.number()
    path = f"users/{user}/connections"
    assert await cluster.router.read(path) == {"user_id": user, "connections": 0, "nodes": {}}
    here, there = cluster.nodes
    async with cluster.user(user, node=here), cluster.user(user, node=here), cluster.user(user, node=there):
        for router in cluster.routers:
            answer = await router.read(path)
            assert answer["connections"] == 3
            assert {name.split(".")[0]: count for name, count in answer["nodes"].items()} == {"node-1": 2, "node-2": 1}

    async def gone() -> Any:
        return (await cluster.router.read(path))["connections"]

    await until_equal(gone, 0)


async def test_every_node_is_told_with_its_own_counters(cluster: Cluster) -> None:
    async with cluster.user(cluster.number()), cluster.admin(node=cluster.nodes[1]):

        async def told() -> bool:
            nodes = (await cluster.router.read("nodes"))["nodes"]
            assert [node["name"] for node in nodes] == ["node-1", "node-2"]
            for node in nodes:
                assert node["node_id"].startswith(node["name"] + ".")
                assert node["state"] == "up"
                assert node["version"]
                assert node["started_at"].endswith("Z")
            first, second = nodes
            assert (first["users"], first["user_connections"], first["admin_connections"]) == (1, 1, 0)
            assert (second["users"], second["user_connections"], second["admin_connections"]) == (0, 0, 1)
            return True

        await until(told)


async def test_a_path_that_names_no_user_or_video_is_422(cluster: Cluster) -> None:
    for path in ("users/no spaces/connections", "users/a.b/connections", f"users/{'x' * 129}/connections"):
        assert (await cluster.router.get(path)).status_code == 422, path
        assert (await cluster.router.delete(path)).status_code == 422, path
    assert (await cluster.router.get("transcodes/abc")).status_code == 422


# --- ending


async def test_deleting_a_users_connections_ends_all_of_them_and_no_others(cluster: Cluster) -> None:
    user, other = cluster.number(), cluster.number()
    here, there = cluster.nodes
    async with (
        cluster.user(user, node=here) as phone,
        cluster.user(user, node=there) as laptop,
        cluster.admin(user, node=there) as page,
        cluster.user(other, node=there) as bystander,
    ):
        answer = await cluster.router.delete(f"users/{user}/connections")
        assert answer.status_code == 200
        assert answer.json() == {"user_id": user, "connections": 2, "blocked_until": None}
        for client in (phone, laptop, page):
            assert (await client.closed())[0] == 4401
        await cluster.nobody_hears(bystander)
    async with cluster.user(user) as again:
        await again.settled()


async def test_a_blocked_user_is_refused_on_every_node_until_the_block_is_lifted(cluster: Cluster) -> None:
    user = cluster.number()
    async with cluster.user(user) as browser, cluster.admin(user) as page:
        answer = await cluster.router.delete(f"users/{user}/connections", params={"block_seconds": 60})
        assert answer.json()["blocked_until"].endswith("Z")
        for client in (browser, page):
            assert (await client.closed())[0] == 4401
    for node in cluster.nodes:
        assert await cluster.refusal(cluster.tokens.user(user), node=node) == (4403, "user blocked")
        assert (await cluster.refusal(cluster.tokens.admin(user), node=node, admin=True))[0] == 4403
    lifted = await cluster.router.delete(f"users/{user}/block")
    assert lifted.json() == {"user_id": user, "was_blocked": True}
    async with cluster.user(user):
        pass
    assert (await cluster.router.delete(f"users/{user}/block")).json()["was_blocked"] is False


async def test_a_block_lapses_by_itself(cluster: Cluster) -> None:
    user = cluster.number()
    await cluster.router.delete(f"users/{user}/connections", params={"block_seconds": 5})
    assert (await cluster.refusal(cluster.tokens.user(user)))[0] == 4403

    async def let_in() -> bool:
        async with cluster.user(user):
            return True

    await until(let_in)


@pytest.mark.parametrize("seconds", ["0", "-1", "abc", "99999999999"])
async def test_a_block_for_no_time_is_422(cluster: Cluster, seconds: str) -> None:
    answer = await cluster.router.delete("users/7/connections", params={"block_seconds": seconds})
    assert answer.status_code == 422
    assert "block_seconds" in answer.text
