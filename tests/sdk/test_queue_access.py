"""What is set for the queue of the SDK, and what contradicts itself."""

from __future__ import annotations

from typing import Any

import pytest
from videosite_realtime import ConfigurationError
from videosite_realtime._queue_access import Given, QueueAccess, Sentinels


def found(environ: dict[str, str] | None = None, **given: Any) -> QueueAccess:
    return QueueAccess.find(Given(**given), environ or {})


CONTRADICTIONS: list[tuple[dict[str, str], str]] = [
    ({"QUEUE_CLUSTER_NODES": "a", "QUEUE_SENTINELS": "b"}, "QUEUE_CLUSTER_NODES and QUEUE_SENTINELS are both set"),
    ({"QUEUE_CLUSTER_NODES": "a", "QUEUE_URL": "unix:///run/redis"}, "QUEUE_URL cannot be unix://"),
    ({"QUEUE_SENTINELS": "a", "QUEUE_URL": "unix:///run/redis"}, "QUEUE_SENTINELS tells host and port"),
    ({"QUEUE_CLUSTER_NODES": "a", "QUEUE_URL": "redis://:secret@b/3"}, "another database than 0"),
    ({"QUEUE_CLUSTER_NODES": "a", "QUEUE_URL": "redis://:secret@b:port"}, "QUEUE_URL cannot be read"),
    ({"QUEUE_CLUSTER_NODES": "a:6379,b:port"}, "QUEUE_CLUSTER_NODES has something that is not host:port: 'b:port'"),
    ({"QUEUE_CLUSTER_NODES": "redis://:secret@a"}, "not host:port"),
    ({"QUEUE_SENTINELS": "me:secret@a"}, "QUEUE_SENTINELS has something that is not host:port: 'a'"),
    ({"QUEUE_URL": "redis://a", "QUEUE_SENTINEL_MASTER": "m"}, "QUEUE_SENTINEL_MASTER is set without QUEUE_SENTINELS"),
    ({"QUEUE_CLUSTER_NODES": "a", "QUEUE_SENTINEL_PASSWORD": "secret"}, "is set without QUEUE_SENTINELS"),
]


@pytest.mark.parametrize(("environ", "said"), CONTRADICTIONS)
def test_settings_that_contradict_each_other_are_named_without_their_secrets(
    environ: dict[str, str], said: str
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        found(environ)
    assert said in str(refused.value)
    assert "secret" not in str(refused.value)


def test_a_text_instead_of_a_list_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="QUEUE_CLUSTER_NODES is a list of host:port, not one text: 'a:1,b:2'"):
        found(cluster_nodes="a:1,b:2")


def test_servers_and_sentinels_have_their_usual_ports_unless_they_name_another() -> None:
    access = found({"QUEUE_CLUSTER_NODES": "redis-0.redis, b:7001,[::1]:2"})
    assert access.asked == (("redis-0.redis", 6379), ("b", 7001), ("::1", 2))
    environ = {"QUEUE_SENTINELS": "a,b:26380", "QUEUE_SENTINEL_MASTER": "m", "QUEUE_SENTINEL_PASSWORD": "secret"}
    assert found(environ).sentinels == Sentinels((("a", 26379), ("b", 26380)), "m", "secret")
    assert found({"QUEUE_SENTINELS": "a"}).sentinels == Sentinels((("a", 26379),), "mymaster", None)
    assert "secret" not in repr(found(environ))


def test_an_address_tells_tls_and_the_user_and_nothing_of_where() -> None:
    url = "rediss://me:p%40ss@nowhere:1/0?ssl_ca_certs=/etc/ca.crt"
    options = {"username": "me", "password": "p@ss", "db": 0, "ssl": True, "ssl_ca_certs": "/etc/ca.crt"}
    assert found(url=url, cluster_nodes=["a"]).options == options
    assert found(url=url, cluster_nodes=["a"]).options_of_asked == options
    theirs = found(url=url, sentinels=["a"], sentinel_password="theirs").options_of_asked
    assert theirs == {"password": "theirs", "ssl": True, "ssl_ca_certs": "/etc/ca.crt"}
    assert found(cluster_nodes=["a"]).options == {"ssl": False}


def test_where_one_is_sent_by_the_program_the_environments_servers_do_not_count() -> None:
    environ = {"QUEUE_URL": "redis://:p@a", "QUEUE_CLUSTER_NODES": "a", "QUEUE_SENTINEL_MASTER": "left over"}
    assert found(environ, url="redis://b").asked == ()
    access = found(environ, sentinels=["c"])
    assert (access.url, access.cluster_nodes, access.asked) == ("redis://:p@a", (), (("c", 26379),))
