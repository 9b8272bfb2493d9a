"""Names are equal in code, documents, dashboards and rules."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from opentelemetry import semconv

from node.metrics import NodeMetrics
from router.metrics import RouterMetrics
from router.publish_counts import PublishCounts
from shared import spans
from tests.monitoring.queries import (
    GIVEN,
    PROMETHEUS_OWN,
    ROOT,
    Asked,
    alerts,
    dashboards,
    declared,
    exposed,
    in_dashboards,
    in_rules,
    labels,
    names,
    panels,
    recorded,
    rules,
)

RUNBOOK = (ROOT / "docs" / "alerts.md").read_text(encoding="utf-8")
SECTIONS = re.findall(r"^### (\w+)$", RUNBOOK, re.MULTILINE)
PARTS = ("Means", "Hurt:", "Look", "Do")
DOCUMENTED = set(re.findall(r"^\| `(\w+)`", (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8"), re.MULTILINE))
QUERIES = [*in_dashboards(), *in_rules()]
# OpenTelemetry's conventions that we follow, by the beginnings of names; all else is ours.
CONVENTIONS = ("messaging.", "http.", "db.", "process.", "cpython.")

_CONSTANT = re.compile(r'Final = "([\w.]+)"')

each_query = pytest.mark.parametrize("asked", QUERIES, ids=str)


def test_queries_are_read_right() -> None:
    expr = 'sum by (a, le) (rate(x_bucket{b="c d",e=~"f|g"}[5m])) / on (h) group_left (i) y:z > 0.5 and absent(w)'
    assert names(expr) == {"x_bucket", "y:z", "w"}
    assert labels(expr) == {"a", "le", "b", "e", "h", "i"}


@each_query
def test_every_metric_that_is_asked_for_exists(asked: Asked) -> None:
    known = exposed().keys() | recorded().keys() | PROMETHEUS_OWN.keys()
    assert names(asked.expr) <= known
    assert names(asked.expr)


@each_query
def test_every_label_that_is_named_exists(asked: Asked) -> None:
    known = {**exposed(), **recorded(), **PROMETHEUS_OWN}
    assert labels(asked.expr) <= GIVEN.union(*(known[name] for name in names(asked.expr)))


def test_every_metric_is_documented() -> None:
    assert {metric.prometheus for metric in declared()} == DOCUMENTED


def test_every_metric_is_looked_at() -> None:
    """One that no dashboard and no rule shows is one that nobody would miss."""
    asked = set().union(*(names(query.expr) for query in QUERIES))
    unseen = {
        metric.prometheus
        for metric in declared()
        if not asked & {metric.prometheus + suffix for suffix in ("", "_bucket", "_sum", "_count")}
    }
    assert unseen == set()


def test_every_metric_is_declared_once_per_service() -> None:
    for service in ("node", "router"):
        source = (ROOT / service / "metrics.py").read_text() + (ROOT / "shared" / "service_metrics.py").read_text()
        found = Counter(re.findall(r'@(?:counter|gauge|histogram)\(\s*"([\w.]+)"', source))
        assert len(found) > 20
        assert [name for name, count in found.items() if count > 1] == []


def test_a_name_means_the_same_everywhere() -> None:
    kinds: dict[str, Any] = {}
    for metric in declared():
        assert kinds.setdefault(metric.prometheus, (metric.name, metric.kind, metric.unit, metric.labels)) == (
            metric.name,
            metric.kind,
            metric.unit,
            metric.labels,
        )


def test_names_are_ours_or_a_conventions() -> None:
    strangers = [m.name for m in declared() if not m.name.startswith(("vsrt.", "target.", *CONVENTIONS))]
    assert strangers == []


def test_conventions_are_spelled_as_opentelemetry_spells_them() -> None:
    folder = Path(str(semconv.__file__)).parent
    known = {name for path in folder.rglob("*_metrics.py") for name in _CONSTANT.findall(path.read_text())}
    assert {metric.name for metric in declared() if metric.name.startswith(CONVENTIONS)} <= known


def test_metrics_and_spans_call_an_operation_by_one_name() -> None:
    """Or nobody gets from the one to the other: ``messaging.operation.name`` is an attribute of both."""
    counts = PublishCounts()
    counts.sent = lambda: {("custom", "all"): 1}  # type: ignore[method-assign]
    router = SimpleNamespace(_counts=counts)
    node = SimpleNamespace(_series=lambda: {("custom", "all"): SimpleNamespace(counts=[1])})
    operations = {
        spans.SEND: [*RouterMetrics.sent.read(router), *RouterMetrics.publish_duration.read(router)],
        spans.PROCESS: [*NodeMetrics.consumed.read(node)],
    }
    for name, series in operations.items():
        assert series
        assert {labels[:2] for labels in series} == {(spans.SYSTEM, name)}


@pytest.mark.parametrize(
    ("prefix", "required"),
    [
        ("messaging.client.", {"messaging.system", "messaging.operation.name"}),
        ("db.client.operation.", {"db.system.name"}),
        ("http.server.request.", {"http.request.method", "url.scheme"}),
    ],
)
def test_metrics_have_the_attributes_that_their_conventions_require(prefix: str, required: set[str]) -> None:
    found = [metric for metric in declared() if metric.name.startswith(prefix)]
    assert found
    assert [metric.name for metric in found if not required <= set(metric.labels)] == []


# --- alerts and their runbook


def test_every_alert_has_a_section_and_every_section_an_alert() -> None:
    assert Counter(SECTIONS) == Counter(alert["alert"] for alert in alerts())


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert["alert"])
def test_an_alert_says_what_it_is_how_bad_and_what_to_do(alert: dict[str, Any]) -> None:
    assert alert["labels"]["severity"] in {"critical", "warning"}
    assert set(alert["annotations"]) == {"summary", "description", "runbook_url"}
    assert alert["annotations"]["runbook_url"].endswith(f"/docs/alerts.md#{alert['alert'].lower()}")
    section = RUNBOOK.partition(f"### {alert['alert']}\n")[2].partition("\n##")[0]
    missing = [part for part in PARTS if f"**{part}" not in section and f"**{part.lower()}" not in section]
    assert missing == []


def test_the_runbook_quotes_logs_and_reasons_as_the_services_write_them() -> None:
    """Whoever is called at night searches for these very words."""
    sources = "\n".join(
        path.read_text() for part in ("node", "router", "shared") for path in (ROOT / part).glob("*.py")
    )
    quoted = {" ".join(words.split()) for words in re.findall(r"`([a-z]+(?:\s+[a-z]+)+)`", RUNBOOK)}
    assert "events lost for good" in quoted
    # "token expired" is put together: of what, and why.
    assert {words for words in quoted if words not in sources and words.removeprefix("token ") not in sources} == set()


def test_rules_that_repeat_are_recorded_under_names_of_their_own() -> None:
    found = Counter(rule.get("alert") or rule["record"] for rule in rules())
    assert [name for name, count in found.items() if count > 1] == []


# --- dashboards


def test_exemplars_are_asked_for_once_in_a_panel_and_only_of_histograms_that_have_some() -> None:
    asked = [
        [target["expr"] for target in panel["targets"] if target.get("exemplar")]
        for dashboard in dashboards()
        for panel in panels(dashboard)
    ]
    assert {len(exprs) for exprs in asked} == {0, 1}
    with_some = ("http_server_request_duration_seconds_bucket", "vsrt_node_delivery_duration_seconds_bucket")
    assert all(any(name in expr for name in with_some) for exprs in asked for expr in exprs)


@pytest.mark.parametrize("dashboard", dashboards(), ids=lambda dashboard: dashboard["uid"])
def test_a_panel_says_what_it_shows_and_lies_on_no_other(dashboard: dict[str, Any]) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not taken & cells, panel["title"]
        assert max(x for x, _ in cells) < 24, panel["title"]
        taken |= cells
    for panel in panels(dashboard):
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])


@pytest.mark.parametrize("dashboard", dashboards(), ids=lambda dashboard: dashboard["uid"])
def test_a_panels_links_lead_to_sections_of_the_runbook(dashboard: dict[str, Any]) -> None:
    links = [link["url"] for panel in panels(dashboard) for link in panel["links"]]
    assert links
    assert {link.partition("#")[2] for link in links} <= {section.lower() for section in SECTIONS}


def test_every_alert_is_linked_from_a_panel() -> None:
    titles = {link["title"] for board in dashboards() for panel in panels(board) for link in panel["links"]}
    assert {f"Runbook: {alert['alert']}" for alert in alerts()} == titles
