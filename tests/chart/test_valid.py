"""Whatever the values: Helm's linter is content, and every object is one that Kubernetes would take."""

from __future__ import annotations

import json
import re
from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from helm_python.chart import lint

from tests.chart.kustomize import OVERLAYS, kustomized
from tests.chart.rendering import (
    CHART,
    SETS,
    Object,
    objects_in,
    render,
    rendered,
    values_of,
    with_placeholders,
)
from tests.chart.validation import CRDS, CUSTOM, NEWEST, OLDEST, problems

LINTED_ANYWAY = ["icon is recommended"]  # there is none

each_set = pytest.mark.parametrize("name", SETS)


@each_set
def test_the_linter_is_content(name: str) -> None:
    for version in (OLDEST, NEWEST):
        report = lint(CHART, values_of(name), strict=True, namespace="videosite", kube_version=f"v{version}.0")
        assert report["errors"] == []
        assert [message["error"] for message in report["messages"]] == LINTED_ANYWAY


@each_set
@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_kubernetes_takes_every_object(name: str, version: str) -> None:
    objects = rendered(name).objects
    assert len(objects) >= 7
    assert [problem for found in objects for problem in problems(found, version)] == []


@pytest.mark.parametrize("overlay", OVERLAYS)
@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_kubernetes_takes_every_object_of_the_overlays(overlay: str, version: str) -> None:
    objects = list(objects_in(kustomized(overlay)))
    assert [problem for found in objects for problem in problems(found, version)] == []


def test_the_oldest_version_is_the_one_that_the_chart_names() -> None:
    metadata = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert metadata["kubeVersion"] == f">={OLDEST}.0-0"
    assert kubernetes_validate.latest_version().startswith(NEWEST)


def test_every_custom_kind_is_rendered_by_some_values_and_every_other_kind_is_known_to_kubernetes(
    tmp_path: Path,
) -> None:
    kinds = {found["kind"] for name in SETS for found in rendered(name).objects}
    with_rules = render(values_of("production"), with_placeholders(tmp_path))
    kinds |= {found["kind"] for text in with_rules.values() if "apiVersion" in text for found in objects_in(text)}
    assert set(CUSTOM) <= kinds
    assert {path.stem for path in CRDS.glob("*.json")} == set(CUSTOM)


def test_rules_and_dashboards_are_taken_as_they_are_and_their_braces_left_alone(tmp_path: Path) -> None:
    texts = render(values_of("production"), with_placeholders(tmp_path))
    rules = list(objects_in(texts["videosite-realtime/templates/monitoring/rules.yaml"]))
    assert [problem for found in rules for problem in problems(found, NEWEST)] == []
    (placeholder,) = [found for found in rules if found["metadata"]["name"].endswith("-placeholder")]
    assert placeholder["spec"]["groups"][0]["rules"] == [{"record": "a", "expr": "{{ $value }}"}]
    assert placeholder["metadata"]["labels"]["release"] == "prometheus"
    dashboards = list(objects_in(texts["videosite-realtime/templates/monitoring/dashboards.yaml"]))
    assert [problem for found in dashboards for problem in problems(found, NEWEST)] == []
    (placeholder,) = [found for found in dashboards if found["metadata"]["name"].endswith("-placeholder")]
    assert json.loads(placeholder["data"]["vsrt-placeholder.json"])["legend"] == "{{ instance }}"
    assert placeholder["metadata"]["labels"]["grafana_dashboard"] == "1"


def test_alerts_and_dashboards_lead_to_where_the_runbook_is_read() -> None:
    """Else whoever is called at night finds an address that is nobody's."""
    everything = rendered("everything")
    for kind in ("PrometheusRule", "ConfigMap"):
        told = json.dumps(everything.all(kind))
        assert f"{values_of('everything')['metrics']['runbookUrl']}#vsrtnodelost" in told
        assert "example.com/videosite-realtime" not in told


def test_every_rule_file_and_dashboard_of_the_chart_is_installed() -> None:
    production = rendered("production")
    for kind, folder, component in (
        ("PrometheusRule", "rules", "monitoring"),
        ("ConfigMap", "dashboards", "monitoring"),
    ):
        files = {path.stem for path in (CHART / folder).glob("*.*") if path.suffix in {".yaml", ".json"}}
        names = {
            found["metadata"]["name"].removeprefix("demo-videosite-realtime-")
            for found in production.all(kind)
            if found["metadata"]["labels"]["app.kubernetes.io/component"] == component
        }
        assert names == files


WRONG: list[tuple[str, Object, str]] = [
    (
        "an unknown field",
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {"port": 1}},
        r"port",
    ),
    ("a wrong type", {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {"ports": 1}}, "ports"),
    ("an unknown kind", {"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "a"}}, r"Thing"),
    (
        "a misspelt field",
        {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "spec": {"trigers": []}},
        "trigers",
    ),
    ("another version", {"apiVersion": "keda.sh/v1", "kind": "ScaledObject", "spec": {}}, r"keda\.sh/v1alpha1"),
]


@pytest.mark.parametrize(("what", "found", "said"), WRONG, ids=[what for what, *_ in WRONG])
def test_what_kubernetes_would_not_take_would_be_seen(what: str, found: Object, said: str) -> None:
    assert any(re.search(said, problem) for problem in problems(found, NEWEST)), what
