"""The check that `helm test` runs, against real clusters: one that works, and some that do not."""

from __future__ import annotations

import asyncio
import os
import sys

import pytest

from tests.support.cluster import Cluster
from tests.support.ports import LOOPBACK, free_port
from tests.support.process import ROOT
from tests.support.tokens import RsaKey, Tokens


async def selfcheck(**settings: str) -> tuple[int, str]:
    """Run it as the pod does, and return its exit status and last line."""
    environment = {"PATH": os.environ["PATH"], **settings}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "node.selfcheck", cwd=ROOT, env=environment, stderr=asyncio.subprocess.PIPE
    )
    _, said = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode is not None
    return process.returncode, said.decode().strip()


def settings_of(cluster: Cluster, **more: str) -> dict[str, str]:
    return {
        "NODE_URL": cluster.node.url,
        "ROUTER_URL": cluster.router.url,
        "JWT_SECRET": cluster.tokens.secret,
        "ROUTER_API_KEYS": f"{cluster.api_key},another-key-0123456789",
        **more,
    }


async def test_a_cluster_that_works_passes(cluster: Cluster) -> None:
    async with cluster.user("selfcheck-7") as bystander:
        status, said = await selfcheck(**settings_of(cluster, SELFCHECK_USER="selfcheck-7"))
        assert status == 0, said
        assert "a message to user selfcheck-7 arrived" in said
        await bystander.receive("selfcheck")
        await bystander.nothing_else()


async def test_it_makes_a_token_for_the_router_where_there_are_no_service_keys(cluster: Cluster) -> None:
    status, said = await selfcheck(**settings_of(cluster, ROUTER_API_KEYS=""))
    assert status == 0, said


async def test_where_tokens_are_signed_elsewhere_it_takes_one(new_cluster) -> None:
    issuer = RsaKey()
    cluster: Cluster = await new_cluster(JWT_SECRET="", JWT_PUBLIC_KEY=issuer.public_pem)
    status, said = await selfcheck(**settings_of(cluster, JWT_SECRET="", SELFCHECK_TOKEN=issuer.sign(sub="7")))
    assert status == 0, said
    assert "user 7" in said


async def test_the_issuer_and_audience_of_the_cluster_are_its_tokens_too(new_cluster) -> None:
    names = {"JWT_ISSUER": "videosite", "JWT_AUDIENCE": "realtime", "JWT_ALGORITHM": "HS512"}
    cluster: Cluster = await new_cluster(**names)
    assert (await selfcheck(**settings_of(cluster, **names)))[0] == 0
    status, said = await selfcheck(**settings_of(cluster))
    assert (status, "4401" in said) == (1, True)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"NODE_URL": f"http://{LOOPBACK}:{free_port()}"}, "connect: http://"),
        ({"ROUTER_URL": f"http://{LOOPBACK}:{free_port()}"}, "publish: http://"),
        ({"JWT_SECRET": Tokens("x" * 40).secret}, "receive: closed with 4401"),
        ({"ROUTER_API_KEYS": "a-wrong-key-0123456789"}, "publish: 401"),
        ({"JWT_SECRET": ""}, "JWT_SECRET or SELFCHECK_TOKEN must be set"),
        ({"JWT_SECRET": "", "ROUTER_API_KEYS": "", "SELFCHECK_TOKEN": "x"}, "ROUTER_API_KEYS must be set"),
    ],
    ids=["no node", "no router", "another secret", "another key", "no token", "no credential"],
)
async def test_what_is_wrong_is_named(cluster: Cluster, change: dict[str, str], said: str) -> None:
    status, line = await selfcheck(**settings_of(cluster, **change))
    assert status == 1
    assert line.startswith("selfcheck: ")
    assert said in line


async def test_a_message_that_does_not_arrive_fails_it(new_cluster) -> None:
    here: Cluster = await new_cluster()
    there: Cluster = await new_cluster()  # another prefix: its nodes hear nothing of what our routers publish
    elsewhere = {"ROUTER_URL": there.router.url, "ROUTER_API_KEYS": there.api_key, "SELFCHECK_TIMEOUT": "2"}
    status, said = await selfcheck(**settings_of(here, **elsewhere))
    assert (status, "nothing within 2 s" in said) == (1, True), said
