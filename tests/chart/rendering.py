"""The chart as Helm renders it, and what is in it."""

from __future__ import annotations

import copy
import functools
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from helm_python.chart import Chart

from tests.support.process import ROOT

CHART = ROOT / "helm" / "videosite-realtime"
VALUES = Path(__file__).parent / "values"
SETS = sorted(path.stem for path in VALUES.glob("*.yaml"))
RELEASE, NAMESPACE = "demo", "videosite"
COMPONENTS = ("node", "router")

Object = dict[str, Any]
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # in C, where it is: ten times as fast


def values_of(name: str) -> dict[str, Any]:
    return read_yaml((VALUES / f"{name}.yaml").read_text())


def read_yaml(text: str) -> Any:
    return yaml.load(text, Loader=_Loader)


@functools.cache
def rendered(name: str) -> Rendered:
    """Return the chart with a set of values."""
    return Rendered(name, render(values_of(name)))


def render(values: dict[str, Any], chart: Path = CHART, release: str = RELEASE) -> dict[str, str]:
    """Return the text of every template.

    Raises:
        HelmError: Helm refuses the values; tells why.
    """
    with Chart.load(chart) as loaded:
        return loaded.render(values, name=release, namespace=NAMESPACE)


def with_placeholders(directory: Path) -> Path:
    """Return a copy of the chart that certainly has a rule file and a dashboard."""
    chart = directory / "chart"
    shutil.copytree(CHART, chart)
    for folder, name, text in (
        (
            "rules",
            "placeholder.yaml",
            "groups:\n  - name: placeholder\n    rules: [{record: a, expr: '{{ $value }}'}]\n",
        ),
        ("dashboards", "placeholder.json", '{"title": "placeholder", "legend": "{{ instance }}"}\n'),
    ):
        (chart / folder).mkdir(exist_ok=True)
        (chart / folder / name).write_text(text)
    return chart


def changed(values: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Return values with one of them changed, named as on Helm's command line."""
    copied = copy.deepcopy(values)
    *above, last = path.split(".")
    inner = copied
    for name in above:
        inner = inner.setdefault(name, {})
    inner[last] = value
    return copied


@dataclass(frozen=True)
class Rendered:
    name: str
    texts: dict[str, str]

    @functools.cached_property
    def objects(self) -> list[Object]:
        return list(objects_in("\n---\n".join(text for name, text in self.texts.items() if not name.endswith(".txt"))))

    @property
    def notes(self) -> str:
        return next(text for name, text in self.texts.items() if name.endswith("NOTES.txt"))

    def all(self, kind: str) -> list[Object]:
        return [found for found in self.objects if found["kind"] == kind]

    def one(self, kind: str, component: str | None = None) -> Object:
        found = [o for o in self.all(kind) if component in (None, component_of(o))]
        assert len(found) == 1, f"{len(found)} of {kind} {component or ''} in {self.name}"
        return found[0]

    def pods(self) -> Iterator[tuple[str, Object]]:
        """Yield the pods that are described anywhere, with their component."""
        for deployment in self.all("Deployment"):
            yield component_of(deployment), deployment["spec"]["template"]
        for pod in self.all("Pod"):
            yield component_of(pod), pod

    def settings(self, component: str) -> dict[str, str]:
        """Return what the ConfigMap of a component sets."""
        return self.one("ConfigMap", component)["data"]


def objects_in(text: str) -> Iterator[Object]:
    yield from filter(None, yaml.load_all(text, Loader=_Strict))


class _Strict(_Loader):
    """Refuses a key that comes twice, as the API server does."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = {key for key in keys if keys.count(key) > 1}
        assert not twice, f"twice in one object: {twice} {node.start_mark}"
        return super().construct_mapping(node, deep)


def component_of(found: Object) -> str:
    return found["metadata"].get("labels", {}).get("app.kubernetes.io/component", "")


def services(chart: Rendered) -> list[tuple[str, Object]]:
    """Return the pods of nodes and routers."""
    return [(component, pod) for component, pod in chart.pods() if component in COMPONENTS]


def containers_of(pod: Object) -> list[Object]:
    return [*pod["spec"]["containers"], *pod["spec"].get("initContainers", [])]


def container(pod: Object) -> Object:
    (only,) = containers_of(pod)
    return only


def selects(selector: dict[str, str], pod: Object) -> bool:
    return selector.items() <= pod["metadata"]["labels"].items()
