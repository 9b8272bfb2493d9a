"""Acknowledgements, without sockets: who is asked, and what is believed."""

from __future__ import annotations

import time

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanContext, TraceFlags
from websockets.frames import Frame, Opcode

from node.acks import Acknowledgements, Acks
from node.session import Session
from shared.close_codes import CloseCode
from shared.tracing import Sampling
from tests.node.fakes import Host, Transport
from tests.node.sessions import closed_with, live, text
from tests.shared.tracers import tracing_of

PROCESS = SpanContext(1 << 100, 7, is_remote=False, trace_flags=TraceFlags(1))


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def acks(exporter: InMemorySpanExporter) -> Acknowledgements:
    return Acknowledgements(tracing_of(exporter, Sampling(1 << 64, follows_parent=True)))


class AskingHost(Host):
    """A node whose sessions' words about messages are taken."""

    def __init__(self, acks: Acknowledgements) -> None:
        super().__init__()
        self._acks = acks

    def acknowledged(self, session: Session, frame) -> bool:
        return self._acks.take(session, frame)


@pytest.fixture
def asked(acks: Acknowledgements) -> tuple[Session, Transport, AskingHost]:
    """A client that was written a message a quarter of a second ago, and asked about it."""
    host = AskingHost(acks)
    session, transport = live(host)
    session.acks = Acks()
    assert acks.may_ask(session)
    acks.ask(session, PROCESS, time.time_ns() - 250_000_000)
    assert transport.texts == ["ack 1"]
    transport.written.clear()
    return session, transport, host


def test_an_answer_is_a_span_with_the_network_apart_from_what_the_browser_held(
    asked, exporter: InMemorySpanExporter
) -> None:
    session, transport, _ = asked
    session.data_received(text("ack 1 100.5"))
    (span,) = exporter.get_finished_spans()
    assert span.name == "display"
    assert span.parent is not None
    assert span.parent.span_id == PROCESS.span_id
    assert span.attributes is not None
    network, held = (span.attributes[f"vsrt.{name}.duration"] for name in ("network", "held"))
    assert held == 0.1005
    assert isinstance(network, float)
    assert network >= 0.149  # what is left of the quarter of a second, and of the test's own time
    assert span.start_time is not None
    assert span.end_time is not None
    assert span.end_time - span.start_time == pytest.approx((network / 2 + held) * 1e9, abs=1000)
    assert transport.written == []


@pytest.mark.parametrize(
    "word",
    ["ack 2 1", "ack 0 1", "ack 1", "ack 1 x", "ack 1 -1", "ack 1 1e3", "ack  1 1", "ack 1 1 ", "ack 1 nan", "ack "],
)
def test_what_was_not_asked_is_ignored_and_counted_and_the_answer_still_counts(
    asked, acks: Acknowledgements, exporter: InMemorySpanExporter, word: str
) -> None:
    session, transport, _ = asked
    session.data_received(text(word))
    assert (acks.ignored, exporter.get_finished_spans(), transport.written) == (1, (), [])
    session.data_received(text("ack 1 1"))
    assert len(exporter.get_finished_spans()) == 1


@pytest.mark.parametrize("held", ["60000", "999999"])
def test_a_time_longer_than_the_node_saw_pass_is_not_believed(
    asked, acks: Acknowledgements, exporter: InMemorySpanExporter, held: str
) -> None:
    session, _, _ = asked
    session.data_received(text(f"ack 1 {held}"))
    assert (acks.ignored, exporter.get_finished_spans()) == (1, ())


def test_an_answer_counts_once(asked, acks: Acknowledgements, exporter: InMemorySpanExporter) -> None:
    session, _, _ = asked
    session.data_received(text("ack 1 1") * 3)
    assert (acks.ignored, len(exporter.get_finished_spans())) == (2, 1)


def test_an_answer_is_no_command_and_nonsense_is(asked) -> None:
    session, transport, host = asked
    host.commands_left = 0
    session.data_received(text("ack 1 1"))
    assert transport.written == []
    session.data_received(text("ack 1 1"))
    assert closed_with(transport) == CloseCode.TOO_MANY


def test_a_client_is_asked_about_one_message_at_a_time_and_after_a_pause(asked, acks: Acknowledgements) -> None:
    session, _, _ = asked
    assert session.acks is not None
    session.acks.written_at -= 1
    assert not acks.may_ask(session), "it has not answered"
    session.data_received(text("ack 1 1"))
    assert acks.may_ask(session)
    session.acks.written_at = time.monotonic()
    assert not acks.may_ask(session), "it has just been asked"


def test_a_question_without_an_answer_is_given_up(asked, acks: Acknowledgements) -> None:
    session, transport, _ = asked
    assert session.acks is not None
    session.acks.written_at -= 61
    assert acks.may_ask(session)
    acks.ask(session, PROCESS, time.time_ns())
    assert (acks.unanswered, transport.texts) == (1, ["ack 2"])


def test_who_does_not_acknowledge_or_is_behind_is_not_asked(acks: Acknowledgements) -> None:
    session, transport = live(AskingHost(acks))
    assert not acks.may_ask(session)
    session.acks = Acks()
    transport.stall()
    session.write(b"x")
    assert not acks.may_ask(session)


def test_to_who_does_not_acknowledge_it_is_an_unknown_command(acks: Acknowledgements) -> None:
    session, transport = live(AskingHost(acks))
    session.data_received(text("ack 1 1"))
    assert transport.texts == ['{"type":"error","code":"unknown_command"}']
    assert acks.ignored == 0


def test_in_fragments_it_is_no_answer(asked, exporter: InMemorySpanExporter) -> None:
    session, transport, _ = asked
    parts = (Frame(Opcode.TEXT, b"ack 1", fin=False), Frame(Opcode.CONT, b" 1"))
    session.data_received(b"".join(part.serialize(mask=True) for part in parts))
    assert (exporter.get_finished_spans(), transport.written) == ((), [])
