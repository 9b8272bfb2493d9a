"""The inbox's calls, through real nodes and a real router, on both databases."""

from __future__ import annotations

import asyncio

import pytest

from docs.node_messages import NODES_OWN
from shared.ids import user_stream
from tests.conftest import NewCluster
from tests.inbox.desk import PATH, Desk
from tests.support.client import Client
from tests.support.cluster import Cluster
from tests.support.tokens import in_seconds

JSON = {"Content-Type": "application/json"}


def desk(cluster: Cluster, user: int, *, admin: bool = False) -> Desk:
    return Desk(cluster, cluster.tokens.admin(user) if admin else cluster.tokens.user(user))


async def publish(cluster: Cluster, user: int, count: int, type: str = "note") -> list[str]:
    """Publish to a user; return the ids, oldest first."""
    return [(await cluster.router.send({"users": [user]}, {"type": type, "n": n}))["id"] for n in range(count)]


async def test_a_notification_is_listed_as_the_socket_brought_it(cluster: Cluster):
    user = cluster.number()
    async with cluster.user(user) as client:
        published = await cluster.router.send(
            {"users": [user]}, {"type": "order_paid", "text": "已付款 \u0000 é"}, expires_at=4102444800
        )
        heard = await client.receive("order_paid")
    own = desk(cluster, user)
    await own.settled(1, audience="user")
    (item,) = (await own.get(audience="user"))["notifications"]
    created = item.pop("created_at")
    assert item == {
        "id": published["id"],
        "audience": "user",
        "type": "order_paid",
        "read": False,
        "expires_at": "2100-01-01T00:00:00.000Z",
        "content": heard,
    }
    assert created.endswith("Z")


async def test_pages_lead_through_all_of_it_and_what_comes_meanwhile_is_on_none(cluster: Cluster):
    user = cluster.number()
    own, ids = desk(cluster, user), await publish(cluster, user, 7)
    await own.settled(7, audience="user")
    seen, cursor = [], None
    for _ in range(4):
        page = await own.get(limit=2, audience="user", **({"cursor": cursor} if cursor else {}))
        seen += [item["id"] for item in page["notifications"]]
        cursor = page["next_cursor"]
        new = await publish(cluster, user, 1)
        await own.call("POST", f"/{ids[0]}/read")
    assert (seen, cursor) == (ids[::-1], None)
    assert new[0] not in seen


async def test_lists_can_be_of_a_type_of_what_is_unread_and_of_an_audience(cluster: Cluster):
    user = cluster.number()
    own = desk(cluster, user)
    notes, bills = await publish(cluster, user, 2), await publish(cluster, user, 2, "bill")
    await own.settled(4, audience="user")
    await own.mark(ids=[notes[0], bills[0]])
    assert await own.ids(audience="user", type="bill") == bills[::-1]
    assert await own.ids(audience="user", unread=True) == [bills[1], notes[1]]
    assert await own.ids(audience="user", unread=True, type="note") == [notes[1]]
    assert await own.ids(audience="user", type="nothing") == []


async def test_a_type_that_a_database_cannot_keep_is_found_all_the_same(cluster: Cluster):
    user = cluster.number()
    own = desk(cluster, user)
    ids = await publish(cluster, user, 1, "a\0b")
    await own.settled(1, audience="user")
    assert await own.ids(audience="user", type="a\0b") == ids
    assert await own.ids(audience="user", type="\0") == []


async def test_what_is_no_object_is_told_in_words_of_json(cluster: Cluster):
    for content in (b"null", b"[]", b'"x"'):
        answer = await desk(cluster, 5).call("POST", "/read", content=content, headers=JSON)
        assert answer.json()["detail"][0]["msg"] == "Input should be an object"


async def test_everybody_sees_broadcasts_admins_theirs_too_and_nobody_anothers(cluster: Cluster):
    bob, eve, ann = cluster.number(), cluster.number(), cluster.number()
    secret = (await publish(cluster, bob, 1, "secret"))[0]
    everybodys = (await cluster.router.send("all", {"type": "fair"}))["id"]
    admins = (await cluster.router.notify("system_message", message="check the disks"))["id"]
    for user, admin, expected in (
        (bob, False, {secret, everybodys}),
        (eve, False, {everybodys}),
        (ann, True, {everybodys, admins}),
    ):
        own = desk(cluster, user, admin=admin)
        await own.there(*expected)
        assert set(await own.ids(limit=100)) & {secret, everybodys, admins} == expected
    assert (await desk(cluster, eve).call("GET", params={"audience": "admin"})).status_code == 422
    for forbidden in (secret, admins):
        for method, path in (("POST", f"/{forbidden}/read"), ("DELETE", f"/{forbidden}")):
            answer = await desk(cluster, eve).call(method, path)
            assert (answer.status_code, answer.json()) == (404, {"detail": "no such notification"})
    assert (await desk(cluster, eve).mark(ids=[secret, admins]))["unknown"] == [secret, admins]


