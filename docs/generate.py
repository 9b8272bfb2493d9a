"""Write what is generated: settings, metrics, the audit's schema, dashboards, message types, the chart's README.

Run by ``make docs``; ``tests/docs/test_generated.py`` fails when a file differs from what this would write.
"""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, get_args, get_origin

from pydantic import SecretStr, TypeAdapter
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from docs import chart
from docs.dashboards.cluster import cluster as cluster_board
from docs.dashboards.latency import latency as latency_board
from docs.dashboards.node import node as node_board
from docs.metrics_page import metrics_page
from docs.typescript import close_codes_ts, inbox_ts, messages_ts
from node.settings import NodeSettings
from router.settings import RouterSettings
from shared.audit import AuditEvent
from shared.http_protocol import REQUEST_TIMEOUT
from shared.settings import CommonSettings

ROOT: Final = Path(__file__).resolve().parent.parent
_READERS: Final[dict[str, type[CommonSettings]]] = {"node": NodeSettings, "router": RouterSettings}

# A setting belongs to the first group one of whose beginnings it has.
_GROUPS: Final = (
    ("Redis", ("redis_",)),
    ("Tokens", ("jwt_",)),
    ("Router", ("router_host", "router_port", "router_name", "router_api_keys")),
    ("Node", ("node_", "backend_", "router_url", "drain_", "admin_")),
    ("Clients", ("heartbeat_", "connection_", "max_connections_", "commands_", "frame_", "slow_")),
    ("User check", ("user_check_",)),
    ("Certificates", ("ssl_",)),
    ("History and messages", ("history_", "state_", "message_", "http_")),
    ("Queue", ("queue_",)),
    ("Inbox", ("database_", "inbox_", "archive_")),
    ("Proxies", ("trusted_",)),
    ("Logs", ("log_",)),
)

_SETTINGS_INTRO: Final = f"""\
# Settings

<!-- Written by docs/generate.py from the settings' models (make docs). Do not edit. -->

Nodes and routers read their settings from the environment, once, when they start. An empty variable counts as unset. A
setting that is missing or wrong stops the start with one line that names it. Lists are comma-separated or JSON,
except for `ROUTER_API_KEYS`, where commas alone count.

At least:

- a node needs one of `JWT_SECRET`, `JWT_PUBLIC_KEY` and `JWT_JWKS_URL` (one only);
- a router needs `ROUTER_API_KEYS`, or one of those three;
- both need the same `REDIS_URL` and `REDIS_PREFIX`.

No setting: a request has {REQUEST_TIMEOUT:g} s to arrive whole, from the connection or its first byte; then the
connection ends.

OpenTelemetry's own variables (`OTEL_EXPORTER_OTLP_ENDPOINT` and others) are read too: [tracing.md](tracing.md).

[.env.example](../.env.example) has the same settings to copy from. What the command line and the SDK read is told in
[cli/README.md](../cli/README.md) and [sdk/README.md](../sdk/README.md).
"""

_ENV_INTRO: Final = """\
# Written by docs/generate.py from the settings' models (make docs). Do not edit: copy it to .env.
# Every setting with its default; take the "#" away from those you change. Services do not read .env by themselves:
#   set -a; . ./.env; set +a; .venv/bin/python -m node
# A node needs JWT_SECRET (or another JWT key), a router ROUTER_API_KEYS (or a JWT key). A fresh secret:
#   python3 -c 'import secrets; print(secrets.token_urlsafe(48))'
"""


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting as the documents show it.

    Attributes:
        value: the default as the environment would say it; empty if there is none.
        shown: the default in words where it is computed, else None.
    """

    name: str
    value: str
    shown: str | None
    readers: tuple[str, ...]
    meaning: str

    @property
    def default(self) -> str:
        return self.shown or (f"`{self.value}`" if self.value else "–")


def groups() -> list[tuple[str, list[Setting]]]:
    """Return every setting of node and router under its group.

    Raises:
        LookupError: a setting belongs to no group.
    """
    found: dict[str, list[Setting]] = {title: [] for title, _ in _GROUPS}
    for name, field in _fields().items():
        found[_group(name)].append(_setting(name, field))
    return [(title, settings) for title, settings in found.items() if settings]


def settings_page() -> str:
    parts = [_SETTINGS_INTRO]
    for title, settings in groups():
        rows = "".join(f"| `{s.name}` | {s.default} | {', '.join(s.readers)} | {s.meaning} |\n" for s in settings)
        parts.append(f"\n## {title}\n\n| name | default | read by | meaning |\n| --- | --- | --- | --- |\n{rows}")
    return "".join(parts)


def env_example() -> str:
    parts = [_ENV_INTRO]
    for title, settings in groups():
        parts.append(f"\n# --- {title}\n")
        for s in settings:
            default = f" Default: {s.shown}." if s.shown else ""
            parts.append(f"\n# {s.meaning}{default} Read by: {', '.join(s.readers)}.\n# {s.name}={s.value}\n")
    return "".join(parts)


def chart_schema() -> str:
    everything = [setting for _, settings in groups() for setting in settings]
    return chart.schema({service: {s.name for s in everything if service in s.readers} for service in _READERS})


_DASHBOARDS: Final = ROOT / "helm" / "videosite-realtime" / "dashboards"


def audit_schema() -> str:
    """Return the JSON schema of an audit line's fields, beside those that every line has."""
    schema = TypeAdapter(AuditEvent).json_schema()
    for field in schema["properties"].values():
        field.pop("title")
        field.pop("default", None)  # a field that does not apply is absent, not null
        kinds = [kind for kind in field.pop("anyOf", ()) if kind != {"type": "null"}]
        field.update(kinds[0] if kinds else {})
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Audit line"}
    return json.dumps({**head, **{k: v for k, v in schema.items() if k != "title"}}, indent=2) + "\n"


