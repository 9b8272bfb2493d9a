"""From a client's messages to what the ledger judges: who sent each, and what progress they showed."""

from __future__ import annotations

from typing import Any

from tests.faults.ledger import Heard, Mark, Shown
from tests.support.viewer import Viewer

Message = dict[str, Any]


def mark_of(message: Message) -> Mark:
    """Read off an event who sent it, and as its how-manieth."""
    match message["type"]:
        case "numbered":
            return Mark(message["producer"], message["n"])
        case "system_message":
            producer, _, serial = message["message"].partition("#")
            return Mark(producer, int(serial))
        case _:
            return end_of_video(message["video_id"])


def end_of_video(video: int) -> Mark:
    return Mark(f"video-{video}", 1)  # each ends once, and in no order among others


def heard_by(viewer: Viewer) -> list[Heard]:
    """Return the events that a client received, in order."""
    events = (received for received in viewer.received if "id" in received.message)
    return [Heard(received.message["id"], mark_of(received.message), received.at) for received in events]


def shown_to(viewer: Viewer) -> list[Shown]:
    """Return what a client saw of transcodes, in order."""
    messages = [received.message for received in viewer.received if received.message["type"].startswith("transcode_")]
    return [Shown(message["video_id"], message.get("progress")) for message in messages]
