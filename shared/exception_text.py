"""An exception as text for a log: where it came from and what it says, without what it was given.

Python's own rendering shows the message of every exception in the chain as it is. pydantic puts the refused input
into its messages, which is somebody's payload; here it says what kind of fault it was, and no more.
"""

from __future__ import annotations

import traceback
from typing import Final

from pydantic_core import ValidationError

_MESSAGE_MAX: Final = 500  # characters
_CHAIN_MAX: Final = 10
_GROUP_MAX: Final = 5


def exception_text(exc: BaseException) -> str:
    """Return the traceback of an exception and of what led to it, the oldest first."""
    chain: list[BaseException] = []
    following: BaseException | None = exc
    while following is not None and following not in chain and len(chain) < _CHAIN_MAX:
        chain.append(following)
        following = following.__cause__ or (None if following.__suppress_context__ else following.__context__)
    return "\nwhich led to\n".join(_one(each) for each in reversed(chain))


def _one(exc: BaseException) -> str:
    frames = "".join(traceback.format_tb(exc.__traceback__))
    text = f"{frames}{type(exc).__qualname__}: {_message(exc)}"
    if isinstance(exc, BaseExceptionGroup):
        text += "".join(f"\n  · {_one(each)}" for each in exc.exceptions[:_GROUP_MAX])
    return text


def _message(exc: BaseException) -> str:
    if isinstance(exc, ValidationError):
        # Without the location, too: it contains field names that the sender chose.
        kinds = [error["type"] for error in exc.errors(include_url=False, include_context=False, include_input=False)]
        return f"{exc.title}: {', '.join(kinds[:_GROUP_MAX])}"
    try:
        return str(exc)[:_MESSAGE_MAX]
    except Exception as broken:  # somebody's __str__; a log line must not fail for it
        return f"(cannot be shown: {type(broken).__qualname__})"
