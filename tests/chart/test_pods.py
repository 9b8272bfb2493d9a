"""What pods run, what they are given, and how they leave, whatever the values."""

from __future__ import annotations

import re
from typing import Any

import pytest

from node.drain import CALLS, LAST_WORDS
from node.membership import LEAVE
from node.settings import NodeSettings
from router.settings import RouterSettings
from router.turn import GIVE_BACK
from shared.database import CLOSE
from shared.otel_sdk import FLUSH
from shared.serving import GRACE
from tests.chart.looking import SECRETS, each, environment, read_by
from tests.chart.recipe import exec_form, stages
from tests.chart.rendering import (
    COMPONENTS,
    SETS,
    Rendered,
    changed,
    container,
    render,
    rendered,
    services,
    values_of,
)
from tests.support.certificates import Authority

GRACE_AFTER_DRAIN = 10  # s: the last words, uvicorn's own end, the registry

# --- what is started


@each
def test_a_pod_runs_a_command_of_the_image(chart: Rendered) -> None:
    modules = {"node": "node", "router": "router", "test": "node.selfcheck"}
    for component, pod in chart.pods():
        if component in modules:
            assert container(pod)["command"] == ["python", "-m", modules[component]]
    assert exec_form(stages()[""].one("CMD"))[:2] == ["python", "-m"]


@each
def test_no_image_is_the_latest(chart: Rendered) -> None:
    for _, pod in chart.pods():
        image = container(pod)["image"]
        assert re.search(r"@sha256:[0-9a-f]{64}$|:\d[\w.-]*$", image), image


def test_one_kind_of_pods_may_be_of_another_version_while_the_order_of_an_upgrade_matters() -> None:
    images = {component: container(pod)["image"] for component, pod in services(rendered("production"))}
    assert images["node"].partition("@")[2].startswith("sha256:")
    assert images["router"] == "registry.example.com/videosite-realtime:0.0.9"


@each
def test_what_is_mounted_is_there_and_each_at_a_place_of_its_own(chart: Rendered) -> None:
    for _, pod in chart.pods():
        mounts = container(pod).get("volumeMounts", [])
        paths = [mount["mountPath"] for mount in mounts]
        volumes = [volume["name"] for volume in pod["spec"].get("volumes", [])]
        assert sorted({mount["name"] for mount in mounts}) == sorted(volumes)
        assert len(set(paths)) == len(paths)


def test_volumes_of_ones_own_reach_the_pods_that_they_are_for() -> None:
    pods = dict(services(rendered("everything")))
    for component, name, path in (("node", "private-ca", "/etc/private-ca"), ("router", "scratch", "/tmp")):
        assert name in [volume["name"] for volume in pods[component]["spec"]["volumes"]]
        assert path in [mount["mountPath"] for mount in container(pods[component])["volumeMounts"]]
    assert environment(rendered("everything"), "node")["SSL_CERT_FILE"].startswith("/etc/private-ca/")


@each
def test_every_setting_is_one_that_the_service_reads(chart: Rendered) -> None:
    for component in COMPONENTS:
        further = {"TZ"}  # extraEnv of a value set
        assert environment(chart, component).keys() - further <= read_by(component)


