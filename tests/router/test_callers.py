"""Who calls the router, and what they may do."""

from __future__ import annotations

import pytest

from router.callers import ALL_SCOPES, Callers, NotAllowed, Scope
from shared.auth import TokenVerifier
from shared.settings import CommonSettings
from tests.shared.tokens import SECRET, claims, hmac_token

ONE, TWO = "service-key-number-one", "service-key-number-two"


def callers(*, keys: bool = True, tokens: bool = True) -> Callers:
    verifier = TokenVerifier.from_settings(CommonSettings(jwt_secret=SECRET)) if tokens else None
    return Callers([ONE, TWO] if keys else [], verifier)


def with_scope(scope: str | None, sub: str = "7") -> str:
    return f"Bearer {hmac_token(claims(sub=sub, scope=scope))}"


async def refused(authorization: str | None, scope: Scope = "publish", among: Callers | None = None) -> int:
    with pytest.raises(NotAllowed) as caught:
        await (among or callers()).allow(authorization, scope)
    assert (authorization or "").removeprefix("Bearer ") not in str(caught.value) or not authorization
    return caught.value.status


@pytest.mark.parametrize("scope", sorted(ALL_SCOPES))
@pytest.mark.parametrize("key", [ONE, TWO])
async def test_a_service_key_has_all_scopes(key: str, scope: Scope) -> None:
    assert (await callers().allow(f"Bearer {key}", scope)).scopes == {"publish", "read", "admin"}


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", f"Basic {ONE}", ONE])
async def test_without_a_credential_it_is_401(header: str | None) -> None:
    with pytest.raises(NotAllowed) as caught:
        await callers().allow(header, "read")
    assert caught.value.status == 401


@pytest.mark.parametrize(
    "credential", [ONE[:-1], ONE + "x", ONE.upper(), f"{ONE},{TWO}", "密钥", "x" * 10_000, hmac_token(claims(exp=1))]
)
@pytest.mark.parametrize("tokens", [True, False])
async def test_a_wrong_credential_is_401(credential: str, tokens: bool) -> None:
    assert await refused(f"Bearer {credential}", among=callers(tokens=tokens)) == 401


async def test_a_token_without_a_way_to_judge_it_is_401() -> None:
    assert await refused(with_scope("publish"), among=callers(tokens=False)) == 401


async def test_a_token_has_the_scopes_it_names_and_no_other() -> None:
    caller = await callers().allow(with_scope("publish read"), "publish")
    assert caller.scopes == {"publish", "read"}
    assert await refused(with_scope("publish read"), "admin") == 403


@pytest.mark.parametrize("scope", [None, "", "publisher", "PUBLISH", "publish,read", "admin"])
async def test_a_token_without_the_scope_is_403(scope: str | None) -> None:
    assert await refused(with_scope(scope)) == 403


async def test_an_admins_token_without_a_scope_may_publish_nothing() -> None:
    assert await refused(f"Bearer {hmac_token(claims(is_admin=True))}") == 403


async def test_callers_are_told_apart_by_names_that_show_no_key() -> None:
    everyone = callers()
    names = [
        (await everyone.allow(header, "publish")).name
        for header in (f"Bearer {ONE}", f"Bearer {TWO}", with_scope("publish"), with_scope("publish", sub="8"))
    ]
    assert len(set(names)) == 4
    assert not any(ONE in name or TWO in name for name in names)
    assert (await callers().allow(f"Bearer {ONE}", "publish")).name == names[0], "the same after a restart"


async def test_a_user_cannot_take_a_service_keys_name() -> None:
    name = (await callers().allow(f"Bearer {ONE}", "publish")).name
    digest = name.partition(":")[2]
    taken = {
        (await callers().allow(with_scope("publish", sub=sub), "publish")).name
        for sub in (name, digest, f"key:{digest}")
    }
    assert name not in taken
