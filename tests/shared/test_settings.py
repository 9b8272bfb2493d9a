"""Settings: from the environment, with errors an operator can act on."""

from __future__ import annotations

import os
from typing import Any

import pytest
from pydantic import Field

from shared.errors import SettingsError
from shared.settings import CommonSettings, CsvList, CsvSettings, Origins, read_settings

SECRET = "correct-horse-battery-staple-0123"
PEM = "-----BEGIN PUBLIC KEY-----\nMFkwEwYH\n-----END PUBLIC KEY-----"


class Listed(CsvSettings):
    names: CsvList = Field(default_factory=list)
    origins: Origins = Field(default_factory=list)


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.lower() in CommonSettings.model_fields or name.lower() in Listed.model_fields:
            monkeypatch.delenv(name)


def read(monkeypatch: pytest.MonkeyPatch, **environment: str) -> CommonSettings:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return read_settings(CommonSettings)


def test_without_any_setting_the_defaults_are_those_of_the_specification(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read(monkeypatch)
    assert settings.redis_prefix == "vsrt"
    assert (settings.history_length, settings.history_length_shared, settings.history_ttl) == (200, 10_000, 900)
    assert settings.state_ttl == 3600
    assert settings.message_max_bytes == 64 * 1024
    assert settings.http_body_max_bytes == 1024 * 1024
    assert not settings.has_jwt


@pytest.mark.parametrize("level", ["info", "Info", "INFO"])
def test_a_log_level_is_written_as_every_platform_writes_it(monkeypatch: pytest.MonkeyPatch, level: str) -> None:
    assert read(monkeypatch, LOG_LEVEL=level).log_level == "INFO"


@pytest.mark.parametrize("name", sorted(name.upper() for name in CommonSettings.model_fields))
def test_an_empty_variable_is_one_that_is_not_set(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    assert read(monkeypatch, **{name: ""}) == CommonSettings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REDIS_URL", "http://redis"),
        ("REDIS_URL", "redis://redis/live"),
        ("REDIS_URL", "redis://redis/-1"),
        ("REDIS_URL", "redis://redis/0/1"),
        ("REDIS_URL", "redis://redis/0?socket_timeuot=1"),
        ("DATABASE_URL", "sqlite://inbox.db"),
        ("INBOX_RETENTION_DAYS", "inf"),
        ("INBOX_RETENTION_DAYS", "1e300"),
        ("REDIS_PREFIX", "a b"),
        ("REDIS_PREFIX", "{a}"),
        ("REDIS_TIMEOUT", "0"),
        ("REDIS_TIMEOUT", "soon"),
        ("JWT_JWKS_URL", "ftp://issuer"),
        ("JWT_JWKS_URL", "https://"),
        ("JWT_JWKS_URL", "https://issuer:port/jwks"),
        ("JWT_JWKS_URL", "http://[::1"),
        ("JWT_JWKS_URL", "https://iss uer/jwks"),
        ("HISTORY_LENGTH", "0"),
        ("HISTORY_LENGTH_SHARED", "many"),
        ("HISTORY_TTL", "-1"),
        ("HISTORY_TTL", "9" * 20),
        ("STATE_TTL", "0"),
        ("STATE_TTL", "9" * 20),
        ("MESSAGE_MAX_BYTES", "1"),
        ("HTTP_BODY_MAX_BYTES", "1.5"),
        ("LOG_LEVEL", "LOUD"),
        ("LOG_FORMAT", "xml"),
        ("JWT_SECRET", "too short"),
        ("JWT_PUBLIC_KEY", "MFkwEwYH"),
    ],
)
def test_a_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read(monkeypatch, **{name: value})
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_all_wrong_settings_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match=r"HISTORY_LENGTH: .*; STATE_TTL: "):
        read(monkeypatch, HISTORY_LENGTH="0", STATE_TTL="0")


@pytest.mark.parametrize(
    "environment",
    [
        {"JWT_SECRET": "hunter2hunter2"},
        {"JWT_SECRET": SECRET, "JWT_ALGORITHM": "RS256"},
        {"JWT_SECRET": SECRET, "JWT_PUBLIC_KEY": PEM},
        {"JWT_SECRET": SECRET, "STATE_TTL": "0"},
        {"JWT_PUBLIC_KEY": "not PEM: hunter2hunter2"},
    ],
)
def test_a_secret_is_never_shown(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]) -> None:
    with pytest.raises(SettingsError) as caught:
        read(monkeypatch, **environment)
    for secret in ("hunter2", SECRET, "MFkwEwYH"):
        assert secret not in str(caught.value)
        assert secret not in repr(caught.value)


