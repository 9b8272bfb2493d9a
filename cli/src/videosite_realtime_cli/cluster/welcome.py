"""What runs where and how to look at it, in a few lines."""

from __future__ import annotations

import json
import os
import shutil
import sys
from datetime import timedelta
from pathlib import Path

from rich.console import Console
from rich.text import Text

from videosite_realtime_cli import identity
from videosite_realtime_cli.cluster.plan import DEMO_USER, Plan
from videosite_realtime_cli.cluster.valkey import without_password
from videosite_realtime_cli.listen import endpoint
from videosite_realtime_cli.terminal import counted

_LIFETIME = timedelta(days=1)
_EXAMPLE = {"type": "system_message", "message": "hello", "level": "info", "target": "all"}


def welcome(console: Console, plan: Plan, redis_url: str, logs: Path, *, embedded: bool, page: bool) -> None:
    """Print it. Nothing is wrapped or cut: tokens and commands are there to be copied.

    Args:
        page: whether the nodes serve the admin page.
    """
    count = f"{counted(plan.options.nodes, 'node')}, {counted(plan.options.routers, 'router')}"
    _print(console, Text.assemble(("VideoSite Realtime is up", "bold green"), f": {count}. Ctrl-C stops it."))
    management = ", ".join(f"{name} {url}" for name, url in plan.management_urls.items())
    _section(
        console,
        {
            "nodes": f"{plan.node_url}   WebSockets and HTTP; every node shares this port",
            "": management,
            "router": "  ".join(plan.router_urls.values()) + f"   API: {plan.router_url}/docs",
            "Redis": f"{without_password(redis_url)}   " + ("embedded Valkey" if embedded else "from REDIS_URL"),
            "logs": _short(logs),
        },
    )
    user = plan.signer.mint(identity.user(DEMO_USER), _LIFETIME)
    admin = plan.signer.mint(identity.admin("1", scope="publish"), _LIFETIME)
    # After the #: a browser keeps it to itself, and no log shows it.
    _section(console, {"page": f"{plan.node_url}/#token={admin}" if page else "not built: make page (Node.js 20.19)"})
    _section(
        console,
        {
            f"user {DEMO_USER}": user,
            "": endpoint(plan.node_url, admin=False) + "?token=…",
            "admin 1": admin,
            " ": endpoint(plan.node_url, admin=True) + "?token=…",
        },
    )
    _section(
        console,
        {
            "watch": f"{_program()} tail --admin",
            "send": f'{_program()} send user {DEMO_USER} "hello"',
            "trace": f"{_program()} trace last" if plan.traces_url else "by OTEL_EXPORTER_OTLP_ENDPOINT, not kept here",
            "curl": f"curl {plan.router_url}/api/v1/notifications -H 'Authorization: Bearer {plan.router_api_key}' "
            f"-H 'Content-Type: application/json' -d '{json.dumps(_EXAMPLE)}'",
        },
    )


def _section(console: Console, rows: dict[str, str]) -> None:
    _print(console, Text())
    for label, value in rows.items():
        _print(console, Text.assemble((f"  {label.strip():<8} ", "cyan"), value))


def _print(console: Console, text: Text) -> None:
    console.print(text, soft_wrap=True)


def _program() -> str:
    """Return what to type to start this program: its name where that is found, else its path."""
    name = "videosite-realtime"
    beside = Path(sys.executable).with_name(name)
    return os.path.relpath(beside) if shutil.which(name) is None and beside.exists() else name


def _short(path: Path) -> str:
    home = str(Path.home())
    return f"~{str(path)[len(home) :]}{os.sep}" if str(path).startswith(home + os.sep) else f"{path}{os.sep}"
