"""What values become on their way into objects, and what another release makes of objects that are there already."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from router.settings import RouterSettings
from tests.chart.looking import environment
from tests.chart.rendering import Rendered, changed, component_of, render, rendered, services, values_of

# --- values


def test_a_number_reaches_a_service_as_it_was_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """Helm reads every number as a float, and shows one of a million as 1e+06: no whole number to a service."""
    everything = rendered("everything")
    assert everything.settings("router")["ARCHIVE_MAX_BYTES"] == "536870912"
    values = changed(values_of("least"), "router.settings", {"HISTORY_TTL": 1_000_000, "REDIS_TIMEOUT": 2.5})
    chart = Rendered("numbers", render(changed(values, "node.maxConnections", 1_000_000)))
    assert chart.settings("node")["NODE_MAX_CONNECTIONS"] == "1000000"
    for name, value in environment(chart, "router").items():
        monkeypatch.setenv(name, "x" * 40 if value is None else value)
    settings = RouterSettings()
    assert (settings.history_ttl, settings.redis_timeout) == (1_000_000, 2.5)


def test_labels_of_ones_own_come_once_the_nearer_ones_count_more() -> None:
    """`Rendered` refuses a key that comes twice, as the API server and kustomize do."""
    everything = rendered("everything")
    for found in everything.objects:
        labels = found["metadata"]["labels"]
        assert labels["app.kubernetes.io/part-of"] == "platform"
        assert labels["release"] == "prometheus"
    teams = {component: pod["metadata"]["labels"]["team"] for component, pod in services(everything)}
    assert teams == {"node": "realtime", "router": "video"}


# --- another release


def test_a_secret_value_that_is_taken_out_leaves_the_secret() -> None:
    """Of stringData the API server keeps what it once was given: a service key that was revoked would open for ever."""
    with_keys = rendered("public-key").one("Secret")
    without = Rendered("without", render(changed(values_of("public-key"), "auth.routerApiKeys", []))).one("Secret")
    assert base64.b64decode(with_keys["data"]["ROUTER_API_KEYS"]) == b"transcoding-key-1"
    assert set(with_keys["data"]) - set(without["data"]) == {"ROUTER_API_KEYS"}
    assert "stringData" not in with_keys


CHANGES: dict[str, Any] = {
    "image.tag": "0.2.0",
    "router.imageTag": "0.2.0",
    "image.pullPolicy": "IfNotPresent",
    "image.pullSecrets": [{"name": "another"}],
    "commonLabels": {"team": "another"},
    "nameOverride": "another",
    "serviceAccount.name": "another",
    "database.url": "postgresql://realtime:secret@another:5433/realtime",
    "database.tls.caSecret": "another",
    "database.migration.resources": {"requests": {"memory": "1Gi"}},
    "router.tolerations": [],
    "router.nodeSelector": {"pool": "another"},
}


@pytest.mark.parametrize("path", CHANGES)
def test_a_migration_that_would_differ_is_another_job_for_none_can_be_changed(path: str) -> None:
    values = values_of("everything")
    (before,) = rendered("everything").all("Job")
    (after,) = Rendered("changed", render(changed(values, path, CHANGES[path]))).all("Job")
    assert before["metadata"]["name"] != after["metadata"]["name"]


def test_a_migration_comes_again_when_ones_own_secret_names_another_database_and_not_for_anything_else() -> None:
    def name_of(values: dict[str, Any]) -> str:
        (job,) = Rendered("own", render(values)).all("Job")
        return str(job["metadata"]["name"])

    own = changed(values_of("production"), "database.enabled", True)
    assert name_of(changed(own, "auth.existingSecretRevision", "4")) != name_of(own)
    assert name_of(changed(own, "auth.existingSecret", "another")) != name_of(own)
    assert name_of(changed(own, "node.drainSeconds", 30)) == name_of(own)


def test_what_runs_once_may_run_where_the_services_may() -> None:
    everything, values = rendered("everything"), values_of("everything")
    once = {component_of(found): found for found in (*everything.all("Pod"), *everything.all("Job"))}
    placed = {"test": once["test"]["spec"], "migration": once["migration"]["spec"]["template"]["spec"]}
    for component, service in (("test", "node"), ("migration", "router")):
        for name in ("nodeSelector", "tolerations"):
            assert placed[component][name] == values[service][name]
