"""Many messages in one call."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from videosite_realtime import InvalidMessage, KeyReused, SyncNotificationService, Undelivered

from tests.sdk.router_stub import RECEIPT, Reply, Router

REFUSED_PROGRESS = {
    "status": 422,
    "detail": [{"type": "less_than_equal", "loc": ["body", "progress"], "msg": "Input should be at most 100"}],
}
RECEIVED = {"status": 202, **RECEIPT}


@pytest.fixture
def service(router: Router) -> Iterator[SyncNotificationService]:
    with SyncNotificationService(sleep=lambda _: None) as service:
        yield service


def results(*items: dict[str, object]) -> Reply:
    return Reply(200, {"results": list(items)})


def test_each_item_has_a_key_and_transcodes_have_their_time(service: SyncNotificationService, router: Router) -> None:
    router.answers(results(*[{"status": 202, **RECEIPT}] * 3))
    service.notify_batch(
        [
            {"type": "transcode_progress", "video_id": 1, "status": "processing", "progress": 10, "user_id": 7},
            {"type": "transcode_progress", "video_id": 2, "status": "processing", "progress": 20, "sent_at": 5},
            {"type": "system_message", "message": "hello", "idempotency_key": "mine"},
        ]
    )
    (asked,) = router.asked
    first, second, third = asked.body["items"]
    assert asked.path == "/api/v1/notifications/batch"
    assert "idempotency-key" not in asked.headers
    assert first["idempotency_key"] != second["idempotency_key"]
    assert first["sent_at"] > second["sent_at"] == 5
    assert third == {"type": "system_message", "message": "hello", "idempotency_key": "mine"}


def test_each_item_gets_its_receipt_or_its_error(service: SyncNotificationService, router: Router) -> None:
    router.answers(results({"status": 202, **RECEIPT}, REFUSED_PROGRESS, {"status": 409, "detail": "used"}))
    message = {"type": "order_paid"}
    items = [{"audience": "all", "message": message, "idempotency_key": key} for key in "abc"]
    good, bad, reused = service.send_batch(items)
    assert router.asked[0].path == "/api/v1/messages/batch"
    assert (good.status, good.idempotency_key, good.error) == (202, "a", None)
    assert good.receipt is not None
    assert good.receipt.id == RECEIPT["id"]
    assert (bad.status, bad.idempotency_key, bad.receipt) == (422, "b", None)
    assert isinstance(bad.error, InvalidMessage)
    assert bad.error.field == "progress"
    assert isinstance(reused.error, KeyReused)


@pytest.mark.parametrize("path", ["notifications", "messages"])
@pytest.mark.parametrize("odd", [5, None, "x", []])
def test_an_item_that_is_no_object_harms_no_other(
    service: SyncNotificationService, router: Router, path: str, odd: object
) -> None:
    router.answers(results({"status": 422, "detail": [{"type": "x", "loc": ["body"], "msg": "no object"}]}, RECEIVED))
    send = service.notify_batch if path == "notifications" else service.send_batch
    bad, good = send([odd, {"type": "system_message", "message": "hello"}])  # type: ignore[list-item]  # on purpose
    (asked,) = router.asked
    assert asked.body["items"][0] == odd
    assert (bad.status, bad.idempotency_key) == (422, "")
    assert (good.status, good.idempotency_key) == (202, asked.body["items"][1]["idempotency_key"])


def test_a_batch_is_retried_with_the_same_keys(service: SyncNotificationService, router: Router) -> None:
    router.answers(Reply(503, {"detail": "no Redis"}), results({"status": 202, **RECEIPT}))
    (result,) = service.notify_batch([{"type": "system_message", "message": "hello"}])
    first, second = router.asked
    assert first.text == second.text
    assert result.idempotency_key == first.body["items"][0]["idempotency_key"]


def test_a_batch_that_was_given_up_can_be_sent_again_as_it_was(
    service: SyncNotificationService, router: Router
) -> None:
    router.answers(Reply(503, {"detail": "no Redis"}, {"Retry-After": "60"}))
    with pytest.raises(Undelivered) as caught:
        service.notify_batch([{"type": "transcode_failed", "video_id": 1, "title": "t", "error": "e"}])
    assert caught.value.idempotency_key is None
    router.answers(results({"status": 202, **RECEIPT}))
    (result,) = service.resend(caught.value.request)
    assert result.status == 202
    first, second = router.asked
    assert json.loads(first.text) == second.body


@pytest.mark.parametrize("count", [0, 1001])
def test_a_batch_has_one_to_a_thousand_items(service: SyncNotificationService, router: Router, count: int) -> None:
    with pytest.raises(InvalidMessage, match="1 to 1,000") as caught:
        service.send_batch([{"audience": "all", "message": {"type": "tick"}}] * count)
    assert caught.value.field == "items"
    assert router.asked == []
