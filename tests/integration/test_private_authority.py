"""JWKS and user check whose certificates an authority has signed that only we know."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import NewCluster
from tests.shared.issuer import SigningKey
from tests.support.certificates import Authority
from tests.support.http_stub import HttpStub
from tests.support.waiting import until

KEY = SigningKey("one")


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "authority")


@pytest.fixture
def platform(authority: Authority) -> Iterator[HttpStub]:
    with HttpStub(authority.sign("platform")) as stub:
        stub.answers |= {"/users/7": 200, "/users/8": 404, "/keys": (200, {"keys": [KEY.as_jwk()]})}
        yield stub


def settings(platform: HttpStub) -> dict[str, str]:
    return {"JWT_SECRET": "", "JWT_JWKS_URL": f"{platform.url}/keys", "USER_CHECK_URL": f"{platform.url}/users"}


def token(user: str) -> str:
    return KEY.sign({"sub": user, "exp": int(time.time()) + 300, "scope": "publish"})


async def test_what_ssl_cert_file_names_is_believed(
    new_cluster: NewCluster, platform: HttpStub, authority: Authority
) -> None:
    cluster = await new_cluster(SSL_CERT_FILE=str(authority.file), **settings(platform))
    assert (await cluster.node.get("/api/v1/events", bearer=token("7"))).status_code == 200
    assert await cluster.refusal(token("8")) == (4403, "user unknown")
    message = {"audience": "all", "message": {"type": "tick"}}
    assert (await cluster.router.post("messages", message, bearer=token("7"))).status_code == 202
    assert set(platform.asked) == {"/keys", "/users/7", "/users/8"}


async def test_nobody_else_is_believed(new_cluster: NewCluster, platform: HttpStub) -> None:
    cluster = await new_cluster(**settings(platform))
    assert (await cluster.node.get("/api/v1/events", bearer=token("7"))).status_code == 503
    assert (await cluster.router.post("messages", {}, bearer=token("7"))).status_code == 503
    for service in cluster.services:
        await until(lambda service=service: "CERTIFICATE_VERIFY_FAILED" in service.log())
    assert platform.asked == []


async def test_the_user_check_believes_nobody_else_either(new_cluster: NewCluster, platform: HttpStub) -> None:
    cluster = await new_cluster(routers=0, USER_CHECK_URL=f"{platform.url}/users")
    assert (await cluster.refusal(cluster.tokens.user("7")))[0] != 4403
    await until(lambda: "CERTIFICATE_VERIFY_FAILED" in cluster.node.log())
    assert platform.asked == []
