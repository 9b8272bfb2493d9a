"""OpenTelemetry's own variables, for traces and metrics alike.

With a wrong value the SDK would go on with a default (tracing everything, for example), raise from an import, or quote
a header with its key in a log. We refuse to start instead. Variables that only the SDK uses are declared here to be
validated; those that are not declared here (certificates, resource) are left to the SDK.
"""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal, Self
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.tracing import Sampling

_ALL: Final = 1 << 64
_DEFAULT_ENDPOINT: Final = "http://localhost:4318"  # the specification's
_Word = BeforeValidator(lambda value: value.strip().lower() if isinstance(value, str) else value)
_HEADER: Final = re.compile(r"\s*[!#$%&'*+.^_`|~0-9A-Za-z-]+\s*=[\x20-\x7e]*")


def _whole_url(value: str | None) -> str | None:
    try:
        parts = urlsplit(value or "")
        _ = parts.port  # read when it is asked for
    except ValueError as exc:
        raise ValueError(f"is no URL: {exc}") from exc
    return value


def _sendable(headers: object) -> object:
    """Refuse headers that could not be sent, without quoting any of them: they are credentials."""
    for number, header in enumerate(headers.split(",") if isinstance(headers, str) else (), start=1):
        if not header.strip():
            continue
        if not _HEADER.fullmatch(header.rstrip()):
            raise ValueError(f"header {number} is not name=value, with a value in ASCII or percent-encoded")
        value = unquote(header.partition("=")[2].strip()).strip()
        if not value.isprintable() or max(value, default="") > "\xff":
            raise ValueError(f"header {number} has a character in its value that no header may have")
    return headers


_Url = Annotated[str | None, Field(pattern=r"^https?://[^/]"), AfterValidator(_whole_url)]
_Headers = Annotated[SecretStr | None, BeforeValidator(_sendable)]
_Compression = Annotated[Literal["none", "gzip", "deflate"] | None, _Word]
_Seconds = Annotated[float | None, Field(gt=0)]
_Limit = Annotated[int | None, Field(ge=0), BeforeValidator(lambda value: None if value == "unset" else value)]
_Protocol = Annotated[Literal["http/protobuf"] | None, _Word]
_Exporter = Annotated[Literal["otlp", "none"] | None, _Word]


class OtelSettings(BaseSettings):
    """Names are the variables' in lower case; an empty variable counts as unset."""

    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore")

    otel_sdk_disabled: Annotated[bool, _Word] = False
    otel_traces_exporter: _Exporter = None
    otel_metrics_exporter: _Exporter = None
    otel_exporter_otlp_endpoint: _Url = None
    otel_exporter_otlp_traces_endpoint: _Url = None
    otel_exporter_otlp_metrics_endpoint: _Url = None
    otel_exporter_otlp_protocol: _Protocol = None
    otel_exporter_otlp_traces_protocol: _Protocol = None
    otel_exporter_otlp_metrics_protocol: _Protocol = None
    otel_traces_sampler: Annotated[
        Literal[
            "always_on",
            "always_off",
            "traceidratio",
            "parentbased_always_on",
            "parentbased_always_off",
            "parentbased_traceidratio",
        ],
        _Word,
    ] = "parentbased_always_on"
    otel_traces_sampler_arg: float = Field(1.0, ge=0, le=1)
    otel_propagators: str = "tracecontext,baggage"
    otel_bsp_schedule_delay: int = Field(5000, ge=1)  # ms
    otel_bsp_max_queue_size: int = Field(2048, ge=1)
    otel_bsp_max_export_batch_size: int = Field(512, ge=1)
    otel_metric_export_interval: int = Field(60_000, ge=1)  # ms

    # Read by the SDK.
    otel_exporter_otlp_headers: _Headers = None
    otel_exporter_otlp_traces_headers: _Headers = None
    otel_exporter_otlp_metrics_headers: _Headers = None
    otel_exporter_otlp_timeout: _Seconds = None
    otel_exporter_otlp_traces_timeout: _Seconds = None
    otel_exporter_otlp_metrics_timeout: _Seconds = None
    otel_exporter_otlp_compression: _Compression = None
    otel_exporter_otlp_traces_compression: _Compression = None
    otel_exporter_otlp_metrics_compression: _Compression = None
    otel_attribute_count_limit: _Limit = None
    otel_attribute_value_length_limit: _Limit = None
    otel_span_attribute_count_limit: _Limit = None
    otel_span_attribute_value_length_limit: _Limit = None
    otel_span_event_count_limit: _Limit = None
    otel_span_link_count_limit: _Limit = None
    otel_event_attribute_count_limit: _Limit = None
    otel_link_attribute_count_limit: _Limit = None

    @model_validator(mode="after")
    def _a_batch_fits_in_the_queue(self) -> Self:
        if self.otel_bsp_max_export_batch_size > self.otel_bsp_max_queue_size:
            raise ValueError("OTEL_BSP_MAX_EXPORT_BATCH_SIZE is larger than OTEL_BSP_MAX_QUEUE_SIZE")
        return self

    @property
    def traces_to(self) -> str | None:
        """The endpoint of traces; None if none are to be sent."""
        return self._endpoint(self.otel_traces_exporter, self.otel_exporter_otlp_traces_endpoint)

    @property
    def metrics_to(self) -> str | None:
        """The endpoint of metrics; None if none are to be sent."""
        return self._endpoint(self.otel_metrics_exporter, self.otel_exporter_otlp_metrics_endpoint)

    def _endpoint(self, exporter: str | None, own: str | None) -> str | None:
        """Return where something goes: to a named endpoint, or to the default one if it was asked for by name."""
        if self.otel_sdk_disabled or exporter == "none":
            return None
        return own or self.otel_exporter_otlp_endpoint or (_DEFAULT_ENDPOINT if exporter == "otlp" else None)

    @property
    def sampling(self) -> Sampling:
        kind = self.otel_traces_sampler.removeprefix("parentbased_")
        ratio = {"always_on": 1.0, "always_off": 0.0}.get(kind, self.otel_traces_sampler_arg)
        return Sampling(round(ratio * _ALL), follows_parent=kind != self.otel_traces_sampler)

    @property
    def hears_callers(self) -> bool:
        """Whether a caller's ``traceparent`` counts; no other propagator is spoken here."""
        return "tracecontext" in (name.strip().lower() for name in self.otel_propagators.split(","))
