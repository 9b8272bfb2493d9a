"""Run the checks, then the test suites one after another, and close with the counts.

python tests/suites.py check          lint, format, types, layers
python tests/suites.py all            check, then every suite
python tests/suites.py NAME …         some of them, by name
"""

from __future__ import annotations

import itertools
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
PAGE = ROOT / "admin-frontend"
NODE = (20, 19)  # what package.json asks for


@dataclass(frozen=True)
class Package:
    """A Debian package, and how to see that what tests need of it is there, wherever it came from."""

    name: str
    is_there: Callable[[], bool]


def command(name: str, package: str) -> Package:
    return Package(package, lambda: shutil.which(name) is not None)


def has_chinese_font() -> bool:
    """Whether Chinese text is more than boxes; where nobody can tell, it is not."""
    lister = shutil.which("fc-list")
    return lister is not None and subprocess.run([lister, ":lang=zh"], capture_output=True, check=False).stdout != b""


REDIS = command("redis-server", "redis-server")  # the oldest server we promise to run on
POSTGRES = Package("postgresql", lambda: any(Path("/usr/lib/postgresql").glob("*/bin/initdb")))
PROMETHEUS = command("promtool", "prometheus")
PROXIES = (command("nginx", "nginx-light"), command("haproxy", "haproxy"))
BROWSER = (
    command(os.environ.get("CHROMIUM", "chromium"), "chromium"),
    command("fc-list", "fontconfig"),
    Package("fonts-noto-cjk", has_chinese_font),
)

CHECKS: dict[str, list[str]] = {
    "lint": [str(BIN / "ruff"), "check", "."],
    "format": [str(BIN / "ruff"), "format", "--check", "."],
    "types": [str(BIN / "mypy")],
    "types of the SDK": [str(BIN / "mypy"), "--strict", "sdk/src"],
    "types of the command line": [str(BIN / "mypy"), "--strict", "cli/src"],
    "layers": [str(BIN / "lint-imports")],
    "page: lint, format, types": ["npm", "--prefix", "admin-frontend", "run", "--silent", "check"],
}


@dataclass(frozen=True)
class Suite:
    """Tests that write a JUnit report.

    Attributes:
        where: folder in which the command runs.
        report_in: environment variable that names the report's path; without one, the path ends the command.
        needs: what has to be installed.
    """

    command: list[str]
    env: dict[str, str] = field(default_factory=dict)
    where: Path = ROOT
    report_in: str | None = None
    needs: tuple[Package, ...] = ()

    def run(self, report: Path) -> int:
        """Run the tests; returns their exit status."""
        ends, names = ([str(report)], {}) if self.report_in is None else ([], {self.report_in: str(report)})
        env = {**os.environ, **self.env, **names}
        return subprocess.run([*self.command, *ends], cwd=self.where, env=env, check=False).returncode


def pytest(*paths: str, workers: int = 1, needs: tuple[Package, ...] = (), **env: str) -> Suite:
    """Return a suite of pytest's; several workers are for one that mostly waits. The tests of a file stay together."""
    spread = ["-n", str(workers), "--dist", "loadfile"] if workers > 1 else []
    return Suite([sys.executable, "-m", "pytest", "-q", *spread, *paths, "--junitxml"], env, needs=needs)


# Of tests/shared, the longest to which it is all the same which server there is.
NOTHING_OF_REDIS = ("auth", "auth_keys", "http_protocol", "logs", "tracing")

SUITES: dict[str, Suite] = {
    "unit": pytest("tests/shared", "tests/node", "tests/router", "tests/docs", "tests/test_architecture.py", workers=4),
    "sdk and cli": pytest("tests/sdk", "tests/cli", workers=4),
    "integration": pytest("tests/integration", "tests/proxies", workers=6, needs=PROXIES),  # most of them wait
    "inbox": pytest("tests/inbox", workers=3, needs=(POSTGRES,)),
    "chart and monitoring": pytest("tests/chart", "tests/monitoring", workers=3, needs=(PROMETHEUS,)),
    "faults and load": pytest("tests/faults", "tests/load", workers=3),  # faults are waited for, most of a minute
    "redis 7.0": pytest(
        "tests/shared",
        *(f"--ignore=tests/shared/test_{name}.py" for name in NOTHING_OF_REDIS),
        "tests/integration/test_redis_faults.py",
        "tests/integration/test_forgetful_redis.py",
        "tests/integration/test_states.py",
        "tests/integration/test_redis_user.py",
        "tests/integration/test_queue.py",
        workers=4,
        needs=(REDIS,),
        TEST_REDIS="redis-server",
    ),
    "page": Suite(
        ["npx", "--no-install", "vitest", "run", "--reporter=default", "--reporter=junit", "--outputFile.junit"],
        where=PAGE,
    ),
    "browser": Suite(
        ["npm", "run", "--silent", "e2e", "--", "--reporter=list,junit"],
        where=PAGE,
        report_in="PLAYWRIGHT_JUNIT_OUTPUT_FILE",
        needs=BROWSER,
    ),
}


