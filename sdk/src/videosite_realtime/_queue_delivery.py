"""How messages are appended to the queue: a conversation without I/O, shared by both queues.

``append`` is a generator that says what to do and is told what came of it:

    Append  call Redis's EVAL with these arguments; it is sent the reply, or the exception that took its place
    Wait    let this time pass; it is sent None

| what came                                      | what follows                                        |
| ---------------------------------------------- | --------------------------------------------------- |
| ids                                            | `Queued` for each                                   |
| the queue is full                              | Wait, Append again; past the deadline `Undelivered` |
| no connection, no answer, out of memory, …     | the same: the message's key makes it harmless       |
| the password is wrong, the user may not append | `ConfigurationError`                                |
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, Final

from redis.exceptions import RedisError

from videosite_realtime._delivery import Wait
from videosite_realtime._queue_access import URL_VARIABLE, QueueAccess
from videosite_realtime._queue_slots import REFUSALS
from videosite_realtime._tracing import Call
from videosite_realtime.errors import ConfigurationError, InvalidMessage, Undelivered
from videosite_realtime.requests import Publish, PublishBatch
from videosite_realtime.retry import RetryPolicy

# Counted and appended in one step: producers that come together do not make it longer than it may be.
_SCRIPT: Final = """
local waiting = redis.call('XLEN', KEYS[1])
if waiting + (#ARGV - 2) / 3 > tonumber(ARGV[1]) then
  return waiting
end
local ids = {}
for i = 3, #ARGV, 3 do
  local fields = {'kind', ARGV[i], 'body', ARGV[i + 1], 'key', ARGV[i + 2]}
  if ARGV[2] ~= '' then
    fields[7], fields[8] = 'traceparent', ARGV[2]
  end
  ids[#ids + 1] = redis.call('XADD', KEYS[1], '*', unpack(fields))
end
return ids
"""


@dataclass(frozen=True, slots=True)
class Queued:
    """A message that waits for a router. Only a router judges it: what is invalid is set aside there.

    Attributes:
        id: the entry's, as Redis gave it.
    """

    id: str
    idempotency_key: str


@dataclass(frozen=True, slots=True)
class Append:
    """What EVAL is called with, after the word itself."""

    arguments: tuple[str | int, ...]


Outcome = list[bytes] | int | RedisError | OSError
Appending = Generator[Append | Wait, Outcome | None, list[Queued]]


def append(
    request: Publish | PublishBatch,
    access: QueueAccess,
    retry: RetryPolicy,
    call: Call,
    *,
    clock: Callable[[], float] = time.monotonic,
    jitter: Callable[[], float] = random.random,
) -> Appending:
    """Append a message, or all of a batch, whatever number of attempts it takes within the deadline.

    Raises:
        Undelivered: the deadline came first.
        ConfigurationError: Redis does not let us.
        InvalidMessage: an item of a batch is no object; nothing was appended.
    """
    started = clock()
    entries = _entries(request)
    trace = call.headers().get("traceparent", "")  # once: all attempts belong to the caller's span
    texts = [text for entry in entries for text in entry]
    step = Append((_SCRIPT, 1, access.key, access.max_length, trace, *texts))
    failures = 0
    while True:
        outcome = yield step
        assert outcome is not None, "an Append is answered with its outcome"
        if isinstance(outcome, list):
            return [Queued(entry_id.decode(), key) for entry_id, (_, _, key) in zip(outcome, entries, strict=True)]
        if isinstance(outcome, REFUSALS):
            raise ConfigurationError(URL_VARIABLE, f"is refused by Redis: {outcome}") from outcome
        failures += 1
        delay, elapsed = retry.delay(failures, 0, jitter()), clock() - started
        cause = outcome if isinstance(outcome, Exception) else None
        if elapsed + delay >= retry.deadline:
            raise Undelivered(request, failures, elapsed, _in_words(outcome)) from cause
        call.retried(failures, type(cause).__name__ if cause is not None else "full", delay)
        yield Wait(delay)


def _entries(request: Publish | PublishBatch) -> list[tuple[str, str, str]]:
    """Return kind, body and key of each message."""
    kind = request.path.removeprefix("/api/v1/").partition("/")[0]
    if isinstance(request, Publish):
        return [(kind, request.body, request.idempotency_key)]
    return [(kind, *_item(index, item)) for index, item in enumerate(json.loads(request.body)["items"])]


def _item(index: int, item: Any) -> tuple[str, str]:
    if not isinstance(item, dict):
        raise InvalidMessage(422, f"items.{index}: Input should be an object")
    fields = {name: value for name, value in item.items() if name != "idempotency_key"}
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")), item["idempotency_key"]


def _in_words(outcome: Outcome) -> str:
    if isinstance(outcome, Exception):
        return f"{type(outcome).__name__}: {outcome}"
    return f"the queue is full: {outcome} entries wait for a router"
