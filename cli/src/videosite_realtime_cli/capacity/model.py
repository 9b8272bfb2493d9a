"""The arithmetic of capacity: a demand and unit costs in, a cluster out. Pure; `docs/capacity.md` explains it.

Nodes and routers can be added; Redis is reckoned as one server. So nodes and routers come out as numbers, and Redis as
shares of what one server has, of which the largest is what breaks first. What a Redis Cluster would spread, and what
its bus would add, has not been measured: no figure stands for it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from videosite_realtime_cli.capacity.costs import Cost, UnitCosts

KEY_SECONDS = 24 * 3600  # for which an idempotency key is remembered; a test holds it to the router's
ENDED_SECONDS = 24 * 3600  # for which the end of a transcode can be polled
COMPARED_EVERY = 10  # s between two comparisons of tops
SPARE = 1  # node that may be missing at the peak
FEWEST = 2  # of nodes, and of routers: one may restart
_PACKET = 40  # bytes of TCP and IP around a frame
_PING, _PONG = 10, 6  # bytes of these frames
_ID = 45  # bytes that a node adds to a message: its id, and the frame's head
_DAY = 24 * 3600


@dataclass(frozen=True, slots=True)
class Demand:
    """What is asked of a cluster at its peak. Rates are per second.

    Attributes:
        users: connected at once.
        tabs: connections of each, on different nodes at worst.
        accounts: users that ever get an event: their streams' positions are kept for good.
        admins: admin connections.
        rate: messages to single users.
        batched: share of them that come in batches.
        videos: transcodes that end.
        updates: progress messages of each.
        broadcasts: messages to everybody.
        message: bytes of one.
        session: s that a connection lasts.
        return_time: s within which everybody comes back after all were cut off.
        heartbeat: s between two pings.
        history_length, history_ttl: as the settings of the same names.
    """

    users: float
    tabs: float
    accounts: float
    admins: float
    rate: float
    batched: float
    videos: float
    updates: float
    broadcasts: float
    message: float
    session: float
    return_time: float
    heartbeat: float
    history_length: float
    history_ttl: float

    @property
    def connections(self) -> float:
        return self.users * self.tabs + self.admins


@dataclass(frozen=True, slots=True)
class Supply:
    """What there is. Memory in bytes, networks in bytes per second.

    Attributes:
        busy: share of a core, and of a network, that may be used at the peak.
        node_connections: at most, for what is lost with one node, and what comes back at once.
        node_memory, redis_memory: at most used.
    """

    busy: float
    node_connections: float
    node_memory: float
    redis_memory: float
    redis_network: float


@dataclass(frozen=True, slots=True)
class Limit:
    """A resource of Redis.

    Attributes:
        used, available: in ``unit``.
        cause: of what most of it is made.
    """

    name: str
    used: float
    available: float
    unit: str
    cause: str

    @property
    def share(self) -> float:
        return self.used / self.available


@dataclass(frozen=True, slots=True)
class Cluster:
    """What a demand needs.

    Attributes:
        nodes_for: how many nodes each reason asks for; the most of them, and the spare, are ``nodes``.
        node_cores: of all nodes together in steady work; ``storm_cores`` while everybody comes back.
        node_bytes: of memory, each.
        broadcast_seconds: that a node takes to write a broadcast to all its connections.
        egress: bytes per second that all nodes send in steady work; ``broadcast_bytes`` that one broadcast makes.
        parts: what uses Redis, by activity: shares of a core in steady work.
        memory_parts: bytes of Redis, by what they are.
        limits: of Redis, the tightest first.
    """

    nodes: int
    nodes_for: dict[str, int]
    routers: int
    node_cores: float
    storm_cores: float
    router_cores: float
    node_bytes: float
    broadcast_seconds: float
    egress: float
    broadcast_bytes: float
    commands: float
    parts: dict[str, float]
    memory_parts: dict[str, float]
    limits: tuple[Limit, ...]

    @property
    def first(self) -> Limit:
        """What breaks first."""
        return self.limits[0]

    @property
    def fits(self) -> bool:
        return self.first.share <= 1


def plan(demand: Demand, supply: Supply, costs: UnitCosts) -> Cluster:
    """Return the cluster that this demand needs."""
    steady = _steady(demand, costs)
    steady_cost = _sum(steady)
    storm = costs.connect * (demand.connections / demand.return_time)
    per_node = _per_node(demand, costs)
    nodes_for = _nodes_for(demand, supply, costs, steady_cost.node + storm.node, per_node.node)
    nodes = max(FEWEST, max(nodes_for.values()) + SPARE)
    with_nodes = {**steady, "nodes and what they all hear": per_node * nodes}
    total = _sum(with_nodes)
    memory = _redis_memory(demand, costs)
    router_cores = total.router / 1e6
    return Cluster(
        nodes=nodes,
        nodes_for=nodes_for,
        routers=max(FEWEST, math.ceil(router_cores / supply.busy)),
        node_cores=total.node / 1e6,
        storm_cores=(total + storm).node / 1e6,
        router_cores=router_cores,
        node_bytes=costs.memory.node + demand.connections / nodes * costs.memory.node_connection,
        broadcast_seconds=demand.connections / nodes * costs.delivery.node / 1e6,
        egress=_egress(demand),
        broadcast_bytes=demand.connections * _on_the_wire(demand.message),
        commands=total.commands,
        parts={name: cost.redis / 1e6 for name, cost in with_nodes.items()},
        memory_parts=memory,
        limits=_limits(supply, with_nodes, storm, memory),
    )


def _sum(costs: dict[str, Cost]) -> Cost:
    total = Cost()
    for cost in costs.values():
        total = total + cost
    return total


def _steady(demand: Demand, costs: UnitCosts) -> dict[str, Cost]:
    """Return what a second of steady work costs by activity, but for what every node adds."""
    connections, connects = demand.connections, demand.connections / demand.session
    larger = demand.message - costs.message_bytes
    # The end of a transcode is an event for its owner and one for the admins.
    alone = demand.rate * (1 - demand.batched) + demand.videos
    progress = demand.videos * demand.updates
    return {
        "connects and leaves": (costs.connect + costs.leave) * connects,
        "heartbeats": costs.heartbeat * (connections / demand.heartbeat),
        "comparisons of tops": costs.compare * (connections / COMPARED_EVERY),
        "messages to one user": _to_nodes(costs.personal, demand.tabs, larger) * alone,
        "the same in batches": _to_nodes(costs.batched, demand.tabs, larger) * (demand.rate * demand.batched),
        "progress": costs.progress * progress + Cost(node=costs.delivery.node * progress * max(demand.admins - 1, 0)),
        "broadcasts and messages to admins": costs.broadcast * (demand.broadcasts + demand.videos)
        + costs.delivery * (demand.broadcasts * connections + demand.videos * demand.admins),
        "the cluster itself": costs.cluster,
    }


def _to_nodes(cost: Cost, nodes: float, larger: float) -> Cost:
    """Return the cost of a message to a user on several nodes, larger than the measured one by some bytes."""
    return Cost(
        cost.node * nodes, cost.router, cost.redis, cost.commands, cost.received + larger, cost.sent + larger * nodes
    )


def _per_node(demand: Demand, costs: UnitCosts) -> Cost:
    """Return what each node costs per second: to be there, and to hear what all nodes hear."""
    heard = demand.broadcasts + demand.videos
    larger = Cost(sent=demand.message - costs.message_bytes)
    return costs.idle_node + (costs.broadcast_node + larger) * heard


def _nodes_for(demand: Demand, supply: Supply, costs: UnitCosts, work: float, per_node: float) -> dict[str, int]:
    room = supply.busy * 1e6 - per_node
    memory = (supply.node_memory - costs.memory.node) / costs.memory.node_connection
    if room <= 0 or memory < 1:
        raise ValueError("a node is busy with itself: it has no room for connections")
    return {
        "CPU": math.ceil(work / room),
        "memory": math.ceil(demand.connections / memory),
        "connections": math.ceil(demand.connections / supply.node_connections),
    }


def key_bytes(costs: UnitCosts, *, batched: bool = False) -> float:
    """Return what a message per second takes of Redis's memory for its key, once a day of them is remembered."""
    memory = costs.memory
    return (memory.redis_operation + (0 if batched else memory.redis_claim)) * KEY_SECONDS


