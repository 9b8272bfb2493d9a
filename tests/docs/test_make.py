"""`make` on machines that lack something: the page is left out, and the product runs."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOLD_BY_MAKE = {"MAKEFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "MFLAGS"}  # to what it calls, these tests for example


@pytest.fixture
def make(tmp_path: Path):
    """`make("run", node="exit 0", npm="exit 1")`: a target, where these programs do that."""

    def run(target: str, **programs: str) -> subprocess.CompletedProcess[str]:
        for name, script in {**programs, "videosite-realtime": "echo is up"}.items():
            program = tmp_path / name
            program.write_text(f"#!/bin/sh\n{script}\n")
            program.chmod(0o755)
        (tmp_path / "ready").touch()
        own = {name: value for name, value in os.environ.items() if name not in TOLD_BY_MAKE}
        places = (f"PAGE={tmp_path}/page", f"READY={tmp_path}/ready", f"BIN={tmp_path}")
        return subprocess.run(
            ["make", *places, target],
            cwd=ROOT,
            env={**own, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


TOO_OLD = 'case "$1" in -e) exit 1;; esac'  # as Node.js 18 answers what the Makefile asks
OFFLINE = '[ "$1" = --version ] || exit 1'


@pytest.mark.parametrize("target", ["page", "run"])
def test_with_a_node_js_that_is_too_old_the_page_is_left_out(make, target: str) -> None:
    ended = make(target, node=TOO_OLD, npm="exit 0")
    assert ended.returncode == 0, ended.stderr
    assert "the admin page is left out: it needs Node.js 20.19 or later" in ended.stdout
    assert ended.stdout.endswith("is up\n") == (target == "run")


def test_of_a_page_that_is_there_nothing_is_said(make, tmp_path: Path) -> None:
    (tmp_path / "page").touch()
    ended = make("run", node="exit 0", npm="exit 0")
    assert ended.stdout == "is up\n"


def test_without_a_network_the_product_runs_all_the_same(make) -> None:
    ended = make("run", node="exit 0", npm=OFFLINE)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-2:] == [
        "the admin page could not be built (see above); going on without",
        "is up",
    ]
    assert make("page", node="exit 0", npm=OFFLINE).returncode != 0
