"""What `up` leaves for the other commands: ``$XDG_STATE_HOME/videosite-realtime/local.json``, its owner's alone.

The file lives as long as the cluster. One left by an `up` that was killed is known by its process id, and ignored.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from videosite_realtime_cli.errors import BadInput


@dataclass(frozen=True, slots=True)
class LocalCluster:
    """Where the local cluster is, and what opens it."""

    node_url: str
    router_url: str
    jwt_secret: str = field(repr=False)
    jwt_algorithm: str
    router_api_key: str = field(repr=False)
    redis_url: str = field(repr=False)
    management_urls: Mapping[str, str]
    pid: int = 0
    traces_url: str = ""  # empty: they are not kept here


def state_directory(environment: Mapping[str, str] = os.environ) -> Path:
    """Return where state that outlives a command belongs, after the XDG base directory specification."""
    home = environment.get("XDG_STATE_HOME", "")
    base = Path(home) if Path(home).is_absolute() else Path.home() / ".local" / "state"
    return base / "videosite-realtime"


def local_file(environment: Mapping[str, str] = os.environ) -> Path:
    return state_directory(environment) / "local.json"


def logs_directory(port: int, environment: Mapping[str, str] = os.environ) -> Path:
    """Return the directory, made if need be, for the logs of the cluster whose nodes have this port.

    Its port's, because two clusters at once would write into each other's files, and show each other's last words.

    Raises:
        BadInput: nothing can be written there.
    """
    path = state_directory(environment) / "logs" / str(port)
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryFile(dir=path):
            return path
    except OSError as error:
        why = error.strerror or error
        raise BadInput(f"{path} cannot be written to ({why}): set XDG_STATE_HOME to a directory that can") from error


def read(path: Path) -> LocalCluster | None:
    """Return the cluster that runs here; None when there is none.

    Raises:
        BadInput: the file is there, but no `up` of this version wrote it.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        known = {each.name for each in fields(LocalCluster)}
        cluster = LocalCluster(**{name: value for name, value in content.items() if name in known})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise BadInput(f"{path} cannot be read ({error}): remove it, or set addresses and keys by options") from error
    return cluster if not cluster.pid or _lives(cluster.pid) else None


@contextmanager
def published(cluster: LocalCluster, path: Path) -> Iterator[None]:
    """Keep the file there while the block runs; then the cluster that was found there before is again, if it runs.

    A file that another `up` has written meanwhile stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    before = _living(path)
    _write(cluster, path)
    try:
        yield
    finally:
        if _writer(path) == cluster.pid:
            if before is not None and _lives(before.pid):
                _write(before, path)
            else:
                path.unlink(missing_ok=True)


def _living(path: Path) -> LocalCluster | None:
    try:
        return read(path)
    except BadInput:  # about to be replaced
        return None


def _write(cluster: LocalCluster, path: Path) -> None:
    draft = path.with_suffix(f".{os.getpid()}.tmp")
    # Created with its mode: between a write and a chmod, others could read the secret.
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        json.dump(asdict(cluster), file, indent=2)
    draft.replace(path)


def _writer(path: Path) -> int | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content.get("pid") if isinstance(content, dict) else None


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
