"""The page ``/docs``: OpenAPI's document, shown by Swagger UI.

FastAPI's own page runs whatever its CDN serves as the newest version. A node's has the origin of the admin page, where
any script could read the token, and into a router's people type keys. So this one names a version, the browser checks
what it gets, and nothing else may run or be loaded.
"""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from typing import Final

from fastapi import FastAPI
from fastapi.responses import HTMLResponse

# A later version: `npm pack swagger-ui-dist@…`, and `openssl dgst -sha384 -binary FILE | base64 -w0` of both files.
_FROM: Final = "https://cdn.jsdelivr.net/npm/swagger-ui-dist@5.35.0/"
_SCRIPT: Final = "sha384-gjRm0bEPMeTmMh5jT2cHccIwCUZSTd8YC+j0d0sXw0MdGEfScduGpSyF3ZSSLkX9"
_STYLE: Final = "sha384-WlYgdmXYOOBWL5apwjDEZwN+U3HmXSSu5R6V5aGxEcf7z+KuRNwBhoxKVN1i3D5I"
_START: Final = 'SwaggerUIBundle({url: "openapi.json", dom_id: "#ui", deepLinking: true, validatorUrl: null})'
_HEADERS: Final = {
    # 'unsafe-inline': Swagger UI writes styles into the page.
    "content-security-policy": f"default-src 'none'; script-src {_FROM} "
    f"'sha256-{b64encode(sha256(_START.encode()).digest()).decode()}'; style-src {_FROM} 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}


def add_api_page(app: FastAPI) -> None:
    """Serve the page. The application is one without FastAPI's own (``docs_url=None, redoc_url=None``)."""
    page = f"""<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{app.title}</title>
<link rel="stylesheet" href="{_FROM}swagger-ui.css" integrity="{_STYLE}" crossorigin="anonymous">
<div id="ui"></div>
<script src="{_FROM}swagger-ui-bundle.js" integrity="{_SCRIPT}" crossorigin="anonymous"></script>
<script>{_START}</script>
</html>
"""

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(page, headers=_HEADERS)