def _redis_memory(demand: Demand, costs: UnitCosts) -> dict[str, float]:
    """Return what Redis keeps, in bytes."""
    memory = costs.memory
    rate = demand.rate + demand.videos
    keyed_alone = demand.rate * (1 - demand.batched) + demand.videos * (1 + demand.updates) + demand.broadcasts
    keys = keyed_alone * key_bytes(costs) + demand.rate * demand.batched * key_bytes(costs, batched=True)
    return {
        "who is connected where": demand.users * demand.tabs * memory.redis_user,
        "positions of all accounts": demand.accounts * memory.redis_known_user,
        "history": _history(rate, demand, costs),
        "idempotency keys of a day": keys,
        "transcodes of a day": demand.videos * ENDED_SECONDS * memory.redis_state,
    }


def _history(rate: float, demand: Demand, costs: UnitCosts) -> float:
    """Return what users' streams take.

    A stream lives for the history's TTL after its last event. With messages at random, a user has one with probability
    1 - exp(-x), x being the events that it gets in that time; and e^x of them are in it on average, at most as many as
    are kept.
    """
    expected = rate * demand.history_ttl / max(demand.users, 1)
    alive = demand.users * (1 - math.exp(-expected))
    events = min(math.exp(min(expected, 50)), demand.history_length)
    larger = max(demand.message - costs.message_bytes, -costs.memory.redis_event / 2)
    return alive * (costs.memory.redis_stream + (events - 1) * (costs.memory.redis_event + larger))


def _egress(demand: Demand) -> float:
    personal = (demand.rate + demand.videos) * demand.tabs
    progress = demand.videos * demand.updates * (demand.tabs + demand.admins)
    pongs = demand.connections / demand.heartbeat * (_PONG + _PACKET)
    broadcasts = demand.broadcasts * demand.connections
    return (personal + progress + broadcasts) * _on_the_wire(demand.message) + pongs


def _on_the_wire(message: float) -> float:
    return message + _ID + _PACKET


def _limits(supply: Supply, steady: dict[str, Cost], storm: Cost, memory: dict[str, float]) -> tuple[Limit, ...]:
    total = _sum(steady)
    parts = {name: cost.redis for name, cost in steady.items()}
    sending = {name: cost.sent for name, cost in steady.items()}
    core, network = supply.busy, supply.redis_network * supply.busy
    limits = (
        Limit("Redis's core", total.redis / 1e6, core, "cores", _largest(parts)),
        Limit(
            "Redis's core while everybody comes back",
            (total + storm).redis / 1e6,
            # For minutes, and not for long: it may be used up, nearly.
            max(core, 0.9),
            "cores",
            _largest({**parts, "connects of all at once": storm.redis}),
        ),
        Limit("Redis's memory", sum(memory.values()), supply.redis_memory, "bytes", _largest(memory)),
        Limit("Redis's network, out", total.sent, network, "bytes/s", _largest(sending)),
    )
    return tuple(sorted(limits, key=lambda limit: -limit.share))


def _largest(parts: dict[str, float]) -> str:
    return max(parts, key=lambda name: parts[name])
