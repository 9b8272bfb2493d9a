"""The admin page's files, as browsers ask for them."""

from __future__ import annotations

import gzip
from pathlib import Path

import httpx
import pytest

from node.admin_page import AdminPage, not_built
from shared.asgi import ASGIApp
from shared.errors import SettingsError

SCRIPT = "console.log('你好');" * 50


@pytest.fixture
def built(tmp_path: Path) -> Path:
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text("<!doctype html><title>admin</title>")
    (tmp_path / "assets" / "index-5f3c.js").write_text(SCRIPT)
    (tmp_path / "assets" / "index-5f3c.js.map").write_text("{}")
    (tmp_path / "assets" / "inter.woff2").write_bytes(b"wOF2\0\1")
    return tmp_path


def browser(app: ASGIApp) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://node")


async def test_the_page_is_asked_for_anew_and_its_parts_are_kept_for_ever(built: Path) -> None:
    async with browser(AdminPage(built)) as http:
        page = await http.get("/")
        assert (page.status_code, page.text) == (200, "<!doctype html><title>admin</title>")
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert page.headers["cache-control"] == "no-cache"
        assert "default-src 'self'" in page.headers["content-security-policy"]
        part = await http.get("/assets/index-5f3c.js")
        assert "immutable" in part.headers["cache-control"]
        again = await http.get("/", headers={"If-None-Match": page.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


async def test_text_travels_compressed_if_the_browser_takes_it_so(built: Path) -> None:
    async with browser(AdminPage(built)) as http:
        async with http.stream("GET", "/assets/index-5f3c.js") as answer:
            assert answer.headers["content-encoding"] == "gzip"
            raw = b"".join([chunk async for chunk in answer.aiter_raw()])
        assert gzip.decompress(raw).decode() == SCRIPT
        plain = await http.get("/assets/index-5f3c.js", headers={"Accept-Encoding": "identity"})
        assert ("content-encoding" in plain.headers, plain.text) == (False, SCRIPT)
        font = await http.get("/assets/inter.woff2")
        assert ("content-encoding" in font.headers, font.content) == (False, b"wOF2\0\1")


@pytest.mark.parametrize("path", ["/nothing", "/assets/", "/assets/index-5f3c.js.map", "/../secret", "/%2e%2e/secret"])
async def test_nothing_but_the_pages_files_is_there(built: Path, path: str) -> None:
    (built.parent / "secret").write_text("secret")
    async with browser(AdminPage(built)) as http:
        assert (await http.get(path)).status_code == 404


async def test_a_page_is_read_and_not_written(built: Path) -> None:
    async with browser(AdminPage(built)) as http:
        assert (await http.head("/")).status_code == 200
        assert (await http.post("/")).status_code == 405


def test_a_folder_without_a_page_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="ADMIN_PAGE_DIR"):
        AdminPage(tmp_path / "elsewhere")


async def test_without_a_page_the_root_says_how_to_get_one() -> None:
    async with browser(not_built) as http:
        root = await http.get("/")
        assert (root.status_code, "make page" in root.text) == (404, True)
