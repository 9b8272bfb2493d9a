"""Origins of browsers, as settings write them: each exactly as a browser writes it, for it is compared as text."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
ANY: Final = "*"


def checked_origins(origins: list[str]) -> list[str]:
    """Return the origins; raises ``ValueError`` for what no browser sends: it would let nobody in, without a word."""
    for origin in origins:
        if origin != ANY and origin != _as_a_browser_writes(origin):
            raise ValueError(
                f"{origin!r} is not an origin as browsers send it, such as https://admin.example.com: scheme and host "
                "in lower case (of other scripts in punycode), a port if it is not the scheme's own, and no path, "
                "final /, user or *"
            )
    return origins


def _as_a_browser_writes(origin: str) -> str | None:
    """Return the ASCII serialization of an origin (RFC 6454, section 6.2); None for what is none at all."""
    try:
        parts = urlsplit(origin)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if not parts.scheme or not host or not host.isascii() or ANY in host or any(map(str.isspace, host)):
        return None
    shown = "" if port is None or port == _DEFAULT_PORTS.get(parts.scheme) else f":{port}"
    return f"{parts.scheme}://[{host}]{shown}" if ":" in host else f"{parts.scheme}://{host}{shown}"
