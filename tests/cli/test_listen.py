"""The client on real sockets, against a node that follows a script."""

import asyncio
import http

import pytest
from videosite_realtime_cli import identity
from videosite_realtime_cli.client import Backoff, Client
from videosite_realtime_cli.errors import StoppedByNode
from videosite_realtime_cli.identity import Signer
from videosite_realtime_cli.listen import GivenToken, MintedToken, endpoint, listen

from tests.support.ports import free_port

QUICK = Backoff(first=0.01, cap=0.02)


@pytest.fixture
def credential(secret):
    return MintedToken(Signer(secret), identity.user("7"))


@pytest.fixture
def listening(view, credential):
    """Listen beside the test until its block ends."""

    class Listening:
        def __init__(self, node, *, given=credential, client=None):
            self.url = endpoint(node.url, admin=False)
            self.client, self.credential = client or Client(backoff=QUICK), given

        async def __aenter__(self):
            self.task = asyncio.create_task(listen(self.url, self.client, self.credential, view))
            return self

        async def __aexit__(self, *_):
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)

        async def end(self):
            async with asyncio.timeout(30):
                await self.task

    return Listening


async def for_ever(socket):
    async for _ in socket:
        pass


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("http://a:1", "ws://a:1/api/v1/ws"),
        ("https://a/base/", "wss://a/base/api/v1/ws"),
        ("ws://a", "ws://a/api/v1/ws"),
    ],
)
def test_the_endpoint_follows_from_the_nodes_address(address, url):
    assert endpoint(address, admin=False) == url
    assert endpoint(address, admin=True) == url + "/admin"


async def test_what_the_node_sends_is_shown_and_the_token_is_in_no_url(
    scripted_node, listening, view, connected, frame, secret
):
    async def script(socket):
        await socket.send(connected())
        await socket.send(frame("system_message", message="维护", level="warning", id="all.1-1"))
        await for_ever(socket)

    async with scripted_node(script) as node, listening(node):
        await view.until(lambda: len(view.frames) == 2)
    assert view.frames[1].message["message"] == "维护"
    assert node.paths == ["/api/v1/ws"]
    assert identity.claims_of(node.tokens[0])["sub"] == "7"


async def test_it_comes_back_with_the_last_id_of_each_stream_and_shows_nothing_twice(
    scripted_node, listening, view, connected, frame
):
    async def first(socket):
        await socket.send(connected("u.Nw.1-0,all.1-7"))
        await socket.send(frame("paid", id="u.Nw.1-1"))
        await socket.send(frame("paid", id="u.Nw.1-2"))
        await socket.close(1012)

    async def second(socket):
        await socket.send(connected("u.Nw.1-2,all.1-7", recovered=True))
        await socket.send(frame("paid", id="u.Nw.1-2"))
        await socket.send(frame("paid", id="u.Nw.1-3"))
        await for_ever(socket)

    async with scripted_node(first, second) as node, listening(node):
        await view.until(lambda: len(view.frames) == 5)
    assert node.paths == ["/api/v1/ws", "/api/v1/ws?since=u.Nw.1-2,all.1-7"]
    assert [f.message.get("id") for f in view.frames if f.message["type"] == "paid"] == [
        "u.Nw.1-1",
        "u.Nw.1-2",
        "u.Nw.1-3",
    ]


async def test_it_pings_every_heartbeat_interval(scripted_node, listening, view, connected, frame):
    async def script(socket):
        await socket.send(connected(heartbeat_interval_ms=500))
        for _ in range(3):
            assert await socket.recv() == "ping"
            await socket.send("pong")
        await socket.send(frame("done"))
        await for_ever(socket)

    async with scripted_node(script) as node, listening(node):
        await view.until(lambda: "done" in view.types)
    assert len(node.paths) == 1


async def test_a_node_that_answers_no_ping_is_left_for_another_connection(
    scripted_node, listening, view, connected, frame
):
    async def deaf(socket):
        await socket.send(connected(heartbeat_interval_ms=20))
        await for_ever(socket)

    async def well(socket):
        await socket.send(frame("well"))
        await for_ever(socket)

    async with scripted_node(deaf, well) as node, listening(node):
        await view.until(lambda: "well" in view.types)


async def test_it_waits_as_long_as_a_draining_node_asked(scripted_node, listening, view, connected, frame):
    async def draining(socket):
        await socket.send(connected())
        await socket.send(frame("reconnect", retry_after_ms=120))
        await socket.close(1012)

    async with scripted_node(draining, for_ever) as node, listening(node):
        await view.until(lambda: bool(view.notices))
    assert "trying again in 0.1 s" in view.notices[0]


async def test_it_stops_when_it_may_not_listen(scripted_node, listening):
    async def forbid(socket):
        await socket.close(4403, "user is blocked")

    async with scripted_node(forbid) as node, listening(node) as listener:
        with pytest.raises(StoppedByNode, match="4403 user is blocked"):
            await listener.end()
    assert len(node.paths) == 1


async def test_it_mints_a_new_token_when_the_old_one_has_expired(scripted_node, listening, view, frame):
    async def expire(socket):
        await socket.close(4401, "token expired")

    async def accept(socket):
        await socket.send(frame("welcome"))
        await for_ever(socket)

    async with scripted_node(expire, accept) as node, listening(node):
        await view.until(lambda: "welcome" in view.types)
    assert "with a new token" in view.notices[0]


async def test_a_given_token_that_is_refused_ends_it(scripted_node, listening, secret):
    async def expire(socket):
        await socket.close(4401, "token expired")

    given = GivenToken(MintedToken(Signer(secret), identity.user("7")).token())
    async with scripted_node(expire) as node, listening(node, given=given) as listener:
        with pytest.raises(StoppedByNode, match="4401 token expired"):
            await listener.end()


async def test_a_handshake_that_is_refused_for_good_ends_it(scripted_node, listening):
    def refuse(socket, request):
        return socket.respond(http.HTTPStatus.NOT_FOUND, "no such path\n")

    async with scripted_node(for_ever, process_request=refuse) as node, listening(node) as listener:
        with pytest.raises(StoppedByNode, match="HTTP 404"):
            await listener.end()


async def test_it_waits_for_a_node_that_is_not_there_yet(listening, view):
    class Nowhere:
        url = f"http://127.0.0.1:{free_port()}"

    async with listening(Nowhere):
        await view.until(lambda: len(view.notices) == 3)
    assert all("Connection refused; trying again" in notice for notice in view.notices)


async def test_a_lost_connection_is_taken_up_again(scripted_node, listening, view, connected, frame):
    async def vanish(socket):
        await socket.send(connected("all.1-1"))
        socket.transport.abort()

    async def back(socket):
        await socket.send(frame("back"))
        await for_ever(socket)

    async with scripted_node(vanish, back) as node, listening(node, client=Client(["all.1-1"], QUICK)):
        await view.until(lambda: "back" in view.types)
    assert node.paths[1] == "/api/v1/ws?since=all.1-1"
