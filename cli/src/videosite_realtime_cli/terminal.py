"""What may reach a terminal, and the consoles that write to it."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from io import TextIOWrapper

from rich.console import Console


class _Output(Console):
    """A console whose reader may leave (`… tail | head -1`): that is no failure, as it is to rich itself."""

    def on_broken_pipe(self) -> None:
        self.quiet = True  # or what is still printed on the way out would break the pipe again
        raise  # noqa: PLE0704  # rich calls this while it handles the error


def output() -> Console:
    """Return the console for what was asked for; numbers and words keep their colour, markup is text.

    Its prints raise ``BrokenPipeError`` once nobody reads them any more.
    """
    return _Output(highlight=False, markup=False, emoji=False)


def errors() -> Console:
    return Console(stderr=True, highlight=False, markup=False, emoji=False)


def survive_any_text(streams: Iterable[object]) -> None:
    """Let streams escape what their encoding lacks: no message ends a view because a terminal cannot show it."""
    for stream in streams:
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def counted(number: object, noun: str) -> str:
    """Return ``1 node``, ``2 nodes``, and ``– nodes`` for what is no number."""
    known = isinstance(number, int) and not isinstance(number, bool)
    return f"{number if known else '–'} {noun}{'' if known and number == 1 else 's'}"


def legible(text: str) -> str:
    """Return the text with control and format characters made visible.

    A message is somebody else's text: an escape sequence in it would move our cursor, a newline would fake a line,
    a right-to-left override would turn the rest around.
    """
    return "".join(char if _harmless(char) else _escaped(char) for char in text)


def _harmless(char: str) -> bool:
    # Joiners are format characters too, and part of writing: of emoji, Persian, Hindi.
    return unicodedata.category(char) not in {"Cc", "Cf", "Cs", "Zl", "Zp"} or char in "\u200c\u200d"


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode()
