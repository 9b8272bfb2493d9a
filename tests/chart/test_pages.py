"""What pages say of the chart is held to it: values, names of what it makes, the examples."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from docs import chart
from tests.chart.rendering import Rendered, render, values_of
from tests.chart.test_valid import NEWEST, problems
from tests.support.process import ROOT

PAGES = [
    ROOT / "docs" / name for name in ("kubernetes.md", "operations.md", "proxies.md", "alerts.md", "troubleshooting.md")
]
_TOP = "image|auth|redis|database|telemetry|node|router|httpRoute|ingress|networkPolicy|metrics|serviceAccount|tests"
_FILES = re.compile(r"\.(md|py|yaml|conf|lua|log)$")

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def realtime() -> Rendered:
    """Return the chart as the pages install it: as `realtime`."""
    return Rendered("realtime", render(values_of("least"), release="realtime"))


@each_page
def test_values_that_a_page_names_exist(page: Path) -> None:
    known = {".".join(value.path) for value in chart.documented()}
    above = {name.rpartition(".")[0] for name in known} | {name.partition(".")[0] for name in known}
    named = {
        name
        for code in re.findall(r"`([^`\n]+)`", page.read_text())
        for name in re.findall(rf"(?<![\w./-])((?:{_TOP})(?:\.[A-Za-z_]+)+)", code)
        if not _FILES.search(name)
    }
    settings = {name for name in named if re.match(r"(node|router)\.settings\.[A-Z_]+$", name)}
    modules = {name for name in named if (ROOT / f"{name.replace('.', '/')}.py").exists()}
    assert named - settings - modules - known - above == set()


@each_page
def test_what_a_page_asks_kubectl_for_is_made_by_the_chart(page: Path) -> None:
    named = set(re.findall(r"\b(?:deploy|deployment|service|svc)/([a-z-]+)", page.read_text()))
    made = {found["metadata"]["name"] for found in realtime().objects}
    assert named <= made


def test_the_pages_name_some() -> None:
    assert "deploy/realtime-node" in (ROOT / "docs" / "operations.md").read_text()
    assert {"realtime-node", "realtime-router", "realtime"} <= {o["metadata"]["name"] for o in realtime().objects}


def test_the_example_values_are_good() -> None:
    page = (ROOT / "docs" / "kubernetes.md").read_text()
    (text,) = re.findall(r"```yaml\n# values\.yaml\n(.*?)```", page, re.DOTALL)
    example = Rendered("example", render(yaml.safe_load(text), release="realtime"))
    assert [problem for found in example.objects for problem in problems(found, NEWEST)] == []
    assert example.one("HTTPRoute")
