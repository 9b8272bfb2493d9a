"""One service in many loops, threads and processes: connections are kept where they can be, and never leak.

What must leave no trace at the interpreter's exit runs in an interpreter of its own, in which an unclosed socket is a
complaint on stderr.
"""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import uvloop
from videosite_realtime import NotificationService, SyncNotificationService, notification_service

from tests.sdk.router_stub import Router

TICK = {"type": "tick"}


def run_as_a_program(source: str) -> None:
    """Run a program in an interpreter of its own; it must succeed and complain about nothing."""
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(source)]
    done = subprocess.run(command, env=dict(os.environ), capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_as_celery_users_write_it_three_times_in_one_process_each_in_its_own_loop(router: Router) -> None:
    run_as_a_program("""
        import asyncio
        from videosite_realtime import notification_service
        for _ in range(3):
            asyncio.run(notification_service.notify_transcode_progress(
                video_id=123, status="processing", progress=45, message="已完成720p转码"))
    """)
    assert [asked.body["message"] for asked in router.asked] == ["已完成720p转码"] * 3
    assert len({asked.key for asked in router.asked}) == 3
    assert [asked.connection for asked in router.asked] == [1, 2, 3]
    router.wait_until_all_connections_are_closed()


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_connection_serves_its_whole_loop_and_closes_with_it(router: Router, new_loop: object) -> None:
    service = NotificationService()

    async def three() -> None:
        for _ in range(3):
            await service.broadcast(TICK)

    for _ in range(2):
        with asyncio.Runner(loop_factory=new_loop) as runner:  # type: ignore[arg-type]
            runner.run(three())
        gc.collect()
        router.wait_until_all_connections_are_closed()
    assert [asked.connection for asked in router.asked] == [1, 1, 1, 2, 2, 2]


def test_a_service_made_for_one_call_leaves_nothing_open(router: Router) -> None:
    for _ in range(3):
        asyncio.run(NotificationService().broadcast(TICK))
        gc.collect()
    router.wait_until_all_connections_are_closed()


async def test_a_closed_service_can_be_used_again(router: Router) -> None:
    async with NotificationService() as service:
        await service.broadcast(TICK)
        await service.aclose()
        await service.aclose()
        await service.broadcast(TICK)
    assert [asked.connection for asked in router.asked] == [1, 2]


async def test_calls_that_come_first_together_share_their_connections(router: Router) -> None:
    async with NotificationService() as service:
        await asyncio.gather(*(service.broadcast(TICK) for _ in range(20)))
        assert len(service._connections._open) == 1
    assert not service._connections._open
    assert len({asked.key for asked in router.asked}) == 20


def test_a_hand_made_loop_may_close_the_service_itself(router: Router) -> None:
    service = NotificationService()
    for _ in range(2):
        loop = asyncio.new_event_loop()
        try:
            loop.run_until_complete(service.broadcast(TICK))
            loop.run_until_complete(service.aclose())
        finally:
            loop.close()
    assert len(router.asked) == 2


@pytest.mark.filterwarnings("ignore:unclosed")  # what the test is about: nobody closed the first loop's connection
def test_a_loop_that_was_closed_without_a_word_is_forgotten(router: Router) -> None:
    service = NotificationService()
    for _ in range(3):
        loop = asyncio.new_event_loop()
        loop.run_until_complete(service.broadcast(TICK))
        loop.close()
    assert len(service._connections._open) == 1
    del service
    gc.collect()
    assert len(router.asked) == 3


def test_threads_may_each_run_a_loop_on_one_service(router: Router) -> None:
    service = NotificationService()
    together = threading.Barrier(6)

    def tell(number: int) -> None:
        together.wait()
        for _ in range(3):
            asyncio.run(service.broadcast({**TICK, "number": number}))

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(tell, range(6)))
    assert len({asked.key for asked in router.asked}) == 18
    assert not service._connections._open


def test_threads_may_share_the_twin(router: Router) -> None:
    together = threading.Barrier(6)
    with SyncNotificationService() as service, ThreadPoolExecutor(6) as threads:

        def tell(number: int) -> None:
            together.wait()
            for _ in range(3):
                service.notify_transcode_progress(number, "processing", 1)

        list(threads.map(tell, range(6)))
    assert len({asked.key for asked in router.asked}) == 18
    assert len({asked.body["sent_at"] for asked in router.asked}) == 18
    assert router.connections <= 6
    router.wait_until_all_connections_are_closed()


def test_the_twin_keeps_its_connection_and_closes_it_at_exit(router: Router) -> None:
    run_as_a_program("""
        from videosite_realtime import sync_notification_service
        for _ in range(3):
            sync_notification_service.broadcast({"type": "tick"})
    """)
    assert [asked.connection for asked in router.asked] == [1, 1, 1]
    router.wait_until_all_connections_are_closed()


def test_forked_workers_open_their_own_connections_and_leave_their_parents_alone(router: Router) -> None:
    run_as_a_program("""
        import asyncio, os
        from videosite_realtime import notification_service, sync_notification_service

        def tell(who):
            sync_notification_service.broadcast({"type": "tick", "who": who})
            asyncio.run(notification_service.broadcast({"type": "tick", "who": who}))

        tell("parent")
        for _ in range(2):
            child = os.fork()
            if not child:
                tell("child")
                os._exit(0)
            assert os.waitpid(child, 0)[1] == 0
            tell("parent")
    """)
    by_sender: dict[str, list[int]] = {"parent": [], "child": []}
    for asked in router.asked:
        by_sender[asked.body["message"]["who"]].append(asked.connection)
    assert (len(by_sender["parent"]), len(by_sender["child"])) == (6, 4)
    assert not set(by_sender["parent"]) & set(by_sender["child"])
    assert len(set(by_sender["parent"][::2])) == 1, "the parent's pool did not survive its children"
    router.wait_until_all_connections_are_closed()


def test_a_fork_while_another_thread_tells_the_time_leaves_the_child_a_free_clock(router: Router) -> None:
    run_as_a_program("""
        import os
        from videosite_realtime import sync_notification_service
        from videosite_realtime._core import sent_at
        with sent_at._lock.get():  # as another thread would hold it at this moment
            child = os.fork()
            if not child:
                sync_notification_service.notify_transcode_progress(1, "processing", 1)
                os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
    """)
    assert len(router.asked) == 1


def test_importing_the_package_reads_no_setting_and_opens_nothing() -> None:
    program = "import os; os.environ.clear(); import videosite_realtime; assert not os.environ"
    run_as_a_program(program)


def test_the_services_of_the_package_are_configured_when_first_used(router: Router) -> None:
    asyncio.run(notification_service.broadcast(TICK))
    assert router.asked[0].headers["authorization"].startswith("Bearer ")
