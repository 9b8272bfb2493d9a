"""What an entry of the queue stands for, and how a bad one is refused."""

from __future__ import annotations

import pytest

from router.planning import explain
from router.queue_entry import Entry, call_of, operation_for
from shared.errors import InvalidMessage

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def entry(*, id: str = "1795475748123-4", **fields: str | bytes) -> Entry:
    words = [word.encode() if isinstance(word, str) else word for field in fields.items() for word in field]
    return Entry(id, words, sum(map(len, words)))


def test_an_entry_is_the_call_that_its_producer_could_not_make() -> None:
    call = call_of(entry(kind="messages", body="{}", key="k", traceparent=TRACE))
    assert (call.path, call.body) == ("/api/v1/messages", b"{}")
    assert (call.header(b"idempotency-key"), call.header(b"traceparent")) == ("k", TRACE)
    assert call.client is None


BAD: list[tuple[dict[str, str | bytes], str]] = [
    ({}, "kind"),
    ({"body": "{}"}, "kind"),
    ({"kind": "messages"}, "body"),
    ({"kind": "messages/batch", "body": "{}"}, "kind"),
    ({"kind": b"\xff", "body": "{}"}, "kind"),
    ({"kind": "messages", "body": "{}", "Key": "k"}, "Key"),
    ({"kind": "messages", "body": "{}", "key": ""}, "key"),
    ({"kind": "messages", "body": "{}", "key": "钥匙"}, "key"),
    ({"kind": "messages", "body": "{}", "key": "x" * 256}, "key"),
    ({"kind": "messages", "body": "{}", "key": "a\nb"}, "key"),
]


@pytest.mark.parametrize(("fields", "named"), BAD)
def test_a_bad_entry_is_refused_by_the_name_of_its_field(fields: dict[str, str | bytes], named: str) -> None:
    with pytest.raises(InvalidMessage) as refused:
        call_of(entry(**fields))
    assert explain(refused.value)[0]["loc"] == ["entry", named]


def test_without_a_key_of_its_own_the_entrys_id_is_the_key() -> None:
    one, other = entry(id="5-1", kind="messages", body="{}"), entry(id="5-2", kind="messages", body="{}")
    names = {operation_for(each, call_of(each), None).name for each in (one, one, other)}
    assert len(names) == 2
    assert operation_for(one, call_of(one), None).explicit


def test_no_key_of_a_producer_is_an_entrys_id() -> None:
    by_id = entry(id="5-1", kind="messages", body="{}")
    by_key = entry(id="6-1", kind="messages", body="{}", key="5-1")
    assert operation_for(by_id, call_of(by_id), None).name != operation_for(by_key, call_of(by_key), None).name


def test_a_key_in_the_body_counts_and_the_entrys_own_before_it() -> None:
    plain, keyed = entry(kind="messages", body="{}"), entry(kind="messages", body="{}", key="mine")
    assert operation_for(plain, call_of(plain), "in the body").key == "in the body"
    assert operation_for(keyed, call_of(keyed), "in the body").key == "mine"


@pytest.mark.parametrize(
    ("id", "us"),
    [("1795475748123-0", 1795475748123000), ("1795475748123-7", 1795475748123007), ("9-5000", 9999)],
)
def test_an_entrys_id_tells_when_it_was_appended(id: str, us: int) -> None:
    assert entry(id=id).appended_us == us


def test_an_id_that_somebody_made_up_is_no_trouble() -> None:
    assert entry(id=f"{2**63}-{2**63}").appended_us == 2**53 - 1