async def test_the_end_of_a_transcode_is_in_the_admins_inbox_and_in_its_owners(cluster: Cluster):
    owner, video = cluster.number(), cluster.number()
    await cluster.router.notify("transcode_progress", video_id=video, status="processing", progress=5, user_id=owner)
    ids = (
        await cluster.router.notify(
            "transcode_complete", video_id=video, title="t", format_type="av1", file_size=1, user_id=owner
        )
    )["ids"]
    own, admin = desk(cluster, owner), desk(cluster, cluster.number(), admin=True)
    await own.settled(1, audience="user")
    assert await own.ids(audience="user") == [ids[f"user:{owner}"]]
    await admin.there(ids["admin"], audience="admin", type="transcode_complete")


async def test_reading_is_each_users_own(cluster: Cluster):
    bob, eve = desk(cluster, cluster.number()), desk(cluster, cluster.number())
    everybodys = (await cluster.router.send("all", {"type": "sale"}))["id"]
    await eve.there(everybodys)
    before = await eve.unread(audience="all")
    assert (await bob.mark(ids=[everybodys]))["read"] == [everybodys]
    assert (await bob.mark(ids=[everybodys]))["read"] == []
    (seen,) = [i for i in (await eve.get(audience="all", type="sale"))["notifications"] if i["id"] == everybodys]
    assert seen["read"] is False
    assert await eve.unread(audience="all") == before
    (seen,) = [i for i in (await bob.get(audience="all", type="sale"))["notifications"] if i["id"] == everybodys]
    assert seen["read"] is True


async def test_what_is_marked_up_to_a_place_or_all_is_read(cluster: Cluster):
    user = cluster.number()
    own, ids = desk(cluster, user), await publish(cluster, user, 5)
    await own.settled(5, audience="user")
    marked = await own.mark(up_to=ids[2])
    assert marked["by_audience"]["user"] == 2
    assert await own.ids(audience="user", unread=True) == [ids[4], ids[3]]
    assert (await own.mark(up_to=ids[0]))["by_audience"]["user"] == 2, "what is read stays read"
    badge = await own.get("/unread-count")
    assert (await own.mark(up_to=badge["as_of"]))["unread"] == 0
    more = await publish(cluster, user, 1)
    assert (await own.mark(all=True))["unread"] == 0, "also what is not in the inbox yet"
    await own.settled(0, audience="user")
    assert (await own.mark(ids=more))["read"] == []


async def test_deleting_hides_a_shared_one_from_its_user_and_removes_a_personal_one(cluster: Cluster):
    bob, eve = desk(cluster, number := cluster.number()), desk(cluster, cluster.number())
    own = (await publish(cluster, number, 1))[0]
    everybodys = (await cluster.router.send("all", {"type": "party"}))["id"]
    await bob.there(own, everybodys)
    for name in (own, everybodys):
        assert (await bob.call("DELETE", f"/{name}")).status_code == 200
        assert (await bob.call("DELETE", f"/{name}")).status_code == 404
        assert (await bob.call("POST", f"/{name}/read")).status_code == 404
    assert await bob.ids(audience="user") == []
    assert everybodys not in await bob.ids(audience="all")
    assert everybodys in await eve.ids(audience="all")
    assert await bob.unread(audience="user") == 0


async def test_an_event_can_be_marked_and_deleted_as_soon_as_it_is_heard(cluster: Cluster):
    user = cluster.number()
    own = desk(cluster, user)
    async with cluster.user(user) as client:
        for method, path in (("POST", "/{}/read"), ("DELETE", "/{}")):
            await publish(cluster, user, 1)
            heard = (await client.receive("note"))["id"]
            answer = await own.call(method, path.format(heard))
            assert answer.status_code == 200, answer.text
            assert answer.json()["by_audience"]["user"] == 0


