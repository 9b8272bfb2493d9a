"""OpenTelemetry's own variables, as far as they concern traces.

The SDK would fall back with a warning where a value is wrong, to tracing everything for example; we do not start.
What is not named here (headers, certificates, compression, time-outs, limits, resource) the SDK reads itself.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Annotated, Final, Literal, Self

from pydantic import BeforeValidator, Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.tracing import Sampling, Tracing

_ALL: Final = 1 << 64
_Word = BeforeValidator(lambda value: value.strip().lower() if isinstance(value, str) else value)
_Url = Annotated[str | None, Field(pattern=r"^https?://[^/]")]
_Protocol = Annotated[Literal["http/protobuf"] | None, _Word]


class TraceSettings(BaseSettings):
    """Names are the variables' in lower case; an empty variable counts as unset."""

    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore")

    otel_sdk_disabled: Annotated[bool, _Word] = False
    otel_traces_exporter: Annotated[Literal["otlp", "none"] | None, _Word] = None
    otel_exporter_otlp_endpoint: _Url = None
    otel_exporter_otlp_traces_endpoint: _Url = None
    otel_exporter_otlp_protocol: _Protocol = None
    otel_exporter_otlp_traces_protocol: _Protocol = None
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

    @model_validator(mode="after")
    def _a_batch_fits_in_the_queue(self) -> Self:
        if self.otel_bsp_max_export_batch_size > self.otel_bsp_max_queue_size:
            raise ValueError("OTEL_BSP_MAX_EXPORT_BATCH_SIZE is larger than OTEL_BSP_MAX_QUEUE_SIZE")
        return self

    @property
    def wanted(self) -> bool:
        """Whether traces are to be sent anywhere: an endpoint is named, or the exporter asked for by name."""
        if self.otel_sdk_disabled or self.otel_traces_exporter == "none":
            return False
        endpoint = self.otel_exporter_otlp_traces_endpoint or self.otel_exporter_otlp_endpoint
        return self.otel_traces_exporter == "otlp" or endpoint is not None

    @property
    def sampling(self) -> Sampling:
        kind = self.otel_traces_sampler.removeprefix("parentbased_")
        ratio = {"always_on": 1.0, "always_off": 0.0}.get(kind, self.otel_traces_sampler_arg)
        return Sampling(round(ratio * _ALL), follows_parent=kind != self.otel_traces_sampler)

    @property
    def hears_callers(self) -> bool:
        """Whether a caller's ``traceparent`` counts; no other propagator is spoken here."""
        return "tracecontext" in (name.strip().lower() for name in self.otel_propagators.split(","))


@asynccontextmanager
async def traced(settings: TraceSettings, resource: Mapping[str, str]) -> AsyncIterator[Tracing | None]:
    """Open the way of traces out of this process, and close it: first on an exit stack, so last to go.

    Gives None where no traces are wanted: then nothing of the SDK is even imported (its 0.2 s and 20 MB are saved).

    Args:
        resource: what is true of every span of this process, unless ``OTEL_RESOURCE_ATTRIBUTES`` knows better.
    """
    if not settings.wanted:
        yield None
        return
    from shared.trace_export import exporting

    async with exporting(settings, resource) as tracing:
        yield tracing
