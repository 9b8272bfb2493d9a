"""Validates and publishes entries of the queue, in the same way as calls over HTTP.

| entry | what follows |
| --- | --- |
| published, or known to be published before | done |
| invalid: over HTTP it would be answered 422, 413 or 409 | set aside with that answer's detail |
| refused by Redis for what it is (a key of another type) | tried alone; refused again: set aside |
| taken many times by routers that then died | set aside: it may be what kills them |
| Redis is away, full or read-only, or we lack the rights | stays in the queue, with all entries after it |
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from pydantic import ValidationError
from pydantic_core import to_json

from router import refusals
from router.answers import status_of
from router.call_log import CallLog
from router.lean_route import BodyTooLarge, Call
from router.order import Outcome
from router.placement import VOLUME_MAX, Draft, Placement, VolumeTooLarge
from router.planning import explain
from router.queue_counts import Reason
from router.queue_entry import QUEUE, Entry, call_of, operation_for
from router.queue_trace import QueueTrace
from shared.errors import InvalidMessage, RealtimeError, RedisRefused
from shared.trace_context import trace_id_of
from shared.tracing import Tracing

logger = logging.getLogger(__name__)

TAKINGS_MAX: Final = 10  # of an entry; a router that dies or loses its turn with it leaves it to the next
_DETAIL_MAX: Final = 1000  # characters, or things that are wrong
# How a script learns that it may not run a command or publish to a channel: from Valkey and Redis since 7.2, and 7.0.
_WITHOUT_RIGHTS: Final = ("ERR ACL failure in script", "ERR The user executing the script")

_REASONS: Final[dict[int, Reason]] = {409: "key reused", 413: "too large", 422: "invalid"}


class SetAside(NamedTuple):
    """An entry that cannot be published.

    Attributes:
        detail: what HTTP would have answered, JSON.
        trace_id: of its producer; empty if it named none.
    """

    id: str
    reason: Reason
    detail: bytes
    trace_id: str


@dataclass(slots=True)
class Verdict:
    """Entries that can be taken off the queue: published ones, and those to be set aside."""

    done: list[str] = field(default_factory=list)
    aside: list[SetAside] = field(default_factory=list)


class _Ready(NamedTuple):
    entry: Entry
    call: Call
    draft: Draft
    trace: QueueTrace


class QueueCalls:
    """Validates and publishes entries.

    Args:
        now_us: the time on Redis's clock, µs.
    """

    def __init__(
        self,
        placement: Placement,
        log: CallLog,
        tracing: Tracing | None,
        now_us: Callable[[], int],
        *,
        body_max_bytes: int,
    ) -> None:
        self._placement, self._log, self._tracing, self._now_us = placement, log, tracing, now_us
        self._body_max = body_max_bytes

    async def accept(self, entries: Sequence[Entry]) -> AsyncIterator[Verdict]:
        """Publish entries in their order, and yield verdicts as they are reached.

        Raises:
            RedisError: those without a verdict stay in the queue; they may have been published in part.
        """
        refused = Verdict()
        ready: list[_Ready] = []
        for entry in entries:
            judged = self._judge(entry)
            if isinstance(judged, SetAside):
                refused.aside.append(judged)
            else:
                ready.append(judged)
        if refused.aside:
            yield refused
        waiting = list(_within_volume(ready))
        try:
            while waiting:
                verdict = await self._place(waiting[0])
                del waiting[0]
                yield verdict
        finally:
            for each in itertools.chain.from_iterable(waiting):
                each.trace.failed("tried again")

    def never_finished(self, entry: Entry, takings: int) -> SetAside:
        """Set aside an entry that routers have taken again and again without settling it."""
        detail = f"taken {takings} times by routers that did not finish with it"
        return self._aside(entry, "never finished", detail, _call_or_none(entry), None)

    # --- what it says

    def _judge(self, entry: Entry) -> _Ready | SetAside:
        call: Call | None = None
        trace: QueueTrace | None = None
        try:
            if entry.size > self._body_max:
                raise BodyTooLarge(self._body_max)
            call = call_of(entry)
            trace = QueueTrace(self._tracing, call, max(self._now_us() - entry.appended_us, 0) / 1e6)
            return _Ready(entry, call, self._draft(entry, call, trace), trace)
        except (ValidationError, RealtimeError) as exc:
            return self._refuse(entry, call, exc, trace)
        except Exception:
            # Whatever the reason, the entries behind it must not wait for it.
            logger.exception("a queue entry cannot be judged", extra={"entry": entry.id})
            return self._aside(entry, "router error", "the router failed on it; its log tells how", call, trace)

    def _draft(self, entry: Entry, call: Call, trace: QueueTrace) -> Draft:
        kind = call.path.rpartition("/")[2]
        planner = self._placement.notifications if kind == "notifications" else self._placement.messages
        # However long the entry has waited: a state is as old as its entry.
        plan = planner.read_one(call.body, sent_at=entry.appended_us)
        draft = self._placement.draft(plan, planner, operation_for(entry, call, plan.key), trace.traceparent)
        if draft.volume > VOLUME_MAX:
            raise VolumeTooLarge(draft.volume)
        return draft

    def _refuse(
        self, entry: Entry, call: Call | None, exc: RealtimeError | ValidationError, trace: QueueTrace | None
    ) -> SetAside:
        status = status_of(exc)
        detail: str | list[Any] = explain(exc) if isinstance(exc, ValidationError | InvalidMessage) else str(exc)
        if call is not None:
            refusals.record_failed_publish(call, exc, QUEUE)
        return self._aside(entry, _REASONS.get(status, "invalid"), detail, call, trace)

    def _aside(
        self, entry: Entry, reason: Reason, detail: str | list[Any], call: Call | None, trace: QueueTrace | None
    ) -> SetAside:
        if trace is not None:
            trace.failed(reason)
        trace_id = trace_id_of(call.header(b"traceparent") or "") if call is not None else None
        logger.warning("queue entry set aside", extra={"entry": entry.id, "reason": reason, "trace_id": trace_id})
        return SetAside(entry.id, reason, to_json(detail[:_DETAIL_MAX]), trace_id or "")

    # --- what becomes of it

    async def _place(self, ready: Sequence[_Ready]) -> Verdict:
        try:
            outcomes = await self._placement.place([each.draft for each in ready])
        except RedisRefused as exc:
            if not _is_its_own(exc):
                raise
            return await self._place_alone(ready, exc)
        verdict = Verdict()
        for each, outcome in zip(ready, outcomes, strict=True):
            if isinstance(outcome, Outcome):
                verdict.done.append(each.entry.id)
                each.trace.published(each.draft, outcome)
                self._log.published(each.call, QUEUE, each.draft, outcome)
            else:
                verdict.aside.append(self._refuse(each.entry, each.call, outcome, each.trace))
        return verdict

    async def _place_alone(self, ready: Sequence[_Ready], exc: RedisRefused) -> Verdict:
        """Find the entry that Redis refuses: each by itself, in their order."""
        if len(ready) == 1:
            (each,) = ready
            return Verdict(aside=[self._aside(each.entry, "refused by redis", str(exc), each.call, each.trace)])
        verdict = Verdict()
        for each in ready:
            one = await self._place([each])
            verdict.done += one.done
            verdict.aside += one.aside
        return verdict


def _within_volume(ready: Iterable[_Ready]) -> Iterator[list[_Ready]]:
    """Yield groups that are small enough to be published together; a single one always is."""
    group: list[_Ready] = []
    volume = 0
    for each in ready:
        if group and volume + each.draft.volume > VOLUME_MAX:
            yield group
            group, volume = [], 0
        group.append(each)
        volume += each.draft.volume
    if group:
        yield group


def _is_its_own(exc: RedisRefused) -> bool:
    """Whether Redis refuses this message in particular, and not everything just now."""
    text = str(exc)
    if text.startswith(_WITHOUT_RIGHTS):
        return False
    return text.startswith("WRONGTYPE") or (text.startswith("ERR ") and "user_script" in text)


def _call_or_none(entry: Entry) -> Call | None:
    try:
        return call_of(entry)
    except InvalidMessage:
        return None
