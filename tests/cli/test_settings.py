import json
import os
import stat
import subprocess
from dataclasses import replace

import pytest
from videosite_realtime_cli import local_file, settings
from videosite_realtime_cli.errors import BadInput, NotConfigured
from videosite_realtime_cli.local_file import LocalCluster
from videosite_realtime_cli.settings import SigningOptions


@pytest.fixture
def local():
    return LocalCluster(
        node_url="http://127.0.0.1:8000",
        router_url="http://127.0.0.1:8001",
        jwt_secret="local-secret",
        jwt_algorithm="HS256",
        router_api_key="local-key",
        redis_url="redis://127.0.0.1:1",
        management_urls={"node-1": "http://127.0.0.1:8011"},
        pid=os.getpid(),
    )


def test_the_option_comes_before_the_file(local):
    assert settings.node_url("http://other:1/", local) == "http://other:1"
    assert settings.node_url(None, local) == "http://127.0.0.1:8000"


def test_the_option_comes_before_the_environment_and_that_before_the_file(command, home, local, secret):
    with local_file.published(local, home / "local.json"):
        by_file = command("token", "user", "7").stdout
        by_environment = command("token", "user", "7", env={"JWT_SECRET": secret}).stdout
        by_option = command("token", "user", "7", "--jwt-secret", "local-secret", env={"JWT_SECRET": secret}).stdout
    signatures = [token.rpartition(".")[2] for token in (by_file, by_environment, by_option)]
    assert signatures[0] == signatures[2] != signatures[1]


def test_the_key_of_the_local_router_is_not_sent_to_another(local):
    assert settings.router_access(None, None, local).api_key == "local-key"
    assert settings.router_access("http://127.0.0.1:8001/", None, local).api_key == "local-key"
    with pytest.raises(NotConfigured, match="ROUTER_API_KEY"):
        settings.router_access("https://realtime.example.com", None, local)


def test_a_token_for_another_node_is_not_signed_with_the_local_secret(local):
    assert settings.signer(SigningOptions(), local, for_node=local.node_url).secret == "local-secret"
    with pytest.raises(NotConfigured, match="JWT_SECRET"):
        settings.signer(SigningOptions(), local, for_node="https://realtime.example.com")


def test_when_nothing_is_found_the_line_says_what_to_set():
    with pytest.raises(NotConfigured, match="set ROUTER_URL or --router-url, or start a cluster"):
        settings.router_access(None, None, None)
    with pytest.raises(NotConfigured, match="NODE_URL"):
        settings.node_url(None, None)


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "ftp://a", "http://", "http://a:port", "http://[::1"])
def test_an_address_that_is_none_is_named(url):
    with pytest.raises(BadInput, match="the node's address"):
        settings.node_url(url, None)


@pytest.mark.parametrize(
    ("url", "loopback"),
    [("http://127.0.0.1:1", True), ("ws://localhost", True), ("http://[::1]:1", True), ("http://example.com", False)],
)
def test_loopback_is_told_from_elsewhere(url, loopback):
    assert settings.is_loopback(url) is loopback


def test_the_file_is_its_owners_alone_and_goes_with_the_cluster(home, local):
    path = home / "local.json"
    with local_file.published(local, path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert local_file.read(path) == local
    assert not path.exists()
    assert list(home.iterdir()) == []


def test_a_file_that_another_up_has_written_meanwhile_stays(home, local):
    path = home / "local.json"
    with local_file.published(local, path):
        path.write_text(json.dumps({"pid": 1}))
    assert path.exists()


def test_the_cluster_that_was_found_before_is_found_again(home, local):
    path = home / "local.json"
    first, second = replace(local, pid=os.getpid()), replace(local, router_url="http://127.0.0.1:9001", pid=1)
    with local_file.published(first, path):
        with local_file.published(second, path):
            assert local_file.read(path) == second
        assert local_file.read(path) == first
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not path.exists()


def test_a_cluster_that_has_ended_meanwhile_is_not_found_again(home, local):
    path = home / "local.json"
    ended = subprocess.Popen(["sleep", "60"])
    with local_file.published(replace(local, pid=ended.pid), path), local_file.published(local, path):
        ended.kill()
        ended.wait()
    assert not path.exists()


def test_a_state_directory_that_cannot_be_written_to_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(
        BadInput, match=r"file/videosite-realtime/logs/8000 cannot be written to .*: set XDG_STATE_HOME"
    ):
        local_file.logs_directory(8000, {"XDG_STATE_HOME": str(tmp_path / "file")})


def test_a_file_that_a_killed_up_left_is_ignored(home, local):
    path = home / "local.json"
    with local_file.published(local, path):
        content = json.loads(path.read_text())
        path.write_text(json.dumps(content | {"pid": 2**22 + 1}))  # above Linux's largest process id
        assert local_file.read(path) is None


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"node_url": 1'])
def test_a_file_that_cannot_be_read_is_named(home, content):
    home.mkdir(parents=True)
    (home / "local.json").write_text(content)
    with pytest.raises(BadInput, match=r"local\.json cannot be read"):
        local_file.read(home / "local.json")


def test_secrets_do_not_show_in_a_repr(local):
    assert "local-secret" not in repr(local)
    assert "local-key" not in repr(local)


def test_state_goes_to_the_home_directory_without_xdg(monkeypatch):
    assert local_file.state_directory({"XDG_STATE_HOME": "relative"}).parts[-3:] == (
        ".local",
        "state",
        "videosite-realtime",
    )
