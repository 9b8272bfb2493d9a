"""What is published: a message for streams, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from router.operations import Operation, Origin
from shared.messages import Message


@dataclass(slots=True, eq=False)  # not a named tuple: its fields are asked for by name, a dozen times per message
class Target:
    """One audience's stream.

    Attributes:
        where: the user id, or the shared stream's channel.
        history: the stream's key.
        label: its name in an answer's ``ids``.
        shared: the stream's name if many hear it; empty for a user's.
    """

    tag: str
    stream: str
    where: str
    history: str
    state_channel: str
    label: str
    shared: str = ""


@dataclass(slots=True)
class Order:
    """A message, the streams it goes to, and what the answer needs.

    Attributes:
        owner: the one user whom a transcode is about; empty if there is none.
        name: tells the operation's orders apart; the same in every repetition, without spaces and colons.
    """

    message: Message
    targets: Sequence[Target]
    operation: Operation
    origin: Origin
    owner: str = ""
    name: str = "0"


@dataclass(slots=True)
class Outcome:
    """What became of an order.

    Attributes:
        ids: the event's id in each audience's stream, by the audience's label; none for a state.
        nodes: how many distinct nodes it was published to; of a shared stream, all live ones.
        online: whether anybody of the audience is connected.
    """

    ids: dict[str, str]
    nodes: int
    online: bool
