"""``python -m shared.healthcheck``: whether the service in this container is ready; for engines without probes.

One image runs as a node or as a router, so the command line of the container's first process tells which one it is.
Kubernetes asks the services itself.
"""

from __future__ import annotations

import os
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Final

_FIRST_PROCESS: Final = Path("/proc/1/cmdline")
_PATIENCE: Final = 2.0  # s


def readiness_url(command_line: bytes, environ: Mapping[str, str]) -> str:
    """Return where the service answers that was started by ``command_line`` (as ``/proc`` shows it)."""
    if b"router" in command_line.split(b"\0"):
        port = environ.get("ROUTER_PORT") or "8001"
    else:
        port = environ.get("NODE_MANAGEMENT_PORT") or environ.get("NODE_PORT") or "8000"
    return f"http://127.0.0.1:{port}/readyz"


def problem(url: str) -> str | None:
    """Return None if the service is ready, else what it says or what happened instead."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=_PATIENCE):
            return None
    except urllib.error.HTTPError as exc:
        with exc:
            return exc.read(200).decode(errors="replace").strip()
    except OSError as exc:
        return str(exc)


def main() -> int:
    url = readiness_url(_FIRST_PROCESS.read_bytes(), os.environ)
    reason = problem(url)
    if reason is not None:
        print(f"not ready: {reason}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
