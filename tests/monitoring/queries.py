"""Every query that dashboards and rules ask, and what it asks for."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from docs.metrics_page import metrics_of
from node.metrics import NodeMetrics
from router.metrics import RouterMetrics
from shared.exposition import TARGET
from shared.metrics import Metric

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "helm" / "videosite-realtime"
DASHBOARDS = sorted((CHART / "dashboards").glob("*.json"))
RULES = sorted((CHART / "rules").glob("*.yaml"))

# Not ours: what Prometheus itself tells of its targets and alerts.
PROMETHEUS_OWN = {"up": {"job", "instance"}, "ALERTS": {"alertname", "alertstate", "severity"}}
GIVEN = {"namespace", "instance", "job", "le"}  # by who scrapes, and by histograms

_TEXT = re.compile(r'"(?:[^"\\]|\\.)*"')
_SELECTOR = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)?\{([^}]*)\}")
_GROUPING = re.compile(r"\b(by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
_WORD = re.compile(r"(?<![\w:.$])[a-zA-Z_:][a-zA-Z0-9_:]*(?!\s*\()(?![\w:])")
_KEYWORDS = {"and", "or", "unless", "bool", "offset", "inf", "nan"}
_THRESHOLD = re.compile(r"(==|!=|>=|<=|>|<)\s*-?\d+(\.\d+)?(?=\s|\)|$)")


@dataclass(frozen=True)
class Asked:
    """A query, and where it stands."""

    where: str
    expr: str

    def __str__(self) -> str:
        return self.where


@cache
def dashboards() -> list[dict[str, Any]]:
    return [json.loads(path.read_text(encoding="utf-8")) for path in DASHBOARDS]


def panels(dashboard: dict[str, Any]) -> list[dict[str, Any]]:
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def in_dashboards() -> Iterator[Asked]:
    for dashboard in dashboards():
        for panel in panels(dashboard):
            for target in panel["targets"]:
                where = f"{dashboard['uid']}: {panel['title']} {target['refId']}"
                yield Asked(where, filled(target["expr"]))
        for annotation in dashboard["annotations"]["list"]:
            yield Asked(f"{dashboard['uid']}: {annotation['name']}", without_thresholds(filled(annotation["expr"])))


def filled(expr: str) -> str:
    """Return a query as Grafana sends it: for all namespaces and instances, over the least sensible window."""
    return expr.replace("$namespace", ".*").replace("$instance", ".*").replace("$__rate_interval", "1m")


@cache
def rules() -> list[dict[str, Any]]:
    files = (yaml.safe_load(path.read_text(encoding="utf-8")) for path in RULES)
    return [rule for file in files for group in file["groups"] for rule in group["rules"]]


def alerts() -> list[dict[str, Any]]:
    return [rule for rule in rules() if "alert" in rule]


def in_rules() -> Iterator[Asked]:
    for rule in rules():
        name = rule.get("alert") or rule["record"]
        yield Asked(name, without_thresholds(rule["expr"]))


def without_thresholds(expr: str) -> str:
    """Return what is compared, of a query that compares with numbers; what is absent, where one asks for absence too.

    So an alert that is silent, as most are, still shows whether what it looks at exists.
    """
    compared, _, absent = expr.partition("or on () absent(")
    bare = _THRESHOLD.sub("", compared)
    return f"{bare} and on () ({absent.removesuffix(')')})" if absent else bare


# --- what a query asks for


def names(expr: str) -> set[str]:
    """Return the metrics that a query reads."""
    bare = _GROUPING.sub(" ", _SELECTOR.sub(lambda found: f"{found[1] or ''} ", _TEXT.sub('""', expr)))
    return {word for word in _WORD.findall(re.sub(r"\[[^]]*\]", " ", bare)) if word.lower() not in _KEYWORDS}


def labels(expr: str) -> set[str]:
    """Return the labels that a query names."""
    bare = _TEXT.sub('""', expr)
    matched = {part for _, inside in _SELECTOR.findall(bare) for part in re.findall(r"(\w+)\s*(?:=|!)", inside)}
    grouped = {word for _, inside in _GROUPING.findall(bare) for word in re.findall(r"\w+", inside)}
    return matched | grouped


# --- what there is


def declared() -> list[Metric]:
    return [TARGET, *metrics_of(NodeMetrics), *metrics_of(RouterMetrics)]


@cache
def exposed() -> dict[str, set[str]]:
    """Return the names under which Prometheus finds our metrics, and their labels."""
    found: dict[str, set[str]] = {}
    for metric in declared():
        suffixes = ("_bucket", "_sum", "_count") if metric.kind == "histogram" else ("",)
        for suffix in suffixes:
            found.setdefault(metric.prometheus + suffix, set()).update(metric.prometheus_labels)
    return found


@cache
def recorded() -> dict[str, set[str]]:
    """Return the names that rules record, and the labels that they group by."""
    return {rule["record"]: labels(rule["expr"]) for rule in rules() if "record" in rule}
