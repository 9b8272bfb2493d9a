"""Reading the cluster, ending connections, and who may make which call."""

from __future__ import annotations

import httpx
import pytest

from tests.router.served import CALLS, PROGRESS, bearer

# --- reading and ending


async def test_states_are_shown_newest_change_last_without_an_id(router: httpx.AsyncClient) -> None:
    for video in (1, 2, 1):
        await router.post("/notifications", json={**PROGRESS, "video_id": video})
    shown = (await router.get("/transcodes")).json()["transcodes"]
    assert [state["video_id"] for state in shown] == [2, 1]
    assert set(shown[0]) == {"type", "video_id", "status", "progress", "message", "timestamp"}
    assert (await router.get("/transcodes/9")).status_code == 404


async def test_a_user_is_blocked_and_let_in_again(router: httpx.AsyncClient) -> None:
    ended = await router.delete("/users/7/connections", params={"block_seconds": 60})
    assert (ended.status_code, ended.json()["user_id"], ended.json()["connections"]) == (200, 7, 0)
    assert ended.json()["blocked_until"].endswith("Z")
    lifted = [(await router.delete("/users/7/block")).json()["was_blocked"] for _ in range(2)]
    assert lifted == [True, False]
    assert (await router.delete("/users/7/connections")).json()["blocked_until"] is None


async def test_nobody_is_connected_anywhere(router: httpx.AsyncClient) -> None:
    assert (await router.get("/users/alice/connections")).json() == {"user_id": "alice", "connections": 0, "nodes": {}}
    assert (await router.get("/nodes")).json() == {"nodes": []}
    assert set((await router.get("/stats")).json().values()) == {0}


@pytest.mark.parametrize("user", ["a b", "a.b", "x" * 129, "用户"])
async def test_a_user_id_that_is_none_is_422(router: httpx.AsyncClient, user: str) -> None:
    assert (await router.get(f"/users/{user}/connections")).status_code == 422
    assert (await router.delete(f"/users/{user}/block")).status_code == 422


@pytest.mark.parametrize("call", ["data?dry_run=1", "block?all=1", "connections?block=60"])
async def test_a_parameter_that_nobody_knows_ends_and_erases_nothing(router: httpx.AsyncClient, call: str) -> None:
    await router.delete("/users/7/connections", params={"block_seconds": 60})
    await router.post("/notifications", json={**PROGRESS, "user_id": 7})
    answer = await router.delete(f"/users/7/{call}")
    assert (answer.status_code, answer.json()["detail"][0]["type"]) == (422, "extra_forbidden")
    assert (await router.delete("/users/7/data")).json()["transcodes"] == 1
    assert (await router.delete("/users/7/block")).json()["was_blocked"]


# --- who may


@pytest.mark.parametrize(("method", "path", "scope"), CALLS)
async def test_every_call_needs_a_credential_and_its_scope(
    router: httpx.AsyncClient, method: str, path: str, scope: str
) -> None:
    others = " ".join({"publish", "read", "admin"} - {scope})
    nobody = await router.request(method, path, headers={"Authorization": ""})
    wrong = await router.request(method, path, headers={"Authorization": "Bearer wrong"})
    without = await router.request(method, path, headers=bearer(others))
    allowed = await router.request(method, path, headers=bearer(scope))
    assert [answer.status_code for answer in (nobody, wrong, without)] == [401, 401, 403]
    assert nobody.headers["WWW-Authenticate"] == "Bearer"
    assert allowed.status_code in {200, 404, 422}
