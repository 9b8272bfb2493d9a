"""The router: the HTTP service that producers call."""

import shared.propagators  # noqa: F401  # before FastAPI