@dataclass
class Counts:
    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def add(self, report: Path) -> None:
        """Add what a JUnit report counts; a run that wrote none has failed."""
        if not report.exists():
            self.failed += 1
            return
        for suite in ET.parse(report).getroot().iter("testsuite"):
            total, skipped = int(suite.get("tests", 0)), int(suite.get("skipped", 0))
            failed = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
            self.failed += failed
            self.skipped += skipped
            self.passed += total - failed - skipped


def run_checks(names: list[str], counts: Counts) -> None:
    """Run the page's checks beside ours: each tool keeps one core busy. Ours take turns, for mypy's share a cache."""
    lanes = [list(filter(needs_node, names)), list(itertools.filterfalse(needs_node, names))]
    with ThreadPoolExecutor() as pool:
        passed = sum(pool.map(lambda lane: sum(map(run_check, lane)), lanes))
    counts.passed, counts.failed = counts.passed + passed, counts.failed + len(names) - passed


def run_check(name: str) -> bool:
    """Return whether a check is passed, and print at once what it said."""
    started = time.monotonic()
    ended = subprocess.run(
        CHECKS[name], cwd=ROOT, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    ok = ended.returncode == 0
    took = time.monotonic() - started
    print(f"{ended.stdout}--- {name}: {'ok' if ok else 'FAILED'} in {took:.0f} s", flush=True)
    return ok


def run_suite(name: str, counts: Counts) -> None:
    suite = SUITES[name]
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch) / "report.xml"
        started, cpu = time.monotonic(), cpu_seconds()
        status = suite.run(report)
        took, worked = time.monotonic() - started, cpu_seconds() - cpu
        before = counts.failed
        counts.add(report)
        if status != 0 and counts.failed == before:
            counts.failed += 1  # an error outside any test
    print(f"--- suite {name!r}: exit status {status} in {took:.0f} s, {worked:.0f} s of CPU", flush=True)


def cpu_seconds() -> float:
    """Return how long processes that have ended have worked for us."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def needs_node(name: str) -> bool:
    return "npm" in CHECKS[name] if name in CHECKS else SUITES[name].where == PAGE


def has_node() -> bool:
    """Whether the page can be tested; if not, say in one line what is needed."""
    if shutil.which("npx") is None or _node_version() < NODE:
        print(f"needed for the admin page and not installed: Node.js {'.'.join(map(str, NODE))} or later, with npm")
        return False
    return True


def _node_version() -> tuple[int, ...]:
    told = subprocess.run(["node", "--version"], capture_output=True, text=True, check=False).stdout
    return tuple(map(int, re.findall(r"\d+", told)))


def install(packages: Iterable[Package]) -> bool:
    """Install what is missing if we may; otherwise say in one line what is needed."""
    packages = dict.fromkeys(packages)
    missing = [package.name for package in packages if not package.is_there()]
    if not missing:
        return True
    if os.geteuid() == 0 and shutil.which("apt-get"):
        # RUNLEVEL=1 keeps Debian from starting what it installs: we want the program, not a service.
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
        subprocess.run(["apt-get", "update", "-qq"], env=quiet, check=False)
        installing = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing]
        subprocess.run(installing, env=quiet, check=False, stdout=subprocess.DEVNULL)
        missing = [package.name for package in packages if not package.is_there()]
    if missing:
        print(f"needed for the tests and not installed: apt-get install {' '.join(missing)}")
    return not missing


def main(names: list[str]) -> int:
    if names == ["all"]:
        names = [*CHECKS, *SUITES]
    elif names == ["check"]:
        names = list(CHECKS)
    unknown = [name for name in names if name not in CHECKS and name not in SUITES]
    if unknown or not names:
        print(f"unknown: {', '.join(unknown) or 'nothing named'}; there are {', '.join([*CHECKS, *SUITES])}")
        return 2
    if any(map(needs_node, names)) and not has_node():
        return 1
    if not install(package for name in names if name in SUITES for package in SUITES[name].needs):
        return 1
    # Started in the background by a shell, we would hand an ignored SIGINT down, and Ctrl-C could not be tested.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # Without bytecode every worker would compile all tests anew, and pytest rewrite them: two seconds of CPU each.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    counts = Counts()
    run_checks([name for name in names if name in CHECKS], counts)
    for name in names:
        if name in SUITES:
            run_suite(name, counts)
    skipped = f", {counts.skipped} skipped" if counts.skipped else ""
    print(f"{counts.passed} passed, {counts.failed} failed{skipped}")
    return 1 if counts.failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