_REALTIME: Final = ROOT / "admin-frontend" / "src" / "realtime"
FILES: Final = {
    ROOT / "docs" / "settings.md": settings_page,
    ROOT / "docs" / "metrics.md": metrics_page,
    ROOT / ".env.example": env_example,
    chart.SCHEMA: chart_schema,
    chart.CHART / "README.md": chart.readme,
    _DASHBOARDS / "cluster.json": cluster_board,
    _DASHBOARDS / "node.json": node_board,
    _DASHBOARDS / "latency.json": latency_board,
    ROOT / "docs" / "audit.schema.json": audit_schema,
    _REALTIME / "messages.ts": messages_ts,
    _REALTIME / "inboxAnswers.ts": inbox_ts,
    _REALTIME / "closeCodes.ts": close_codes_ts,
}


def _fields() -> dict[str, FieldInfo]:
    return {**RouterSettings.model_fields, **NodeSettings.model_fields}


def _group(name: str) -> str:
    for title, beginnings in _GROUPS:
        if name.startswith(beginnings):
            return title
    raise LookupError(f"{name} belongs to no group of docs/generate.py")


def _setting(name: str, field: FieldInfo) -> Setting:
    meaning, _, computed = (field.description or "").partition(" Default: ")
    choices = _choices(field.annotation)
    if any(f"`{choice}`" not in meaning for choice in choices):
        meaning += f" One of {', '.join(f'`{choice}`' for choice in choices)}."
    readers = tuple(service for service in _READERS if name in _READ[service])
    return Setting(name.upper(), _value(field), computed.removesuffix(".") or None, readers, meaning)


def _choices(annotation: Any) -> tuple[str, ...]:
    return get_args(annotation) if get_origin(annotation) is Literal else ()


def _value(field: FieldInfo) -> str:
    default = field.default
    if default is PydanticUndefined or default is None or isinstance(default, SecretStr):
        return ""
    return str(default).lower() if isinstance(default, bool) else f"{default}"


def _read_by(service: str) -> frozenset[str]:
    """Return the settings that a service reads: those its own code or the shared code takes from ``settings``."""
    used = {name for folder in (service, "shared") for path in (ROOT / folder).glob("*.py") for name in _used(path)}
    return frozenset(_READERS[service].model_fields.keys() & used)


# A derived value stands for the setting behind it.
_BEHIND: Final = {
    "api_keys": "router_api_keys",
    "algorithm": "jwt_algorithm",
    "sentinels": "redis_sentinels",
    "cluster_nodes": "redis_cluster_nodes",
}


def _used(path: Path) -> Iterator[str]:
    """Yield what a file takes from its settings; in a settings file, from ``self``."""
    names = {"settings", "self"} if path.name == "settings.py" else {"settings"}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Attribute):
            continue
        of = node.value
        if (isinstance(of, ast.Name) and of.id in names) or (isinstance(of, ast.Attribute) and of.attr == "_settings"):
            yield _BEHIND.get(node.attr, node.attr)


_READ: Final = {service: _read_by(service) for service in _READERS}


def main() -> int:
    for path, text in FILES.items():
        path.write_text(text(), encoding="utf-8")
        print(path.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
