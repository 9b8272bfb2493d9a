"""Every Redis key of the cluster."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.crc import key_slot

from shared.ids import user_stream
from shared.keys import BUCKETS, SHARED_TAG, TAGS, Keys, bucket
from tests.support.process import ROOT

K = Keys("vsrt")
USERS = st.from_regex(r"[A-Za-z0-9_:@-]{1,128}", fullmatch=True)


def hash_tag(key: str) -> str:
    """What Redis Cluster hashes: what stands between the first { and the next }."""
    found = re.search(r"\{([^}]+)\}", key)
    assert found is not None, key
    return found[1]


@given(USERS)
def test_everything_of_a_user_lives_under_one_hash_tag(user: str) -> None:
    tag, states = bucket(user), K.user_states(user)
    names = [
        K.seq(tag),
        K.users(tag),
        K.held(tag, "node-1.5f3c9a1e"),
        K.tomb(tag, "node-1.5f3c9a1e"),
        K.blocked(tag),
        K.stream(tag, user_stream(user)),
        K.operation(tag, "0123abcd"),
        states.table,
        states.revisions,
        states.expiries,
    ]
    assert {hash_tag(name) for name in names} == {tag}
    assert len(set(names)) == len(names)


def test_everything_of_the_cluster_lives_under_one_hash_tag() -> None:
    states = K.all_states
    names = [
        K.leases,
        K.nodes,
        K.counts,
        K.totals,
        K.gone,
        K.dying,
        K.buried,
        K.caretaker,
        K.stats,
        K.queue,
        K.queue_turn,
        K.queue_dead,
        K.seq(SHARED_TAG),
        K.stream(SHARED_TAG, "admin"),
        K.stream(SHARED_TAG, "all"),
        K.operation(SHARED_TAG, "0123abcd"),
        K.states(SHARED_TAG, "all").table,
        states.table,
        states.revisions,
        states.expiries,
    ]
    assert {hash_tag(name) for name in names} == {SHARED_TAG}
    assert len(set(names)) == len(names)


def test_the_buckets_are_used_evenly() -> None:
    sizes = dict.fromkeys(TAGS, 0)
    for number in range(16_000):
        sizes[bucket(str(number))] += 1
    assert sizes.pop(SHARED_TAG) == 0
    assert len(sizes) == BUCKETS
    assert max(sizes.values()) < 1.3 * min(sizes.values())


def test_the_page_on_redis_clusters_names_the_slots_that_are_used() -> None:
    page = (ROOT / "docs" / "redis-cluster.md").read_text()
    table = re.findall(r"^\| (`\{.*) \| ([\d, ]+) \|", page, re.MULTILINE)
    told = {
        t: int(slot) for tags, slots in table for t, slot in zip(re.findall(r"\w", tags), slots.split(","), strict=True)
    }
    assert told == {tag: key_slot(tag.encode()) for tag in TAGS}


def test_two_clusters_share_no_key_and_no_channel() -> None:
    other = Keys("other")
    for ours, theirs in (
        (K.seq("1"), other.seq("1")),
        (K.claim("00ff"), other.claim("00ff")),
        (K.leases, other.leases),
        (K.node_channel("n"), other.node_channel("n")),
        (K.admin_channel, other.admin_channel),
        (K.progress_channel, other.progress_channel),
        (K.all_channel, other.all_channel),
    ):
        assert ours.startswith("vsrt:")
        assert theirs.startswith("other:")


@pytest.mark.parametrize("digest", ["0000" + "0" * 28, "ffff" + "0" * 28, "0011" + "a" * 28])
def test_a_claim_lives_in_a_bucket_of_its_digests_choosing(digest: str) -> None:
    assert hash_tag(K.claim(digest)) == str(int(digest[:4], 16) % BUCKETS)


def test_no_node_can_be_named_so_that_its_channel_is_a_shared_one() -> None:
    assert K.node_channel("all") not in {K.all_channel, K.admin_channel, K.progress_channel}
