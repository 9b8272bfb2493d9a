"""What a frame says, read once however many clients it was written to, and the time that it carries.

A message of ours carries the time at which its producer called the SDK, µs since the Unix epoch: a field ``sent`` of a
custom message, and the end of a text of a typed one, which may have no other fields.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Any, NamedTuple

from loadtests.swarm.streams import number_of, stream_of

FIELD = "sent"
_MARK = " @"
_STAMP = re.compile(rf'(?:"{FIELD}":|{_MARK})(\d{{16}})')

# How a node calls what it says of itself; everything else is somebody's message.
NODES_OWN = frozenset({"connected", "stats", "error", "reconnect", "refreshed", "resync"})


class Heard(NamedTuple):
    """A message as it was heard.

    Attributes:
        stream: empty for a state, which has no position.
        sent: µs since the Unix epoch by its producer's clock; 0 if it is none of ours.
    """

    kind: str
    message: dict[str, Any]
    id: str
    stream: str
    n: int
    sent: int


def stamped(text: str, sent: int) -> str:
    return f"{text}{_MARK}{sent}"


# A broadcast comes to all clients of this process within moments: a few hundred texts are enough to read each once.
@lru_cache(maxsize=256)
def read(text: str) -> Heard:
    """Read a text frame; the message is shared by all who hear it and may not be changed."""
    message = json.loads(text)
    kind = str(message["type"])
    event_id = "" if kind in NODES_OWN else str(message.get("id", ""))
    stamp = _STAMP.search(text)
    return Heard(
        kind,
        message,
        event_id,
        stream_of(event_id) if event_id else "",
        number_of(event_id) if event_id else 0,
        int(stamp[1]) if stamp else 0,
    )
