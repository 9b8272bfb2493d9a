"""What pages say of the chart is held to it: values, names of what it makes, the examples."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from docs import chart, manifests
from tests.chart.looking import environment
from tests.chart.rendering import Rendered, container, render, services, values_of
from tests.chart.validation import NEWEST, problems
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


def example(*names: str) -> Rendered:
    """Return the chart with example values of the page, the later ones above the earlier."""
    page = (ROOT / "docs" / "kubernetes.md").read_text()
    values: dict[str, Any] = {}
    for name in names:
        (text,) = re.findall(rf"```yaml\n# {re.escape(name)}\n(.*?)```", page, re.DOTALL)
        values = manifests.merged(values, yaml.safe_load(text))
    chart = Rendered("example", render(values, release="realtime"))
    assert [problem for found in chart.objects for problem in problems(found, NEWEST)] == []
    return chart


def test_the_example_values_are_good() -> None:
    assert example("values.yaml").one("HTTPRoute")


def test_the_example_of_a_private_authority_names_a_file_that_is_mounted() -> None:
    chart = example("values.yaml", "private-authority.yaml")
    for component, pod in services(chart):
        file = environment(chart, component)["SSL_CERT_FILE"]
        assert any(file and file.startswith(mount["mountPath"]) for mount in container(pod)["volumeMounts"])
