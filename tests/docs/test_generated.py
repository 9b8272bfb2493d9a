"""What documents repeat is held to its source: settings, links, commands, files, close codes, metrics."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from urllib.parse import unquote

import pytest
import typer.main
from opentelemetry.sdk import environment_variables
from videosite_realtime_cli.main import app as command_line

from docs import generate
from node.metrics import NodeMetrics
from node.settings import NodeSettings
from node.user_check import Verdict
from router.metrics import RouterMetrics
from router.operations import MADE_KEY_TTL_MS
from router.settings import RouterSettings
from shared.close_codes import CloseCode
from shared.http_protocol import REQUEST_TIMEOUT

ROOT = Path(__file__).resolve().parents[2]
NOT_OURS = {".venv", "node_modules", "dist", "build"}
PAGES = sorted(
    path for path in ROOT.rglob("*.md") if not any(part in NOT_OURS or part.startswith(".") for part in path.parts)
)
BROWSERS_OWN = {1000, 1001, 1005, 1006}  # codes that no node of ours chooses
ELSEWHERE = {"ROUTER_API_KEY", "NODE_URL", "TOKEN", "NO_COLOR"}  # what the command line, the SDK and shells read

_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


each_page = pytest.mark.parametrize("page", PAGES, ids=name_of)


@cache
def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def prose(page: Path) -> str:
    return _FENCE.sub("", text(page))


# --- generated files


@pytest.mark.parametrize("path", generate.FILES, ids=name_of)
def test_generated_files_say_what_the_code_says(path):
    assert path.read_text(encoding="utf-8") == generate.FILES[path](), "run `make docs`"


def test_every_setting_is_documented_once():
    documented = [setting.name for _, settings in generate.groups() for setting in settings]
    models = NodeSettings.model_fields.keys() | RouterSettings.model_fields.keys()
    assert sorted(documented) == sorted(name.upper() for name in models)


def test_every_setting_has_a_meaning_and_a_reader():
    settings = [setting for _, settings in generate.groups() for setting in settings]
    assert [setting.name for setting in settings if not setting.meaning or not setting.readers] == []


def test_the_example_read_back_gives_the_defaults(monkeypatch):
    lines = re.findall(r"^# ([A-Z_]+)=(.*)$", text(ROOT / ".env.example"), re.MULTILINE)
    for name, _ in lines:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("JWT_SECRET", "x" * 32)
    defaults = NodeSettings(), RouterSettings()
    for name, value in lines:
        if name != "JWT_SECRET":
            monkeypatch.setenv(name, value)
    assert (NodeSettings(), RouterSettings()) == defaults


# --- links


def headings(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


@each_page
def test_relative_links_lead_somewhere(page):
    broken = []
    for target in _LINK.findall(prose(page)):
        path, _, fragment = unquote(target).partition("#")
        if re.match(r"[a-z]+:", path):
            continue
        there = (page.parent / path).resolve() if path else page
        if not there.exists() or (fragment and fragment not in headings(there)):
            broken.append(target)
    assert broken == []


# --- commands


def shell_lines(page: Path) -> Iterator[str]:
    for language, block in _FENCE.findall(text(page)):
        if language in {"sh", "console", "js"}:
            yield from block.replace("\\\n", " ").splitlines()
    yield from re.findall(r"`([^`\n]+)`", prose(page))


def words(line: str) -> list[str]:
    try:
        return shlex.split(line, comments=True)
    except ValueError:  # a fragment of code, no command
        return []


@each_page
def test_make_targets_exist(page):
    targets = set(re.findall(r"^([a-z-]+):", text(ROOT / "Makefile"), re.MULTILINE))
    named = {line[1] for line in map(words, shell_lines(page)) if line[:1] == ["make"] and len(line) > 1}
    assert named <= targets


@each_page
def test_commands_and_their_options_exist(page):
    wrong = [call for line in shell_lines(page) for call in calls(line) if not understood(call)]
    assert wrong == []


def calls(line: str) -> Iterator[list[str]]:
    """Yield the words after `videosite-realtime`, wherever in a line it is called."""
    for call in re.findall(r"(?<!helm/)videosite-realtime(?: ([^|)#]*))?(?=$|[|)#])", line):
        if call:
            yield words(call)


def understood(call: list[str]) -> bool:
    command = typer.main.get_command(command_line)
    for word in call:
        if hasattr(command, "commands") and not word.startswith("-"):
            if word not in command.commands:
                return False
            command = command.commands[word]
        elif word.startswith("--") and word != "--help":
            known = {option for parameter in command.params for option in parameter.opts}
            if word not in known:
                return False
    return True


def test_a_wrong_command_would_be_seen():
    assert understood(["tail", "--user", "7"])
    assert not understood(["tail", "--everybody"])
    assert not understood(["send", "nobody", "x"])


# --- facts that pages repeat


def test_the_architecture_names_every_file():
    page = text(ROOT / "docs" / "architecture.md")
    for package in ("shared", "router", "node"):
        section = page.partition(f"### {package}\n")[2].partition("\n#")[0]
        listed = re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE)
        sources = [*(ROOT / package).glob("*.py"), *(ROOT / package).glob("lua/*.lua")]
        there = [str(path.relative_to(ROOT / package)) for path in sources if path.name != "__init__.py"]
        assert sorted(listed) == sorted(there), package


def test_paths_in_pages_exist():
    named = {path for page in PAGES for path in re.findall(r"\b((?:node|router|shared|docs)/[\w/]+\.\w+)", text(page))}
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


def test_troubleshooting_explains_every_close_code():
    named = set(map(int, re.findall(r"\b(10\d\d|44\d\d)\b", prose(ROOT / "docs" / "troubleshooting.md"))))
    assert {int(code) for code in CloseCode} - {CloseCode.NORMAL} <= named
    assert named <= {int(code) for code in CloseCode} | BROWSERS_OWN


def test_troubleshooting_names_the_reasons_that_nodes_give():
    page = text(ROOT / "docs" / "troubleshooting.md")
    named = set()
    for title in ("4401 again and again", "4403", "4429"):
        section = page.partition(f"## {title}\n")[2].partition("\n## ")[0]
        named |= {name.removeprefix("token ") for name in re.findall(r"`([a-z]+(?: [a-z]+)+)`", section)}
    sources = "".join(text(path) for path in [*(ROOT / "node").glob("*.py"), ROOT / "shared" / "auth.py"])
    assert {verdict.value for verdict in Verdict if verdict not in (Verdict.WELCOME, Verdict.UNCERTAIN)} <= named
    assert [reason for reason in named if f'"{reason}"' not in sources] == []


def test_troubleshooting_tells_how_long_a_made_key_is_remembered():
    page = " ".join(text(ROOT / "docs" / "troubleshooting.md").split())
    assert f"A key that the router made is remembered for {MADE_KEY_TTL_MS // 60_000} minutes" in page
    assert f"longer than {REQUEST_TIMEOUT:g} s to arrive" in page


def test_metrics_in_pages_exist():
    named = {name for page in PAGES for name in re.findall(r"\bvsrt_[a-z_]+", text(page))}
    known = {declared.metric.prometheus for kind in (NodeMetrics, RouterMetrics) for declared in kind.declared()}
    assert named <= known


def test_settings_in_pages_exist():
    known = {setting.name for _, settings in generate.groups() for setting in settings} | ELSEWHERE
    known |= {name for name in dir(environment_variables) if name.startswith("OTEL_")}
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    named = {name for page in pages for name in re.findall(r"`\$?([A-Z]+(?:_[A-Z]+)+)(?:=[^`]*)?`", text(page))}
    others = {name for name in named if name.startswith("OTEL_")}  # tests/docs/test_tracing.py holds them
    assert named - others - {"CATCHING_UP"} <= known


def test_the_readme_is_short():
    assert len(text(ROOT / "README.md").splitlines()) < 150
