"""What the chart repeats: its README says what values.yaml says, its schema knows the settings by name."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

CHART: Final = Path(__file__).resolve().parent.parent / "helm" / "videosite-realtime"
VALUES: Final = CHART / "values.yaml"
SCHEMA: Final = CHART / "values.schema.json"

# Set by the chart itself: from other values, from a Secret, or because its probes and policies count on them.
SET_BY_THE_CHART: Final = (
    "REDIS_",
    "JWT_",
    "NODE_",
    "ROUTER_",
    "ADMIN_PAGE_DIR",
    "DRAIN_SECONDS",
    "BACKEND_CORS_ORIGINS",
    "DATABASE_URL",
)
_BUT: Final = ("REDIS_TIMEOUT", "REDIS_ALLOW_EVICTION")

_INTRO: Final = """\
# The chart `videosite-realtime`

<!-- Written by docs/chart.py from values.yaml (make docs). Do not edit. -->

Connection nodes and routers, with everything that belongs to them: Services, a way in for browsers (HTTPRoute or
Ingress), budgets, autoscaling (nodes by connections, routers by CPU), network policies, monitors. Redis is yours to
bring. For Kubernetes 1.30 and later.

```sh
kubectl create namespace videosite
kubectl -n videosite create secret generic realtime \\
  --from-literal=JWT_SECRET="$JWT_SECRET" --from-literal=ROUTER_API_KEYS="$ROUTER_API_KEYS"
helm -n videosite install realtime helm/videosite-realtime \\
  --set auth.existingSecret=realtime --set redis.url=redis://redis:6379/0
helm -n videosite test realtime
```

[docs/kubernetes.md](../../docs/kubernetes.md) tells which values matter, and how to upgrade. Values that are misspelt,
of the wrong kind, or do not go together are refused with a message that names them.

Files beside the templates: `files/redis-acl.conf`, a user of Redis with minimal rights; `rules/` and `dashboards/`,
what `metrics.rules` and `metrics.dashboards` install.
"""

_KEY = re.compile(r"^( *)([A-Za-z]\w*):")
_COMMENT = re.compile(r"^ *# ?(-- )?(.*)$")


@dataclass(frozen=True, slots=True)
class Value:
    """A value as values.yaml documents it.

    Attributes:
        path: its name, with those above it.
    """

    section: str
    path: tuple[str, ...]
    default: Any
    meaning: str


def documented() -> list[Value]:
    """Return what values.yaml documents, in its order."""
    return list(_documented(VALUES.read_text(encoding="utf-8")))


def default_of(path: tuple[str, ...]) -> Any:
    return _at(_defaults(), path)


@functools.cache
def _defaults() -> Any:
    return yaml.safe_load(VALUES.read_text(encoding="utf-8"))


def _documented(text: str) -> Iterator[Value]:
    values = yaml.safe_load(text)
    section, meaning, above = "", list[str](), list[tuple[int, str]]()
    for line in text.splitlines():
        if line.startswith("## "):
            section, meaning = line.removeprefix("## "), []
        elif (comment := _COMMENT.match(line)) is not None:
            if comment[1]:
                meaning = [comment[2]]
            elif meaning:
                meaning.append(comment[2])
        elif (key := _KEY.match(line)) is not None:
            above = [*((depth, name) for depth, name in above if depth < len(key[1])), (len(key[1]), key[2])]
            if meaning:
                path = tuple(name for _, name in above)
                yield Value(section, path, _at(values, path), " ".join(meaning))
            meaning = []


def _at(values: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        values = values[name]
    return values


def readme() -> str:
    parts, section = [_INTRO], ""
    for value in documented():
        if value.section != section:
            section = value.section
            parts.append(f"\n## {section}\n\n| value | default | meaning |\n| --- | --- | --- |\n")
        default = json.dumps(value.default, ensure_ascii=False)
        parts.append(f"| `{'.'.join(value.path)}` | `{default}` | {value.meaning} |\n".replace("||", "\\|\\|"))
    return "".join(parts)


def schema(settings: dict[str, set[str]]) -> str:
    """Return the schema with the settings that values may name.

    Args:
        settings: by service, the settings that it reads.
    """
    tree = json.loads(SCHEMA.read_text(encoding="utf-8"))
    for service, names in settings.items():
        allowed = sorted(name for name in names if name in _BUT or not name.startswith(SET_BY_THE_CHART))
        tree["properties"][service]["properties"]["settings"]["propertyNames"] = {"enum": allowed}
    return _compact(tree) + "\n"


def _compact(tree: Any, indent: str = "", room: int = 118) -> str:
    """Return JSON whose short objects stay on one line."""
    line = json.dumps(tree, ensure_ascii=False)
    if not isinstance(tree, dict | list) or len(line) + len(indent) <= room:
        return line
    deeper = indent + "  "
    if isinstance(tree, list):
        return "[\n" + ",\n".join(deeper + _compact(item, deeper) for item in tree) + f"\n{indent}]"
    items = (f"{deeper}{json.dumps(key)}: {_compact(value, deeper, 110)}" for key, value in tree.items())
    return "{\n" + ",\n".join(items) + f"\n{indent}}}"
