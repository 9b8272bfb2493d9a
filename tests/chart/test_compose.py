"""compose.yaml: valid by the specification, and of the same cloth as the image and the settings."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml
from compose_spec import PyCompose

from docs import generate
from node.settings import NodeSettings
from router.settings import RouterSettings
from tests.chart.recipe import stages
from tests.support.process import ROOT

TEXT = (ROOT / "compose.yaml").read_text()
FILE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = FILE["services"]
OURS = [name for name in SERVICES if name.startswith(("node", "router"))]


def read(text: str) -> PyCompose:
    """Read it as an engine would; its anchors are merged before, which the library does not do."""
    return PyCompose.from_json(json.dumps(yaml.safe_load(text)))


def test_it_is_valid_by_the_specification() -> None:
    assert set(read(TEXT).services) == {"redis", "node-1", "node-2", "router-1", "router-2", "nginx"}


@pytest.mark.parametrize("wrong", [("read_only:", "read_onlyy:"), ("[ALL]", "ALL"), ("service_healthy", "healthy")])
def test_what_is_not_valid_would_be_seen(wrong: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read(TEXT.replace(*wrong))


def test_the_way_in_is_nginx_on_port_8000_and_routers_are_reached_from_this_machine_only() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {
        "nginx": ["8000:8000"],
        "router-1": ["127.0.0.1:8001:8001"],
        "router-2": ["127.0.0.1:8002:8001"],
    }
    assert (ROOT / SERVICES["nginx"]["volumes"][0].partition(":")[0]).exists()


@pytest.mark.parametrize("name", OURS)
def test_a_service_reads_every_setting_that_it_is_given(name: str) -> None:
    known = {
        setting.name
        for _, settings in generate.groups()
        for setting in settings
        if name.partition("-")[0] in setting.readers
    }
    assert set(SERVICES[name]["environment"]) <= known


@pytest.mark.parametrize("name", OURS)
def test_the_settings_that_it_gives_are_good(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, value in SERVICES[name]["environment"].items():
        monkeypatch.setenv(variable, "x" * 40 if value.startswith("${") else value)
    settings = NodeSettings() if name.startswith("node") else RouterSettings()
    if isinstance(settings, NodeSettings):
        assert settings.node_name == name
        assert settings.backend_cors_origins == ["http://localhost:3001", "http://admin.example.com"]
        assert settings.drain_seconds + 10 <= int(SERVICES[name]["stop_grace_period"].removesuffix("s"))


@pytest.mark.parametrize("name", OURS)
def test_a_service_may_write_nothing_and_do_nothing_special(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["command"] == ["python", "-m", name.partition("-")[0]]


def test_every_image_has_a_version_and_ours_is_the_one_the_recipe_labels() -> None:
    for service in SERVICES.values():
        assert service["image"].partition(":")[2][:1].isdigit(), service["image"]
    version = SERVICES["node-1"]["image"].partition(":")[2]
    assert f'image.version="{version}"' in stages()[""].one("LABEL")


def test_redis_keeps_what_it_is_given() -> None:
    command = " ".join(SERVICES["redis"]["command"])
    for option in ("--appendonly yes", "--appendfsync always", "--maxmemory-policy noeviction"):
        assert option in command


def test_secrets_come_from_outside() -> None:
    for name in OURS:
        for variable, value in SERVICES[name]["environment"].items():
            if "SECRET" in variable or "KEY" in variable or "PASSWORD" in variable:
                assert re.fullmatch(r"\$\{\w+:\?.+\}", value), "without it, nothing starts"


def test_nginx_has_the_shipped_configuration_and_finds_the_nodes_by_its_names() -> None:
    source, target, _ = SERVICES["nginx"]["volumes"][0].split(":")
    assert (source, target) == ("./docs/proxies/nginx.conf", "/etc/nginx/conf.d/default.conf")
    named = re.findall(r"server ([\w-]+):(\d+)", (ROOT / source).read_text())
    assert named == [(name, "8000") for name in OURS if name.startswith("node")]


def test_nginx_writes_its_logs_where_its_image_shows_them() -> None:
    """A file of another name would grow inside the container until the disk is full."""
    logs = re.findall(r"^ +(?:access|error)_log +(\S+) ", (ROOT / "docs/proxies/nginx.conf").read_text(), re.MULTILINE)
    assert logs == ["/var/log/nginx/access.log", "/var/log/nginx/error.log"]


def test_nodes_believe_what_nginx_says_of_a_clients_address() -> None:
    (network,) = FILE["networks"]["default"]["ipam"]["config"]
    for name in OURS:
        if name.startswith("node"):
            assert SERVICES[name]["environment"]["TRUSTED_PROXIES"] == network["subnet"]
