"""Reading a server's frames with the ``websockets`` library, which knows nothing of ours."""

from __future__ import annotations

from websockets.frames import Frame
from websockets.streams import StreamReader


def server_frames(data: bytes) -> list[Frame]:
    """Return the whole frames in ``data``; fail if something is left over."""
    reader = StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    found: list[Frame] = []
    while not _at_end(reader):
        parser = Frame.parse(reader.read_exact, mask=False, max_size=None)
        try:
            next(parser)
        except StopIteration as stop:
            found.append(stop.value)
    return found


def _at_end(reader: StreamReader) -> bool:
    try:
        next(reader.at_eof())
    except StopIteration as stop:
        return bool(stop.value)
    raise AssertionError("the reader waits for more")
