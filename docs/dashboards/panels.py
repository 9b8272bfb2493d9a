"""What dashboards are made of: rows of panels, each with a meaning, a unit, and the way to the runbook.

A panel's place follows from its order and width: rows are filled from the left, 24 columns wide, as Grafana has them.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

RUNBOOK: Final = "https://example.com/videosite-realtime/docs/alerts.md"  # the chart puts the real address here
WIDTH: Final = 24
_SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
_COLOURS: Final = ("green", "orange", "red")

# Of what a query must be about, by the dashboards' variables.
HERE: Final = 'namespace=~"$namespace"'
NODE: Final = f'{HERE},instance=~"$instance"'

SECONDS, BYTES, SHARE, COUNT = "s", "bytes", "percentunit", "short"
PER_SECOND, OPS, FILES = "cps", "ops", "short"


@dataclass(frozen=True, slots=True)
class Query:
    """A query and what its lines are called, with labels as ``{{label}}``.

    Attributes:
        exemplars: whether the traces of what it reads are shown as well.
    """

    expr: str
    legend: str = ""
    table: bool = False
    heatmap: bool = False
    exemplars: bool = False

    def json(self, ref: str) -> dict[str, Any]:
        how = {"format": "table", "instant": True, "range": False} if self.table else {"range": True}
        if self.heatmap:
            how["format"] = "heatmap"
        if self.exemplars:
            how["exemplar"] = True
        return {"refId": ref, "datasource": _SOURCE, "expr": self.expr, "legendFormat": self.legend or "__auto", **how}


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel.

    Attributes:
        limits: where it turns orange, and where red; the other way round if the first is the greater.
        alerts: whose runbooks it links to.
        stacked: lines are drawn on top of each other.
        least, most: what the axis shows at least, and a dial at most.
        words: of a metric whose values stand for something, what they stand for, and its colour.
    """

    kind: str
    title: str
    description: str
    queries: Sequence[Query]
    unit: str = COUNT
    width: int = 8
    height: int = 8
    limits: tuple[float, ...] = ()
    alerts: Sequence[str] = ()
    stacked: bool = False
    least: float | None = 0
    most: float | None = None
    words: Mapping[int, tuple[str, str]] = field(default_factory=dict)

    def json(self, number: int, x: int, y: int) -> dict[str, Any]:
        return {
            "id": number,
            "type": self.kind,
            "title": self.title,
            "description": self.description,
            "datasource": _SOURCE,
            "gridPos": {"h": self.height, "w": self.width, "x": x, "y": y},
            "targets": [query.json(chr(ord("A") + index)) for index, query in enumerate(self.queries)],
            "fieldConfig": {"defaults": self._defaults(), "overrides": []},
            "options": _OPTIONS.get(self.kind, {}),
            "links": [
                {"title": f"Runbook: {alert}", "url": f"{RUNBOOK}#{alert.lower()}", "targetBlank": True}
                for alert in self.alerts
            ],
        }

    def _defaults(self) -> dict[str, Any]:
        defaults: dict[str, Any] = {"unit": self.unit, "thresholds": _thresholds(self.limits)}
        axis = {"min": self.least, "max": self.most}
        defaults |= {end: value for end, value in axis.items() if value is not None}
        if self.words:
            words = {str(value): {"text": text, "color": colour} for value, (text, colour) in self.words.items()}
            defaults["mappings"] = [{"type": "value", "options": words}]
        if self.kind == "timeseries":
            defaults["color"] = {"mode": "palette-classic"}
            defaults["custom"] = {
                "lineWidth": 1,
                "fillOpacity": 25 if self.stacked else 8,
                "showPoints": "never",
                "spanNulls": False,
                "stacking": {"mode": "normal" if self.stacked else "none"},
                "thresholdsStyle": {"mode": "dashed" if self.limits else "off"},
            }
        else:
            defaults["color"] = {"mode": "thresholds"}
        return defaults


_LEGEND: Final = {"displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull", "max"], "showLegend": True}
_OPTIONS: Final[dict[str, dict[str, Any]]] = {
    "timeseries": {"legend": _LEGEND, "tooltip": {"mode": "multi", "sort": "desc"}},
    "stat": {"reduceOptions": {"calcs": ["lastNotNull"]}, "graphMode": "area", "colorMode": "value"},
    "gauge": {"reduceOptions": {"calcs": ["lastNotNull"]}, "showThresholdMarkers": True},
    "bargauge": {"reduceOptions": {"calcs": ["lastNotNull"]}, "orientation": "horizontal", "displayMode": "lcd"},
    "table": {"showHeader": True, "cellHeight": "sm"},
    "state-timeline": {"showValue": "never", "mergeValues": True, "legend": {"showLegend": False}},
    "heatmap": {
        "calculate": False,
        "color": {"mode": "scheme", "scheme": "Turbo", "steps": 64},
        "yAxis": {"unit": SECONDS, "axisPlacement": "left"},
        "cellGap": 1,
        "tooltip": {"mode": "single", "yHistogram": True},
    },
}


def _thresholds(limits: tuple[float, ...]) -> dict[str, Any]:
    falling = len(limits) == 2 and limits[0] > limits[1]
    colours = tuple(reversed(_COLOURS)) if falling else _COLOURS
    steps: list[dict[str, Any]] = [{"color": colours[0], "value": None}]
    steps += [{"color": c, "value": v} for c, v in zip(colours[1:], sorted(limits), strict=False)]
    return {"mode": "absolute", "steps": steps}


def lines(title: str, description: str, *queries: Query, **more: Any) -> Panel:
    return Panel("timeseries", title, description, queries, **more)


def stat(title: str, description: str, expr: str, **more: Any) -> Panel:
    return Panel("stat", title, description, [Query(expr)], **{"width": 3, "height": 4, **more})


def dial(title: str, description: str, expr: str, *, most: float, **more: Any) -> Panel:
    return Panel("gauge", title, description, [Query(expr)], most=most, **{"width": 3, "height": 4, **more})


def states(title: str, description: str, query: Query, words: Mapping[int, tuple[str, str]], **more: Any) -> Panel:
    return Panel("state-timeline", title, description, [query], words=words, **more)


def percentiles(
    selector: str, by: str = "", *, of: Sequence[float] = (0.5, 0.95, 0.99), exemplars: bool = False
) -> list[Query]:
    """Return the percentiles of a histogram's buckets, per second of the window; its exemplars, if any, come once."""
    legend = f"{{{{{by}}}}} " if by else ""
    sums = f"sum by ({by + ', ' if by else ''}le) (rate({selector}[$__rate_interval]))"
    return [
        Query(f"histogram_quantile({q:g}, {sums})", f"{legend}p{q * 100:g}", exemplars=exemplars and q == of[-1])
        for q in of
    ]


def row(title: str, number: int, y: int) -> dict[str, Any]:
    place = {"h": 1, "w": WIDTH, "x": 0, "y": y}
    return {"id": number, "type": "row", "title": title, "collapsed": False, "gridPos": place, "panels": []}


def arranged(rows: Sequence[tuple[str, Sequence[Panel]]]) -> list[dict[str, Any]]:
    """Return all panels at their places; a panel that does not fit into its line begins the next."""
    numbers, found, y = itertools.count(1), [], 0
    for title, panels in rows:
        found.append(row(title, next(numbers), y))
        x, y, tallest = 0, y + 1, 0
        for panel in panels:
            if x + panel.width > WIDTH:
                x, y, tallest = 0, y + tallest, 0
            found.append(panel.json(next(numbers), x, y))
            x, tallest = x + panel.width, max(tallest, panel.height)
        y += tallest
    return found
