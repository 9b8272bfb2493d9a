"""Settings of a node."""

from __future__ import annotations

import os

import pytest

from node.settings import NodeSettings
from shared.errors import SettingsError
from shared.settings import read_settings

SECRET = "0123456789abcdef0123456789abcdef"


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.lower() in NodeSettings.model_fields:
            monkeypatch.delenv(name)
    monkeypatch.setenv("JWT_SECRET", SECRET)


def test_the_defaults_are_those_of_the_specification() -> None:
    settings = read_settings(NodeSettings)
    assert settings.node_port == 8000
    assert (settings.heartbeat_timeout, settings.heartbeat_interval) == (75, 30)
    assert (settings.max_connections_per_user, settings.commands_per_second) == (20, 20)
    assert (settings.frame_max_bytes, settings.drain_seconds) == (4096, 20)
    assert settings.backend_cors_origins == []


def test_without_a_key_no_token_could_be_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JWT_SECRET", "")
    with pytest.raises(SettingsError, match="JWT_SECRET, JWT_PUBLIC_KEY or JWT_JWKS_URL"):
        read_settings(NodeSettings)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("NODE_PORT", "65536"),
        ("NODE_MANAGEMENT_PORT", "x"),
        ("NODE_NAME", "web 1"),
        ("NODE_NAME", "web=1"),
        ("NODE_REUSE_PORT", "maybe"),
        ("NODE_MAX_CONNECTIONS", "0"),
        ("ROUTER_URL", "router:8001"),
        ("ROUTER_URL", "http://router:port"),
        ("BACKEND_CORS_ORIGINS", "admin.example.com"),
        ("BACKEND_CORS_ORIGINS", '["https://a.example.com"'),
        ("HEARTBEAT_TIMEOUT", "0"),
        ("HEARTBEAT_TIMEOUT", "inf"),
        ("HEARTBEAT_TIMEOUT", "3000000"),
        ("HEARTBEAT_INTERVAL", "-1"),
        ("MAX_CONNECTIONS_PER_USER", "0"),
        ("COMMANDS_PER_SECOND", "none"),
        ("FRAME_MAX_BYTES", "100"),
        ("SLOW_CLIENT_TIMEOUT", "0"),
        ("SLOW_CLIENT_TIMEOUT", "inf"),
        ("DRAIN_SECONDS", "-1"),
        ("USER_CHECK_URL", "users"),
        ("USER_CHECK_URL", "https://"),
        ("DRAIN_SECONDS", "inf"),
        ("USER_CHECK_TTL", "-1"),
        ("USER_CHECK_STRANGERS", "perhaps"),
    ],
)
def test_a_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=name):
        read_settings(NodeSettings)


@pytest.mark.parametrize(("interval", "timeout"), [("", "30"), ("", "4"), ("75", ""), ("5", "5")])
def test_heartbeats_that_come_too_late_to_count_do_not_start(
    monkeypatch: pytest.MonkeyPatch, interval: str, timeout: str
) -> None:
    monkeypatch.setenv("HEARTBEAT_INTERVAL", interval)
    monkeypatch.setenv("HEARTBEAT_TIMEOUT", timeout)
    with pytest.raises(SettingsError, match=r"HEARTBEAT_INTERVAL .* HEARTBEAT_TIMEOUT"):
        read_settings(NodeSettings)


@pytest.mark.parametrize("text", ["https://a.example.com,http://b:5173", '["https://a.example.com","http://b:5173"]'])
def test_origins_are_written_with_commas_or_as_json(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("BACKEND_CORS_ORIGINS", text)
    assert read_settings(NodeSettings).backend_cors_origins == ["https://a.example.com", "http://b:5173"]


@pytest.mark.parametrize("name", sorted(name.upper() for name in NodeSettings.model_fields if name != "jwt_secret"))
def test_an_empty_variable_is_one_that_is_not_set(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    before = read_settings(NodeSettings)
    monkeypatch.setenv(name, "")
    assert read_settings(NodeSettings) == before


def test_clients_and_management_have_a_port_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NODE_PORT", "8000")
    monkeypatch.setenv("NODE_MANAGEMENT_PORT", "8000")
    with pytest.raises(SettingsError, match="NODE_MANAGEMENT_PORT and NODE_PORT are both 8000"):
        read_settings(NodeSettings)


def test_any_two_free_ports_are_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NODE_PORT", "0")
    monkeypatch.setenv("NODE_MANAGEMENT_PORT", "0")
    assert read_settings(NodeSettings).node_management_port == 0
