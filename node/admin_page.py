"""Serves the built admin page: every file from memory, compressed, with headers for browsers' caches.

All files are read and compressed at start, so that the event loop is free for clients; they are two megabytes at most.
"""

from __future__ import annotations

import gzip
import mimetypes
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Final

from starlette.responses import PlainTextResponse, Response

from shared.asgi import Receive, Scope, Send
from shared.errors import SettingsError
from shared.headers import by_name

BUILT: Final = Path(__file__).parents[1] / "admin-frontend" / "dist"
_INDEX: Final = "/index.html"
_NAMED_BY_CONTENT: Final = "/assets/"
_LEFT_OUT: Final = frozenset({".map"})
_COMPRESSIBLE: Final = ("text/", "application/json", "image/svg+xml")
_HEADERS: Final = {
    # 'unsafe-inline': Ant Design writes its styles into the page. ws:, wss: and so on: the page may be built to
    # connect to another server.
    "content-security-policy": "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self' ws: wss: http: https:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "vary": "accept-encoding",
}


@dataclass(frozen=True, slots=True)
class _File:
    plain: bytes
    compressed: bytes | None
    headers: dict[str, str]


class AdminPage:
    """Serves the page's files; an ASGI application.

    Args:
        directory: what ``npm run build`` has written.

    Raises:
        SettingsError: there is no page in it.
    """

    def __init__(self, directory: Path) -> None:
        if not (directory / "index.html").is_file():
            raise SettingsError(f"ADMIN_PAGE_DIR: no index.html in {directory}")
        paths = (path for path in directory.rglob("*") if path.is_file() and path.suffix not in _LEFT_OUT)
        named = ((f"/{path.relative_to(directory).as_posix()}", path) for path in paths)
        self._files = {name: _read(name, path) for name, path in named}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._answer(scope)(scope, receive, send)

    def _answer(self, scope: Scope) -> Response:
        name = scope["path"]
        file = self._files.get(_INDEX if name == "/" else name)
        if file is None:
            return PlainTextResponse("not found\n", 404)
        if scope["method"] not in {"GET", "HEAD"}:
            return PlainTextResponse("method not allowed\n", 405, {"allow": "GET, HEAD"})
        asked = by_name(scope["headers"])
        if asked.get(b"if-none-match", b"").decode("latin-1") == file.headers["etag"]:
            return Response(status_code=304, headers=file.headers)
        if file.compressed is not None and b"gzip" in asked.get(b"accept-encoding", b""):
            return Response(file.compressed, headers={**file.headers, "content-encoding": "gzip"})
        return Response(file.plain, headers=file.headers)


def _read(name: str, path: Path) -> _File:
    content = path.read_bytes()
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    named_by_content = name.startswith(_NAMED_BY_CONTENT)
    headers = {
        **_HEADERS,
        "content-type": f"{kind}; charset=utf-8" if kind.startswith("text/") else kind,
        "cache-control": "public, max-age=31536000, immutable" if named_by_content else "no-cache",
        "etag": f'"{blake2b(content, digest_size=12).hexdigest()}"',
    }
    compressible = kind.startswith(_COMPRESSIBLE)
    return _File(content, gzip.compress(content, 6, mtime=0) if compressible else None, headers)


async def not_built(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer where the page would be; an ASGI application."""
    text = "the admin page is not built here: make page, or ADMIN_PAGE_DIR\n" if scope["path"] == "/" else "not found\n"
    await PlainTextResponse(text, 404)(scope, receive, send)
