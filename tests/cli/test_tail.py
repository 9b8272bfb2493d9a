"""`videosite-realtime tail` as a process, as a terminal or a pipe has it."""

import asyncio
import json
import os
import signal
import sys

import pytest


@pytest.fixture
def tail(secret):
    async def start(url, *arguments, **environment):
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "videosite_realtime_cli", "tail", "--node-url", url, *arguments),
            env={**os.environ, "JWT_SECRET": secret, **environment},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    return start


async def for_ever(socket):
    async for _ in socket:
        pass


async def test_a_pipe_gets_json_alone_line_by_line(scripted_node, tail, connected, frame):
    async def script(socket):
        await socket.send(connected())
        await socket.send(frame("order_paid", order="维护"))
        await for_ever(socket)

    async with scripted_node(script) as node:
        process = await tail(node.url, "--user", "7", "--raw")
        lines = [await process.stdout.readline() for _ in range(2)]  # they come while it runs: each is flushed
        process.send_signal(signal.SIGINT)
        rest, errors = await process.communicate()
    assert [json.loads(line)["type"] for line in lines] == ["connected", "order_paid"]
    assert "维护" in lines[1].decode()
    assert (process.returncode, rest, errors) == (130, b"", b"")


@pytest.mark.parametrize("shown", [[], ["--raw"]])
async def test_a_reader_that_leaves_is_no_error(scripted_node, tail, frame, shown):
    async def flood(socket):
        while True:
            await socket.send(frame("x", text="x" * 1000))
            await asyncio.sleep(0)

    async with scripted_node(flood) as node:
        process = await tail(node.url, *shown)
        await process.stdout.readline()
        process._transport.get_pipe_transport(1).close()
        async with asyncio.timeout(30):
            assert await process.wait() == 0
        assert await process.stderr.read() == b""


async def test_without_a_wish_it_shows_what_admins_receive(scripted_node, tail, frame):
    async def script(socket):
        await socket.send(frame("transcode_failed", video_id=1, title="T", error="code 1"))
        await for_ever(socket)

    async with scripted_node(script) as node:
        process = await tail(node.url)
        line = await process.stdout.readline()
        process.kill()
        await process.communicate()
    assert node.paths == ["/api/v1/ws/admin"]
    assert line.decode().endswith("failed     video 1  T  code 1\n")


async def test_when_the_node_says_no_it_ends_with_one_line(scripted_node, tail):
    async def forbid(socket):
        await socket.close(4403, "user is blocked")

    async with scripted_node(forbid) as node:
        process = await tail(node.url, "--user", "7")
        output, errors = await process.communicate()
    assert process.returncode == 1
    assert output == b""
    assert errors.decode().endswith("/api/v1/ws: 4403 user is blocked\n")


@pytest.mark.parametrize("given", [("--admin", "--user", "7"), ("--user", "7", "--token", "a.b.c")])
def test_two_audiences_are_one_too_many(command, given):
    result = command("tail", *given)
    assert result.exit_code == 1
    assert "not several" in result.stderr


def test_a_since_that_is_none_is_named(command, secret):
    result = command("tail", "--since", "yesterday", env={"NODE_URL": "http://127.0.0.1:1", "JWT_SECRET": secret})
    assert result.exit_code == 1
    assert "--since is not a list of ids" in result.stderr


@pytest.mark.parametrize("shown", [[], ["--raw"]])
async def test_what_a_terminal_cannot_show_does_not_end_the_view(scripted_node, tail, connected, frame, shown):
    async def script(socket):
        await socket.send(connected())
        await socket.send(frame("order_paid", order="维护 \U0001f600 é"))
        await for_ever(socket)

    async with scripted_node(script) as node:
        process = await tail(node.url, "--user", "7", *shown, PYTHONIOENCODING="ascii")
        lines = [await process.stdout.readline() for _ in range(2)]
        process.send_signal(signal.SIGINT)
        _, errors = await process.communicate()
    assert (process.returncode, errors) == (130, b"")
    if shown:
        assert json.loads(lines[1])["order"] == "维护 \U0001f600 é"
    else:
        assert rb"\u7ef4\u62a4 \U0001f600 \xe9" in lines[1]
