"""What a node says by itself is what the front end's types say that it says."""

from __future__ import annotations

import json

from docs.node_messages import NODES_OWN
from shared.messages import NODE_TYPES


def test_every_type_that_is_the_nodes_own_has_a_model() -> None:
    assert NODES_OWN.keys() == NODE_TYPES


async def test_every_frame_of_a_real_node_is_as_its_model_says(new_cluster) -> None:
    """A ``resync`` is not to be had from a node in order: tests/node/test_feed.py tests it."""
    cluster = await new_cluster(nodes=1, routers=0, DRAIN_SECONDS="0.5")
    async with cluster.admin("1") as page, cluster.user("somebody") as browser:
        for client in (page, browser):
            await client.stats()
            await client.send("what?")
            await client.receive("error")
        await page.refresh(cluster.tokens.admin("1"))
        await page.refresh("no token")
        await cluster.node.terminate()
        await page.closed()
        await browser.closed()
        frames = [json.loads(text) for client in (page, browser) for text in client.texts if text != "pong"]
    assert {frame["type"] for frame in frames} == NODE_TYPES - {"resync", "inbox"}
    for frame in frames:
        NODES_OWN[frame["type"]].model_validate(frame)
