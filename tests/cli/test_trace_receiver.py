"""The receiver of traces beside a local cluster: what it takes, and what it keeps."""

import gzip
import zlib

import httpx
import pytest
from videosite_realtime_cli.traces.decode import BODY_MAX
from videosite_realtime_cli.traces.span import Span
from videosite_realtime_cli.traces.store import Store

from tests.cli.local_traces import PROTOBUF, message


def test_the_receiver_takes_what_is_plain_or_packed(collector, url, span):
    message(span)
    body = gzip.decompress(collector.bodies[0])  # as the exporter packed it
    for content, encoding in ((body, "identity"), (gzip.compress(body), "gzip"), (zlib.compress(body), "deflate")):
        before = len(collector.spans())
        answer = httpx.post(f"{url}/v1/traces", content=content, headers=PROTOBUF | {"content-encoding": encoding})
        assert (answer.status_code, answer.content) == (200, b"")
        assert len(collector.spans()) == before + 1


@pytest.mark.parametrize(
    ("headers", "content", "status"),
    [
        ({"content-type": "application/json"}, b"{}", 415),
        (PROTOBUF, b"\xff\xff\xff nonsense", 400),
        (PROTOBUF | {"content-encoding": "gzip"}, b"nonsense", 400),
        (PROTOBUF | {"content-encoding": "br"}, b"", 400),
        (PROTOBUF | {"content-encoding": "gzip"}, gzip.compress(bytes(BODY_MAX + 1)), 400),
        (PROTOBUF, bytes(BODY_MAX + 1), 413),
    ],
    ids=["json", "nonsense", "not gzip", "brotli", "a bomb", "too large"],
)
def test_the_receiver_refuses_what_it_cannot_read(collector, url, headers, content, status):
    assert httpx.post(f"{url}/v1/traces", content=content, headers=headers).status_code == status
    assert collector.spans() == []


def some(trace_id: str, count: int) -> list[Span]:
    return [Span(trace_id, f"{number:016x}", "", "x", "internal", 1, 2) for number in range(count)]


def test_the_oldest_traces_go_when_there_are_too_many_spans():
    store = Store(spans_max=10)
    for name in ("a", "b", "c"):
        store.add(some(name, 4))
    assert [spans[0].trace_id for spans in store.newest()] == ["c", "b"]
    assert store.dropped == 4
    store.add(some("b", 1))
    store.add(some("d", 3))
    assert [spans[0].trace_id for spans in store.newest()] == ["d", "b"], "what still goes on is not the oldest"


def test_one_endless_trace_does_not_push_out_all_others():
    store = Store(spans_max=10, spans_per_trace=4)
    store.add(some("a", 2))
    store.add(some("endless", 50))
    assert [len(spans) for spans in store.newest()] == [4, 2]
    assert store.dropped == 46