def test_settings_that_are_printed_show_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read(monkeypatch, JWT_SECRET=SECRET)
    assert SECRET not in repr(settings)
    assert SECRET not in str(settings)


def test_a_secret_of_32_bytes_is_long_enough_and_one_of_31_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read(monkeypatch, JWT_SECRET="x" * 32).has_jwt
    with pytest.raises(SettingsError, match="JWT_SECRET"):
        read(monkeypatch, JWT_SECRET="x" * 31)


def test_a_secrets_bytes_count_and_not_its_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read(monkeypatch, JWT_SECRET="密" * 11).has_jwt


@pytest.mark.parametrize(
    ("environment", "algorithm"),
    [
        ({"JWT_SECRET": SECRET}, "HS256"),
        ({"JWT_SECRET": SECRET, "JWT_ALGORITHM": "HS512"}, "HS512"),
        ({"JWT_PUBLIC_KEY": PEM}, "RS256"),
        ({"JWT_PUBLIC_KEY": PEM, "JWT_ALGORITHM": "ES256"}, "ES256"),
        ({"JWT_JWKS_URL": "https://issuer/jwks"}, "RS256"),
    ],
)
def test_one_algorithm_goes_with_each_kind_of_key(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], algorithm: str
) -> None:
    assert read(monkeypatch, **environment).algorithm == algorithm


@pytest.mark.parametrize(
    "environment",
    [
        {"JWT_SECRET": SECRET, "JWT_ALGORITHM": "RS256"},
        {"JWT_SECRET": SECRET, "JWT_ALGORITHM": "none"},
        {"JWT_SECRET": SECRET, "JWT_ALGORITHM": "HS256,RS256"},
        {"JWT_PUBLIC_KEY": PEM, "JWT_ALGORITHM": "HS256"},
        {"JWT_JWKS_URL": "https://issuer/jwks", "JWT_ALGORITHM": "HS256"},
    ],
)
def test_an_algorithm_of_another_family_than_the_key_is_refused(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]
) -> None:
    with pytest.raises(SettingsError, match="JWT_ALGORITHM"):
        read(monkeypatch, **environment)


def test_only_one_kind_of_key_may_be_given(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match="JWT_SECRET and JWT_JWKS_URL"):
        read(monkeypatch, JWT_SECRET=SECRET, JWT_JWKS_URL="https://issuer/jwks")


def test_a_key_in_one_line_gets_its_line_breaks_back(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read(monkeypatch, JWT_PUBLIC_KEY=PEM.replace("\n", "\\n")).public_key_pem == PEM


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a,b", ["a", "b"]),
        (" a , b ,", ["a", "b"]),
        ("a", ["a"]),
        ('["a", "b"]', ["a", "b"]),
        (' ["a"]', ["a"]),
        ("[]", []),
        (",", []),
    ],
)
def test_a_list_is_written_with_commas_or_as_json(monkeypatch: pytest.MonkeyPatch, text: str, names: list[str]) -> None:
    monkeypatch.setenv("NAMES", text)
    assert read_settings(Listed).names == names


def test_a_list_can_be_given_in_code_too() -> None:
    assert Listed(names=["a", "b"]).names == ["a", "b"]


