"""The layers, and the habits that a machine can see."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SERVICES = ("node", "router", "shared")
SOURCES = sorted(
    path for part in (*SERVICES, "sdk", "cli") for path in (ROOT / part).rglob("*.py") if ".venv" not in path.parts
)
SCRIPTS = sorted((ROOT / "shared" / "lua").glob("*.lua"))
LONGEST_FILE = 320  # lines


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_node_and_router_do_not_know_each_other_and_what_they_share_knows_neither() -> None:
    command = Path(sys.executable).parent / "lint-imports"
    ended = subprocess.run([command, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "0 broken" in ended.stdout


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_a_file_holds_one_idea(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= LONGEST_FILE


@pytest.mark.parametrize("path", [*SOURCES, *SCRIPTS], ids=name)
def test_nothing_is_left_for_later(path: Path) -> None:
    assert not re.search(r"\b(TODO|FIXME|XXX|HACK)\b", path.read_text())


@pytest.mark.parametrize("path", [path for path in SOURCES if path.relative_to(ROOT).parts[0] in SERVICES], ids=name)
def test_services_log_and_do_not_print(path: Path) -> None:
    """A process that cannot start says why on stderr; there are no logs yet."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
            assert "sys.stderr" in ast.unparse(node), f"{name(path)}:{node.lineno}"


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_every_module_says_what_it_is(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert not tree.body or ast.get_docstring(tree)


@pytest.mark.parametrize("path", SCRIPTS, ids=name)
def test_every_script_begins_with_what_it_does_its_keys_and_what_it_returns(path: Path) -> None:
    header = []
    for line in path.read_text().splitlines():
        if not line.startswith("--"):
            break
        header.append(line)
    text = "\n".join(header)
    assert re.search(r"^-- KEYS\b", text, re.MULTILINE)
    assert "-- Returns" in text
    assert re.search(r"^-- ARGV\b", text, re.MULTILINE) or "ARGV" not in path.read_text()


@pytest.mark.parametrize("path", SCRIPTS, ids=name)
def test_a_script_touches_only_keys_it_was_given(path: Path) -> None:
    """A Redis Cluster could not find the others: no key is put together inside a script."""
    code = "\n".join(line for line in path.read_text().splitlines() if not line.lstrip().startswith("--"))
    for call in re.findall(r"redis\.p?call\('[A-Z]+',\s*(?:'[A-Z]+',\s*)?([^,)]+)", code):
        assert ".." not in call, call
        assert not call.startswith("'"), call


def test_there_are_sources_to_look_at() -> None:
    assert len(SOURCES) > 50
    assert len(SCRIPTS) >= 6
