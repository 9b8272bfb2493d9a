"""Who is let in: tokens good and bad, admins, origins."""

from __future__ import annotations

from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from tests.integration.conftest import ADMIN_PAGE
from tests.support.client import Client
from tests.support.cluster import Cluster
from tests.support.http_stub import HttpStub
from tests.support.tokens import RsaKey, Tokens, forged, in_seconds, unsigned
from tests.support.waiting import until

RSA = RsaKey()


def bad_tokens(tokens: Tokens) -> dict[str, str | None]:
    good = tokens.user("7")
    return {
        "none at all": None,
        "empty": "",
        "garbage": "garbage",
        "three dots of garbage": "a.b.c",
        "not ASCII": "令牌.令牌.令牌",
        "expired": tokens.user("7", exp=in_seconds(-1)),
        "another secret": Tokens("another secret of more than 32 bytes").user("7"),
        "HS384 with our secret": tokens.user("7", algorithm="HS384"),
        "RS256": RSA.sign(sub="7"),
        "alg none": unsigned(sub="7"),
        "alg none with a signature": unsigned(sub="7") + good.rpartition(".")[2],
        "alg in another case": forged({"alg": "hs256"}, {"sub": "7", "exp": in_seconds(9)}, hmac_key=tokens.secret),
        "no exp": tokens.user("7", exp=None),
        "exp that is no number": forged({"alg": "HS256"}, {"sub": "7", "exp": "tomorrow"}, hmac_key=tokens.secret),
        "exp that is true": forged({"alg": "HS256"}, {"sub": "7", "exp": True}, hmac_key=tokens.secret),
        "not valid yet": tokens.user("7", nbf=in_seconds(60)),
        "no sub": tokens.mint(),
        "a sub that is no user id": tokens.user("7 or 1=1"),
        "a sub that is too long": tokens.user("x" * 129),
        "a sub that is a list": tokens.mint(sub=["7"]),
        "a sub that is true": tokens.mint(sub=True),
        "tampered": good[:-4] + ("AAAA" if not good.endswith("AAAA") else "BBBB"),
        "cut": good[:-10],
        "longer than 3 KiB": tokens.user("7", note="x" * 3000),
        "claims that are no object": forged({"alg": "HS256"}, ["sub", "7"], hmac_key=tokens.secret),  # type: ignore[arg-type]
    }


@pytest.mark.parametrize("what", bad_tokens(Tokens("s" * 40)))
async def test_a_token_that_proves_nothing_is_closed_with_4401(cluster: Cluster, what: str) -> None:
    token = bad_tokens(cluster.tokens)[what]
    for admin in (False, True):
        code, reason = await cluster.refusal(token, admin=admin)
        assert code == 4401
        assert token is None or not token or token not in reason


@pytest.mark.parametrize("is_admin", [None, False, "true", "True", 1, [True], {"yes": True}])
async def test_only_a_json_true_makes_an_admin(cluster: Cluster, is_admin: Any) -> None:
    token = cluster.tokens.user("7", is_admin=is_admin)
    assert (await cluster.refusal(token, admin=True))[0] == 4403


async def test_an_admin_may_use_the_user_endpoint_as_itself(cluster: Cluster) -> None:
    async with cluster.user("41", is_admin=True) as browser:
        assert browser.connected["user_id"] == 41
        await cluster.router.send("admin", {"type": "for_admins"})
        await cluster.nobody_hears(browser)


async def test_a_bad_token_in_the_subprotocol_is_closed_with_4401(cluster: Cluster) -> None:
    for offered in (["bearer", "garbage"], ["bearer"]):
        async with await Client.open(cluster.node.socket_url(), subprotocols=offered) as browser:
            assert (await browser.closed())[0] == 4401


# --- origins


def origins(cluster: Cluster) -> dict[str, str | None]:
    return {
        "absent": None,
        "the host itself": cluster.node.url,
        "listed": ADMIN_PAGE,
        "foreign": "https://evil.example.com",
        "listed, by another scheme": "http://admin.example.com",
        "listed, with another port": f"{ADMIN_PAGE}:8443",
        "listed, as a prefix": f"{ADMIN_PAGE}.evil.com",
        "null": "null",
    }


@pytest.mark.parametrize("which", ["absent", "the host itself", "listed"])
async def test_an_origin_of_ours_is_let_in(cluster: Cluster, which: str) -> None:
    url = cluster.node.socket_url(token=cluster.tokens.user(cluster.number()))
    async with await Client.open(url, origin=origins(cluster)[which]) as browser:
        await browser.receive("connected")