@pytest.mark.parametrize("text", ['["a"', "[1, 2]", '[["a"]]'])
def test_a_list_that_cannot_be_read_is_named(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("NAMES", text)
    with pytest.raises(SettingsError, match="NAMES"):
        read_settings(Listed)


@pytest.mark.parametrize(
    "origin", ["*", "https://admin.example.com", "http://localhost:5173", "http://[::1]:5173", "capacitor://localhost"]
)
def test_an_origin_has_a_scheme_and_a_host(monkeypatch: pytest.MonkeyPatch, origin: str) -> None:
    monkeypatch.setenv("ORIGINS", origin)
    assert read_settings(Listed).origins == [origin]


@pytest.mark.parametrize(
    "origin",
    [
        "admin.example.com",
        "https://admin.example.com/",
        "https://admin.example.com/page",
        "https://Admin.example.com",
        "https://admin.example.com:443",
        "http://admin.example.com:80",
        "https://admin.example.com:99999",
        "https://*.example.com",
        "https://user@admin.example.com",
        "https://a.example.com https://b.example.com",
        "https://müller.example.com",
        "null",
    ],
)
def test_what_no_browser_sends_as_origin_is_refused(monkeypatch: pytest.MonkeyPatch, origin: str) -> None:
    monkeypatch.setenv("ORIGINS", f"https://a.example.com,{origin}")
    with pytest.raises(SettingsError, match="ORIGINS") as caught:
        read_settings(Listed)
    assert origin in str(caught.value)


def test_settings_do_not_change_after_they_were_read(monkeypatch: pytest.MonkeyPatch) -> None:
    settings: Any = read(monkeypatch)
    with pytest.raises(ValueError, match="frozen"):
        settings.redis_prefix = "other"


# --- the way to Redis


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        (
            {"REDIS_URL": "redis://me:pw@there", "REDIS_PASSWORD": "pw"},
            "REDIS_PASSWORD is set, and REDIS_URL has one too",
        ),
        ({"REDIS_URL": "redis://me@there", "REDIS_USERNAME": "me"}, "REDIS_USERNAME is set, and REDIS_URL has one too"),
        ({"REDIS_USERNAME": "me"}, "REDIS_USERNAME is set without REDIS_PASSWORD"),
        ({"REDIS_CA_FILE": __file__}, "REDIS_URL of rediss:// only"),
        (
            {"REDIS_URL": "rediss://there", "REDIS_CA_FILE": "/no/such/file"},
            "/no/such/file cannot be read: No such file",
        ),
        (
            {"REDIS_URL": "rediss://there", "REDIS_KEY_FILE": __file__},
            "REDIS_CERT_FILE and REDIS_KEY_FILE belong together",
        ),
        ({"REDIS_URL": "unix:///run/redis", "REDIS_SENTINELS": "a"}, "REDIS_URL cannot be unix://"),
        ({"REDIS_SENTINELS": "a:26379,b:port"}, "'b:port' is not host:port"),
        ({"REDIS_SENTINELS": "redis://a:26379"}, "'redis://a:26379' is not host:port"),
        ({"REDIS_CLUSTER_NODES": "a:6379,b:port"}, "'b:port' is not host:port"),
        ({"REDIS_CLUSTER_NODES": "a", "REDIS_SENTINELS": "b"}, "choose one"),
        ({"REDIS_CLUSTER_NODES": "a", "REDIS_URL": "unix:///run/redis"}, "REDIS_URL cannot be unix://"),
        ({"REDIS_CLUSTER_NODES": "a", "REDIS_URL": "redis://a/3"}, "database 0 only"),
    ],
)
def test_ways_to_redis_that_do_not_go_together_are_refused(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], said: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        read(monkeypatch, **environment)
    assert said in str(refused.value)
    assert "pw" not in str(refused.value)


@pytest.mark.parametrize(
    ("file", "said"), [("/no/such/file", "cannot be read: No such file"), (__file__, "holds no certificates in PEM")]
)
def test_authorities_that_are_none_stop_the_start_by_name(
    monkeypatch: pytest.MonkeyPatch, file: str, said: str
) -> None:
    with pytest.raises(SettingsError, match=rf"SSL_CERT_FILE.*{file}.*{said}"):
        read(monkeypatch, SSL_CERT_FILE=file)


def test_a_sentinel_has_its_usual_port_unless_it_names_another(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read(monkeypatch, REDIS_SENTINELS="sentinel-0.sentinels, b:1,[::1]:2")
    assert settings.sentinels == [("sentinel-0.sentinels", 26379), ("b", 1), ("::1", 2)]


@pytest.mark.parametrize(
    "text", ["[fd00::1]:7001,redis-1", " [fd00::1]:7001 , redis-1", '["[fd00::1]:7001","redis-1"]']
)
def test_a_list_may_begin_with_an_ipv6_address(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    settings = read(monkeypatch, REDIS_CLUSTER_NODES=text)
    assert settings.cluster_nodes == [("fd00::1", 7001), ("redis-1", 6379)]


@pytest.mark.parametrize("text", ["[redis-0:7001,redis-1]", "[fd00::1:7001", '["redis-0:7001"'])
def test_a_list_that_begins_like_json_must_be_some(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    with pytest.raises(SettingsError, match="REDIS_CLUSTER_NODES begins like JSON and is none"):
        read(monkeypatch, REDIS_CLUSTER_NODES=text)


def test_a_server_of_a_redis_cluster_has_its_usual_port_unless_it_names_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = read(monkeypatch, REDIS_CLUSTER_NODES="redis-0.redis, b:7001,[::1]:2")
    assert settings.cluster_nodes == [("redis-0.redis", 6379), ("b", 7001), ("::1", 2)]
