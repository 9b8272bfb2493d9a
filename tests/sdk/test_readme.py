"""What the README says to type is typed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.sdk.router_stub import Router

ROOT = Path(__file__).resolve().parents[2]
SECRET = "a-secret-of-the-tests-with-32-bytes"


def test_from_python_as_the_readme_says(router: Router) -> None:
    section = (ROOT / "README.md").read_text(encoding="utf-8").partition("### From Python\n")[2].partition("\n### ")[0]
    (shell,), (program,) = (re.findall(rf"^```{kind}\n(.*?)^```", section, re.M | re.S) for kind in ("sh", "python"))
    shell = shell.replace("http://127.0.0.1:8001", router.url).replace(".venv/bin", str(Path(sys.executable).parent))
    bare = {name: value for name, value in os.environ.items() if not name.startswith("ROUTER_")}
    done = subprocess.run(
        ["bash", "-euc", shell],
        input=program,
        env=bare | {"JWT_SECRET": SECRET},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (asked,) = router.asked
    assert asked.path == "/api/v1/notifications"
    assert asked.headers["authorization"].startswith("Bearer ey")
