"""`videosite-realtime up` as a process, with the real Valkey and stand-ins for `python -m node` and `-m router`."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from videosite_realtime_cli import identity

from tests.support.ports import free_port
from tests.support.process import lives

STAND_IN = """
import http.server, os, signal, sys, threading
KIND = __package__ or "node"
NAME = os.environ.get("NODE_NAME", "router-1") if KIND == "node" else "router-1"
PORT = int(os.environ["NODE_MANAGEMENT_PORT" if KIND == "node" else "ROUTER_PORT"])

def event(text):
    with open(os.environ["EVENTS"], "a") as events:
        events.write(f"{NAME} {os.getpid()} {text}\\n")

class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
    def log_message(self, *_):
        pass

def leave(*_):
    event("leaves")
    if os.environ.get("STUBBORN") != NAME:
        os._exit(0)

signal.signal(signal.SIGTERM, leave)
print(f"{NAME} hears", os.environ["REDIS_URL"], flush=True)
if os.environ.get("REFUSES") == NAME:
    sys.exit("JWT_SECRET is shorter than 32 bytes")
server = http.server.HTTPServer(("127.0.0.1", PORT), Ready)
event("serves")
server.serve_forever()
"""


class Up:
    """A running `up`, its output line by line and what its parts wrote down."""

    def __init__(self, directory: Path, *arguments: str, **environment: str) -> None:
        self.events_file = directory / "events"
        self.local_file = directory / "state" / "videosite-realtime" / "local.json"
        # A block of ports whose first few are free; `up` itself would say if one were not.
        self.router_port = _free_block()
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "videosite_realtime_cli", "up", *arguments),
                *("--port", str(free_port()), "--router-port", str(self.router_port)),
            ],
            env={
                **os.environ,
                "EVENTS": str(self.events_file),
                "TMPDIR": str(directory),
                **environment,
            },
            cwd=directory,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.lines: list[str] = []

    def until_line(self, text: str) -> None:
        """Read until it has said this; the parts' logs and its own words come in no order that is promised."""
        assert self.process.stdout is not None
        if any(text in line for line in self.lines):
            return
        for line in self.process.stdout:
            self.lines.append(line)
            if text in line:
                return
        pytest.fail(f"it ended without saying {text!r}: {''.join(self.lines)} {self.process.communicate()[1]}")

    def until_up(self) -> None:
        self.until_line("curl")
        _wait_for(self.local_file.exists)

    def end(self) -> tuple[int, str]:
        output, errors = self.process.communicate(timeout=90)
        self.lines += output.splitlines(keepends=True)
        return self.process.returncode, errors

    @property
    def events(self) -> list[list[str]]:
        return [line.split(" ", 2) for line in self.events_file.read_text().splitlines()]

    def pid_of(self, name: str) -> int:
        return next(int(pid) for part, pid, _ in self.events if part == name)


@pytest.fixture
def up(tmp_path, real_up):
    """`up(…)`: a cluster of stand-ins, which come before the real packages on the path."""
    stand_ins = tmp_path / "stand-ins"
    for package in ("node", "router"):
        (stand_ins / package).mkdir(parents=True)
        (stand_ins / package / "__init__.py").touch()
        (stand_ins / package / "__main__.py").write_text(STAND_IN)

    def start(*arguments, **environment):
        return real_up(*arguments, PYTHONPATH=str(stand_ins), **environment)

    return start


@pytest.fixture
def real_up(tmp_path):
    started = []

    def start(*arguments, **environment):
        started.append(Up(tmp_path, *arguments, **environment))
        return started[-1]

    yield start
    for each in started:
        if each.process.poll() is None:
            each.process.kill()
        each.process.communicate()