@pytest.mark.parametrize(
    "which", ["foreign", "listed, by another scheme", "listed, with another port", "listed, as a prefix", "null"]
)
async def test_a_foreign_origin_gets_http_403_before_the_upgrade(cluster: Cluster, which: str) -> None:
    url = cluster.node.socket_url(token=cluster.tokens.user(cluster.number()))
    with pytest.raises(InvalidStatus) as refused:
        await Client.open(url, origin=origins(cluster)[which])
    assert refused.value.response.status_code == 403
    assert refused.value.response.body == b"Failed to open a WebSocket connection: origin not allowed.\n"


async def test_another_path_gets_http_403_and_is_told_so(cluster: Cluster) -> None:
    url = cluster.node.socket_url(token=cluster.tokens.user(cluster.number()))
    with pytest.raises(InvalidStatus) as refused:
        await Client.open(url.replace("/ws?", "/ws/?"))
    assert refused.value.response.status_code == 403
    assert refused.value.response.body == b"Failed to open a WebSocket connection: no such path.\n"


# --- public keys


async def test_with_a_public_key_only_its_tokens_count(new_cluster) -> None:
    cluster = await new_cluster(
        routers=0, JWT_SECRET="", JWT_PUBLIC_KEY=RSA.public_pem.replace("\n", "\\n"), JWT_ALGORITHM="RS256"
    )
    async with await Client.open(cluster.node.socket_url(token=RSA.sign(sub="7"))) as browser:
        assert (await browser.receive("connected"))["user_id"] == 7
    claims = {"sub": "7", "exp": in_seconds(60)}
    wrong = {
        "HS256 with the public key as its secret": forged({"alg": "HS256"}, claims, hmac_key=RSA.public_pem),
        "HS256 that says RS256": forged({"alg": "RS256"}, claims, hmac_key=RSA.public_pem),
        "another key pair": RsaKey().sign(sub="7"),
        "alg none": unsigned(sub="7"),
    }
    for what, token in wrong.items():
        assert (await cluster.refusal(token))[0] == 4401, what


async def test_keys_are_found_in_a_jwks_and_a_new_one_is_learnt(new_cluster) -> None:
    newer = RsaKey("k2")
    with HttpStub() as issuer:
        issuer.answers["/jwks.json"] = 200, {"keys": [RSA.as_jwk()]}
        cluster = await new_cluster(routers=0, JWT_SECRET="", JWT_JWKS_URL=f"{issuer.url}/jwks.json")
        async with await Client.open(cluster.node.socket_url(token=RSA.sign(sub="7"))) as browser:
            await browser.receive("connected")
        assert (await cluster.refusal(RsaKey("k1").sign(sub="7")))[0] == 4401, "our kid, another's key"
        assert (await cluster.refusal(Tokens("").mint(key=RSA.private_pem, algorithm="RS256", sub="7")))[0] == 4401
        assert (await cluster.refusal(newer.sign(sub="7")))[0] == 4401
        assert len(issuer.asked) == 1, "an unknown key may not be used to hammer the issuer"
        issuer.answers["/jwks.json"] = 200, {"keys": [RSA.as_jwk(), newer.as_jwk()]}

        async def newer_is_welcome() -> bool:
            async with await Client.open(cluster.node.socket_url(token=newer.sign(sub="8"))) as browser:
                await browser.receive("connected")
                return True

        await until(newer_is_welcome, timeout=30)


async def test_while_no_keys_could_ever_be_fetched_clients_are_asked_to_come_back(new_cluster) -> None:
    with HttpStub() as issuer:
        issuer.otherwise = 500
        cluster = await new_cluster(routers=0, JWT_SECRET="", JWT_JWKS_URL=f"{issuer.url}/jwks.json")
        assert (await cluster.refusal(RSA.sign(sub="7")))[0] == 1013


async def test_issuer_and_audience_are_required_once_they_are_set(new_cluster) -> None:
    cluster = await new_cluster(routers=0, JWT_ISSUER="https://id.example.com", JWT_AUDIENCE="videosite")
    right = {"iss": "https://id.example.com", "aud": "videosite"}
    async with cluster.user("7", **right), cluster.user("7", **right | {"aud": ["other", "videosite"]}):
        pass
    for wrong in ({"iss": None}, {"aud": None}, {"iss": "https://id.example.org"}, {"aud": "other"}):
        assert (await cluster.refusal(cluster.tokens.user("7", **{**right, **wrong})))[0] == 4401, wrong
