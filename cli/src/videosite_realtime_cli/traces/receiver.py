"""``python -m videosite_realtime_cli.traces.receiver PORT``: an OTLP/HTTP endpoint on loopback, with a memory.

POST /v1/traces          an ExportTraceServiceRequest in protobuf, gzip if it likes
GET  /traces?limit=20    the newest traces, whole
GET  /traces/{id}        those whose id begins so, two hex digits at least
GET  /readyz

For looking at a local cluster. It is neither a collector nor a place to keep anything.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict

import uvicorn
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from videosite_realtime_cli.traces.decode import BODY_MAX, Undecodable, spans_of, unpacked
from videosite_realtime_cli.traces.span import Span
from videosite_realtime_cli.traces.store import Store

PROTOBUF = "application/x-protobuf"
LIMIT_MAX = 2000
_LEAST_ID = 2


def create_app(store: Store) -> Starlette:
    async def export(request: Request) -> Response:
        if request.headers.get("content-type", "").partition(";")[0].strip() != PROTOBUF:
            return PlainTextResponse(f"only {PROTOBUF} is understood\n", 415)
        body = await _bounded(request)
        if body is None:
            return PlainTextResponse(f"more than {BODY_MAX} bytes\n", 413)
        try:
            store.add(spans_of(unpacked(body, request.headers.get("content-encoding", ""))))
        except Undecodable as error:
            return PlainTextResponse(f"{error}\n", 400)
        return Response(ExportTraceServiceResponse().SerializeToString(), media_type=PROTOBUF)

    async def newest(request: Request) -> Response:
        limit = request.query_params.get("limit", "20")
        if not limit.isdecimal():
            return PlainTextResponse("limit is no number\n", 422)
        found = [spans for spans, _ in zip(store.newest(), range(min(int(limit), LIMIT_MAX)), strict=False)]
        return _traces(found)

    async def one(request: Request) -> Response:
        beginning = request.path_params["id"].lower()
        return _traces(store.find(beginning) if len(beginning) >= _LEAST_ID else [])

    async def readyz(_: Request) -> Response:
        return PlainTextResponse("ready\n")

    return Starlette(
        routes=[
            Route("/v1/traces", export, methods=["POST"]),
            Route("/traces", newest),
            Route("/traces/{id}", one),
            Route("/readyz", readyz),
        ]
    )


async def _bounded(request: Request) -> bytes | None:
    """Return the body; None if it is larger than any export should be."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_MAX:
            return None
    return bytes(body)


def _traces(traces: Sequence[Sequence[Span]]) -> Response:
    return JSONResponse({"traces": [[asdict(span) for span in spans] for spans in traces]})


def main(arguments: Sequence[str]) -> int:
    if len(arguments) != 1 or not arguments[0].isdecimal():
        print("usage: python -m videosite_realtime_cli.traces.receiver PORT", file=sys.stderr)
        return 2
    uvicorn.run(create_app(Store()), host="127.0.0.1", port=int(arguments[0]), log_level="warning", access_log=False)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
