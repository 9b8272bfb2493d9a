"""k8s/ is the chart, rendered; the overlays are what they say they are."""

from __future__ import annotations

import re

import pytest

from docs import manifests
from tests.chart.kustomize import OVERLAYS, kustomized
from tests.chart.rendering import COMPONENTS, Rendered, objects_in
from tests.support.process import ROOT

K8S = ROOT / "k8s"


def overlay(name: str) -> Rendered:
    return Rendered(name, {"all.yaml": kustomized(name)})


def test_the_plain_manifests_are_what_the_chart_renders() -> None:
    rendered = manifests.manifests()
    there = {path for folder in ("base", "components") for path in (K8S / folder).rglob("*") if path.is_file()}
    assert there == set(rendered)
    for path, text in rendered.items():
        assert path.read_text() == text, f"{path.relative_to(ROOT)}: run `make manifests`"


def test_nothing_of_helm_is_left_in_them() -> None:
    for path in (K8S / "base").glob("*"):
        assert not re.search(r"helm\.sh|managed-by|checksum/|namespace: videosite", path.read_text()), path.name


@pytest.mark.parametrize("name", OVERLAYS)
def test_settings_of_an_overlay_replace_the_pods(name: str) -> None:
    """Their ConfigMaps are named after their content."""
    chart = overlay(name)
    for component in ("node", "router"):
        made = chart.one("ConfigMap", component)["metadata"]["name"]
        assert re.fullmatch(rf"videosite-realtime-{component}-[a-z0-9]{{10}}", made)
        deployment = chart.one("Deployment", component)
        (only,) = deployment["spec"]["template"]["spec"]["containers"]
        assert only["envFrom"] == [{"configMapRef": {"name": made}}]


@pytest.mark.parametrize("name", OVERLAYS)
def test_everything_is_in_the_overlays_namespace_which_is_a_restricted_one(name: str) -> None:
    chart = overlay(name)
    namespace = chart.one("Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    for found in chart.objects:
        if found["kind"] != "Namespace":
            assert found["metadata"]["namespace"] == namespace["metadata"]["name"], found["metadata"]["name"]


def test_dev_is_whole_one_of_each_with_a_redis_that_only_they_reach() -> None:
    dev = overlay("dev")
    replicas = {found["metadata"]["name"]: found["spec"]["replicas"] for found in dev.all("Deployment")}
    assert replicas == {"videosite-realtime-node": 1, "videosite-realtime-router": 1, "redis": 1}
    names = {found["metadata"]["name"] for found in dev.objects}
    assert {found["metadata"]["name"] for found in dev.all("Secret")} <= names
    address = re.fullmatch(r"redis://(\w+):(\d+)/0", dev.settings("node")["REDIS_URL"])
    assert address
    service = next(found for found in dev.all("Service") if found["metadata"]["name"] == address[1])
    assert service["spec"]["ports"][0]["port"] == int(address[2])
    redis = next(found for found in dev.all("Deployment") if found["metadata"]["name"] == "redis")
    command = " ".join(redis["spec"]["template"]["spec"]["containers"][0]["command"])
    assert "--maxmemory-policy noeviction" in command
    assert "--appendonly yes" in command
    assert "latest" not in kustomized("dev")


def test_prod_brings_no_secret_scales_itself_and_is_reached_by_the_gateway_only() -> None:
    prod = overlay("prod")
    assert prod.all("Secret") == []
    for component in COMPONENTS:
        assert "replicas" not in prod.one("Deployment", component)["spec"]
        assert prod.one("HorizontalPodAutoscaler", component)["spec"]["minReplicas"] == 3
    assert prod.one("HTTPRoute")["spec"]["rules"][0]["timeouts"] == {"request": "0s"}
    browsers = prod.one("NetworkPolicy", "node")["spec"]["ingress"][0]
    assert browsers["ports"][0]["port"] == "http"
    assert browsers["from"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "gateway"}}}]
    assert prod.settings("node")["REDIS_URL"].startswith("rediss://")


@pytest.mark.parametrize("component", ["autoscaling", "gateway", "monitoring"])
def test_every_component_brings_what_its_name_says(component: str) -> None:
    kinds = {
        found["kind"]
        for path in (K8S / "components" / component).glob("*.yaml")
        if path.name != "kustomization.yaml"
        for found in objects_in(path.read_text())
    }
    wanted = {"autoscaling": {"HorizontalPodAutoscaler"}, "gateway": {"HTTPRoute"}, "monitoring": {"PodMonitor"}}
    assert wanted[component] <= kinds
