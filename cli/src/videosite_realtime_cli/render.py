"""Messages as lines of a terminal: time, what it is, and the fields that tell.

10:30:00  progress   video 123  ━━━━━━━━━───────────  45 %  已完成720p转码 (2/3)
10:35:00  complete   video 123  示例视频  av1, 1.0 GB
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import datetime
from typing import TextIO

from rich.console import Console
from rich.filesize import decimal
from rich.text import Text

from videosite_realtime_cli.client import Frame, Message
from videosite_realtime_cli.terminal import counted, legible

BAR_WIDTH = 20
_LEVELS = {"info": "blue", "success": "green", "warning": "yellow", "error": "bold red"}
_FRAME_WORK = ("type", "timestamp", "id")

Body = Callable[[Message], Text]


def line(frame: Frame, arrived: datetime) -> Text:
    """Return a frame as one line; a message's own time comes before its arrival's."""
    message = frame.message
    if not isinstance(message.get("type"), str):
        return _line(arrived, "frame", "red", Text(legible(frame.text)))
    label, colour, body = _KINDS.get(message["type"], (legible(message["type"]), "magenta", _custom))
    if message["type"] == "system_message":
        colour = _LEVELS.get(str(message.get("level")), colour)
    return _line(_sent(message) or arrived, label, colour, body(message))


def notice(text: str, now: datetime) -> Text:
    """Return what happens to the connection itself as a line."""
    return _line(now, "·", "dim", Text(legible(text), style="dim"))


class Lines:
    """Shows frames and notices to a person, a line each."""

    def __init__(self, console: Console, *, crop: bool = False) -> None:
        self._console, self._crop = console, crop

    def frame(self, frame: Frame) -> None:
        self._print(line(frame, datetime.now().astimezone()))

    def notice(self, text: str) -> None:
        self._print(notice(text, datetime.now().astimezone()))

    def _print(self, text: Text) -> None:
        if self._crop:
            self._console.print(text, no_wrap=True, overflow="ellipsis", crop=True)
        else:
            self._console.print(text, soft_wrap=True)


class Raw:
    """Writes the frames' JSON, one per line, each flushed; notices go to the error console."""

    def __init__(self, errors: Console, output: TextIO | None = None) -> None:
        self._output, self._errors = output or sys.stdout, errors

    def frame(self, frame: Frame) -> None:
        # JSON may be laid out over several lines; a reader of lines needs it on one.
        text = json.dumps(frame.message, ensure_ascii=False) if "\n" in frame.text else frame.text
        if not _fits(text, self._output):
            text = json.dumps(frame.message)  # escaped as JSON has it, and not as the stream would
        self._output.write(text + "\n")
        self._output.flush()

    def notice(self, text: str) -> None:
        self._errors.print(notice(text, datetime.now().astimezone()), soft_wrap=True)


def _fits(text: str, output: TextIO) -> bool:
    try:
        text.encode(output.encoding or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def bar(percent: float, width: int = BAR_WIDTH) -> Text:
    full = round(max(0.0, min(100.0, percent)) / 100 * width)
    return Text.assemble(("━" * full, "cyan"), ("─" * (width - full), "dim"))


def _line(when: datetime, label: str, colour: str, body: Text) -> Text:
    return Text.assemble((f"{when:%H:%M:%S}", "dim"), "  ", (f"{label:<9}", colour), "  ", body)


def _progress(message: Message) -> Text:
    progress = message.get("progress")
    percent = float(progress) if isinstance(progress, (int, float)) else 0.0
    status = _word(message, "status")
    return _joined(
        _video(message),
        bar(percent).append(f" {percent:3.0f} %", "cyan"),
        Text("" if status == "processing" else status, "bold"),
        Text(_word(message, "message")),
    )


def _complete(message: Message) -> Text:
    size = message.get("file_size")
    facts = [_word(message, "format_type"), decimal(size) if isinstance(size, int) else ""]
    return _joined(_video(message), Text(_word(message, "title")), Text(", ".join(filter(None, facts)), "dim"))


def _failed(message: Message) -> Text:
    return _joined(_video(message), Text(_word(message, "title")), Text(_word(message, "error"), "red"))


def _system(message: Message) -> Text:
    return Text(_word(message, "message"))


def _connected(message: Message) -> Text:
    recovered = {True: "everything missed follows", False: "history no longer reaches back: fetch anew"}
    stats = message.get("connection_stats")
    counts = ""
    if isinstance(stats, dict):
        users, connections = stats.get("total_users"), stats.get("total_connections")
        counts = f"{counted(users, 'user')} on {counted(connections, 'connection')}"
    outcome = recovered.get(message["recovered"], "") if isinstance(message.get("recovered"), bool) else ""
    return _joined(Text(_word(message, "message")), Text(counts, "dim"), Text(outcome, "dim"))


def _resync(message: Message) -> Text:
    return Text("events were lost for good: fetch state and inbox anew")


def _reconnect(message: Message) -> Text:
    wait = message.get("retry_after_ms")
    return Text(f"the node is leaving; it asks for a new connection after {legible(str(wait))} ms")


def _custom(message: Message) -> Text:
    """Show whatever else a message says: its fields, in its order."""
    fields = ((name, value) for name, value in message.items() if name not in _FRAME_WORK)
    parts = [
        Text.assemble((f"{legible(str(name))}=", "dim"), legible(value if isinstance(value, str) else _json(value)))
        for name, value in fields
    ]
    return _joined(*parts)


_KINDS: dict[str, tuple[str, str, Body]] = {
    "transcode_progress": ("progress", "cyan", _progress),
    "transcode_complete": ("complete", "green", _complete),
    "transcode_failed": ("failed", "red", _failed),
    "system_message": ("system", "blue", _system),
    "connected": ("connected", "green", _connected),
    "resync": ("resync", "yellow", _resync),
    "reconnect": ("reconnect", "yellow", _reconnect),
    "error": ("error", "red", _custom),
    "stats": ("stats", "dim", _custom),
}


def _video(message: Message) -> Text:
    return Text(f"video {legible(str(message.get('video_id', '?')))}", "bold")


def _word(message: Message, name: str) -> str:
    value = message.get(name, "")
    return legible(value if isinstance(value, str) else _json(value))


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _joined(*parts: Text) -> Text:
    return Text("  ").join(part for part in parts if part.plain)


def _sent(message: Message) -> datetime | None:
    try:
        return datetime.fromisoformat(message["timestamp"]).astimezone()
    except (KeyError, TypeError, ValueError, OverflowError, OSError):
        return None
