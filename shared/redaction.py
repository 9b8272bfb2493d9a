"""Removes tokens and passwords from text: the last line of defence, whatever wrote them there.

None of our own lines contains a token. But uvicorn logs whole paths, libraries quote input that they fail on, and
exceptions contain their arguments. So every line passes through here: what looks like a credential is removed, and so
are the known secrets of this process.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from pydantic_core import to_json

HIDDEN: Final = "***"
_PATTERNS: Final = (
    (re.compile(r"(?i)\b(token|access_token|jwt)=[^&\s\"']+"), r"\1=***"),
    (re.compile(r"(?i)\bbearer[ ,]+[A-Za-z0-9._~+/=-]{8,}"), "bearer ***"),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]*\.?[A-Za-z0-9_-]*"), HIDDEN),
    (re.compile(r"(rediss?|unix|https?)://[^/\s]*@"), r"\1://***@"),
)
# None of the patterns can match without one of these, in whatever case: most lines are done after looking for them.
_SIGNS: Final = ("token=", "jwt=", "bearer", "eyj", "@")
_SECRET_MIN_LENGTH: Final = 8  # a shorter one would take harmless words out


def redact(text: str) -> str:
    """Return the text without what looks like a token or a password."""
    if not _has_sign(text):
        return text
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def _has_sign(text: str) -> bool:
    lower = text.lower()
    return any(sign in lower for sign in _SIGNS)


class Redactor:
    """Takes out what looks like a credential, and the secrets that it was told.

    Args:
        secrets: texts that must never be shown; those under eight characters are ignored.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = sorted({s for s in secrets if len(s) >= _SECRET_MIN_LENGTH}, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, known))) if known else None
        self._signs = {*known, *(to_json(each).decode()[1:-1] for each in known)}  # and as they stand in JSON

    def suspects(self, text: str) -> bool:
        """Whether there may be anything to take out, of a text or of the JSON that it stands in."""
        return _has_sign(text) or any(secret in text for secret in self._signs)

    def text(self, text: str) -> str:
        if self._known is not None:
            text = self._known.sub(HIDDEN, text)
        return redact(text)

    def value(self, value: Any) -> Any:
        """Return a field's value with every text in it redacted; what is no plain JSON becomes text."""
        if isinstance(value, str):
            return self.text(value)
        if value is None or isinstance(value, int | float):
            return value
        if isinstance(value, dict):
            return {self.text(str(name)): self.value(each) for name, each in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self.value(each) for each in value]
        return self.text(str(value))
