"""What the router refuses is not tried again, and the error says why."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from videosite_realtime import (
    AuthenticationError,
    ConfigurationError,
    InvalidMessage,
    KeyReused,
    MessageTooLarge,
    NotificationError,
    NotificationService,
    PermissionDenied,
    Refused,
    SyncNotificationService,
    UnexpectedAnswer,
)
from videosite_realtime._access import RouterAccess

from tests.sdk.router_stub import KEY, Reply, Router


async def caught_from(router: Router, reply: Reply) -> NotificationError:
    router.answers(reply)
    async with NotificationService() as service:
        with pytest.raises(NotificationError) as caught:
            await service.notify_transcode_progress(123, "processing", 145)
    assert len(router.asked) == 1, "tried again what was refused"
    return caught.value


@pytest.mark.parametrize(
    ("status", "error", "detail"),
    [
        (401, AuthenticationError, "the service key is wrong"),
        (403, PermissionDenied, "the scope 'publish' is missing"),
        (409, KeyReused, "this idempotency key was used with another body"),
        (413, MessageTooLarge, "message: 70000 bytes are more than 65536"),
        (500, Refused, "Internal Server Error"),
    ],
)
async def test_each_refusal_has_its_error_that_says_what_the_router_said(
    router: Router, status: int, error: type[Refused], detail: str
) -> None:
    caught = await caught_from(router, Reply(status, {"detail": detail}))
    assert type(caught) is error
    assert caught.status == status
    assert detail in str(caught)
    assert str(pickle.loads(pickle.dumps(caught))) == str(caught)


@pytest.mark.parametrize(
    ("detail", "field", "reason"),
    [
        ([{"type": "x", "loc": ["body", "progress"], "msg": "at most 100"}], "progress", "at most 100"),
        ([{"type": "x", "loc": ["body", "message", "level"], "msg": "unknown"}], "message.level", "unknown"),
        ([{"type": "x", "loc": ["body"], "msg": "not JSON"}], "", "not JSON"),
        ([{"type": "x", "loc": ["header", "Idempotency-Key"], "msg": "too long"}], "Idempotency-Key", "too long"),
        ("progress: at most 100", "progress", "at most 100"),
        ("no idea what this is", "", "no idea what this is"),
    ],
)
async def test_an_invalid_message_names_the_field(router: Router, detail: Any, field: str, reason: str) -> None:
    caught = await caught_from(router, Reply(422, {"detail": detail}))
    assert isinstance(caught, InvalidMessage)
    assert (caught.field, caught.reason) == (field, reason)
    assert reason in str(caught)


@pytest.mark.parametrize(
    "reply",
    [
        Reply(200, "<html>welcome</html>"),
        Reply(200, {"ok": True}),
        Reply(202, []),
        Reply(404, "<html>nothing here</html>"),
        Reply(302, "", {"Location": "/login"}),
    ],
)
async def test_what_is_not_a_router_is_not_believed(router: Router, reply: Reply) -> None:
    caught = await caught_from(router, reply)
    assert isinstance(caught, UnexpectedAnswer)
    assert caught.status == reply.status
    assert "ROUTER_URL" in str(caught)


@pytest.mark.parametrize("missing", ["ROUTER_URL", "ROUTER_API_KEY"])
async def test_a_missing_setting_is_named_when_it_is_first_needed(
    router: Router, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    monkeypatch.delenv(missing)
    with pytest.raises(ConfigurationError, match=f"{missing} is not set") as caught:
        await NotificationService().get_connection_count()
    assert caught.value.variable == missing
    with pytest.raises(ConfigurationError, match=missing):
        SyncNotificationService().get_connection_count()
    monkeypatch.setenv(missing, router.url if missing == "ROUTER_URL" else KEY)
    async with NotificationService() as service:
        assert (await service.get_connection_count())["total_users"] == 50


async def test_what_is_handed_in_comes_before_the_environment(router: Router, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROUTER_URL", "http://elsewhere.invalid")
    async with NotificationService(router.url + "/", " another-key \n") as service:
        await service.broadcast({"type": "tick"})
    assert router.asked[0].path == "/api/v1/messages"
    assert router.asked[0].headers["authorization"] == "Bearer another-key"


@pytest.mark.parametrize("url", ["router:8001", "ftp://router", "http://", "http://router:port", "/api"])
def test_a_url_that_leads_nowhere_is_refused_at_once(url: str) -> None:
    with pytest.raises(ConfigurationError, match="ROUTER_URL"):
        SyncNotificationService(url, KEY).get_connection_count()


@pytest.mark.parametrize("key", ["schlüssel", "two\nlines"])
def test_a_key_that_no_header_can_carry_is_refused_and_not_shown(key: str) -> None:
    with pytest.raises(ConfigurationError, match="ROUTER_API_KEY") as caught:
        SyncNotificationService("http://router", key).get_connection_count()
    assert key not in str(caught.value)


def test_the_key_is_in_no_repr() -> None:
    assert KEY not in repr(RouterAccess.find("http://router", KEY, {}))
