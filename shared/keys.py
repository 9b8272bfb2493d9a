"""Every Redis key and channel of the cluster, in one place.

What belongs together lives under one hash tag, so that one script can change it in one step, on a Redis Cluster too:
``{c}`` holds what is the cluster's (leases, counters, the shared streams, the state table), and four buckets
``{0}`` to ``{3}`` hold what is the users' (who is connected where, their streams, their videos' states).
Four, because one serves 70,000 publishes a second, and because the more users of a batch travel in one script call the
less each costs: a message in a batch of 100 costs Redis 14 µs with sixteen buckets, and 11 with four.

| key | type | what |
| --- | --- | --- |
| ``seq:{t}`` | hash | stream → newest event, ``s:<stream>`` → state; ``#epoch``, ``#run``, ``#birth``, ``#rev``, … |
| ``stream:{t}:<stream>`` | stream | ``m`` payload, ``x`` expiry, ``p`` event before, ``s`` state it ends, ``t`` trace |
| ``op:{t}:<digest>`` | string | what an operation key has already done in a stream |
| ``claim:{b}:<digest>`` | string | an ``Idempotency-Key``: the body's digest, and what its answer needs |
| ``queue:{c}`` | stream | messages of producers that cannot call: ``kind``, ``body``, ``key``, ``traceparent`` |
| ``queue:{c}:turn`` | string | which router takes them just now |
| ``queue:{c}:dead`` | stream | those that cannot be published, with ``reason`` and ``detail`` |
| ``archive:{t}`` | stream | events that wait for the inbox's database: ``e`` envelopes of one call |
| ``archive:{t}:done`` | string | the last entry that is in the database |
| ``archive:{t}:turn`` | string | which router writes it there just now |
| ``archive:{t}:dead`` | stream | events that the database will not have: ``e`` envelope, ``entry``, ``reason`` |
| ``inbox:{c}:turn`` | string | which router removes what is old just now |
| ``users:{b}`` | hash | user → ``1 <node>=<connections> …`` |
| ``held:{b}:<node>`` | hash | the reverse: user → connections; ``#rev`` |
| ``tomb:{b}:<node>`` | string | this node id is dead: nothing may be registered under it |
| ``blocked:{b}`` | sorted set | user by the end of its block, ms |
| ``state:{t}:<scope>``, ``…:rev``, ``…:exp`` | hash, sorted sets | newest value per video; its revision; its end, ms |
| ``leases:{c}`` | sorted set | node by the end of its lease, ms |
| ``nodes:{c}`` | hash | node → JSON of what it says of itself |
| ``counts:{c}`` | hash | node → ``<rev> <user connections> <admin connections>`` |
| ``totals:{c}`` | hash | the sums of ``counts``, kept by the same script |
| ``dying:{c}``, ``gone:{c}`` | sorted sets | nodes being cleared; node ids that may never come back, by time |
| ``buried:{c}`` | hash | how many nodes died in which state, and what they held; ``#looked``: last look at leases, ms |
| ``caretaker:{c}`` | string | ``<name>.<random>`` of who sums up and clears just now |
| ``stats:{c}`` | string | the four counters, for everyone |
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from shared.ids import user_stream

BUCKETS = 4
SHARED_TAG = "c"
BUCKET_TAGS = tuple(map(str, range(BUCKETS)))
TAGS = (SHARED_TAG, *BUCKET_TAGS)


def bucket(user: str) -> str:
    """Return the hash tag under which everything of this user lives."""
    return str(zlib.crc32(user.encode()) % BUCKETS)


def tag_of(key: object) -> str:
    """Return the hash tag of one of our keys; of what has none, a channel for example, the shared one."""
    text = key.decode() if isinstance(key, bytes) else str(key)
    tag = text.partition("{")[2].partition("}")[0]
    return tag if tag in TAGS else SHARED_TAG


@dataclass(frozen=True, slots=True)
class StateKeys:
    """The three keys of a table of newest values."""

    table: str
    revisions: str
    expiries: str


@dataclass(frozen=True, slots=True)
class Keys:
    prefix: str

    # --- per hash tag
    def seq(self, tag: str) -> str:
        return f"{self.prefix}:seq:{{{tag}}}"

    def stream(self, tag: str, stream: str) -> str:
        return f"{self.prefix}:stream:{{{tag}}}:{stream}"

    def operation(self, tag: str, digest: str) -> str:
        return f"{self.prefix}:op:{{{tag}}}:{digest}"

    def states(self, tag: str, scope: str) -> StateKeys:
        table = f"{self.prefix}:state:{{{tag}}}:{scope}"
        return StateKeys(table, table + ":rev", table + ":exp")

    def archive(self, tag: str) -> str:
        return f"{self.prefix}:archive:{{{tag}}}"

    def archive_done(self, tag: str) -> str:
        return self.archive(tag) + ":done"

    def archive_turn(self, tag: str) -> str:
        return self.archive(tag) + ":turn"

    def archive_dead(self, tag: str) -> str:
        return self.archive(tag) + ":dead"

    # --- per bucket
    def users(self, tag: str) -> str:
        return f"{self.prefix}:users:{{{tag}}}"

    def held(self, tag: str, node_id: str) -> str:
        return f"{self.prefix}:held:{{{tag}}}:{node_id}"

    def tomb(self, tag: str, node_id: str) -> str:
        return f"{self.prefix}:tomb:{{{tag}}}:{node_id}"

    def blocked(self, tag: str) -> str:
        return f"{self.prefix}:blocked:{{{tag}}}"

    def claim(self, digest: str) -> str:
        return f"{self.prefix}:claim:{{{int(digest[:4], 16) % BUCKETS}}}:{digest}"

    def user_states(self, user: str) -> StateKeys:
        return self.states(bucket(user), user_stream(user))

    # --- the cluster's
    @property
    def leases(self) -> str:
        return f"{self.prefix}:leases:{{{SHARED_TAG}}}"

    @property
    def nodes(self) -> str:
        return f"{self.prefix}:nodes:{{{SHARED_TAG}}}"

    @property
    def counts(self) -> str:
        return f"{self.prefix}:counts:{{{SHARED_TAG}}}"

    @property
    def totals(self) -> str:
        return f"{self.prefix}:totals:{{{SHARED_TAG}}}"

    @property
    def dying(self) -> str:
        return f"{self.prefix}:dying:{{{SHARED_TAG}}}"

    @property
    def gone(self) -> str:
        return f"{self.prefix}:gone:{{{SHARED_TAG}}}"

    @property
    def buried(self) -> str:
        return f"{self.prefix}:buried:{{{SHARED_TAG}}}"

    @property
    def caretaker(self) -> str:
        return f"{self.prefix}:caretaker:{{{SHARED_TAG}}}"

    @property
    def stats(self) -> str:
        return f"{self.prefix}:stats:{{{SHARED_TAG}}}"

    @property
    def inbox_turn(self) -> str:
        return f"{self.prefix}:inbox:{{{SHARED_TAG}}}:turn"

    @property
    def queue(self) -> str:
        return f"{self.prefix}:queue:{{{SHARED_TAG}}}"

    @property
    def queue_turn(self) -> str:
        return self.queue + ":turn"

    @property
    def queue_dead(self) -> str:
        return self.queue + ":dead"

    @property
    def all_states(self) -> StateKeys:
        return self.states(SHARED_TAG, "admin")

    # --- channels
    def node_channel(self, node_id: str) -> str:
        return f"{self.prefix}:node:{node_id}"

    @property
    def admin_channel(self) -> str:
        return f"{self.prefix}:admin"

    @property
    def progress_channel(self) -> str:
        return f"{self.prefix}:progress"

    @property
    def all_channel(self) -> str:
        return f"{self.prefix}:all"
