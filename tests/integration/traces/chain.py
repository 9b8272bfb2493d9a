"""What a trace has to look like from a call to the sockets."""

from __future__ import annotations

from tests.support.collector import Trace, is_child, is_linked

POST = "POST /api/v1/messages"


NOTIFY = "POST /api/v1/notifications"


PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def ours(span, name: str):
    return span.attributes.get(f"vsrt.{name}")


def check_chain(trace: Trace, call: str, send: str, *processes: str) -> None:
    """Assert that a trace is one call, its publish, and what nodes made of it: parents, links, kinds, statuses."""
    server, producer = trace.one(call), trace.one(send)
    assert (server.kind, server.service) == ("server", "vsrt-router")
    assert (producer.kind, producer.service) == ("producer", "vsrt-router")
    assert is_child(producer, server)
    consumers = trace.named(*processes)
    assert len(consumers) == len(processes)
    for consumer in consumers:
        assert (consumer.kind, consumer.service) == ("consumer", "vsrt-node")
        assert is_child(consumer, producer)
        assert is_linked(consumer, producer)
        assert [event.name for event in consumer.events] == ["deliver"]
        assert consumer.events[0].at_ns == consumer.end_ns
        assert producer.start_ns <= consumer.start_ns <= consumer.end_ns
        assert ours(consumer, "source") == "bus"
        assert (ours(consumer, "sockets.failed"), ours(consumer, "sockets.behind")) == (0, 0)
    assert {span.status for span in trace} == {"unset"}
