"""What kubectl makes of the overlays."""

from __future__ import annotations

import functools
import subprocess
import sys
from pathlib import Path

from tests.support.process import ROOT

OVERLAYS = ["dev", "prod"]


@functools.cache
def kustomized(overlay: str) -> str:
    """Return what `kubectl kustomize` makes of an overlay; it may not warn."""
    kubectl = Path(sys.executable).parent / "kubectl"
    command = [kubectl, "kustomize", ROOT / "k8s" / "overlays" / overlay]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout
