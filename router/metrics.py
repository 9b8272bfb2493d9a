"""What a router measures. Every metric is declared here or in :mod:`shared.service_metrics`, and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping

from router.archive_counts import ArchiveCounts
from router.callers import Callers
from router.publish_counts import BATCH, PublishCounts
from router.queue_counts import REASONS, QueueCounts
from shared import spans
from shared.auth import TokenVerifier
from shared.metrics import COMMAND, Distributions, Values, counter, gauge, histogram
from shared.service_metrics import ServiceMetrics, Sources


class RouterMetrics(ServiceMetrics):
    """The metrics of one router."""

    def __init__(
        self,
        resource: Mapping[str, str],
        sources: Sources,
        counts: PublishCounts,
        archive: ArchiveCounts,
        callers: Callers,
        verifier: TokenVerifier | None,
        queue: QueueCounts | None,
    ) -> None:
        super().__init__(resource, sources)
        self._counts, self._archive, self._callers, self._verifier = counts, archive, callers, verifier
        self._queue = queue

    @counter(
        "messaging.client.sent.messages",
        "{message}",
        "Messages answered 202, repeated calls among them; one to admins and its owner counts once for each.",
        "messaging.system",
        "messaging.operation.name",
        "type",
        "audience",
    )
    def sent(self) -> Values:
        return {(spans.SYSTEM, spans.SEND, *labels): count for labels, count in self._counts.sent().items()}

    @histogram(
        "messaging.client.operation.duration",
        "s",
        "Time of a call's way through Redis: ordered, kept and handed to the nodes, however many messages it has.",
        "messaging.system",
        "messaging.operation.name",
        "error.type",
        bounds=COMMAND,
    )
    def publish_duration(self) -> Distributions:
        return {(spans.SYSTEM, spans.SEND, error): buckets for error, buckets in self._counts.calls.items()}

    @counter("vsrt.router.unavailable", "{call}", "Calls answered 503: Redis was away, or refused to write.", "reason")
    def unavailable(self) -> Values:
        return {reason: self._counts.unavailable[reason] for reason in ("away", "refused")}

    @histogram("vsrt.router.batch.size", "{message}", "Messages per batch.", bounds=BATCH)
    def batch_size(self) -> Distributions:
        return self._counts.batches

    @counter(
        "vsrt.router.refused_items", "{message}", "Messages of batches that were not published, by status.", "status"
    )
    def refused_items(self) -> Values:
        return {status: self._counts.refused_items[status] for status in ("409", "413", "422")}

    @counter(
        "vsrt.router.known_keys",
        "{key}",
        "Idempotency keys that came again: replayed (the first answer again, nothing is sent twice), "
        "conflict (with another body).",
        "outcome",
    )
    def known_keys(self) -> Values:
        return {outcome: self._counts.keys[outcome] for outcome in ("replayed", "conflict")}

    @counter("vsrt.auth.failures", "{failure}", "Callers without a valid credential, or without the scope.", "reason")
    def auth_failures(self) -> Values:
        tokens = self._verifier.failures if self._verifier is not None else {}
        return {**self._callers.failures, **{f"token {reason}": count for reason, count in tokens.items()}}

    # --- the inbox

    @counter(
        "vsrt.inbox.events",
        "{event}",
        "Events on their way to the inbox's database: archived; repeated (they had been there before); set_aside (it "
        "will not have them); given_up (ARCHIVE_MAX_BYTES was reached: they are lost to the inbox).",
        "outcome",
    )
    def inbox_events(self) -> Values:
        archive = self._archive
        return {name: getattr(archive, name) for name in ("archived", "repeated", "set_aside", "given_up")}

    @gauge("vsrt.inbox.lag", "s", "For how long the oldest event that waits for the database has waited.")
    def inbox_lag(self) -> Values:
        return self._archive.lag

    @gauge("vsrt.inbox.database.away", "", "1 while the inbox's database does not take what waits for it.")
    def inbox_database_away(self) -> Values:
        return int(self._archive.away)

    @counter("vsrt.inbox.failures", "{batch}", "Batches that the inbox's database did not take.")
    def inbox_failures(self) -> Values:
        return self._archive.failures

    @counter("vsrt.inbox.removed", "{notification}", "Notifications that were over or old, and removed here.")
    def inbox_removed(self) -> Values:
        return self._archive.removed

    # --- the queue; nothing of it where QUEUE_ENABLED is off

    @gauge("vsrt.router.queue.turn", "", "1 on the router that reads the queue just now; 0 on the others.")
    def queue_turn(self) -> Values:
        return int(self._queue.mine) if self._queue is not None else None

    @gauge(
        "vsrt.router.queue.lag",
        "s",
        "Age of the oldest entry in the queue, as each router sees it; 0 if there is none.",
    )
    def queue_lag(self) -> Values:
        return self._queue.lag(self._sources.links["commands"].server_ms()) if self._queue is not None else None

    @gauge(
        "vsrt.router.queue.entries",
        "{message}",
        "Entries in the queue, as each router sees them: waiting, or pending (taken, not yet published).",
        "state",
    )
    def queue_entries(self) -> Values:
        queue = self._queue
        return {"waiting": max(queue.waiting - queue.taken, 0), "pending": queue.taken} if queue is not None else None

    @counter("vsrt.router.queue.read", "{message}", "Entries taken from the queue, those taken again among them.")
    def queue_read(self) -> Values:
        return self._queue.read if self._queue is not None else None

    @counter(
        "vsrt.router.queue.accepted",
        "{message}",
        "Entries published and taken off the queue, repeated ones among them.",
    )
    def queue_accepted(self) -> Values:
        return self._queue.accepted if self._queue is not None else None

    @counter("vsrt.router.queue.set_aside", "{message}", "Entries that cannot be published, by reason.", "reason")
    def queue_set_aside(self) -> Values:
        queue = self._queue
        return {reason: queue.set_aside[reason] for reason in REASONS} if queue is not None else None

    @counter("vsrt.router.queue.given_up", "{message}", "Entries lost: the queue was longer than it may be.")
    def queue_given_up(self) -> Values:
        return self._queue.given_up if self._queue is not None else None

    @counter(
        "vsrt.router.queue.failures",
        "{batch}",
        "Times the queue was not read or a batch of it not published, by why: tried again.",
        "reason",
    )
    def queue_failures(self) -> Values:
        queue = self._queue
        return {reason: queue.failures[reason] for reason in ("away", "refused")} if queue is not None else None
