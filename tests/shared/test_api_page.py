"""The page that shows OpenAPI's document: what it may load and run."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256

import httpx
import pytest
from fastapi import FastAPI

from shared.api_page import add_api_page


@pytest.fixture
async def page() -> httpx.Response:
    app = FastAPI(title="a service", docs_url=None, redoc_url=None)
    add_api_page(app)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service") as client:
        return await client.get("/docs")


async def test_what_it_loads_from_elsewhere_is_one_version_and_checked(page: httpx.Response) -> None:
    loaded = re.findall(r"<(?:script|link)[^>]* (?:src|href)=[^>]*>", page.text)
    assert len(loaded) == 2
    for tag in loaded:
        assert re.search(r'"https://cdn\.jsdelivr\.net/npm/swagger-ui-dist@\d+\.\d+\.\d+/[\w.-]+"', tag)
        assert re.search(r' integrity="sha384-[\w+/]{64}" crossorigin="anonymous"', tag)


async def test_nothing_else_runs_in_it(page: httpx.Response) -> None:
    policy = dict(part.strip().split(" ", 1) for part in page.headers["content-security-policy"].split(";"))
    inline = re.findall(r"<script>(.*?)</script>", page.text, re.DOTALL)
    digests = [f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'" for script in inline]
    assert policy["default-src"] == "'none'"
    assert policy["script-src"].split()[1:] == digests
    assert re.fullmatch(
        r"https://cdn\.jsdelivr\.net/npm/swagger-ui-dist@\d+\.\d+\.\d+/", policy["script-src"].split()[0]
    )
    assert policy["connect-src"] == "'self'"
