"""What has to be true soon after the last fault: looks for ``until``, each an ``AssertionError`` while it is not."""

from __future__ import annotations

from tests.faults.crowd import Crowd
from tests.faults.ledger import Ledger, number_of
from tests.faults.schedule import NODES
from tests.faults.stage import Stage
from tests.faults.traffic import Record


def everything_is_there(crowd: Crowd, ledger: Ledger, record: Record) -> bool:
    """Every client stands at the newest event of each of its streams, and sees where each transcode stands."""
    newest = {stream: ledger.newest(stream) for _, streams in crowd.streams() for stream in streams}
    for viewer, streams in crowd.streams():
        for stream in streams:
            stands_at = number_of(viewer.positions[stream])
            assert stands_at >= newest[stream], f"{viewer.name} is at {stands_at} of {newest[stream]} in {stream}"
    for video, (progress, owner) in record.newest.items():
        for viewer in (*crowd.admins, *crowd.users[owner]):
            shown = viewer.progress.get(video)
            assert shown == progress, f"{viewer.name} sees {shown} of video {video}, which is at {progress}"
    return True


async def counters_are_right(stage: Stage, crowd: Crowd) -> bool:
    """Both routers and all nodes know exactly who is connected where."""
    away = [viewer.name for viewer in crowd.viewers if viewer.at is None]
    assert not away, f"not connected: {', '.join(away[:5])}"
    users = sum(len(devices) for devices in crowd.users.values())
    counters = {
        "total_users": len(crowd.users),
        "total_user_connections": users,
        "total_admin_connections": len(crowd.admins),
        "total_connections": users + len(crowd.admins),
    }
    for node in stage.cluster.nodes:
        assert (told := await node.stats()) == counters, f"{node.name} tells {told} and not {counters}"
    for router in stage.cluster.routers:
        assert (told := await router.read("stats")) == counters, f"{router.name} tells {told} and not {counters}"
        by_node = _by_node(await router.read("nodes"))
        assert by_node == crowd.by_node(), f"{router.name} tells {by_node} and not {crowd.by_node()}"
    for user in crowd.users:
        told = await stage.cluster.router.read(f"users/{user}/connections")
        places = {node_id.partition(".")[0]: count for node_id, count in told["nodes"].items()}
        assert places == crowd.places(user), f"user {user} is on {crowd.places(user)} and not on {places}"
        assert len(told["nodes"]) == len(places), f"user {user} is on a dead node: {told['nodes']}"
    return True


def _by_node(told: dict) -> dict[str, tuple[int, int]]:
    nodes = told["nodes"]
    assert len(nodes) == len(NODES), [node["node_id"] for node in nodes]
    assert all(node["state"] == "up" for node in nodes), nodes
    return {node["name"]: (node["user_connections"], node["admin_connections"]) for node in nodes}