@each
def test_the_services_would_take_their_settings(
    chart: Rendered, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """With the files and secrets that Kubernetes would bring, pydantic has nothing to say."""
    brought = {
        "JWT_SECRET": "x" * 64,
        "JWT_PUBLIC_KEY": "-----BEGIN PUBLIC KEY-----\n…",
        "ROUTER_API_KEYS": "x" * 16,
        "DATABASE_URL": "postgresql://user:password@host/database",
    }
    authority = Authority(tmp_path / "authority")
    for component, model in (("node", NodeSettings), ("router", RouterSettings)):
        with monkeypatch.context() as patched:
            for name, value in environment(chart, component).items():
                text = value if value is not None else brought.get(name, "a-pod")
                if name.endswith("_FILE"):
                    text = str(authority.file)
                patched.setenv(name, text)
            settings = model()
        assert settings.log_format in {"json", "text"}
        ways = {"sentinel": bool(settings.redis_sentinels), "cluster": bool(settings.redis_cluster_nodes)}
        assert [way for way, there in ways.items() if there] == [name for name in ways if name == chart.name]


def test_services_are_told_the_servers_that_know_the_others_of_a_redis_cluster() -> None:
    nodes = values_of("cluster")["redis"]["cluster"]["nodes"]
    for component in COMPONENTS:
        settings = rendered("cluster").settings(component)
        assert settings["REDIS_CLUSTER_NODES"] == ",".join(nodes)
        assert settings["REDIS_URL"].startswith("rediss://")
    assert "REDIS_SENTINEL_PASSWORD" not in environment(rendered("cluster"), "node")


def test_a_nodes_name_is_its_pods() -> None:
    env = {variable["name"]: variable for variable in container(services(rendered("least"))[0][1])["env"]}
    assert env["NODE_NAME"]["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.name"


# --- secrets


@each
def test_no_secret_stands_in_a_config_map_or_a_pod(chart: Rendered) -> None:
    for component in COMPONENTS:
        settings = chart.settings(component)
        assert {name: settings[name] for name in SECRETS & settings.keys()}.items() <= {"DATABASE_URL": "off"}.items()
        assert "@" not in chart.settings(component)["REDIS_URL"]
    for _, pod in chart.pods():
        for variable in container(pod).get("env", []):
            if variable["name"] in SECRETS or "TOKEN" in variable["name"]:
                assert "secretKeyRef" in variable["valueFrom"]


@each
def test_a_pod_is_given_no_secret_that_it_does_not_read(chart: Rendered) -> None:
    for component, pod in services(chart):
        assert SECRETS & {variable["name"] for variable in container(pod)["env"]} <= read_by(component)


@pytest.mark.parametrize("name", SETS)
def test_secrets_are_made_from_values_or_are_ones_own_never_both(name: str) -> None:
    chart, existing = rendered(name), values_of(name)["auth"].get("existingSecret")
    wanted = {
        variable["valueFrom"]["secretKeyRef"]["name"]: variable["valueFrom"]["secretKeyRef"]["key"]
        for _, pod in services(chart)
        for variable in container(pod)["env"]
        if "secretKeyRef" in variable.get("valueFrom", {})
    }
    if existing:
        assert (chart.all("Secret"), set(wanted)) == ([], {existing})
    else:
        made = chart.one("Secret")
        assert set(wanted) == {made["metadata"]["name"]}
        assert made["data"].keys() <= SECRETS


@pytest.mark.parametrize("name", SETS)
def test_a_secret_that_must_be_there_is_there(name: str) -> None:
    chart = rendered(name)
    if not chart.all("Secret"):
        return
    there = chart.one("Secret")["data"]
    for _, pod in chart.pods():
        for variable in container(pod)["env"]:
            reference = variable.get("valueFrom", {}).get("secretKeyRef")
            if reference and not reference.get("optional", False) and variable["name"] in SECRETS:
                assert reference["key"] in there


def test_a_change_of_settings_or_secrets_replaces_the_pods_that_read_them() -> None:
    def checksums(values: dict[str, Any]) -> dict[str, dict[str, str]]:
        return {name: pod["metadata"]["annotations"] for name, pod in services(Rendered("changed", render(values)))}

    values = values_of("least")
    before = checksums(values)
    node_only = checksums(changed(values, "node.settings", {"HEARTBEAT_TIMEOUT": "90"}))
    assert node_only["node"] != before["node"]
    assert node_only["router"] == before["router"]
    secret = checksums(changed(values, "auth.jwt.secret", "another-0123456789-0123456789-0123456789"))
    assert all(secret[name] != before[name] for name in COMPONENTS)
    own = values_of("production")
    assert checksums(changed(own, "auth.existingSecretRevision", "4")) != checksums(own)


# --- leaving without hurting


@each
def test_a_pod_is_given_the_time_that_its_drain_takes(chart: Rendered) -> None:
    for component, pod in services(chart):
        grace = pod["spec"]["terminationGracePeriodSeconds"]
        pre_stop = container(pod)["lifecycle"]["preStop"]["sleep"]["seconds"]
        drain = float(chart.settings("node")["DRAIN_SECONDS"]) if component == "node" else GRACE
        assert pre_stop >= 1
        assert grace >= pre_stop + drain + GRACE_AFTER_DRAIN


def test_what_comes_after_the_drain_fits_into_the_time_that_is_left_whatever_hangs() -> None:
    """With a second to spare; tests/integration/test_leaving.py lets it all hang."""
    spans_and_metrics = 2 * FLUSH
    assert LAST_WORDS + CALLS + LEAVE + CLOSE + spans_and_metrics <= GRACE_AFTER_DRAIN - 1
    turns = 3 * GIVE_BACK  # of a router: the queue's, the archive's, the sweeper's
    assert turns + CLOSE + spans_and_metrics <= GRACE_AFTER_DRAIN - 1


@each
def test_no_pod_goes_before_its_successor_is_ready(chart: Rendered) -> None:
    for component in COMPONENTS:
        update = chart.one("Deployment", component)["spec"]["strategy"]["rollingUpdate"]
        assert update["maxUnavailable"] == 0
        assert update["maxSurge"] != 0


@each
def test_a_pod_is_asked_whether_it_lives_where_redis_does_not_matter(chart: Rendered) -> None:
    for component, pod in services(chart):
        one = container(pod)
        ports = {port["name"] for port in one["ports"]}
        for probe, path in (("startupProbe", "/healthz"), ("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")):
            assert one[probe]["httpGet"]["path"] == path
            assert one[probe]["httpGet"]["port"] == ("management" if component == "node" else "http")
            assert one[probe]["httpGet"]["port"] in ports


@each
def test_the_ports_are_those_that_services_listen_on(chart: Rendered) -> None:
    for component, pod in services(chart):
        ports = {port["name"]: str(port["containerPort"]) for port in container(pod)["ports"]}
        settings = chart.settings(component)
        assert ports["http"] == settings["NODE_PORT" if component == "node" else "ROUTER_PORT"]
        if component == "node":
            assert ports["management"] == settings["NODE_MANAGEMENT_PORT"]
