"""What `send` and `stats` ask of a router and how they tell its answers, against a server that follows a script."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.support.ports import free_port

RECEIPT = {
    "id": "admin.1-4",
    "ids": {"admin": "admin.1-4", "user:7": "u.Nw.1-2"},
    "nodes": 2,
    "online": True,
    "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
}
COUNTERS = {"total_users": 50, "total_user_connections": 65, "total_admin_connections": 5, "total_connections": 70}


class ScriptedRouter(ThreadingHTTPServer):
    """Answers each path with what the test wrote down; keeps what it was asked."""

    daemon_threads = True

    def __init__(self):
        self.answers = {"/api/v1/stats": [(200, COUNTERS)]}
        self.calls = []
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"

    @property
    def bodies(self):
        return [body for _, _, body in self.calls]


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.calls.append((self.path, self.headers, json.loads(content) if content else None))
        answers = self.server.answers.get(self.path, [(202, RECEIPT)])
        status, body = answers.pop(0) if len(answers) > 1 else answers[0]
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_POST = do_GET

    def log_message(self, *_):
        pass


@pytest.fixture
def router():
    with ScriptedRouter() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def ask(command, router):
    def run(*arguments, **more):
        return command(*arguments, env={"ROUTER_URL": router.url, "ROUTER_API_KEY": "a-key"}, **more)

    return run


@pytest.mark.parametrize(
    ("arguments", "path", "body"),
    [
        (
            ["user", "7", "hello", "--level", "success"],
            "/api/v1/messages",
            {
                "audience": {"users": ["7"]},
                "message": {"type": "system_message", "message": "hello", "level": "success"},
            },
        ),
        (
            ["user", "7", "--json", '{"type":"order_paid","order":10482}'],
            "/api/v1/messages",
            {"audience": {"users": ["7"]}, "message": {"type": "order_paid", "order": 10482}},
        ),
        (
            ["admin", "维护"],
            "/api/v1/messages",
            {"audience": "admin", "message": {"type": "system_message", "message": "维护", "level": "info"}},
        ),
        (
            ["all", "hello"],
            "/api/v1/messages",
            {"audience": "all", "message": {"type": "system_message", "message": "hello", "level": "info"}},
        ),
        (
            ["system", "soon", "--level", "warning", "--target", "7,8"],
            "/api/v1/notifications",
            {"type": "system_message", "message": "soon", "level": "warning", "target": {"users": ["7", "8"]}},
        ),
        (
            ["progress", "123", "45", "--message", "720p", "--user", "7"],
            "/api/v1/notifications",
            {
                "type": "transcode_progress",
                "video_id": 123,
                "status": "processing",
                "progress": 45,
                "message": "720p",
                "user_id": "7",
            },
        ),
        (
            ["complete", "123", "--title", "T", "--format", "av1", "--size", "9"],
            "/api/v1/notifications",
            {"type": "transcode_complete", "video_id": 123, "title": "T", "format_type": "av1", "file_size": 9},
        ),
        (
            ["failed", "123", "--title", "T", "--error", "code 1"],
            "/api/v1/notifications",
            {"type": "transcode_failed", "video_id": 123, "title": "T", "error": "code 1"},
        ),
    ],
)
def test_a_message_is_sent_as_the_router_wants_it(ask, router, arguments, path, body):
    result = ask("send", *arguments)
    assert result.exit_code == 0
    [(asked, headers, sent)] = router.calls
    assert (asked, sent) == (path, body)
    assert headers["Authorization"] == "Bearer a-key"


def test_the_receipt_is_told(ask):
    told = ask("send", "user", "7", "hello").stdout
    assert "handed to 2 nodes, somebody is connected" in told
    assert "admin.1-4  admin" in told
    assert "u.Nw.1-2  user:7" in told
    assert "trace 4bf92f3577b34da6a3ce929d0e0e4736" in told


def test_the_receipt_of_a_state_says_why_it_has_no_id(ask, router):
    router.answers["/api/v1/notifications"] = [(202, RECEIPT | {"id": None, "ids": {}, "nodes": 1, "online": False})]
    told = ask("send", "progress", "1", "50").stdout
    assert "handed to 1 node, nobody is connected" in told
    assert "no place in history" in told


def test_scripts_get_the_receipt_as_json(ask):
    assert json.loads(ask("send", "all", "hello", "--json-output").stdout) == RECEIPT


def test_a_message_can_come_from_standard_input(ask, router):
    ask("send", "all", "--json", "-", input='{"type":"x"}')
    assert router.bodies[0]["message"] == {"type": "x"}


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["user", "7"], "either a TEXT or --json"),
        (["user", "7", "hello", "--json", "{}"], "either a TEXT or --json"),
        (["all", "--json", "{"], "--json is not JSON"),
        (["all", "--json", "{}"], "not an object with a `type`"),
        (["user", "7/8", "hello"], "not a user id"),
        (["system", "x", "--target", "admin,7/8"], "not a user id"),
    ],
)
def test_what_cannot_be_sent_is_one_line(ask, router, arguments, line):
    result = ask("send", *arguments)
    assert result.exit_code == 1
    assert line in result.stderr
    assert result.stderr.count("\n") == 1
    assert router.calls == []


@pytest.mark.parametrize(
    ("status", "body", "line"),
    [
        (401, {"detail": "wrong"}, "does not accept this key: see ROUTER_API_KEY"),
        (403, {"detail": "the scope 'publish' is missing"}, "may not do that: the scope 'publish' is missing"),
        (413, {"detail": "the body is too large"}, "the body is too large"),
        (422, {"detail": [{"loc": ["body", "message", "type"], "msg": "is reserved"}]}, "message.type: is reserved"),
        (404, b"<html>", "answers HTTP 404: is that a router?"),
        (200, b"<html>", "answers HTTP 200: is that a router?"),
    ],
)
def test_a_refusal_is_one_line_that_says_what_is_wrong(ask, router, status, body, line):
    router.answers["/api/v1/messages"] = [(status, body)]
    result = ask("send", "all", "hello")
    assert result.exit_code == 1
    assert line in result.stderr
    assert result.stderr.count("\n") == 1
    assert len(router.calls) == 1


def test_a_router_without_redis_is_asked_again_under_the_same_key(ask, router):
    router.answers["/api/v1/messages"] = [(503, {"detail": "no Redis"}), (202, RECEIPT)]
    assert ask("send", "all", "hello").exit_code == 0
    keys = {headers["Idempotency-Key"] for _, headers, _ in router.calls}
    assert len(router.calls) == 2
    assert len(keys) == 1


def test_a_router_that_is_not_there_is_named_at_once(command):
    url = f"http://127.0.0.1:{free_port()}"
    result = command("send", "all", "hello", env={"ROUTER_URL": url, "ROUTER_API_KEY": "a-key"})
    assert result.exit_code == 1
    assert f"no router answers at {url}" in result.stderr
    assert result.stderr.count("\n") == 1


def test_stats_show_every_node_and_the_clusters_counters(ask, router):
    node = {"node_id": "node-1.5f3c", "name": "node-1", "state": "draining", "started_at": "2025-10-10T10:00:00Z"}
    node |= {"user_connections": 65, "admin_connections": 5, "users": 50, "version": "0.1.0"}
    router.answers["/api/v1/nodes"] = [(200, {"nodes": [node, {"node_id": "node-2.77"}, "nonsense"]})]
    told = ask("stats").stdout
    row = next(line for line in told.splitlines() if "node-1" in line).split()
    assert row[:2] == ["node-1", "draining"]
    assert row[-4:] == ["0.1.0", "50", "65", "5"]
    assert next(line for line in told.splitlines() if "node-2.77" in line).split()[1:] == ["–"] * 6
    assert "50 users · 65 user connections · 5 admin connections · 70 connections" in told


def test_stats_are_json_for_scripts(ask, router):
    router.answers["/api/v1/nodes"] = [(200, {"nodes": []})]
    assert json.loads(ask("stats", "--json-output").stdout) == {"stats": COUNTERS, "nodes": []}


def test_stats_need_the_scope_to_read(ask, router):
    router.answers["/api/v1/stats"] = [(403, {})]
    result = ask("stats")
    assert result.exit_code == 1
    assert "lacks the scope" in result.stderr