async def test_the_badge_of_every_device_changes_at_once(cluster: Cluster):
    user = cluster.number()
    ids, own = await publish(cluster, user, 3), desk(cluster, user)
    await own.settled(3, audience="user")
    async with (
        cluster.user(user, node=cluster.nodes[0]) as here,
        cluster.user(user, node=cluster.nodes[1]) as there,
        cluster.user(cluster.number(), node=cluster.nodes[1]) as stranger,
    ):
        marked = await own.mark(ids=[ids[0], ids[1]])
        await own.call("DELETE", f"/{ids[2]}", node=cluster.nodes[1])
        everything = await own.mark(all=True, node=cluster.nodes[1])
        for client in (here, there):
            first, second, third = [await client.receive("inbox") for _ in range(3)]
            assert first == {
                "type": "inbox",
                "unread": marked["unread"],
                "as_of": marked["as_of"],
                "revision": marked["revision"],
                "read": [ids[0], ids[1]],
            }
            assert (second["deleted"], second["revision"]) == ([ids[2]], first["revision"] + 1)
            assert (third["unread"], third["revision"]) == (0, everything["revision"])
            assert [name.rpartition(".")[0] for name in third["up_to"]] == [user_stream(str(user)), "all"]
            for frame in (first, second, third):
                NODES_OWN["inbox"].model_validate(frame)
        await own.mark(all=True)
        await own.mark(ids=[ids[0]])
        for client in (here, there, stranger):
            await cluster.nobody_hears(client)


async def test_an_admins_sockets_hear_of_the_admins_and_its_user_sockets_do_not(cluster: Cluster):
    ann = cluster.number()
    admin = desk(cluster, ann, admin=True)
    await admin.mark(all=True)
    alarm = (await cluster.router.notify("system_message", message="fire"))["id"]
    await admin.settled(1, audience="admin")

    async def hears(client: Client) -> dict[str, object]:
        frame = await client.receive("inbox")
        return {name: frame.get(name) for name in ("unread", "read", "revision")}

    async with cluster.admin(ann, node=cluster.nodes[1]) as pool, cluster.user(ann, is_admin=True) as personal:
        marked = await admin.mark(ids=[alarm])
        assert await hears(pool) == {"unread": 0, "read": [alarm], "revision": marked["revision"]}
        assert await hears(personal) == {"unread": 0, "read": None, "revision": marked["revision"]}


async def test_the_clients_count_and_the_servers_agree_while_events_come(cluster: Cluster):
    """The rule of docs/inbox.md: unread, and what was heard after as_of."""
    user = cluster.number()
    own, stream = desk(cluster, user), user_stream(str(user))

    def place(name: str) -> tuple[int, ...]:
        return tuple(map(int, name.rpartition(".")[2].split("-")))

    async with cluster.user(user) as client:
        for n in range(1, 31):
            heard = [(await cluster.router.send({"users": [user]}, {"type": "note"}))["id"] for _ in range(3)]
            assert [(await client.receive("note"))["id"] for _ in heard] == heard
            badge = await own.get("/unread-count", audience="user")
            assert badge["as_of"].startswith(f"{stream}.")
            later = [text for text in client.texts if '"note"' in text and place(text[:-2]) > place(badge["as_of"])]
            assert badge["unread"] + len(later) == 3 * n


@pytest.mark.parametrize(
    ("method", "path", "request_", "field"),
    [
        ("GET", "?limit=0", {}, ["query", "limit"]),
        ("GET", "?limit=101", {}, ["query", "limit"]),
        ("GET", "?unread=perhaps", {}, ["query", "unread"]),
        ("GET", "?type=", {}, ["query", "type"]),
        ("GET", f"?type={'x' * 129}", {}, ["query", "type"]),
        ("GET", "?audience=everybody", {}, ["query", "audience"]),
        ("GET", "?cursor=nonsense", {}, ["query", "cursor"]),
        ("GET", "?cursor=all.5-5", {}, ["query", "cursor"]),
        ("GET", "?cursor=all.5-5,all.5-6", {}, ["query", "cursor"]),
        ("GET", "?cursor=admin.5-5,all.5-6", {}, ["query", "cursor"]),
        ("GET", "/unread-count?audience=", {}, ["query", "audience"]),
        ("POST", "/read", {"json": {}}, ["body"]),
        ("POST", "/read", {"json": {"ids": []}}, ["body", "ids"]),
        ("POST", "/read", {"json": {"ids": ["x"] * 1001}}, ["body", "ids"]),
        ("POST", "/read", {"json": {"ids": [7]}}, ["body", "ids", 0]),
        ("POST", "/read", {"json": {"ids": ["x"], "all": True}}, ["body"]),
        ("POST", "/read", {"json": {"all": False}}, ["body", "all"]),
        ("POST", "/read", {"json": {"up_to": "admin.5-5"}}, ["body", "up_to"]),
        ("POST", "/read", {"json": {"upto": "all.5-5"}}, ["body", "upto"]),
        ("POST", "/read", {"content": b"{", "headers": JSON}, ["body", 1]),
        ("POST", "/read", {"content": b'{"all":NaN}', "headers": JSON}, ["body", "all"]),
        ("POST", "/read", {"content": b'{"ids":["\\ud800"]}', "headers": JSON}, ["body", "ids", 0]),
        ("POST", "/read", {"content": b'{"\\ud800":1}', "headers": JSON}, ["body"]),
    ],
)
async def test_what_is_wrong_is_refused_and_named(cluster, method, path, request_, field):
    answer = await desk(cluster, 5).call(method, path, **request_)
    assert answer.status_code == 422, answer.text
    assert field in [problem["loc"] for problem in answer.json()["detail"]], answer.text


