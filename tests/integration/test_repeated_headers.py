"""Headers that may be there once, and come twice: nobody chooses one of them in silence."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.cluster import Cluster

TRACES = [f"00-{digit * 32}-00f067aa0ba902b7-01" for digit in "45"]
Headers = list[tuple[str, str]]


def twice(name: str, *values: str) -> Headers:
    return [(name, value) for value in values]


async def publish(cluster: Cluster, headers: Headers, path: str = "messages") -> Any:
    item = {"audience": "admin", "message": {"type": "x"}}
    body = {"items": [item]} if path.endswith("/batch") else item
    if not any(name == "Authorization" for name, _ in headers):
        headers = [("Authorization", f"Bearer {cluster.router.api_key}"), *headers]
    async with cluster.router.http() as http:
        return await http.post(f"/api/v1/{path}", json=body, headers=headers)


@pytest.mark.parametrize("path", ["messages", "messages/batch"])
async def test_two_idempotency_keys_are_422_and_two_alike_are_one(cluster: Cluster, path: str) -> None:
    one, other = str(cluster.number()), str(cluster.number())
    refused = await publish(cluster, twice("Idempotency-Key", one, other), path)
    assert refused.status_code == 422
    assert refused.json()["detail"][0]["loc"] == ["header", "Idempotency-Key"]
    answers = [await publish(cluster, twice("Idempotency-Key", *keys), path) for keys in ([one, one], [one], [other])]
    assert [answer.is_success for answer in answers] == [True] * 3
    assert answers[0].text == answers[1].text != answers[2].text


async def test_who_may_not_publish_is_told_that_first(cluster: Cluster) -> None:
    keys = twice("Idempotency-Key", "one", "other")
    assert (await publish(cluster, [("Authorization", "Bearer nobody"), *keys])).status_code == 401


@pytest.mark.parametrize("first", [True, False])
async def test_two_credentials_are_401_wherever_they_are_sent(cluster: Cluster, first: bool) -> None:
    def both(good: str) -> Headers:
        credentials = [f"Bearer {good}", "Bearer other"]
        return twice("Authorization", *(credentials if first else credentials[::-1]))

    admin = cluster.tokens.admin()
    answers = [await publish(cluster, both(cluster.router.api_key))]
    async with cluster.router.http() as router, cluster.node.http() as node:
        answers.append(await router.get("/api/v1/stats", headers=both(cluster.router.api_key)))
        for path in ("transcodes", "events", "admin/nodes"):
            answers.append(await node.get(f"/api/v1/{path}", headers=both(admin)))
        stream = [*both(admin), ("Accept", "text/event-stream")]
        answers.append(await node.get("/api/v1/events", headers=stream))
        answers.append(await node.post("/api/v1/admin/system-messages", headers=both(admin), json={"message": "x"}))
    for answer in answers:
        assert answer.status_code == 401, answer.request
        assert "token given more than once" in answer.json()["detail"]


async def test_the_same_credential_twice_is_one(cluster: Cluster) -> None:
    credential = f"Bearer {cluster.router.api_key}"
    assert (await publish(cluster, twice("Authorization", credential, credential))).status_code == 202


async def test_two_traces_are_none(cluster: Cluster) -> None:
    answer = await publish(cluster, twice("traceparent", *TRACES))
    assert answer.status_code == 202
    assert answer.json()["trace_id"] not in {trace[3:35] for trace in TRACES}
    assert (await publish(cluster, twice("traceparent", TRACES[0], TRACES[0]))).json()["trace_id"] == TRACES[0][3:35]


async def test_of_two_accepted_kinds_each_counts(cluster: Cluster) -> None:
    url = f"/api/v1/events?token={cluster.tokens.user(cluster.number())}"
    headers = twice("Accept", "application/json", "text/event-stream")
    async with cluster.node.http() as http, http.stream("GET", url, headers=headers) as answer:
        assert answer.headers["Content-Type"].startswith("text/event-stream")
