"""Builds the arguments of one call of the publish script, for one hash tag (see ``shared/lua/publish.lua``)."""

from __future__ import annotations

from typing import Final, NamedTuple

from router.operations import Operation
from router.order import Order, Target
from shared.keys import SHARED_TAG, Keys
from shared.messages import FINAL_STATE_TTL
from shared.redis_wire import Argument

_ROOM: Final = 100  # about 1 ms of Redis: others are served in between
_WEIGHT_SHIFT: Final = 12  # each 4 KiB of a payload take the room of one more message


class Retention(NamedTuple):
    """What is kept: events per stream, and for how long, ms; bytes that may wait for the inbox's database, 0: none."""

    length: int
    length_shared: int
    history_ttl_ms: int
    state_ttl_ms: int
    archive_max_bytes: int


class ScriptCall:
    """Keys and arguments for messages of one tag.

    Args:
        deadline: ms of the server's clock after which the call must not take effect.

    Attributes:
        room: for how many messages there is room; 0 or less: the call is full.
        items: order's index, target and order of each message, as the script's reply lists them.
    """

    __slots__ = ("_count_at", "_keys", "_operation", "_retention", "args", "items", "keys", "room")

    def __init__(self, tag: str, keys: Keys, retention: Retention, deadline: int) -> None:
        shared = tag == SHARED_TAG
        self._keys, self._retention = keys, retention
        places, totals = (keys.leases, keys.totals) if shared else (keys.users(tag), keys.users(tag))
        length = retention.length_shared if shared else retention.length
        self.keys: list[str] = [keys.seq(tag), places, totals, keys.archive(tag)]
        self.args: list[Argument] = [
            deadline,
            "shared" if shared else "users",
            keys.node_channel(""),
            length,
            retention.history_ttl_ms,
            retention.archive_max_bytes,
        ]
        self.items: list[tuple[int, Target, Order]] = []
        self._operation: Operation | None = None
        self._count_at = 0
        self.room = _ROOM

    def forget_arguments(self) -> None:
        """Free what was sent: it contains payloads once per user."""
        self.keys, self.args = [], []

    def add(self, index: int, target: Target, order: Order, recorded: set[tuple[str, int]]) -> None:
        """Add a message; ``recorded`` holds the tags and operations that may have a record in Redis by then."""
        if order.operation is not self._operation:
            self._begin(target.tag, order, recorded)
        _, payload, is_event, state, expires_at = order.message
        self.args[self._count_at] += 1  # type: ignore[operator]  # a number, put there by _begin
        self.keys.append(target.history)
        self.args += (
            "e" if state is None else "b" if is_event else "s",
            order.name,
            target.stream,
            target.where,
            payload,
            "-" if expires_at is None else expires_at,
        )
        if state is not None:
            self._add_state(target, order)
        self.items.append((index, target, order))
        self.room -= 1 + (len(payload) >> _WEIGHT_SHIFT)

    def _begin(self, tag: str, order: Order, recorded: set[tuple[str, int]]) -> None:
        """Begin the messages of another operation."""
        operation, origin = order.operation, order.origin
        here = tag, id(operation)
        fresh = not operation.explicit and here not in recorded
        recorded.add(here)
        self._operation, self._count_at = operation, len(self.args)
        self.keys.append(self._keys.operation(tag, operation.name))
        self.args += (
            0,
            operation.digest,
            operation.ttl_ms,
            int(fresh),
            f"{origin.now_us} {origin.traceparent}",
        )

    def _add_state(self, target: Target, order: Order) -> None:
        state = order.message.state
        assert state is not None
        table = self._keys.states(target.tag, target.stream)
        self.keys += (table.table, table.revisions, table.expiries)
        ttl_ms = FINAL_STATE_TTL * 1000 if state.mark == "f" else self._retention.state_ttl_ms
        self.args += (target.state_channel, str(state.video_id), f"{state.stamp_us} {state.mark} {ttl_ms}", order.owner)


def results(reply: bytes) -> list[list[str]]:
    """Return status, position, online and places of each message, as the script's header describes them."""
    return [line.split(" ", 3) for line in reply.decode().split("\n")[:-1]]
