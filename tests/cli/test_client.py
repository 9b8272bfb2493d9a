"""The client's rules, without a socket."""

import pytest
from videosite_realtime_cli.client import Backoff, Client, Then


@pytest.fixture
def client():
    return Client(backoff=Backoff(first=1, cap=8, jitter=lambda: 1.0))


def test_a_new_client_asks_for_nothing_missed(client):
    assert client.since is None


def test_the_cursor_is_the_first_since(client, connected):
    client.received(connected("u.Nw.1-4,all.1-9"))
    assert client.since == "u.Nw.1-4,all.1-9"


def test_a_newer_id_replaces_that_of_its_stream_alone(client, connected, frame):
    client.received(connected("u.Nw.1-4,all.1-9"))
    client.received(frame("system_message", id="all.1-10"))
    assert client.since == "u.Nw.1-4,all.1-10"


def test_what_was_seen_is_dropped(client, connected, frame):
    client.received(connected("u.Nw.1-4"))
    assert client.received(frame("x", id="u.Nw.1-5")) is not None
    assert client.received(frame("x", id="u.Nw.1-5")) is None
    assert client.received(frame("x", id="u.Nw.1-4")) is None
    assert client.received(frame("x", id="u.Nw.1-10")) is not None, "positions are numbers, not text"
    assert client.received(frame("x", id="u.Nw.2-1")) is not None, "a later epoch comes after all of an earlier one"
    assert client.received(frame("x", id="u.Nw.1-99")) is None


def test_state_has_no_id_and_always_passes(client, frame):
    text = frame("transcode_progress", video_id=1, progress=1)
    assert client.received(text) is not None
    assert client.received(text) is not None


def test_an_id_that_is_none_of_ours_does_not_hide_the_message(client, frame):
    for strange in ("", "abc", 7, None, "u.Nw.1-", ".1-1x"):
        assert client.received(frame("x", id=strange)) is not None
    assert client.since is None


def test_since_from_outside_is_kept_until_the_node_gives_a_cursor(frame, connected):
    client = Client(since=["u.Nw.1-4", "nonsense"])
    assert client.since == "u.Nw.1-4"
    client.received(connected("u.Nw.3-0,all.3-7", recovered=False))
    assert client.since == "u.Nw.3-0,all.3-7"


def test_a_resync_moves_the_position(client, connected, frame):
    client.received(connected("u.Nw.1-4"))
    assert client.received(frame("resync", cursor="u.Nw.1-90")) is not None
    assert client.since == "u.Nw.1-90"


def test_a_pong_is_not_shown(client):
    assert client.received("pong") is None


@pytest.mark.parametrize("text", ["", "nonsense", "[1]", "7", '{"type":', "[" * 100_000])
def test_what_is_no_object_is_shown_as_it_came(client, text):
    frame = client.received(text)
    assert frame is not None
    assert (frame.text, frame.message) == (text, {})


def test_an_unanswered_ping_means_that_the_connection_is_dead(client):
    assert client.beat()
    assert not client.beat()


def test_any_frame_answers_a_ping(client, frame):
    assert client.beat()
    client.received(frame("x"))
    assert client.beat()


def test_a_new_connection_owes_no_pong(client):
    client.beat()
    client.opened()
    assert client.beat()


def test_the_node_sets_the_heartbeat(client, connected):
    client.received(connected(heartbeat_interval_ms=12_000))
    assert client.heartbeat_interval == 12
    for nonsense in (None, "1", True, -1, 0):
        client.received(connected(heartbeat_interval_ms=nonsense))
        assert client.heartbeat_interval == 30


@pytest.mark.parametrize("code", [1002, 1003, 1007, 1009, 4403])
def test_some_closes_are_final(client, code):
    verdict = client.closed(code, renewable=True)
    assert verdict.then is Then.STOP
    assert str(code) in verdict.why


@pytest.mark.parametrize("code", [1000, 1001, 1006, 1011, 1012, 1013, 4408, 4429, 4999])
def test_after_the_others_it_comes_back(client, code):
    assert client.closed(code).then is Then.RETRY


def test_a_refused_token_is_replaced_once(client):
    assert client.closed(4401, renewable=True).then is Then.RETRY_WITH_NEW_TOKEN
    assert client.closed(4401, renewable=True).then is Then.STOP


def test_a_token_that_was_good_for_a_while_may_be_replaced_again(client, connected):
    assert client.closed(4401, renewable=True).then is Then.RETRY_WITH_NEW_TOKEN
    client.received(connected())
    assert client.closed(4401, renewable=True).then is Then.RETRY_WITH_NEW_TOKEN


def test_a_given_token_that_is_refused_is_the_end(client):
    assert client.closed(4401, renewable=False).then is Then.STOP


def test_the_reason_the_node_gave_is_told(client):
    assert client.closed(4401, "token expired").why == "4401 token expired"
    assert "blocked" in client.closed(4403).why


def test_waits_double_up_to_the_cap(client):
    assert [client.closed(1006).after for _ in range(6)] == [1, 2, 4, 8, 8, 8]


def test_waits_are_jittered_between_half_and_the_whole():
    assert Backoff(first=1, jitter=lambda: 0.0).wait(0) == 0.5
    assert 0.5 <= Backoff(first=1).wait(0) <= 1


def test_any_number_of_attempts_can_be_waited_for():
    assert Backoff(first=1, cap=8, jitter=lambda: 1.0).wait(100_000) == 8


def test_being_accepted_alone_does_not_reset_the_waits(client, connected):
    client.closed(1013)
    client.opened()
    client.received(connected())
    assert client.closed(1013).after == 2


def test_an_answered_heartbeat_resets_the_waits(client):
    client.closed(1006)
    client.closed(1006)
    client.opened()
    client.beat()
    client.received("pong")
    assert client.closed(1006).after == 1


@pytest.mark.parametrize("code", [1012, 1013])
def test_a_wait_the_node_asked_for_is_kept_exactly_and_once(client, frame, code):
    assert client.received(frame("reconnect", retry_after_ms=1700)) is not None
    assert client.closed(code).after == 1.7
    assert client.closed(code).after == 1


@pytest.mark.parametrize("nonsense", [None, "soon", -1, True, float("nan")])
def test_a_wait_that_is_none_is_not_kept(client, frame, nonsense):
    client.received(frame("reconnect", retry_after_ms=nonsense))
    assert client.closed(1012).after == 1


def test_nobody_waits_for_a_year(client, frame):
    client.received(frame("reconnect", retry_after_ms=1e15))
    assert client.closed(1012).after == 300


def test_http_errors_that_last_are_final(client):
    assert client.refused(404).then is Then.STOP
    assert client.refused(403).then is Then.STOP
    assert client.refused(429).then is Then.RETRY
    assert client.refused(503).then is Then.RETRY


def test_without_a_connection_it_tries_again(client):
    verdict = client.unreachable("cannot reach it")
    assert (verdict.then, verdict.after) == (Then.RETRY, 1)
