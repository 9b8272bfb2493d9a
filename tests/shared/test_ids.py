"""Names of users, streams and events."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import InvalidUserId
from shared.ids import ADMIN, ALL, Position, event_id, json_user_id, parse_event_id, user_id, user_stream

USER_IDS = st.from_regex(r"[A-Za-z0-9_:@-]{1,128}", fullmatch=True)
NUMBERS = st.integers(0, 10**15 - 1)


@pytest.mark.parametrize("name", ["7", "alice", "a" * 128, "team:alice@example-1_x", "-", "007"])
def test_a_string_of_allowed_characters_is_a_user_id_as_it_stands(name: str) -> None:
    assert user_id(name) == name


@pytest.mark.parametrize(("number", "text"), [(7, "7"), (0, "0"), (-5, "-5"), (2**70, str(2**70))])
def test_an_integer_means_its_decimal_form(number: int, text: str) -> None:
    assert user_id(number) == text


@pytest.mark.parametrize(
    "value",
    ["", "a" * 129, "a b", "a.b", "a=b", "a/b", "用户", "é", "a\n", "\na", "a\0", None, True, False, 1.0, [], {}, b"a"],
)
def test_anything_else_is_no_user_id(value: object) -> None:
    with pytest.raises(InvalidUserId) as caught:
        user_id(value)
    assert "user id" in str(caught.value)


@pytest.mark.parametrize(
    ("user", "shown"),
    [
        ("7", 7),
        ("0", 0),
        (str(2**53 - 1), 2**53 - 1),
        (str(2**53), str(2**53)),
        ("007", "007"),
        ("-0", "-0"),
        ("1_000", "1_000"),
        ("alice", "alice"),
        ("9" * 128, "9" * 128),
    ],
)
def test_browsers_see_canonical_decimals_below_2_to_the_53_as_integers(user: str, shown: int | str) -> None:
    assert json_user_id(user) == shown
    assert type(json_user_id(user)) is type(shown)


def test_a_users_stream_is_the_base64url_of_its_id_without_padding() -> None:
    assert user_stream("7") == "u.Nw"
    assert user_stream("a:b") == "u.YTpi"


@given(USER_IDS, USER_IDS)
def test_two_users_share_a_stream_only_if_they_are_one(one: str, other: str) -> None:
    assert (user_stream(one) == user_stream(other)) == (one == other)


@given(USER_IDS.map(user_stream) | st.sampled_from([ADMIN, ALL]), NUMBERS, NUMBERS)
def test_an_event_id_can_be_read_back(stream: str, epoch: int, n: int) -> None:
    text = event_id(stream, Position(epoch, n))
    assert parse_event_id(text) == (stream, Position(epoch, n))
    assert text == f"{stream}.{Position(epoch, n)}"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "admin",
        "admin.",
        "admin.1",
        "admin.1-",
        "admin.-1",
        "admin.1-2-3",
        "admin.1-2 ",
        "admin.1-2\n",
        " admin.1-2",
        "admin.01-2",
        "admin.1-02",
        "admin.-1-2",
        "admin.+1-2",
        "admin.1-1e3",
        "admin.1-" + "9" * 16,
        "admin.１-2",
        "root.1-2",
        "u.1-2",
        "u..1-2",
        "u.N=.1-2",
        "u." + "A" * 173 + ".1-2",
        "ADMIN.1-2",
        "admin.1-2,all.1-2",
    ],
)
def test_what_is_no_event_id_is_read_as_none(text: str) -> None:
    assert parse_event_id(text) is None


def test_positions_are_ordered_by_epoch_and_then_by_number() -> None:
    assert sorted([Position(2, 1), Position(1, 9), Position(1, 10)]) == [
        Position(1, 9),
        Position(1, 10),
        Position(2, 1),
    ]


@pytest.mark.parametrize("text", ["1732400000-12", b"1732400000-12"])
def test_a_position_is_read_from_text_and_from_bytes(text: str | bytes) -> None:
    assert Position.parse(text) == Position(1732400000, 12)


@pytest.mark.parametrize("text", ["", "1", "1-", "-1", "a-b", b"1-x"])
def test_a_position_that_is_none_is_refused(text: str | bytes) -> None:
    with pytest.raises(ValueError, match="int"):
        Position.parse(text)
