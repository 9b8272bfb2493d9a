"""Producers of every kind, on both routers: with keys and without, one message or many, by hand and by the SDK."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count, cycle
from typing import Any, Final, Protocol

from videosite_realtime import NotificationService
from videosite_realtime.errors import Undelivered
from videosite_realtime.receipts import Receipt
from videosite_realtime.retry import RetryPolicy

from tests.faults.ledger import Mark, Sent
from tests.faults.reading import Message, end_of_video
from tests.faults.stage import Stage
from tests.support.courier import Courier
from tests.support.ports import LOOPBACK

_RETRY: Final = RetryPolicy(deadline=15.0, attempt_timeout=5.0, longest_delay=1.0)
_FINISHING: Final = 60.0  # s to bring the last message to its answer
_BATCH: Final = 12
_QUIET: Final = 0.02  # of the messages to users go to those who seldom get one
_WRITERS: Final = (
    *[(True, False)] * 3,
    *[(False, False)] * 2,
    (True, True),
    (False, True),
)  # keys of their own, batches


class Record:
    """What was answered.

    Attributes:
        sent: every event answered 202.
        states: how many progresses were.
        newest: of every transcode that has not ended, the newest progress answered 202, and the video's owner.
        unknown: calls whose fate their producer could not know; they are not repeated.
    """

    def __init__(self) -> None:
        self.sent: list[Sent] = []
        self.newest: dict[int, tuple[float, int]] = {}
        self.states = self.unknown = 0

    def accept(self, mark: Mark, ids: Iterable[str]) -> None:
        self.sent.append(Sent(mark, tuple(ids), time.monotonic()))


class Producer(Protocol):
    async def step(self) -> None:
        """Publish the next thing, and return when its fate is known."""


class Audiences:
    """Deals audiences: one user, several at once, the admins, everybody.

    A third of the users is quiet: nothing comes soon after what they lose.
    """

    def __init__(self, users: int, broadcasts: float, dice: random.Random) -> None:
        self._users, self._broadcasts, self._dice = users, broadcasts, dice

    def deal(self) -> Any:
        chance = self._dice.random()
        if chance < self._broadcasts:
            return "all"
        if chance < self._broadcasts + 0.15:
            return "admin"
        quiet = self._users // 3
        users = range(1, quiet + 1) if self._dice.random() < _QUIET else range(quiet + 1, self._users + 1)
        several = self._dice.randint(2, 6) if chance > 0.8 else 1
        return {"users": self._dice.sample(users, min(several, len(users)))}


class Writer:
    """Posts custom messages by hand, one in a call or several."""

    def __init__(self, name: str, courier: Courier, audiences: Audiences, record: Record, *, keys: bool, many: bool):
        self._name, self._courier, self._audiences, self._record = name, courier, audiences, record
        self._keys, self._many = keys, many
        self._serials = count(1)

    async def step(self) -> None:
        await (self._post_batch() if self._many else self._post())

    def _item(self) -> tuple[Mark, Message]:
        mark = Mark(self._name, next(self._serials))
        message = {"type": "numbered", "producer": mark.producer, "n": mark.serial, "text": "已完成 ✓"}
        return mark, {"audience": self._audiences.deal(), "message": message}

    async def _post(self) -> None:
        mark, body = self._item()
        answer = await self._courier.deliver("messages", body, key=_key(mark) if self._keys else None)
        self._note(mark, answer)

    async def _post_batch(self) -> None:
        items = [self._item() for _ in range(_BATCH)]
        keyed = [item | ({"idempotency_key": _key(mark)} if self._keys else {}) for mark, item in items]
        answer = await self._courier.deliver("messages/batch", {"items": keyed}, repeatable=self._keys)
        for index, (mark, _) in enumerate(items):
            result = answer and answer["results"][index]
            assert result is None or result["status"] == 202, result
            self._note(mark, result)

    def _note(self, mark: Mark, answer: Message | None) -> None:
        if answer is None:
            self._record.unknown += 1
        else:
            self._record.accept(mark, answer["ids"].values())


def _key(mark: Mark) -> str:
    return f"{mark.producer}-{mark.serial}"


class Sdk:
    """The SDK on every router in turn: what one could not deliver, the next one takes over."""

    def __init__(self, services: list[NotificationService]) -> None:
        self._services = cycle(services)

    async def insist(self, call: Callable[[NotificationService], Awaitable[Receipt]]) -> Receipt:
        try:
            return await call(next(self._services))
        except Undelivered as exc:
            request: Any = exc.request
        while True:
            try:
                return await next(self._services).resend(request)
            except Undelivered:
                continue


class Announcer:
    """Shows notices to everybody, to admins and to single users."""

    def __init__(self, name: str, sdk: Sdk, audiences: Audiences, record: Record) -> None:
        self._name, self._sdk, self._audiences, self._record = name, sdk, audiences, record
        self._serials = count(1)

    async def step(self) -> None:
        mark = Mark(self._name, next(self._serials))
        target, text = self._audiences.deal(), f"{mark.producer}#{mark.serial}"
        receipt = await self._sdk.insist(lambda service: service.notify_system_message(text, target=target))
        self._record.accept(mark, receipt.ids.values())


class Transcoder:
    """Reports on one video after the other, progress by progress; two routers race with every other one."""

    def __init__(self, videos: Iterable[int], sdk: Sdk, users: int, record: Record, dice: random.Random) -> None:
        self._videos, self._sdk, self._users, self._record, self._dice = iter(videos), sdk, users, record, dice
        self._begin()

    def _begin(self) -> None:
        self._video, self._owner, self._progress = next(self._videos), self._dice.randint(1, self._users), 0.0

    async def step(self) -> None:
        if self._progress >= 100:
            await self._end()
            self._begin()
        else:
            await self._advance(racing=self._dice.random() < 0.5)

    async def _advance(self, *, racing: bool) -> None:
        steps = [self._step_on() for _ in range(2 if racing else 1)]
        await asyncio.gather(*(self._sdk.insist(lambda s, p=progress: self._say(s, p)) for progress in steps))
        self._record.newest[self._video] = self._progress, self._owner
        self._record.states += len(steps)

    def _step_on(self) -> float:
        self._progress = min(self._progress + self._dice.randint(2, 9), 100.0)
        return self._progress

    def _say(self, service: NotificationService, progress: float) -> Awaitable[Receipt]:
        return service.notify_transcode_progress(self._video, "processing", progress, "转码中", self._owner)

    async def _end(self) -> None:
        video, owner = self._video, self._owner
        if self._dice.random() < 0.7:
            receipt = await self._sdk.insist(
                lambda service: service.notify_transcode_complete(video, "示例视频", "av1", 1024, owner)
            )
        else:
            receipt = await self._sdk.insist(
                lambda service: service.notify_transcode_failed(video, "示例视频", "FFmpeg exited with code 1", owner)
            )
        del self._record.newest[video]
        self._record.accept(end_of_video(video), receipt.ids.values())


class Traffic:
    """All producers at work.

    Args:
        pace: s that a producer rests after a step, on average.
        broadcasts: the share of messages that go to everybody.
    """

    def __init__(self, stage: Stage, record: Record, *, users: int, pace: float, broadcasts: float, seed: int) -> None:
        self._stage, self._record, self._users, self._pace = stage, record, users, pace
        self._broadcasts, self._dice = broadcasts, random.Random(f"traffic {seed}")
        self._over = asyncio.Event()

    @asynccontextmanager
    async def flowing(self) -> AsyncIterator[None]:
        """Publish inside; left when every call has its answer, as far as anybody can know."""
        async with AsyncExitStack() as stack:
            producers = await self._producers(stack)
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._work(producer)) for producer in producers]
                try:
                    yield
                finally:
                    self._over.set()
                async with asyncio.timeout(_FINISHING):
                    await asyncio.wait(tasks)

    async def _work(self, producer: Producer) -> None:
        while not self._over.is_set():
            await producer.step()
            await asyncio.sleep(self._dice.uniform(0, 2 * self._pace))

    async def _producers(self, stack: AsyncExitStack) -> list[Producer]:
        routers, ports = self._stage.cluster.routers, self._stage.producers_ports
        audiences = Audiences(self._users, self._broadcasts, self._dice)
        producers: list[Producer] = []
        for number, (keys, many) in enumerate(_WRITERS):
            courier = await stack.enter_async_context(Courier(routers, ports=ports))
            producers.append(Writer(f"writer-{number}", courier, audiences, self._record, keys=keys, many=many))
        services = [
            await stack.enter_async_context(
                NotificationService(f"http://{LOOPBACK}:{port}", self._stage.cluster.api_key, retry=_RETRY)
            )
            for port in ports
        ]
        producers.append(Announcer("announcer", Sdk(services), audiences, self._record))
        for number in range(1, 4):
            videos = count(number * 1_000_000)
            producers.append(Transcoder(videos, Sdk(services), self._users, self._record, self._dice))
        return producers
