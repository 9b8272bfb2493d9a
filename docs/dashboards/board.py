"""A dashboard around its rows: variables, links to the others, marks where nodes leave."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from docs.dashboards.panels import HERE, RUNBOOK, Panel, arranged

TAG: Final = "videosite-realtime"
_SCHEMA: Final = 39  # of Grafana 10 and later
_SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}


def board(
    name: str,
    title: str,
    description: str,
    rows: Sequence[tuple[str, Sequence[Panel]]],
    *,
    instances_of: str | None = None,
) -> str:
    """Return a dashboard as Grafana imports it.

    Args:
        name: its uid is ``vsrt-<name>``.
        instances_of: the metric whose ``instance`` may be chosen; None: it is about all.
    """
    chosen = [_source(), _choice("namespace", "Namespace", "label_values(vsrt_node_connections, namespace)")]
    if instances_of is not None:
        chosen.append(_choice("instance", "Node", f"label_values({instances_of}{{{HERE}}}, instance)"))
    dashboard = {
        "uid": f"vsrt-{name}",
        "title": title,
        "description": description,
        "tags": [TAG],
        "schemaVersion": _SCHEMA,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,  # one cross-hair for all panels
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": chosen},
        "annotations": {"list": [_leaving()]},
        "links": [
            {"type": "dashboards", "title": "VideoSite Realtime", "tags": [TAG], "asDropdown": True, "keepTime": True,
             "includeVars": True},
            {"type": "link", "title": "Runbook", "url": RUNBOOK, "icon": "doc", "targetBlank": True},
        ],
        "panels": arranged(rows),
    }  # fmt: skip
    return json.dumps(dashboard, indent=1, ensure_ascii=False) + "\n"


def _source() -> dict[str, Any]:
    return {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "hide": 0}


def _choice(name: str, label: str, query: str) -> dict[str, Any]:
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": _SOURCE,
        "query": {"query": query, "refId": name},
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",  # without such a label too
        "current": {"text": "All", "value": "$__all"},
    }


def _leaving() -> dict[str, Any]:
    return {
        "name": "Nodes that leave",
        "datasource": _SOURCE,
        "enable": True,
        "iconColor": "purple",
        "expr": f"vsrt_node_draining{{{HERE}}} == 1",
        "titleFormat": "{{instance}} leaves",
        "step": "15s",
    }