def test_it_runs_everything_tells_how_to_look_and_stops_in_order(up):
    cluster = up()
    cluster.until_up()
    assert stat.S_IMODE(cluster.local_file.stat().st_mode) == 0o600
    local = json.loads(cluster.local_file.read_text())
    assert local["management_urls"].keys() == {"node-1", "node-2"}
    assert local["management_urls"]["node-1"].endswith(str(cluster.router_port + 10))
    assert _answers(local["traces_url"])
    told = "".join(cluster.lines)
    assert "videosite-realtime trace last" in told
    assert "2 nodes, 1 router" in told
    assert local["node_url"] in told
    assert "videosite-realtime tail --admin" in told
    tokens = [word for word in told.split() if word.startswith("eyJ")]
    assert [identity.claims_of(token)["sub"] for token in tokens] == ["7", "1"]
    assert identity.claims_of(tokens[1])["is_admin"] is True

    cluster.process.send_signal(signal.SIGINT)
    assert cluster.end() == (0, "")
    left = [name for name, _, event in cluster.events if event == "leaves"]
    assert left[0] == "router-1"
    assert sorted(left[1:]) == ["node-1", "node-2"]
    assert not cluster.local_file.exists()
    assert not _answers(local["redis_url"])
    assert not _answers(local["traces_url"])


def test_the_other_commands_find_it(up, command, secret):
    cluster = up(JWT_SECRET=secret, ROUTER_API_KEYS="a-key-of-16-characters,another-key-of-16-chars")
    cluster.until_up()
    assert json.loads(cluster.local_file.read_text())["router_api_key"] == "a-key-of-16-characters"
    assert command("token", "user", "7").exit_code == 0
    cluster.process.terminate()
    assert cluster.end()[0] == 0


def test_a_part_that_dies_is_named_and_the_rest_is_stopped(up):
    cluster = up()
    cluster.until_up()
    os.kill(cluster.pid_of("node-2"), signal.SIGKILL)
    status, errors = cluster.end()
    assert status == 1
    assert errors.startswith(
        "videosite-realtime: node-2 was ended by SIGKILL; its last log line: node-2 hears redis://"
    )
    assert errors.count("\n") == 1
    assert {name for name, _, event in cluster.events if event == "leaves"} == {"router-1", "node-1"}


def test_a_part_that_refuses_its_settings_is_quoted(up):
    status, errors = up(REFUSES="node-1").end()
    assert status == 1
    assert errors == (
        "videosite-realtime: node-1 ended with exit status 1; its last log line: JWT_SECRET is shorter than 32 bytes\n"
    )


def test_two_clusters_at_once_do_not_speak_for_each_other(up):
    cluster = up()
    cluster.until_up()
    assert up(REFUSES="node-2").end()[0] == 1
    os.kill(cluster.pid_of("node-2"), signal.SIGKILL)
    assert "its last log line: node-2 hears redis://" in cluster.end()[1]


def test_a_state_directory_that_cannot_be_written_to_is_one_line(up):
    status, errors = up(XDG_STATE_HOME="/dev/null/state").end()
    assert status == 1
    assert "/dev/null/state/videosite-realtime/logs/" in errors
    assert "cannot be written to (Not a directory): set XDG_STATE_HOME" in errors
    assert errors.count("\n") == 1


def test_nothing_survives_a_kill_of_up_itself(up):
    cluster = up()
    cluster.until_up()
    redis_url = json.loads(cluster.local_file.read_text())["redis_url"]
    pids = {int(pid) for _, pid, _ in cluster.events}
    assert len(pids) == 3
    assert _answers(redis_url)
    cluster.process.kill()
    _wait_for(lambda: not any(map(lives, pids)) and not _answers(redis_url))


def test_a_second_ctrl_c_waits_for_nobody(up):
    cluster = up(STUBBORN="node-1", DRAIN_SECONDS="300")
    cluster.until_up()
    cluster.process.send_signal(signal.SIGINT)
    _wait_for(lambda: any(name == "node-1" and event == "leaves" for name, _, event in cluster.events))
    cluster.process.send_signal(signal.SIGINT)
    assert cluster.end()[0] == 0


def test_a_stop_while_it_starts_is_a_stop(up):
    cluster = up(REFUSES="nobody")
    _wait_for(cluster.events_file.exists)
    cluster.process.terminate()
    assert cluster.end()[0] == 0


