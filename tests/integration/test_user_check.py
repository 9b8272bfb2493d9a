"""The platform's own word on a user: `GET <USER_CHECK_URL>/<user_id>`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.client import Client
from tests.support.http_stub import HttpStub


@pytest.fixture
def platform() -> Iterator[HttpStub]:
    with HttpStub() as stub:
        stub.answers |= {"/users/7": 200, "/users/8": 404, "/users/9": 403}
        yield stub


async def test_the_platform_decides_who_is_let_in(new_cluster, platform: HttpStub) -> None:
    cluster = await new_cluster(routers=0, USER_CHECK_URL=f"{platform.url}/users")
    async with cluster.user("7"), cluster.admin("7"):
        pass
    assert await cluster.refusal(cluster.tokens.user("8")) == (4403, "user unknown")
    assert await cluster.refusal(cluster.tokens.user("9")) == (4403, "user blocked")
    assert await cluster.refusal(cluster.tokens.admin("9"), admin=True) == (4403, "user blocked")


async def test_an_answer_holds_for_a_while(new_cluster, platform: HttpStub) -> None:
    cluster = await new_cluster(routers=0, USER_CHECK_URL=f"{platform.url}/users")
    for _ in range(3):
        async with cluster.user("7"):
            pass
    assert platform.asked == ["/users/7"]


async def test_an_answer_that_has_aged_is_asked_for_anew(new_cluster, platform: HttpStub) -> None:
    cluster = await new_cluster(routers=0, USER_CHECK_URL=f"{platform.url}/users", USER_CHECK_TTL="0")
    async with cluster.user("7"):
        pass
    platform.answers["/users/7"] = 403
    assert (await cluster.refusal(cluster.tokens.user("7")))[0] == 4403


async def test_who_came_in_by_an_aged_answer_is_closed_by_the_new_one(new_cluster, platform: HttpStub) -> None:
    cluster = await new_cluster(routers=0, USER_CHECK_URL=f"{platform.url}/users", USER_CHECK_TTL="0.001")
    async with cluster.user("7") as first:
        platform.answers["/users/7"] = 403
        # The answer may come before the second one's welcome.
        async with await Client.open(cluster.node.socket_url(token=cluster.tokens.user("7"))) as second:
            for browser in (first, second):
                assert await browser.closed() == (4403, "user blocked")
    assert (await cluster.refusal(cluster.tokens.user("7")))[0] == 4403


async def test_while_the_platform_is_down_its_last_answer_holds_and_strangers_wait(
    new_cluster, platform: HttpStub
) -> None:
    cluster = await new_cluster(routers=0, USER_CHECK_URL=f"{platform.url}/users", USER_CHECK_TTL="0")
    async with cluster.user("7"):
        pass
    assert (await cluster.refusal(cluster.tokens.user("9")))[0] == 4403
    platform.stop()
    async with cluster.user("7") as browser:
        await browser.settled()
    assert (await cluster.refusal(cluster.tokens.user("9")))[0] == 4403
    assert (await cluster.refusal(cluster.tokens.user("10")))[0] == 1013, "who that is, nobody can tell: come back"
    platform.start()
    platform.answers["/users/10"] = 200
    async with cluster.user("10"):
        pass


async def test_strangers_are_let_in_if_the_operator_wants_it_so(new_cluster, platform: HttpStub) -> None:
    platform.otherwise = 500
    cluster = await new_cluster(routers=0, USER_CHECK_URL=f"{platform.url}/users", USER_CHECK_STRANGERS="accept")
    async with cluster.user("10"):
        pass
    assert (await cluster.refusal(cluster.tokens.user("9")))[0] == 4403
