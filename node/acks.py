"""Acknowledgements: the trace of a message ends where somebody sees it.

A client that connects with ``acks=1`` may be told of a sampled message by a small text frame, right behind it, and
answers when it has shown the message:

    node → client   ack <number>
    client → node   ack <number> <ms for which the client held it before it answered>

Of the time from the socket to the answer, what the client says it held is its own, by its own stopwatch; the rest is
the network, there and back. So no two clocks are compared. Nothing a client says is believed beyond its bounds: a time
longer than the node saw pass, or an answer to what was not asked, makes no span and is counted.

One client per publish and node is asked, each twice a second at most and about one message at a time: a sample of
browsers, not a census.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Final

from opentelemetry.trace import SpanContext, SpanKind

from node.frames import TEXT, Frame, text_frame
from shared import spans
from shared.tracing import Tracing

if TYPE_CHECKING:
    from node.session import Session

_ANSWER: Final = re.compile(rb"ack (\d{1,15}) (\d{1,6}(?:\.\d{1,6})?)")
_PAUSE: Final = 0.5  # s between two questions to one client
_PATIENCE: Final = 60.0  # s for an answer; a page that nobody looks at shows nothing


class Acks:
    """What a client that acknowledges has been asked.

    Attributes:
        number: of the message it was asked about; 0: none.
        process: the span below which its answer belongs.
        written_at: when the message was written: by the clock that measures, s, and by the one that dates, ns.
    """

    __slots__ = ("number", "process", "written_at", "written_ns")

    def __init__(self) -> None:
        self.number = 0
        self.process: SpanContext | None = None
        self.written_at = float("-inf")
        self.written_ns = 0


class Acknowledgements:
    """Asks, and makes ``display`` spans of the answers.

    Attributes:
        shown: answers that made a span.
        ignored: answers that could not be, and answers to what was not asked.
        unanswered: questions that were given up.
    """

    def __init__(self, tracing: Tracing) -> None:
        self._tracing = tracing
        self._asked = 0
        self.shown = self.ignored = self.unanswered = 0

    @staticmethod
    def may_ask(session: Session) -> bool:
        acks = session.acks
        if acks is None or not session.live:
            return False
        return time.monotonic() - acks.written_at >= (_PATIENCE if acks.number else _PAUSE)

    def ask(self, session: Session, process: SpanContext, written_ns: int) -> None:
        """Ask a client that ``may_ask`` allows about the message it has just been written.

        Args:
            written_ns: when that was, ns since the Unix epoch.
        """
        acks = session.acks
        if acks is None or not session.live:  # it fell behind with that very message
            return
        if acks.number:
            self.unanswered += 1
        self._asked += 1
        acks.number, acks.process, acks.written_ns = self._asked, process, written_ns
        acks.written_at = time.monotonic() - (time.time_ns() - written_ns) / 1e9
        session.write(text_frame(b"ack %d" % acks.number))

    def take(self, session: Session, frame: Frame) -> bool:
        """Take what a client says of a message; False if it says something else, or was not asked that."""
        if frame.opcode != TEXT or not frame.fin or not frame.payload.startswith(b"ack "):
            return False
        acks, answer = session.acks, _ANSWER.fullmatch(frame.payload)
        if acks is None or acks.process is None or answer is None or int(answer[1]) != acks.number:
            self.ignored += 1
            return False
        process, acks.process, acks.number = acks.process, None, 0
        elapsed, held = time.monotonic() - acks.written_at, float(answer[2]) / 1000
        if not held <= elapsed <= _PATIENCE:
            self.ignored += 1
            return True
        network = elapsed - held
        span = self._tracing.span(
            spans.DISPLAY,
            SpanKind.INTERNAL,
            process,
            attributes={spans.NETWORK_TIME: network, spans.HELD_TIME: held},
            start_ns=acks.written_ns,
        )
        span.end(acks.written_ns + int((network / 2 + held) * 1e9))
        self.shown += 1
        return True