def test_verbose_shows_the_logs_under_the_parts_names(up):
    cluster = up("--verbose", "--nodes", "1")
    cluster.until_line("node-1   │ node-1 hears redis://")
    cluster.until_up()
    cluster.process.terminate()
    cluster.end()
    assert any(line.startswith("valkey   │ ") and "ready to exit" in line for line in cluster.lines)


def test_a_redis_that_does_not_answer_is_named_without_its_password(up):
    port = free_port()
    status, errors = up(REDIS_URL=f"redis://:sesame@127.0.0.1:{port}/0").end()
    assert status == 1
    assert f"redis://127.0.0.1:{port}/0 does not answer (Connection refused)" in errors
    assert "sesame" not in errors
    assert errors.count("\n") == 1


@pytest.mark.parametrize("variable", ["REDIS_SENTINELS", "REDIS_CLUSTER_NODES"])
def test_servers_that_parts_would_ask_instead_are_refused(up, variable: str):
    status, errors = up(**{variable: "redis.example:7000"}).end()
    assert (status, errors.count("\n")) == (1, 1)
    assert f"{variable} is set, but up works with one server" in errors


@pytest.mark.parametrize("url", ["http://127.0.0.1", "redis://:sesame@[::1"])
def test_a_redis_url_that_is_none_is_one_line(up, url):
    status, errors = up(REDIS_URL=url).end()
    assert status == 1
    assert errors.startswith("videosite-realtime: REDIS_URL is not a ")
    assert "sesame" not in errors
    assert errors.count("\n") == 1


def test_the_real_cluster_carries_a_message_from_send_to_tail_and_stops_within_bounds(real_up, command):
    cluster = real_up()
    cluster.until_up()
    tail = subprocess.Popen(
        [sys.executable, "-m", "videosite_realtime_cli", "tail", "--user", "7", "--raw"],
        stdout=subprocess.PIPE,
        text=True,
    )
    with tail:
        assert json.loads(tail.stdout.readline())["type"] == "connected"
        receipt = json.loads(command("send", "user", "7", "维护", "--json-output").stdout)
        message = json.loads(tail.stdout.readline())
        assert (message["id"], message["message"]) == (receipt["id"], "维护")
        assert json.loads(command("stats", "--json-output").stdout)["nodes"][0]["state"] == "up"
        _until_in_inbox(cluster, command, message["id"])
        trace = command("trace", receipt["trace_id"], "--wait", "10").output
        hops = [line.split()[0] for line in trace.splitlines() if "━" in line]
        assert hops[:2] == ["router-1", "router-1"]
        assert hops[2:] in (["node-1"], ["node-2"])
        begun = time.monotonic()
        cluster.process.send_signal(signal.SIGINT)
        assert cluster.end() == (0, "")
        assert time.monotonic() - begun < 30
        tail.kill()


def _until_in_inbox(cluster: Up, command, event: str) -> None:
    token = command("token", "user", "7").stdout.strip()
    node = json.loads(cluster.local_file.read_text())["node_url"]
    deadline = time.monotonic() + 60
    while True:
        answer = httpx.get(
            f"{node}/api/v1/notifications", headers={"Authorization": f"Bearer {token}"}, trust_env=False
        )
        if answer.is_success and event in [item["id"] for item in answer.json()["notifications"]]:
            return
        assert time.monotonic() < deadline, answer.text


def test_the_demo_shows_the_product_at_work(real_up):
    cluster = real_up("--demo", "--nodes", "1")
    cluster.until_line("connected  管理员")
    cluster.until_line("progress   video")
    cluster.process.send_signal(signal.SIGTERM)
    assert cluster.end() == (0, "")


def _free_block() -> int:
    while True:
        port = free_port()
        if all(_bindable(port + n) for n in (1, 10, 11)):
            return port


def _bindable(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _answers(url: str) -> bool:
    port = int(url.rpartition(":")[2].partition("/")[0])
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _wait_for(condition) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