CALLS = [("GET", ""), ("GET", "/unread-count"), ("POST", "/read"), ("POST", "/all.1-1/read"), ("DELETE", "/all.1-1")]


async def test_every_call_wants_a_token(cluster: Cluster):
    for method, path in CALLS:
        for bearer in (None, "nonsense", cluster.tokens.user(1, exp=in_seconds(-60))):
            answer = await cluster.node.call(method, PATH + path, bearer=bearer)
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer"), (method, path)


async def test_a_blocked_user_reads_and_changes_nothing(cluster: Cluster):
    user, ann = cluster.number(), cluster.number()
    (kept,) = await publish(cluster, user, 1)
    own = desk(cluster, user)
    await own.settled(1, audience="user")
    for who in (user, ann):
        await cluster.router.delete(f"users/{who}/connections", params={"block_seconds": 60})
    for who in (own, desk(cluster, ann, admin=True)):
        for method, path in CALLS:
            answer = await who.call(method, path, json={"all": True})
            assert (answer.status_code, answer.json()) == (403, {"detail": "user blocked"}), (method, path)
    await cluster.router.delete(f"users/{user}/block")
    assert await own.ids(audience="user", unread=True) == [kept]


async def test_too_many_calls_of_one_user_are_refused_and_nobody_elses(cluster: Cluster):
    node = await cluster.start_node(COMMANDS_PER_SECOND="1")
    eager, other = [cluster.tokens.user(cluster.number()) for _ in range(2)]
    answers = await asyncio.gather(*(node.get(f"{PATH}/unread-count", bearer=eager) for _ in range(40)))
    assert {answer.status_code for answer in answers} == {200, 429}
    assert {answer.headers["retry-after"] for answer in answers if answer.status_code == 429} == {"1"}
    assert (await node.get(f"{PATH}/unread-count", bearer=other)).status_code == 200


async def test_ids_that_name_nothing_are_unknown(cluster: Cluster):
    own = desk(cluster, cluster.number())
    for name in ("all.1-1", "all.9999999999999-1", "u.Nw.1-1", "nonsense", "%00"):
        assert (await own.call("POST", f"/{name}/read")).status_code == 404, name
        assert (await own.call("DELETE", f"/{name}")).status_code == 404, name
    assert (await own.mark(ids=["all.1-1", "nonsense"]))["unknown"] == ["nonsense", "all.1-1"]


async def test_what_was_published_before_there_was_an_inbox_is_unknown_and_not_on_its_way(
    new_cluster: NewCluster, database_url: str
):
    before = await new_cluster(nodes=0, DATABASE_URL="off")
    accepted = await before.router.post("messages", {"audience": "all", "message": {"type": "note"}})
    with_inbox = await new_cluster(REDIS_PREFIX=before.prefix, DATABASE_URL=database_url)
    own = desk(with_inbox, with_inbox.number())
    for method, path in (("POST", "/read"), ("DELETE", "")):
        assert (await own.call(method, f"/{accepted.json()['id']}{path}")).status_code == 404


async def test_a_body_beyond_the_limit_is_413(cluster: Cluster):
    answer = await desk(cluster, 5).call("POST", "/read", content=b" " * 1_100_000)
    assert answer.status_code == 413


async def test_openapi_documents_every_call_with_examples(cluster: Cluster):
    document = (await cluster.node.get("/openapi.json")).json()
    calls = {
        (method, path): operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if path.startswith(PATH)
    }
    assert calls.keys() == {
        ("get", PATH),
        ("get", f"{PATH}/unread-count"),
        ("post", f"{PATH}/read"),
        ("post", f"{PATH}/{{id}}/read"),
        ("delete", f"{PATH}/{{id}}"),
    }
    for call, operation in calls.items():
        assert operation["security"], call
        assert operation["description"], call
        assert {"200", "401", "422", "503"} <= set(operation["responses"]), call
    schemas = document["components"]["schemas"]
    assert len(schemas["MarkRequest"]["examples"]) == 3
    assert schemas["NotificationPage"]["properties"]["notifications"]["items"]["$ref"].endswith("/Notification")


async def test_expired_notifications_are_neither_listed_nor_counted(cluster: Cluster):
    user = cluster.number()
    own = desk(cluster, user)
    await cluster.router.send({"users": [user]}, {"type": "over"}, expires_at=1)
    kept = await publish(cluster, user, 1)
    await own.settled(1, audience="user")
    assert await own.ids(audience="user") == kept
