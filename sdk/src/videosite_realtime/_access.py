"""Where the router is, and the key it knows us by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import httpx

from videosite_realtime.errors import ConfigurationError

URL_VARIABLE: Final = "ROUTER_URL"
KEY_VARIABLE: Final = "ROUTER_API_KEY"


@dataclass(frozen=True, slots=True)
class RouterAccess:
    """Where requests go and what proves who sends them.

    Attributes:
        url: without a slash at its end, for example ``http://router:8001``.
    """

    url: str
    api_key: str = field(repr=False)

    @classmethod
    def find(cls, url: str | None, api_key: str | None, environ: Mapping[str, str]) -> RouterAccess:
        """Take what was given, and the rest from the environment.

        Raises:
            ConfigurationError: names the variable.
        """
        return cls(
            _checked_url(_given(url, URL_VARIABLE, environ)),
            _checked_key(_given(api_key, KEY_VARIABLE, environ)),
        )


def _given(value: str | None, variable: str, environ: Mapping[str, str]) -> str:
    # Stripped: a key from a mounted file or a secret often ends with a newline.
    text = (value if value is not None else environ.get(variable, "")).strip()
    if not text:
        raise ConfigurationError(variable, "is not set: export it, or use NotificationService(router_url, api_key)")
    return text


def _checked_url(text: str) -> str:
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL as exc:
        raise ConfigurationError(URL_VARIABLE, f"is not a URL: {exc}") from exc
    if url.scheme not in ("http", "https") or not url.host:
        raise ConfigurationError(URL_VARIABLE, f"is not like http://router:8001: {text!r}")
    return str(url).rstrip("/")


def _checked_key(text: str) -> str:
    if not (text.isascii() and text.isprintable()):
        raise ConfigurationError(KEY_VARIABLE, "has characters that no HTTP header can carry")
    return text
