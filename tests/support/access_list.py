"""The user of minimal rights as the chart ships it, with a password."""

from __future__ import annotations

import hashlib
import secrets
from pathlib import Path

from tests.support.process import ROOT

SHIPPED = ROOT / "helm" / "videosite-realtime" / "files" / "redis-acl.conf"
USER = "videosite-realtime"
PREFIX = "vsrt"
NOT_GRANTED = {"config|get", "client|setinfo", "client|maint_notifications"}  # called, and done without


def write_access_list(path: Path) -> str:
    """Write the shipped file with a password of its own, and return the password."""
    password = secrets.token_urlsafe(24) + "%/@:"  # nothing that could stand in a URL as it is
    digest = hashlib.sha256(password.encode()).hexdigest()
    path.write_text(SHIPPED.read_text().replace("SHA256-OF-THE-PASSWORD", digest))
    return password


def granted() -> set[str]:
    """Return the commands that the shipped user may call."""
    (line,) = [line for line in SHIPPED.read_text().splitlines() if line.startswith(f"user {USER} ")]
    return {word.removeprefix("+") for word in line.split() if word.startswith("+")}
