"""What the commands ask of the local receiver."""

from __future__ import annotations

from types import TracebackType
from typing import Self

import httpx

from videosite_realtime_cli.errors import Unreachable, reason
from videosite_realtime_cli.settings import is_loopback
from videosite_realtime_cli.traces.span import Span, from_json

Trace = list[Span]


class Archive:
    """The receiver of a local cluster; a context manager. All calls raise ``Unreachable``."""

    def __init__(self, url: str, transport: httpx.BaseTransport | None = None) -> None:
        self._url = url
        self._http = httpx.Client(base_url=url, timeout=10.0, trust_env=not is_loopback(url), transport=transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self._http.close()

    def newest(self, limit: int) -> list[Trace]:
        """Return the newest traces, those with the latest news first."""
        return self._ask("/traces", {"limit": str(limit)})

    def find(self, beginning: str) -> list[Trace]:
        """Return the traces whose id begins so."""
        return self._ask(f"/traces/{beginning}", {})

    def _ask(self, path: str, query: dict[str, str]) -> list[Trace]:
        try:
            answer = self._http.get(path, params=query)
            answer.raise_for_status()
            return [[from_json(span) for span in trace] for trace in answer.json()["traces"]]
        except httpx.HTTPStatusError as error:
            raise Unreachable(f"what answers at {self._url} is no receiver of ours: {error}") from error
        except httpx.HTTPError as error:
            raise Unreachable(f"the receiver of traces at {self._url} does not answer: {reason(error)}") from error
        except (ValueError, LookupError, TypeError) as error:
            raise Unreachable(f"what answers at {self._url} is no receiver of ours") from error
