"""What pods may do, and who may speak with whom."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from tests.chart.looking import each, policy_of
from tests.chart.recipe import stages
from tests.chart.rendering import (
    COMPONENTS,
    SETS,
    Rendered,
    changed,
    container,
    containers_of,
    render,
    rendered,
    selects,
    services,
    values_of,
)


@each
def test_pods_meet_the_restricted_standard(chart: Rendered) -> None:
    for _, pod in chart.pods():
        spec, security = pod["spec"], pod["spec"]["securityContext"]
        assert spec["automountServiceAccountToken"] is False
        assert security["runAsNonRoot"] is True
        assert security["runAsUser"] >= 1
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
        for one in containers_of(pod):
            assert one["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert "memory" in one["resources"]["requests"]
        assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys()


def test_the_user_is_the_images() -> None:
    user, _, group = stages()[""].one("USER").partition(":")
    for _, pod in rendered("least").pods():
        security = pod["spec"]["securityContext"]
        assert (security["runAsUser"], security["runAsGroup"]) == (int(user), int(group))


@pytest.mark.parametrize(
    "name", [name for name in SETS if values_of(name).get("networkPolicy", {}).get("enabled", True)]
)
def test_what_is_not_allowed_is_forbidden(name: str) -> None:
    chart = rendered(name)
    pods = dict(services(chart))
    for component in COMPONENTS:
        policy = policy_of(chart, component)
        assert policy["policyTypes"] == ["Ingress", "Egress"]
        names = {port["name"] for port in container(pods[component])["ports"]}
        for rule in policy["ingress"]:
            assert rule["from"], "without it, everybody"
            assert {port["port"] for port in rule["ports"]} <= names
        for rule in policy["egress"]:
            assert rule["ports"]
    management = [rule for rule in policy_of(chart, "node")["ingress"] if rule["ports"][0]["port"] == "management"]
    assert len(management) == 1


@pytest.mark.parametrize(
    "name", [name for name in SETS if values_of(name).get("networkPolicy", {}).get("enabled", True)]
)
def test_nodes_may_reach_routers_and_both_what_they_need(name: str) -> None:
    chart = rendered(name)
    pods = dict(services(chart))
    settings = chart.settings("node")
    servers = settings.get("REDIS_CLUSTER_NODES", urlsplit(settings["REDIS_URL"]).netloc).split(",")
    redis_ports = {urlsplit(f"//{server}").port or 6379 for server in servers}
    for component in COMPONENTS:
        policy = policy_of(chart, component)
        out = {port["port"] for rule in policy["egress"] for port in rule["ports"]}
        assert {53, *redis_ports} <= out
    (to_routers,) = [rule for rule in policy_of(chart, "node")["egress"] if rule["ports"][0]["port"] == 8001]
    assert selects(to_routers["to"][0]["podSelector"]["matchLabels"], pods["router"])
    (in_,) = policy_of(chart, "router")["ingress"]
    assert any(
        selects(peer.get("podSelector", {}).get("matchLabels", {"no": "one"}), pods["node"]) for peer in in_["from"]
    )


def test_who_may_reach_whom_is_what_the_values_say() -> None:
    production, values = rendered("production"), values_of("production")["networkPolicy"]
    browsers = next(r for r in policy_of(production, "node")["ingress"] if r["ports"][0]["port"] == "http")
    assert values["browsers"][0] in browsers["from"]
    assert {"namespaceSelector": {}} not in browsers["from"]
    (callers,) = policy_of(production, "router")["ingress"]
    assert values["producers"][0] in callers["from"]
    assert {"podSelector": {}} not in callers["from"]
    redis = next(r for r in policy_of(production, "node")["egress"] if r["ports"][0]["port"] == 6380)
    assert redis["to"] == values["redis"]


def test_sentinels_fetched_keys_and_collectors_can_be_reached() -> None:
    for component in COMPONENTS:
        out = {port["port"] for rule in policy_of(rendered("sentinel"), component)["egress"] for port in rule["ports"]}
        assert {6379, 26379, 26380, 8443, 4318, 8080} <= out


def test_of_a_redis_cluster_the_servers_can_be_reached_and_not_the_host_that_does_not_count() -> None:
    values = changed(values_of("cluster"), "redis.url", "rediss://redis.data:6380")
    chart = Rendered("cluster", render(values))
    for component in COMPONENTS:
        rules = policy_of(chart, component)["egress"]
        (to_redis,) = [rule for rule in rules if rule.get("to") == values["networkPolicy"]["redis"]]
        assert [port["port"] for port in to_redis["ports"]] == [6379, 7001]
        assert values["networkPolicy"]["extraEgress"][0] in rules
        assert 6380 not in {port["port"] for rule in rules for port in rule["ports"]}
    (of_the_migration,) = [rule for rule in policy_of(chart, "migration")["egress"] if rule["ports"][0]["port"] != 53]
    assert [port["port"] for port in of_the_migration["ports"]] == [5432]


def test_the_user_check_can_be_reached_by_nodes_which_ask_it() -> None:
    values = changed(values_of("least"), "node.settings", {"USER_CHECK_URL": "http://platform.videosite:8088/users"})
    chart = Rendered("checked", render(values))
    for component, asks in (("node", True), ("router", False)):
        out = {port["port"] for rule in policy_of(chart, component)["egress"] for port in rule["ports"]}
        assert (8088 in out) is asks


@pytest.mark.parametrize("component", ["node", "router", "test", "migration"])
def test_names_are_looked_up_where_clusters_have_it(component: str) -> None:
    """In the cluster's DNS, or in a cache on the pod's own machine, which is no pod that a selector could name."""
    everything = rendered("everything")
    (names,) = [rule for rule in policy_of(everything, component)["egress"] if rule["ports"][0]["port"] == 53]
    assert {port["protocol"] for port in names["ports"]} == {"UDP", "TCP"}
    (selector,) = [peer["podSelector"]["matchExpressions"] for peer in names["to"] if "podSelector" in peer]
    assert set(selector[0]["values"]) == {"kube-dns", "node-local-dns"}
    blocks = {peer["ipBlock"]["cidr"] for peer in names["to"] if "ipBlock" in peer}
    assert blocks == {"169.254.20.10/32", "169.254.169.254/32"}
    for service in COMPONENTS:
        (own,) = [r for r in policy_of(rendered("sentinel"), service)["egress"] if r["ports"][0]["port"] == 53]
        assert own["to"] == values_of("sentinel")["networkPolicy"]["dns"]


def test_helms_test_reaches_both_services_where_everything_else_is_forbidden() -> None:
    chart = rendered("everything")
    pod = chart.one("Pod")
    policy = policy_of(chart, "test")
    assert selects(policy["podSelector"]["matchLabels"], pod)
    for component, target in services(chart):
        (to,) = [
            r
            for r in policy["egress"]
            if selects(r["to"][0].get("podSelector", {}).get("matchLabels", {"no": "one"}), target)
        ]
        ports = {port["name"]: port["containerPort"] for port in container(target)["ports"]}
        assert [port["port"] for port in to["ports"]] == [ports["http"]], component
    without = rendered("sentinel")
    assert [found for found in without.all("NetworkPolicy") if found["metadata"]["name"].endswith("-test")] == []
