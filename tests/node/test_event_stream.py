"""One client's event stream: what a session writes, as chunks of Server-Sent Events."""

from __future__ import annotations

import json

import pytest

from node.catch_up import CatchUp
from node.event_stream import BEAT, EventStream
from node.frames import text_frame, text_of
from node.session import Phase
from shared.auth import Principal
from shared.close_codes import CloseCode
from shared.ids import Position
from tests.node.fakes import Counters, Host, MemoryHistory, Tasks, Transport, make_feed
from tests.shared.redis_server import until

TOP = Position(1, 5)


def make_stream(host: Host) -> tuple[EventStream, Transport]:
    transport = Transport()
    stream = EventStream(host, transport, is_admin=False)  # type: ignore[arg-type]
    transport.session = stream
    stream.identify(Principal("7", "alice", is_admin=False, expires_at=2_000_000_000.0))
    return stream, transport


def live(host: Host) -> tuple[EventStream, Transport]:
    stream, transport = make_stream(host)
    feed = make_feed(MemoryHistory(), Tasks(), Counters())
    feed.open(TOP)
    feed.add(stream)
    stream.welcome(text_frame(b'{"type":"connected"}'), (feed,), [TOP])
    stream.go_live()
    return stream, transport


def body(transport: Transport) -> str:
    """Return what the chunks hold; the last one, of no bytes, ends the answer."""
    data, text = b"".join(transport.written), b""
    while data:
        size, _, data = data.partition(b"\r\n")
        text, data = text + data[: int(size, 16)], data[int(size, 16) :]
        assert data.startswith(b"\r\n")
        data = data[2:]
        if int(size, 16) == 0:
            assert data == b""
            return f"{text.decode()}<end>"
    return text.decode()


@pytest.mark.parametrize("size", [0, 125, 126, 65535, 65536])
def test_a_frame_gives_back_its_text(size: int) -> None:
    assert text_of(text_frame(b"x" * size)) == b"x" * size


def test_the_first_event_says_when_to_come_back_and_where_it_stands(host: Host) -> None:
    _, transport = live(host)
    assert body(transport) == 'retry: 3000\nid: u.Nw.1-5\ndata: {"type":"connected"}\n\n'


def test_an_event_brings_the_place_it_leads_to_and_a_state_the_one_where_it_was(host: Host) -> None:
    stream, transport = live(host)
    (feed,) = stream.feeds
    transport.written.clear()
    feed.hear(Position(1, 6), b'{"type":"x"', None)
    feed.hear_state(1, Position(1, 1), b'{"type":"transcode_progress"', 1e12)
    assert body(transport) == (
        'id: u.Nw.1-6\ndata: {"type":"x","id":"u.Nw.1-6"}\n\nid: u.Nw.1-6\ndata: {"type":"transcode_progress"}\n\n'
    )


async def test_catching_up_tells_at_each_event_how_far_it_is(host: Host) -> None:
    history, tasks = MemoryHistory(), Tasks()
    for _ in range(3):
        history.append(b'{"type":"x"')
    stream, transport = make_stream(host)
    feed = make_feed(history, tasks, Counters())
    feed.open(history.newest)
    feed.add(stream)
    stream.welcome(text_frame(b"{}"), (feed,), [Position(1, 0)])
    catch_up = CatchUp()
    catch_up.start(stream)
    await until(lambda: stream.live)
    events = [event.split("\n") for event in body(transport).split("\n\n")[1:] if event]
    assert [(event[0], json.loads(event[1][6:])["id"]) for event in events] == [
        (f"id: u.Nw.1-{n}", f"u.Nw.1-{n}") for n in (1, 2, 3)
    ]


def test_what_was_lost_for_good_moves_its_place(host: Host) -> None:
    stream, transport = live(host)
    (feed,) = stream.feeds
    transport.written.clear()
    feed._resync(Position(1, 9))
    assert body(transport) == 'id: u.Nw.1-9\ndata: {"type":"resync","cursor":"u.Nw.1-9"}\n\n'


def test_a_close_is_an_event_and_the_end(host: Host) -> None:
    stream, transport = live(host)
    transport.written.clear()
    stream.close(CloseCode.UNAUTHENTICATED, "token expired")
    stream.close(CloseCode.FORBIDDEN, "again")
    assert body(transport) == 'event: close\ndata: {"code":4401,"reason":"token expired"}\n\n<end>'
    assert transport.closing
    assert host.closing_calls == [(stream, 4401)]


def test_who_is_sent_away_is_told_when_to_come_back(host: Host) -> None:
    stream, transport = live(host)
    transport.written.clear()
    stream.send_away(CloseCode.SERVICE_RESTART, "this node leaves", 1234)
    told, close, end = body(transport).split("\n\n")
    assert told == 'retry: 1234\ndata: {"type":"reconnect","retry_after_ms":1234}'
    assert close.startswith('event: close\ndata: {"code":1012')
    assert end == "<end>"


def test_before_the_head_is_out_nothing_is_written(host: Host) -> None:
    stream, transport = make_stream(host)
    stream.send_away(CloseCode.TRY_AGAIN_LATER, "this node is full", 1234)
    assert transport.written == []
    assert not transport.closing
    assert (stream.phase, stream.close_code, stream.reason) == (Phase.CLOSING, 1013, "this node is full")
    assert stream.retry_after_ms == 1234


def test_a_comment_comes_only_after_a_silence(host: Host) -> None:
    stream, transport = live(host)
    transport.written.clear()
    stream.beat(host.time + BEAT - 1)
    assert transport.written == []
    stream.beat(host.time + BEAT)
    stream.beat(host.time + BEAT + 1)
    assert body(transport) == ":\n\n"
    host.time += BEAT
    stream.feeds[0].hear(Position(1, 6), b'{"type":"x"', None)
    transport.written.clear()
    stream.beat(host.time + 1)
    assert transport.written == []


def test_a_slow_reader_falls_behind_like_a_socket(host: Host) -> None:
    stream, transport = live(host)
    (feed,) = stream.feeds
    transport.stall()
    feed.hear(Position(1, 6), b'{"type":"x"', None)
    feed.hear(Position(1, 7), b'{"type":"x"', None)
    assert (stream.phase, stream.cursors, len(transport.buffered)) == (Phase.CATCHING_UP, [Position(1, 6)], 1)
    transport.drain()
    assert host.behind_calls == [stream]


def test_what_the_client_sends_is_not_looked_at(host: Host) -> None:
    stream, transport = live(host)
    transport.written.clear()
    stream.data_received(b"GET / HTTP/1.1\r\n\r\n")
    assert transport.written == []
    assert host.commands_left == 10**9
