"""Settings of a router."""

from __future__ import annotations

import os

import pytest

from router.settings import RouterSettings
from shared.errors import SettingsError
from shared.settings import read_settings


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.lower() in RouterSettings.model_fields:
            monkeypatch.delenv(name)


@pytest.mark.parametrize("keys", [None, "", " ", ","])
def test_a_router_that_nobody_could_call_does_not_start(monkeypatch: pytest.MonkeyPatch, keys: str | None) -> None:
    if keys is not None:
        monkeypatch.setenv("ROUTER_API_KEYS", keys)
    with pytest.raises(SettingsError, match="ROUTER_API_KEYS"):
        read_settings(RouterSettings)


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("service-key-number-one", ["service-key-number-one"]),
        (" service-key-number-one , service-key-number-two,", ["service-key-number-one", "service-key-number-two"]),
    ],
)
def test_keys_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch, text: str, keys: list[str]) -> None:
    monkeypatch.setenv("ROUTER_API_KEYS", text)
    settings = read_settings(RouterSettings)
    assert settings.api_keys == keys
    assert settings.router_port == 8001
    assert keys[0] not in repr(settings)


def test_a_short_key_is_refused_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROUTER_API_KEYS", "service-key-number-one,hunter2")
    with pytest.raises(SettingsError, match="ROUTER_API_KEYS") as caught:
        read_settings(RouterSettings)
    assert "hunter2" not in str(caught.value)


def test_a_key_that_no_header_can_bear_is_refused_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROUTER_API_KEYS", "service-key-number-one,schlüssel-nummer-zwei")
    with pytest.raises(SettingsError, match=r"ROUTER_API_KEYS .* printable ASCII") as caught:
        read_settings(RouterSettings)
    assert "nummer" not in str(caught.value)


@pytest.mark.parametrize("text", ['["service-key-number-one","service-key-number-two"]', "'service-key-number-one'"])
def test_keys_in_json_or_quotes_are_refused_and_not_shown(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("ROUTER_API_KEYS", text)
    with pytest.raises(SettingsError, match=r"ROUTER_API_KEYS .* without brackets or quotes") as caught:
        read_settings(RouterSettings)
    assert "number" not in str(caught.value)


def test_tokens_alone_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JWT_SECRET", "x" * 32)
    assert read_settings(RouterSettings).api_keys == []
