"""Render the chart into plain manifests: ``k8s/base``, and ``k8s/components`` for what not every cluster can take.

Run by ``make manifests``; ``tests/chart/test_manifests.py`` fails when a file differs from what this would write.
"""

from __future__ import annotations

import copy
import json
import re
import sys
from pathlib import Path
from typing import Any, Final

import yaml
from helm_python.chart import Chart

ROOT: Final = Path(__file__).resolve().parent.parent
K8S: Final = ROOT / "k8s"
CHART: Final = ROOT / "helm" / "videosite-realtime"
RELEASE: Final = "videosite-realtime"

_MARK: Final = "# Rendered from helm/videosite-realtime by docs/manifests.py (make manifests). Do not edit.\n"
# What Helm says of itself is not true of plain manifests; their namespace is an overlay's matter. Instead of checksums
# they have ConfigMaps whose names end with one.
_OF_HELM: Final = re.compile(
    r"^ +(helm\.sh/chart|app\.kubernetes\.io/managed-by): .*\n"
    r"|^ +annotations:\n(?: +checksum/.*\n)+"
    r"|^  namespace: videosite\n",
    re.MULTILINE,
)
_LEFT_OUT: Final = ("NOTES.txt", "tests/round-trip.yaml")

# By component: the values that switch it on, the templates it consists of, and what it changes of the base.
_COMPONENTS: Final[dict[str, tuple[dict[str, Any], tuple[str, ...], str]]] = {
    "autoscaling": (
        {"node": {"autoscaling": {"enabled": True}}, "router": {"autoscaling": {"enabled": True}}},
        ("node/autoscaling.yaml", "router/autoscaling.yaml"),
        f"""\
patches:
  # Else every apply would set back what the autoscaler has set.
  - target: {{kind: Deployment, name: {RELEASE}-node}}
    patch: |-
      - {{op: remove, path: /spec/replicas}}
  - target: {{kind: Deployment, name: {RELEASE}-router}}
    patch: |-
      - {{op: remove, path: /spec/replicas}}
""",
    ),
    "gateway": (
        {
            "httpRoute": {
                "enabled": True,
                "parentRefs": [{"name": "gateway", "namespace": "gateway"}],
                "hostnames": ["realtime.example.com"],
            }
        },
        ("httproute.yaml",),
        "",
    ),
    "monitoring": (
        {"metrics": {"monitor": {"enabled": True}, "rules": {"enabled": True}, "dashboards": {"enabled": True}}},
        ("monitoring/monitors.yaml", "monitoring/rules.yaml", "monitoring/dashboards.yaml"),
        "",
    ),
}


def manifests() -> dict[Path, str]:
    """Return every file that is rendered, with its text."""
    values = yaml.safe_load((K8S / "values.yaml").read_text(encoding="utf-8"))
    files = _folder(K8S / "base", _render(values), "Kustomization", "v1beta1", "")
    for name, (switch, templates, changes) in _COMPONENTS.items():
        rendered = _render(merged(values, switch))
        parts = {template: rendered[template] for template in templates if template in rendered}
        files |= _folder(K8S / "components" / name, parts, "Component", "v1alpha1", changes)
    return files


def _render(values: dict[str, Any]) -> dict[str, str]:
    """Return what the templates give that give something, by their paths."""
    with Chart.load(CHART) as chart:
        rendered = chart.render(values, name=RELEASE, namespace="videosite")
    shown = {name.partition("/templates/")[2]: text.strip() for name, text in rendered.items()}
    return {name: text for name, text in sorted(shown.items()) if text and name not in _LEFT_OUT}


def _folder(folder: Path, parts: dict[str, str], kind: str, version: str, changes: str) -> dict[Path, str]:
    files, resources, generators = dict[Path, str](), "", ""
    for template, rendered in sorted(parts.items()):
        text = _OF_HELM.sub("", rendered).removeprefix("---\n")
        name = template.replace("/", "-")
        if template.endswith("configmap.yaml"):
            name = name.replace("configmap.yaml", "settings.env")
            generator, text = _generator(yaml.safe_load(text), name)
            generators += generator
        else:
            resources += f"  - {name}\n"
        files[folder / name] = f"{_MARK}{text.rstrip()}\n"
    head = f"{_MARK}apiVersion: kustomize.config.k8s.io/{version}\nkind: {kind}\n"
    lists = (f"resources:\n{resources}" if resources else "") + (
        f"configMapGenerator:\n{generators}" if generators else ""
    )
    return files | {folder / "kustomization.yaml": head + lists + changes}


def _generator(config: dict[str, Any], env_file: str) -> tuple[str, str]:
    """Return what makes kustomize generate a ConfigMap, and the file that it reads.

    Generated, its name ends with a checksum: overlays merge their settings into it, and pods are replaced.
    """
    metadata = config["metadata"]
    labels = "".join(f"        {name}: {json.dumps(value)}\n" for name, value in metadata["labels"].items())
    generator = f"  - name: {metadata['name']}\n    envs: [{env_file}]\n    options:\n      labels:\n{labels}"
    return generator, "".join(f"{name}={value}\n" for name, value in config["data"].items())


def merged(values: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """Return values with more of them, which count more, as Helm merges files."""
    both = copy.deepcopy(values)
    for name, value in more.items():
        inner = isinstance(value, dict) and isinstance(both.get(name), dict)
        both[name] = merged(both[name], value) if inner else value
    return both


def main() -> int:
    files = manifests()
    for folder in (K8S / "base", K8S / "components"):
        for path in folder.rglob("*"):
            if path.is_file() and path not in files:
                path.unlink()
                print(f"{path.relative_to(ROOT)} (gone)")
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(path.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
