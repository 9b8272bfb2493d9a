"""Addresses of HTTP services, as settings write them."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator


def _http_address(url: str) -> str:
    """Refuse an address that no HTTP client can use, at start instead of at every call."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and len(url.split()) == 1
    except ValueError:
        usable = False
    if not usable:
        raise ValueError("is not an address such as https://host:port/path")  # not itself: it may hold a password
    return url


HttpAddress = Annotated[str, AfterValidator(_http_address)]
