"""Who hears what: own messages and broadcasts, and nothing else."""

from __future__ import annotations

from contextlib import AsyncExitStack

import pytest

from tests.support.client import Client
from tests.support.cluster import Cluster


@pytest.fixture
async def people(cluster: Cluster):
    """Alice and an admin on the first node, Bob and another admin on the second."""
    async with AsyncExitStack() as stack:
        here, there = cluster.nodes
        yield {
            "alice": await stack.enter_async_context(cluster.user("alice", node=here)),
            "bob": await stack.enter_async_context(cluster.user("bob", node=there)),
            "admin here": await stack.enter_async_context(cluster.admin(1, node=here)),
            "admin there": await stack.enter_async_context(cluster.admin(2, node=there)),
        }


async def heard_only_by(cluster: Cluster, people: dict[str, Client], kind: str, *names: str) -> None:
    for name in names:
        await people[name].receive(kind)
    await cluster.nobody_hears(*people.values())


async def test_a_users_message_is_heard_by_that_user_alone(cluster: Cluster, people: dict[str, Client]) -> None:
    await cluster.router.send({"users": ["alice"]}, {"type": "secret"})
    await heard_only_by(cluster, people, "secret", "alice")


async def test_an_admin_message_is_heard_by_every_admin_and_no_user(
    cluster: Cluster, people: dict[str, Client]
) -> None:
    answer = await cluster.router.send("admin", {"type": "internal"})
    assert answer["nodes"] == 2
    assert answer["online"] is True
    await heard_only_by(cluster, people, "internal", "admin here", "admin there")


async def test_a_broadcast_is_heard_by_all_once(cluster: Cluster, people: dict[str, Client]) -> None:
    await cluster.router.send("all", {"type": "announcement"})
    await heard_only_by(cluster, people, "announcement", *people)


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("transcode_complete", {"title": "t", "format_type": "av1", "file_size": 1}),
        ("transcode_failed", {"title": "t", "error": "e"}),
        ("transcode_progress", {"status": "processing", "progress": 1}),
    ],
)
async def test_a_transcode_is_heard_by_admins_and_its_owner(
    cluster: Cluster, people: dict[str, Client], kind: str, fields: dict[str, object]
) -> None:
    video = cluster.number()
    await cluster.router.notify(kind, video_id=video, user_id="alice", **fields)
    await heard_only_by(cluster, people, kind, "alice", "admin here", "admin there")
    await cluster.router.notify("transcode_failed", video_id=video, user_id="alice", title="", error="")
    await heard_only_by(cluster, people, "transcode_failed", "alice", "admin here", "admin there")


async def test_a_transcode_without_an_owner_is_heard_by_admins_alone(
    cluster: Cluster, people: dict[str, Client]
) -> None:
    await cluster.router.notify("transcode_failed", video_id=cluster.number(), title="t", error="e")
    await heard_only_by(cluster, people, "transcode_failed", "admin here", "admin there")


@pytest.mark.parametrize(
    ("target", "hearers"),
    [
        (None, ("admin here", "admin there")),
        ("admin", ("admin here", "admin there")),
        ("all", ("alice", "bob", "admin here", "admin there")),
        ({"users": ["bob"]}, ("bob",)),
    ],
)
async def test_a_system_message_goes_to_its_target(
    cluster: Cluster, people: dict[str, Client], target: object, hearers: tuple[str, ...]
) -> None:
    more = {} if target is None else {"target": target}
    await cluster.router.notify("system_message", message="维护", **more)
    await heard_only_by(cluster, people, "system_message", *hearers)


async def test_a_message_to_an_admins_user_id_is_not_for_its_admin_page(
    cluster: Cluster, people: dict[str, Client]
) -> None:
    await cluster.router.send({"users": [1]}, {"type": "for_user_1"})
    await heard_only_by(cluster, people, "for_user_1")


async def test_a_user_id_that_looks_like_a_stream_is_just_a_user_id(
    cluster: Cluster, people: dict[str, Client]
) -> None:
    async with cluster.user("all") as odd, cluster.user("admin") as odder:
        people = people | {"all": odd, "admin": odder}
        await cluster.router.send({"users": ["all", "admin"]}, {"type": "odd"})
        await heard_only_by(cluster, people, "odd", "all", "admin")
        await cluster.router.send("admin", {"type": "internal"})
        await heard_only_by(cluster, people, "internal", "admin here", "admin there")


async def test_user_ids_that_differ_only_in_writing_are_different_users(
    cluster: Cluster, people: dict[str, Client]
) -> None:
    async with cluster.user("7") as seven, cluster.user("07") as other, cluster.user("Alice") as capital:
        people = people | {"7": seven, "07": other, "Alice": capital}
        await cluster.router.send({"users": [7]}, {"type": "for_seven"})
        await heard_only_by(cluster, people, "for_seven", "7")
        await cluster.router.send({"users": ["07"]}, {"type": "for_other"})
        await heard_only_by(cluster, people, "for_other", "07")
        await cluster.router.send({"users": ["Alice"]}, {"type": "for_capital"})
        await heard_only_by(cluster, people, "for_capital", "Alice")
