"""JSON that our reader does not take, read loosely: to see what was meant, never to publish it.

JSON leaves it to its readers what they take (RFC 8259, sections 6, 8.2 and 9), and ours takes no integer of more than
4,300 digits, no half of a surrogate pair, and nothing that is nested too deep. Nor is ``NaN`` JSON, though Python
writes it, nor text in another encoding. With all of these it is still clear where a value ends.
"""

from __future__ import annotations

import re
from json import JSONDecoder
from typing import Any, Final

_DECODER: Final = JSONDecoder(parse_int=str, parse_float=str)  # as text: no number is too long
_SPACE: Final = r"[ \t\n\r]*"
_BEGIN: Final = re.compile(rf'{_SPACE}\{{{_SPACE}"items"{_SPACE}:{_SPACE}\[{_SPACE}')
_NEXT: Final = re.compile(rf"{_SPACE},{_SPACE}")
_END: Final = re.compile(rf"{_SPACE}\]{_SPACE}\}}{_SPACE}")


def loosely(body: bytes) -> Any:
    """Return what a body says, its numbers as text; None if it says nothing."""
    try:
        return _DECODER.decode(_text(body))
    except (ValueError, RecursionError):
        return None


def items_apart(body: bytes, most: int) -> list[bytes] | None:
    """Return a batch's items as they are written; None if it is not clear where each ends.

    Args:
        most: so many are enough; those behind them are not looked at, for a MiB of tiny ones takes a second.
    """
    text = _text(body)
    items: list[bytes] = []
    before = _BEGIN.match(text)
    while before is not None:
        begin = before.end()
        try:
            _, end = _DECODER.raw_decode(text, begin)
        except (ValueError, RecursionError):
            return None
        items.append(text[begin:end].encode(errors="surrogateescape"))
        if len(items) == most or _END.fullmatch(text, end):
            return items
        before = _NEXT.match(text, end)
    return None


def _text(body: bytes) -> str:
    return body.decode(errors="surrogateescape")  # gives the very same bytes again
