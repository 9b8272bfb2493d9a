"""Which positions a client may resume from, as its handshake reads them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.cursors import SINCE_MAX_BYTES, positions_in
from shared.ids import Position, event_id, user_stream

OWN = {"u.Nw", "all"}


@pytest.mark.parametrize("since", ["u.Nw.1-2,all.3-4", "all.3-4,u.Nw.1-2"])
def test_one_id_for_each_stream_is_read_in_any_order(since: str) -> None:
    assert positions_in(since, OWN) == {"u.Nw": Position(1, 2), "all": Position(3, 4)}


def test_the_birth_of_a_stream_is_a_position() -> None:
    assert positions_in("u.Nw.1-0,all.1-0", OWN) == {"u.Nw": Position(1, 0), "all": Position(1, 0)}


@pytest.mark.parametrize(
    "since",
    [
        "",
        ",",
        "u.Nw.1-2",
        "all.3-4",
        "u.Nw.1-2,all.3-4,",
        ",u.Nw.1-2,all.3-4",
        "u.Nw.1-2,all.3-4,admin.1-1",
        "u.OA.1-2,all.3-4",
        "admin.1-2,all.3-4",
        "u.Nw.1-2,u.Nw.1-2,all.3-4",
        "u.Nw.1-2,all.3-4,all.3-4",
        "u.Nw.1-2, all.3-4",
        "u.Nw.1-2;all.3-4",
        "u.Nw.1-2,all.3",
        "u.Nw.-1-2,all.3-4",
        "u.Nw.1-2,all.3-" + "9" * 20,
        "u.Nw.1-2,all.3-4" + "x" * 600,
        "你好",
        "\0",
        "\ufffd",
    ],
)
def test_foreign_repeated_missing_and_malformed_names_are_refused_as_a_whole(since: str) -> None:
    assert positions_in(since, OWN) is None


def test_the_longest_user_id_leaves_room_for_its_position() -> None:
    stream = user_stream("a" * 128)
    since = f"{event_id(stream, Position(10**15 - 1, 10**15 - 1))},{event_id('all', Position(10**15 - 1, 10**15 - 1))}"
    assert len(since) <= SINCE_MAX_BYTES == 512
    assert positions_in(since, {stream, "all"}) is not None


def test_since_is_limited_in_bytes_and_not_in_characters() -> None:
    assert positions_in("你" * 200, OWN) is None


@given(st.text(max_size=40) | st.from_regex(r"[ual.Nw0-9,-]{0,30}", fullmatch=True))
def test_no_text_at_all_breaks_the_reader_or_names_another_stream(since: str) -> None:
    found = positions_in(since, OWN)
    assert found is None or found.keys() == OWN
