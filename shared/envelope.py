r"""How a message travels on the bus.

One publish carries one or more envelopes, back to back; each is a line of fields and the bytes it announces:

    <version> <kind> <length> <stream> <position> <published_at> <traceparent> <expires_at> <state>\n<payload>

========== ===========================================================================================
version    ``1``. Fields are only ever added at the line's end, so a reader takes those it knows.
kind       ``e`` event, ``s`` state, ``c`` control, ``p`` probe
length     bytes of the payload
stream     the audience: ``admin``, ``all`` or ``u.…``; ``-`` for control and probe
position   of an event its place in the stream, of a state its revision: ``<epoch>-<n>``
published  µs since the Unix epoch, the router's clock
trace      W3C ``traceparent``, or ``-``
expires_at ms since the Unix epoch, or ``-``
state      ``<video_id>@<revision>`` that this message set, or ``-``
payload    of events and states: the JSON object without its closing brace, so that a node appends the id
========== ===========================================================================================

The script that publishes writes it (``lua/publish.lua``): text, so that
``redis-cli subscribe`` shows what goes on, and nothing on the way has to be parsed as JSON.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

VERSION = b"1"
EVENT, STATE, CONTROL, PROBE = b"e", b"s", b"c", b"p"
NONE = b"-"


class Envelope(NamedTuple):
    kind: bytes
    stream: bytes
    position: bytes
    published_at: bytes
    traceparent: bytes
    expires_at: bytes
    state: bytes
    payload: bytes


class UnreadableEnvelope(ValueError):
    """Bytes on one of our channels that are not an envelope of a known version."""


def read(data: bytes) -> Iterator[Envelope]:
    """Yield the envelopes of one publish.

    Raises:
        UnreadableEnvelope: what comes next is not an envelope; those before it were.
    """
    start = 0
    while start < len(data):
        line_end = data.find(b"\n", start)
        fields = data[start:line_end].split(b" ")
        readable = line_end >= 0 and len(fields) >= 9 and fields[0] == VERSION and fields[2].isdigit()
        end = line_end + 1 + int(fields[2]) if readable else 0
        if not readable or end > len(data):
            version = fields[0].decode() if fields[0].isdigit() else "?"  # and no more of it: it is somebody's message
            raise UnreadableEnvelope(f"no envelope of version {VERSION.decode()}: version {version[:9]}, byte {start}")
        # As Envelope(…), at half its cost: a node makes one per message.
        yield tuple.__new__(Envelope, (fields[1], *fields[3:9], data[line_end + 1 : end]))
        start = end


def control(payload: bytes, traceparent: str = "") -> bytes:
    """Return the envelope of a command to all nodes."""
    trace = traceparent.encode() or NONE
    return b"%s c %d - - - %s - -\n%s" % (VERSION, len(payload), trace, payload)


def probe(token: bytes) -> bytes:
    """Return an envelope that a node sends to itself to learn whether it still hears."""
    return b"%s p %d - - - - - -\n%s" % (VERSION, len(token), token)
