"""Who finds whom, and the way in for browsers, whatever the values."""

from __future__ import annotations

from tests.chart.looking import each
from tests.chart.rendering import (
    COMPONENTS,
    Rendered,
    component_of,
    container,
    rendered,
    selects,
    services,
)
from tests.support.process import ROOT

# --- who finds whom


@each
def test_selectors_match_the_pods_of_their_component_and_no_others(chart: Rendered) -> None:
    pods = services(chart)
    for found in chart.objects:
        spec = found.get("spec", {})
        selector = {
            "Deployment": lambda spec: spec["selector"]["matchLabels"],
            "Service": lambda spec: spec["selector"],
            "PodDisruptionBudget": lambda spec: spec["selector"]["matchLabels"],
            "NetworkPolicy": lambda spec: spec["podSelector"]["matchLabels"],
            "PodMonitor": lambda spec: spec["selector"]["matchLabels"],
        }.get(found["kind"])
        if selector is None or component_of(found) not in COMPONENTS:
            continue
        matched = [component for component, pod in pods if selects(selector(spec), pod)]
        assert matched == [component_of(found)], found["metadata"]["name"]
        assert found["metadata"]["name"].endswith(f"-{component_of(found)}")


@each
def test_pods_spread_among_their_own(chart: Rendered) -> None:
    for _, pod in services(chart):
        for constraint in pod["spec"].get("topologySpreadConstraints", []):
            assert selects(constraint["labelSelector"]["matchLabels"], pod)


@each
def test_a_service_leads_to_a_port_that_its_pods_have(chart: Rendered) -> None:
    for component, pod in services(chart):
        names = {port["name"] for port in container(pod)["ports"]}
        for port in chart.one("Service", component)["spec"]["ports"]:
            assert port["targetPort"] in names


@each
def test_nodes_call_the_routers_service(chart: Rendered) -> None:
    service = chart.one("Service", "router")
    (port,) = service["spec"]["ports"]
    assert chart.settings("node")["ROUTER_URL"] == f"http://{service['metadata']['name']}:{port['port']}"
    assert service["spec"]["type"] == "ClusterIP", "routers are for the inside"


@each
def test_monitors_name_jobs_as_the_dashboards_do_and_a_port_that_is_there(chart: Rendered) -> None:
    for kind, endpoints in (("PodMonitor", "podMetricsEndpoints"), ("ServiceMonitor", "endpoints")):
        for monitor in chart.all(kind):
            component = component_of(monitor)
            (endpoint,) = monitor["spec"][endpoints]
            names = {
                "PodMonitor": {port["name"] for name, pod in services(chart) if name == component
                               for port in container(pod)["ports"]},
                "ServiceMonitor": {port["name"] for port in chart.one("Service", component)["spec"]["ports"]},
            }[kind]  # fmt: skip
            assert endpoint["port"] in names
            assert {"targetLabel": "job", "replacement": f"vsrt-{component}"} in endpoint["relabelings"]


# --- the way in


def ways_in(chart: Rendered) -> list[tuple[str, str]]:
    """Return what browsers may ask for: the kind of match, the path."""
    ingress = [
        (path["pathType"], path["path"])
        for found in chart.all("Ingress")
        for rule in found["spec"]["rules"]
        for path in rule["http"]["paths"]
    ]
    route = [
        (match["path"]["type"].removeprefix("Path"), match["path"]["value"])
        for found in chart.all("HTTPRoute")
        for rule in found["spec"]["rules"]
        for match in rule["matches"]
    ]
    return ingress + route


@each
def test_the_way_in_shows_neither_health_nor_metrics(chart: Rendered) -> None:
    for how, path in ways_in(chart):
        for hidden in ("/metrics", "/healthz", "/readyz"):
            shown = path == hidden or (how == "Prefix" and f"{hidden}/".startswith(f"{path.rstrip('/')}/"))
            assert not shown, f"{how} {path} shows {hidden}"


def test_the_way_in_shows_the_sockets_the_calls_and_all_of_the_page() -> None:
    paths = ways_in(rendered("production"))
    page = ROOT / "admin-frontend" / "dist"
    files = ["/", "/api/v1/ws", *(f"/{path.relative_to(page)}" for path in page.rglob("*") if path.is_file())]
    assert len(files) > 4, "the page is not built: make page"
    for file in files:
        assert any(file == path or (how == "Prefix" and file.startswith(f"{path}/")) for how, path in paths), file
    assert ways_in(rendered("sentinel")) == [("Prefix", "/api/v1")] * 2, "without the page, on two hosts"


@each
def test_the_way_in_leads_to_a_port_of_the_nodes_service(chart: Rendered) -> None:
    service = chart.one("Service", "node")
    ports = {port["name"]: port["port"] for port in service["spec"]["ports"]}
    for found in chart.all("HTTPRoute"):
        for rule in found["spec"]["rules"]:
            assert rule["backendRefs"] == [{"name": service["metadata"]["name"], "port": ports["http"]}]
    for found in chart.all("Ingress"):
        for rule in found["spec"]["rules"]:
            for path in rule["http"]["paths"]:
                backend = path["backend"]["service"]
                assert (backend["name"], backend["port"]["name"]) == (service["metadata"]["name"], "http")


def test_a_gateway_does_not_end_a_socket_that_is_one_long_request() -> None:
    (rule,) = rendered("production").one("HTTPRoute")["spec"]["rules"]
    assert rule["timeouts"] == {"request": "0s"}
    (rule,) = rendered("everything").one("HTTPRoute")["spec"]["rules"]
    assert "timeouts" not in rule


# --- the inbox's database


def test_a_migration_is_given_nothing_but_the_databases_address() -> None:
    (job,) = rendered("everything").all("Job")
    pod = job["spec"]["template"]["spec"]
    assert pod["containers"][0]["command"] == ["python", "-m", "router.migrate"]
    assert [variable["name"] for variable in pod["containers"][0]["env"]] == ["DATABASE_URL", "LOG_FORMAT"]
    assert (ROOT / "router" / "migrate.py").exists()
    assert rendered("least").all("Job") == []
    assert rendered("least").settings("router")["DATABASE_URL"] == "off"
