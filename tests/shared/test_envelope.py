"""How a message travels on the bus."""

from __future__ import annotations

from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import envelope
from shared.envelope import Envelope, UnreadableEnvelope

FIELD = st.binary(min_size=1, max_size=12).filter(lambda field: b" " not in field and b"\n" not in field)
ENVELOPES = st.builds(Envelope, FIELD, FIELD, FIELD, FIELD, FIELD, FIELD, FIELD, st.binary(max_size=300))


def line(message: Envelope, *more: bytes) -> bytes:
    """Write an envelope as the module's table describes it, with fields of a later version after the known ones."""
    kind, stream, position, published, trace, expires, state, payload = message
    fields = [b"1", kind, b"%d" % len(payload), stream, position, published, trace, expires, state, *more]
    return b" ".join(fields) + b"\n" + payload


EVENT = Envelope(b"e", b"admin", b"17-3", b"1000", b"-", b"-", b"-", '{"type":"x","text":"你好\\n"'.encode())


@given(st.lists(ENVELOPES, max_size=5))
def test_all_envelopes_of_one_publish_are_read_in_order_whatever_bytes_they_carry(messages: list[Envelope]) -> None:
    assert list(envelope.read(b"".join(map(line, messages)))) == messages


@given(ENVELOPES, st.lists(FIELD, min_size=1, max_size=3))
def test_fields_that_a_later_version_adds_are_passed_over(message: Envelope, more: list[bytes]) -> None:
    assert list(envelope.read(line(message, *more) + line(EVENT))) == [message, EVENT]


def test_an_order_to_all_nodes_and_a_probe_carry_nothing_but_their_payload() -> None:
    (order,) = envelope.read(envelope.control(b'{"end":"7"}'))
    assert (order.kind, order.payload) == (envelope.CONTROL, b'{"end":"7"}')
    (probe,) = envelope.read(envelope.probe(b"token"))
    assert (probe.kind, probe.payload) == (envelope.PROBE, b"token")


@pytest.mark.parametrize(
    "data",
    [
        b"hello",
        b"\n",
        b"{}\n",
        b"2 e 0 admin 1-1 1 - - -\n",
        b"1 e 0 admin 1-1 1 - -\n",
        b"1 e 0 admin 1-1 1 - - -",
        b"1 e x admin 1-1 1 - - -\n",
        b"1 e  admin 1-1 1 - - -\n",
        b"1 e -26 admin 1-1 1 - - -\n",
        b"1 e 5 admin 1-1 1 - - -\nabc",
    ],
    ids=[
        "text",
        "an empty line",
        "JSON",
        "another version",
        "a field too few",
        "no end of line",
        "a length that is no number",
        "no length",
        "a length below zero",
        "a payload cut off",
    ],
)
def test_what_is_no_envelope_is_refused_and_what_came_before_it_was_read(data: bytes) -> None:
    reader = envelope.read(line(EVENT) + data)
    assert next(reader) == EVENT
    with pytest.raises(UnreadableEnvelope):
        list(islice(reader, 3))
