"""From OTLP's messages to spans."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from typing import Any

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1 import trace_pb2

from videosite_realtime_cli.traces.span import KINDS, STATUSES, Event, Link, Span

BODY_MAX = 16 * 1024 * 1024  # bytes, unpacked


class Undecodable(ValueError):
    """Bytes that are no export request of OTLP."""


def unpacked(body: bytes, encoding: str) -> bytes:
    """Return a body without its content encoding.

    Raises:
        Undecodable: it is not what the encoding says, or too large.
    """
    if encoding in ("", "identity"):
        return body
    if encoding not in ("gzip", "deflate"):
        raise Undecodable(f"content-encoding {encoding!r} is not known here")
    inflate = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
    try:
        plain = inflate.decompress(body, BODY_MAX)
    except zlib.error as error:
        raise Undecodable(f"not {encoding}: {error}") from error
    if inflate.unconsumed_tail:
        raise Undecodable(f"more than {BODY_MAX} bytes")
    return plain


def spans_of(body: bytes) -> list[Span]:
    """Return the spans of an export request; those without proper ids are left out.

    Raises:
        Undecodable: it is none.
    """
    try:
        request = ExportTraceServiceRequest.FromString(body)
    except DecodeError as error:
        raise Undecodable(f"not an ExportTraceServiceRequest: {error}") from error
    return list(_spans(request))


def _spans(request: ExportTraceServiceRequest) -> Iterator[Span]:
    for resource_spans in request.resource_spans:
        resource = _attributes(resource_spans.resource.attributes)
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                if len(span.trace_id) == 16 and len(span.span_id) == 8:
                    yield _span(span, resource)


def _span(span: trace_pb2.Span, resource: dict[str, Any]) -> Span:
    return Span(
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        name=span.name,
        kind=KINDS[span.kind] if 0 <= span.kind < len(KINDS) else KINDS[0],
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano,
        service=str(resource.get("service.name", "")),
        instance=str(resource.get("service.instance.id", "")),
        status=STATUSES[span.status.code] if 0 <= span.status.code < len(STATUSES) else STATUSES[0],
        attributes=_attributes(span.attributes),
        events=tuple(Event(e.name, e.time_unix_nano, _attributes(e.attributes)) for e in span.events),
        links=tuple(Link(link.trace_id.hex(), link.span_id.hex()) for link in span.links),
    )


def _attributes(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Any:
    match value.WhichOneof("value"):
        case None:
            return None
        case "array_value":
            return [_value(each) for each in value.array_value.values]
        case "kvlist_value":
            return _attributes(value.kvlist_value.values)
        case "bytes_value":
            return value.bytes_value.hex()
        case str(kind):
            return getattr(value, kind)
