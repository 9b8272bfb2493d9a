"""Does what a stage of the Dockerfile says, in a folder that stands for the image's root.

No engine is needed, and nothing is told twice: the commands are the Dockerfile's. What differs is the interpreter (this
machine's, of the same minor version) and that paths from the root on lead into the folder.
"""

from __future__ import annotations

import functools
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from dockerfile_parse import DockerfileParser

from tests.support.process import ROOT

DOCKERFILE = ROOT / "Dockerfile"
_OURS = ("/opt", "/app", "/build", "/page")  # what a command may name; anything else is this machine's
_NOBODY = 65534


class Instruction(NamedTuple):
    name: str
    value: str


@dataclass
class Stage:
    base: str
    name: str
    instructions: list[Instruction] = field(default_factory=list)

    def all(self, name: str) -> list[str]:
        return [value for instruction, value in self.instructions if instruction == name]

    def one(self, name: str) -> str:
        (value,) = self.all(name)
        return value

    @property
    def env(self) -> dict[str, str]:
        pairs = (pair.partition("=") for value in self.all("ENV") for pair in shlex.split(value))
        return {name: value for name, _, value in pairs}


@functools.cache
def stages() -> dict[str, Stage]:
    """Return the stages by name; the last one is the image and has none."""
    found: dict[str, Stage] = {}
    stage = before = Stage("", "")  # what stands before the first stage: arguments for all of them
    for part in DockerfileParser(path=str(DOCKERFILE)).structure:
        name, value = part["instruction"], part["value"]
        if name == "FROM":
            base, _, alias = value.partition(" AS ")
            for argument in before.all("ARG"):
                name, _, default = argument.partition("=")
                base = base.replace(f"${{{name}}}", default)
            found[alias] = stage = Stage(base, alias)
        elif name != "COMMENT":
            stage.instructions.append(Instruction(name, value))
    return found


class Kitchen:
    """Carries stages out.

    Args:
        directory: holds a root for every stage.
        python: what ``python`` is in a command that runs something, but not in one that installs.
        ready: results of stages that others have made, by stage and path.
    """

    def __init__(self, directory: Path, python: Path, ready: dict[tuple[str, str], Path]) -> None:
        self._directory, self._python, self._ready = directory, python, ready

    def root(self, stage: str) -> Path:
        return self._directory / (stage or "image")

    def make(self, name: str) -> Path:
        """Carry a stage out and return its root; the last stage's clean-up of its base is left out."""
        stage, root = stages()[name], self.root(name)
        root.mkdir()
        here = "/"
        for instruction, value in stage.instructions:
            if instruction == "WORKDIR":
                here = value
                self._inside(root, here).mkdir(parents=True, exist_ok=True)
            elif instruction == "COPY":
                self._copy(value, root, here)
            elif instruction == "RUN" and name:
                self._run(value, root, here)
        return root

    def _copy(self, value: str, root: Path, here: str) -> None:
        *sources, target = value.split()
        origin = sources.pop(0).removeprefix("--from=") if sources[0].startswith("--from=") else None
        for source in sources:
            if origin is not None:
                found = self._ready.get((origin, source)) or self._inside(self.root(origin), source)
            else:
                found = ROOT / source
            into = self._inside(root, str(Path(here) / target))
            if found.is_dir():
                left_out = shutil.ignore_patterns("__pycache__") if origin is None else None
                shutil.copytree(found, into, symlinks=True, ignore=left_out)
            else:
                as_folder = target.endswith("/") or into.is_dir()
                into.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(found, into / found.name if as_folder else into)

    def _run(self, command: str, root: Path, here: str) -> None:
        strange = [path for path in re.findall(r"(?<![\w.])/[a-z][\w./-]*", command) if not path.startswith(_OURS)]
        assert not strange, f"a command that names what is this machine's: {strange}"
        inside = re.sub(rf"(?<![\w.])({'|'.join(_OURS)})(?=/|\s|$)", rf"{root}\1", command)
        environment = {"PATH": f"{self._tools()}:/usr/bin:/bin", "HOME": str(root), "LC_ALL": "C.UTF-8"}
        environment |= {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "HTTP", "SSL_"))}
        ended = subprocess.run(
            ["/bin/sh", "-ec", inside],
            cwd=self._inside(root, here),
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, f"{inside}\n{ended.stdout[-2000:]}{ended.stderr[-2000:]}"

    def _tools(self) -> Path:
        """Return a folder with a ``python`` as the base image has it: with pip, and one that everybody may run."""
        tools = self._directory / "tools"
        if not tools.exists():
            tools.mkdir()
            script = tools / "python"
            script.write_text(
                f'#!/bin/sh\ncase "$1 $2" in\n"-m pip") exec {sys.executable} "$@" ;;\nesac\nexec {self._python} "$@"\n'
            )
            script.chmod(0o755)
        return tools

    @staticmethod
    def _inside(root: Path, path: str) -> Path:
        return root / path.lstrip("/")


def interpreter() -> Path:
    """Return a Python of the image's minor version that an unprivileged user may run.

    Raises:
        AssertionError: there is none; names what would do.
    """
    minor = re.fullmatch(r"python:(\d+\.\d+)-slim-\w+", stages()[""].base)
    assert minor, stages()[""].base
    candidates = [Path(sys.base_prefix) / "bin" / f"python{minor[1]}", Path("/usr/bin") / f"python{minor[1]}"]
    for candidate in candidates:
        ask = unprivileged([str(candidate), "-c", "import sys, venv; print(sys.base_prefix)"])
        asked = subprocess.run(ask, capture_output=True, text=True, check=False)
        if asked.stdout.strip() == str(candidate.parent.parent):  # and not another one in its place
            return candidate
    raise AssertionError(f"no Python {minor[1]} that nobody may run: {', '.join(map(str, candidates))}")


def unprivileged(command: list[str]) -> list[str]:
    """Return the command as it is run by nobody; without root it is run by us, who are unprivileged already."""
    if os.geteuid() != 0:
        return command
    return ["setpriv", f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups", "--no-new-privs", *command]


def exec_form(value: str) -> list[str]:
    """Return the words of an instruction in exec form."""
    words = json.loads(value)
    assert isinstance(words, list), f"not in exec form: {value}"
    return words
