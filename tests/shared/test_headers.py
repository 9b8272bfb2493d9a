"""What a request's headers say, where some are repeated."""

from __future__ import annotations

from shared.headers import by_name, header, said

ONCE = [(b"host", b"x"), (b"accept", b"a")]
TWICE = [(b"accept", b"a"), (b"host", b"x"), (b"accept", b"b"), (b"host", b"x")]


def test_headers_are_found_by_their_names() -> None:
    assert by_name(ONCE) == {b"host": b"x", b"accept": b"a"}
    assert by_name([]) == {}
    assert (header(ONCE, b"host"), header(ONCE, b"cookie")) == ("x", None)


def test_a_repeated_one_is_a_list_in_the_order_in_which_it_came() -> None:
    assert by_name(TWICE)[b"accept"] == b"a, b"
    assert header(TWICE, b"accept") == "a, b"
    assert said([*TWICE, (b"accept", b"a")], b"accept") == [b"a", b"b", b"a"]


def test_one_that_says_the_same_throughout_is_one() -> None:
    assert by_name(TWICE)[b"host"] == b"x"
    assert header(TWICE, b"host") == "x"


def test_other_bytes_than_ascii_are_kept() -> None:
    assert header([(b"x", "钥匙".encode())], b"x") == "钥匙".encode().decode("latin-1")
