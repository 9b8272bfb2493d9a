"""A connection lives as long as its token, and a fresh token makes it live longer."""

from __future__ import annotations

import time

from tests.support.cluster import Cluster
from tests.support.tokens import in_seconds, unsigned


async def test_a_connection_ends_with_its_token_unless_it_was_refreshed(cluster: Cluster) -> None:
    user, soon, later = cluster.number(), in_seconds(6), in_seconds(60)
    async with (
        cluster.user(user, exp=soon) as forgetful,
        cluster.user(user, exp=soon) as careful,
        cluster.admin(user, exp=soon) as page,
    ):
        assert await careful.refresh(cluster.tokens.user(user, exp=later)) == {"type": "refreshed", "exp": later}
        assert await forgetful.closed() == (4401, "token expired")
        assert await page.closed() == (4401, "token expired")
        assert soon <= time.time()
        await careful.nothing_else()


async def test_a_token_that_is_refused_leaves_the_old_one_in_force(cluster: Cluster) -> None:
    user = cluster.number()
    wrong = {
        "another user's": cluster.tokens.user("someone-else"),
        "garbage": "garbage",
        "empty": "",
        "expired": cluster.tokens.user(user, exp=in_seconds(-1)),
        "alg none": unsigned(sub=str(user)),
    }
    async with cluster.user(user) as browser:
        for what, token in wrong.items():
            assert await browser.refresh(token) == {"type": "error", "code": "invalid_token"}, what
        await browser.nothing_else()


async def test_a_refresh_without_a_token_is_refused_too(cluster: Cluster) -> None:
    async with cluster.user(cluster.number()) as browser:
        for token in ({}, {"token": None}, {"token": 5}, {"token": ["a"]}):
            await browser.send_json(type="refresh", **token)
            assert await browser.receive("error") == {"type": "error", "code": "invalid_token"}


async def test_an_admin_cannot_stay_one_with_a_token_that_makes_none(cluster: Cluster) -> None:
    async with cluster.admin("41") as page:
        assert (await page.refresh(cluster.tokens.user("41")))["code"] == "invalid_token"
        assert (await page.refresh(cluster.tokens.admin("41")))["type"] == "refreshed"


async def test_a_refused_refresh_does_not_prolong_the_connection(cluster: Cluster) -> None:
    user, soon = cluster.number(), in_seconds(5)
    async with cluster.user(user, exp=soon) as browser:
        await browser.refresh(cluster.tokens.user("someone-else", exp=in_seconds(60)))
        assert (await browser.closed())[0] == 4401
