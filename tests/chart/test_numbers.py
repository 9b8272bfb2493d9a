"""How many pods there are, and what Helm tells and tests."""

from __future__ import annotations

import re

import pytest

from tests.chart.looking import each, policy_of
from tests.chart.rendering import (
    CHART,
    COMPONENTS,
    SETS,
    Object,
    Rendered,
    component_of,
    container,
    render,
    rendered,
    selects,
    services,
    values_of,
)
from tests.support.access_list import SHIPPED, USER
from tests.support.process import ROOT

# --- how many


@each
def test_a_budget_lets_a_machine_be_drained_and_keeps_somebody_serving(chart: Rendered) -> None:
    for budget in chart.all("PodDisruptionBudget"):
        component = component_of(budget)
        least = [least for least, _ in map(bounds, scalers(chart, component))]
        replicas = chart.one("Deployment", component)["spec"].get("replicas", *least or [2])
        away = budget["spec"]["maxUnavailable"]
        assert away != 0
        if isinstance(away, int):
            assert away <= replicas
            assert away < replicas or replicas == 1


def scalers(chart: Rendered, component: str) -> list[Object]:
    found = [*chart.all("HorizontalPodAutoscaler"), *chart.all("ScaledObject")]
    return [scaler for scaler in found if component_of(scaler) == component]


def bounds(scaler: Object) -> tuple[int, int]:
    """Return how many pods an autoscaler keeps, at least and at most."""
    word = "Replicas" if scaler["kind"] == "HorizontalPodAutoscaler" else "ReplicaCount"
    return scaler["spec"][f"min{word}"], scaler["spec"][f"max{word}"]


@pytest.mark.parametrize("component", COMPONENTS)
@each
def test_who_scales_is_one_only_and_scales_up_at_once_and_down_slowly(chart: Rendered, component: str) -> None:
    deployment = chart.one("Deployment", component)
    found = scalers(chart, component)
    ones_own = (chart.name, component) == ("sentinel", "router")
    assert len(found) + ("replicas" in deployment["spec"]) == (0 if ones_own else 1)
    for scaler in found:
        spec = scaler["spec"]
        assert spec["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": name_of(deployment)}
        least, most = bounds(scaler)
        assert 1 <= least <= most
        hpa = spec if "behavior" in spec else spec["advanced"]["horizontalPodAutoscalerConfig"]
        up, down = hpa["behavior"]["scaleUp"], hpa["behavior"]["scaleDown"]
        assert up["stabilizationWindowSeconds"] == 0
        assert down["stabilizationWindowSeconds"] >= 300
        assert down["policies"] == [{"type": "Pods", "value": 1, "periodSeconds": 60}]


def name_of(found: Object) -> str:
    return found["metadata"]["name"]


def test_routers_are_scaled_by_a_share_of_the_cpu_that_they_ask_for() -> None:
    everything = rendered("everything")
    (scaler,) = scalers(everything, "router")
    assert scaler["spec"]["metrics"] == [
        {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 60}}}
    ]
    assert container(dict(services(everything))["router"])["resources"]["requests"]["cpu"]
    assert "metrics-server" in everything.notes
    assert "metrics-server" not in rendered("production").notes


@pytest.mark.parametrize("name", SETS)
def test_whose_manifest_says_how_many_is_warned_before_autoscaling_is_turned_on(name: str) -> None:
    """With it the number of pods leaves the manifest, which Kubernetes takes for one."""
    chart = rendered(name)
    told = ["replicas" in deployment["spec"] for deployment in chart.all("Deployment")]
    assert ("Before you turn autoscaling on" in chart.notes) == any(told)


def test_the_metric_that_scales_nodes_is_one_that_they_have() -> None:
    metrics = (ROOT / "docs" / "metrics.md").read_text()
    (metric,) = rendered("production").one("HorizontalPodAutoscaler")["spec"]["metrics"]
    name = metric["pods"]["metric"]["name"]
    assert f"| `{name}`<br>" in metrics
    keda = rendered("sentinel")
    (trigger,) = keda.one("ScaledObject")["spec"]["triggers"]
    pods = re.search(rf'sum\({name}{{namespace="videosite",pod=~"(.+)"}}\)', trigger["metadata"]["query"])
    assert pods
    # With nothing found KEDA would reckon with 0, and send everybody away, one pod a minute.
    assert trigger["metadata"]["ignoreNullValues"] == "false"
    for component in COMPONENTS:
        pod = f"{keda.one('Deployment', component)['metadata']['name']}-7d9c6b-x2xk4"
        assert bool(re.fullmatch(pods[1], pod)) == (component == "node")


# --- the test, the notes


def test_helms_test_reaches_what_it_needs_and_is_left_out_where_it_could_not_connect() -> None:
    chart = rendered("everything")
    pod = chart.one("Pod")
    assert pod["metadata"]["annotations"]["helm.sh/hook"] == "test"
    env = {variable["name"]: variable.get("value") for variable in container(pod)["env"]}
    for name, component in (("NODE_URL", "node"), ("ROUTER_URL", "router")):
        service = chart.one("Service", component)
        assert env[name] == f"http://{service['metadata']['name']}:{service['spec']['ports'][0]['port']}"
    for component in COMPONENTS:
        peers = [peer for rule in policy_of(chart, component)["ingress"] for peer in rule["from"]]
        assert any(selects(peer.get("podSelector", {}).get("matchLabels", {"no": "one"}), pod) for peer in peers)
        assert not selects(chart.one("Service", component)["spec"]["selector"], pod)
    assert {"JWT_ISSUER", "JWT_AUDIENCE", "JWT_ALGORITHM"} <= env.keys()
    assert rendered("production").one("Pod")
    assert rendered("sentinel").all("Pod") == []
    assert "tests.tokenSecret" in rendered("sentinel").notes


@pytest.mark.parametrize("name", SETS)
def test_the_notes_name_what_was_installed(name: str) -> None:
    chart = rendered(name)
    named = set(re.findall(r"(?:deployment|service)/([\w-]+)", chart.notes))
    assert named
    assert named <= {found["metadata"]["name"] for found in chart.objects}
    hosts = re.findall(r"wss://([\w.*-]+)/", chart.notes)
    assert bool(hosts) == bool(chart.all("Ingress") or chart.all("HTTPRoute"))


def test_the_notes_tell_that_every_server_of_a_redis_cluster_needs_the_same() -> None:
    notes = " ".join(rendered("cluster").notes.split())
    assert "a cluster that [fd00::a], redis-1.redis.data:7001, [fd00::c]:7001 know" in notes
    assert "the access list with the user videosite-realtime: servers do not tell each other" in notes
    assert "without TLS" not in notes
    assert "cluster that" not in rendered("production").notes


def test_names_stay_names_however_long_the_release_is() -> None:
    long = Rendered("long", render(values_of("everything"), release="a" * 53))
    for found in long.objects:
        assert re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", found["metadata"]["name"])
        for label in found["metadata"].get("labels", {}).values():
            assert len(label) <= 63


def test_two_releases_in_one_namespace_do_not_meet() -> None:
    one, other = (Rendered(name, render(values_of("least"), release=name)) for name in ("one", "other"))
    for component in COMPONENTS:
        selector = one.one("Service", component)["spec"]["selector"]
        assert not any(selects(selector, pod) for _, pod in other.pods())


def test_the_shipped_access_list_goes_with_the_chart_and_names_the_user_that_values_name() -> None:
    assert CHART in SHIPPED.parents
    assert rendered("production").settings("node")["REDIS_USERNAME"] == USER
