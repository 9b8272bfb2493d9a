"""HTTP requests are counted by method, route and status, and never by what a caller may choose freely."""

from __future__ import annotations

import httpx
import pytest
from fastapi import FastAPI, HTTPException

from shared.asgi import NO_TELEMETRY
from shared.http_times import HttpTimes


@pytest.fixture
def times() -> HttpTimes:
    return HttpTimes()


@pytest.fixture
def client(times: HttpTimes) -> httpx.AsyncClient:
    app = FastAPI(telemetry=NO_TELEMETRY)

    @app.get("/videos/{video_id}")
    async def video(video_id: int) -> int:
        if video_id == 404:
            raise HTTPException(404)
        return 1 // (video_id - 500)

    transport = httpx.ASGITransport(times.measured(app), raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://test")


async def test_requests_are_counted_by_the_routes_template(client: httpx.AsyncClient, times: HttpTimes) -> None:
    for video in (1, 2, 404, 500):
        await client.get(f"/videos/{video}")
    assert {key: buckets.count for key, buckets in times.series.items()} == {
        ("GET", "http", "/videos/{video_id}", "200"): 2,
        ("GET", "http", "/videos/{video_id}", "404"): 1,
        ("GET", "http", "/videos/{video_id}", "500"): 1,
    }


async def test_paths_and_methods_that_are_none_of_ours_are_one(client: httpx.AsyncClient, times: HttpTimes) -> None:
    for path in ("/a", "/b", "/c?token=secret"):
        await client.get(path)
    for method in ("BREW", "STEAL"):
        await client.request(method, "/a")
    assert set(times.series) == {("GET", "http", "", "404"), ("_OTHER", "http", "", "404")}


async def test_who_comes_by_https_is_counted_apart(client: httpx.AsyncClient, times: HttpTimes) -> None:
    await client.get("https://test/videos/1")
    assert set(times.series) == {("GET", "https", "/videos/{video_id}", "200")}
