"""Which requests are sampled, held to what OpenTelemetry's own samplers decide; and its variables."""

from __future__ import annotations

import random

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.semconv._incubating.attributes import messaging_attributes
from opentelemetry.semconv.attributes import error_attributes, http_attributes, url_attributes

from shared import spans
from shared.errors import SettingsError
from shared.otel_settings import OtelSettings
from shared.settings import read_settings
from shared.tracing import Sampling, context_of, is_sampled, traceparent_of
from tests.shared.tracers import tracing_of

SAMPLERS = ("always_on", "always_off", "traceidratio")
HEADER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0{}"


@pytest.fixture(autouse=True)
def _no_variables_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in OtelSettings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.mark.parametrize("parent", ["", "parentbased_"])
@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("ratio", ["0", "0.01", "0.5", "1"])
@pytest.mark.parametrize("flag", ["0", "1", "2", "3", None])
def test_the_decision_is_the_sdks(
    exporter: InMemorySpanExporter,
    monkeypatch: pytest.MonkeyPatch,
    sampler: str,
    parent: str,
    ratio: str,
    flag: str | None,
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", parent + sampler)
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", ratio)
    theirs = TracerProvider(shutdown_on_exit=False).sampler
    ours = read_settings(OtelSettings).sampling
    tracing = tracing_of(exporter, ours)
    for _ in range(50):
        trace_id = random.getrandbits(128) or 1
        if flag is None:
            decision = theirs.should_sample(None, trace_id, "x").decision.is_sampled()
            assert ours.chooses(trace_id) == decision
            continue
        header = f"00-{trace_id:032x}-00f067aa0ba902b7-0{flag}"
        context = trace.set_span_in_context(trace.NonRecordingSpan(context_of(header)))
        decision = theirs.should_sample(context, trace_id, "x").decision.is_sampled()
        span = tracing.begin("x", trace.SpanKind.SERVER, header)
        assert (span is not None) == decision
        if span is not None:
            assert is_sampled(traceparent_of(span))
            assert span.get_span_context().trace_id == trace_id


def test_a_trace_that_begins_here_bears_the_id_by_which_it_was_chosen(exporter: InMemorySpanExporter) -> None:
    sampling = Sampling(1 << 60, follows_parent=True)  # a sixteenth
    tracing = tracing_of(exporter, sampling)
    begun = [tracing.begin("x", trace.SpanKind.SERVER) for _ in range(2000)]
    found = [span.get_span_context() for span in begun if span is not None]
    assert 60 < len(found) < 220
    assert all(sampling.chooses(context.trace_id) and context.trace_flags.sampled for context in found)


@pytest.mark.parametrize("bound", [0, 1 << 40, 1 << 63])
def test_what_is_not_sampled_bears_an_id_that_would_not_be(exporter: InMemorySpanExporter, bound: int) -> None:
    sampling = Sampling(bound, follows_parent=True)
    tracing = tracing_of(exporter, sampling)
    entered = [tracing.enter("x", trace.SpanKind.SERVER) for _ in range(200)]
    unsampled = [each for each in entered if isinstance(each, str)]
    assert len(unsampled) > 50
    for passed_on in unsampled:
        assert context_of(passed_on).is_valid
        assert not is_sampled(passed_on)
        assert not sampling.chooses(context_of(passed_on).trace_id)


def test_a_callers_trace_that_is_not_sampled_here_goes_on_unsampled(exporter: InMemorySpanExporter) -> None:
    tracing = tracing_of(exporter, Sampling(0, follows_parent=False))
    assert tracing.begin("x", trace.SpanKind.SERVER, HEADER.format(1)) is None
    assert tracing.enter("x", trace.SpanKind.SERVER, HEADER.format(1)) == HEADER.format("0")
    assert tracing.enter("x", trace.SpanKind.SERVER, HEADER.format(0)) == HEADER.format("0")


@pytest.mark.parametrize(
    "header", ["", "nonsense", HEADER.format(1)[:-1], HEADER.format("x"), "ff" + HEADER.format(1)[2:]]
)
def test_a_malformed_header_counts_as_none(exporter: InMemorySpanExporter, header: str) -> None:
    span = tracing_of(exporter, Sampling(1 << 64, follows_parent=True)).begin("x", trace.SpanKind.SERVER, header)
    assert span is not None
    span.end()
    assert exporter.get_finished_spans()[0].parent is None


def test_a_caller_that_is_not_heard_has_no_part_in_it(exporter: InMemorySpanExporter) -> None:
    tracing = tracing_of(exporter, Sampling(1 << 64, follows_parent=True), hears_callers=False)
    span = tracing.begin("x", trace.SpanKind.SERVER, HEADER.format(0))
    assert span is not None
    assert f"{span.get_span_context().trace_id:032x}" not in HEADER


def test_what_is_rare_is_sampled_unless_nothing_is(exporter: InMemorySpanExporter) -> None:
    rare = [
        tracing_of(exporter, Sampling(bound, follows_parent=True)).begin_rare("drain", trace.SpanKind.INTERNAL)
        for bound in (0, 1, 1 << 64)
    ]
    assert [span is not None for span in rare] == [False, True, True]
    assert all(span is None or span.get_span_context().is_valid for span in rare)


# --- OpenTelemetry's variables


@pytest.mark.parametrize(
    ("variables", "wanted"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://collector/v1/traces"}, True),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318", "OTEL_TRACES_EXPORTER": "none"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318", "OTEL_SDK_DISABLED": "TRUE"}, False),
    ],
)
def test_traces_are_wanted_where_an_endpoint_is_named(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], wanted: bool
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert (read_settings(OtelSettings).traces_to is not None) is wanted


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("OTEL_TRACES_SAMPLER", "sometimes", "OTEL_TRACES_SAMPLER: "),
        ("OTEL_TRACES_SAMPLER_ARG", "1.5", "OTEL_TRACES_SAMPLER_ARG: "),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318", "OTEL_EXPORTER_OTLP_ENDPOINT: "),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "OTEL_EXPORTER_OTLP_PROTOCOL: "),
        ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "grpc", "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL: "),
        ("OTEL_METRICS_EXPORTER", "prometheus", "OTEL_METRICS_EXPORTER: "),
        *(("OTEL_METRIC_EXPORT_INTERVAL", wrong, "OTEL_METRIC_EXPORT_INTERVAL: ") for wrong in ("0", "1.5", "often")),
        ("OTEL_TRACES_EXPORTER", "zipkin", "OTEL_TRACES_EXPORTER: "),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "many", "OTEL_BSP_MAX_QUEUE_SIZE: "),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "5000", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE is larger"),
        *(
            ("OTEL_EXPORTER_OTLP_ENDPOINT", url, "OTEL_EXPORTER_OTLP_ENDPOINT: ")
            for url in ("http://[::1", "http://c:99999")
        ),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd", "OTEL_EXPORTER_OTLP_COMPRESSION: "),
        *(("OTEL_EXPORTER_OTLP_TIMEOUT", wrong, "OTEL_EXPORTER_OTLP_TIMEOUT: ") for wrong in ("0", "10s")),
        *(("OTEL_SPAN_LINK_COUNT_LIMIT", wrong, "OTEL_SPAN_LINK_COUNT_LIMIT: ") for wrong in ("-1", "many")),
    ],
)
def test_a_wrong_variable_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str, complaint: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=complaint):
        read_settings(OtelSettings)


@pytest.mark.parametrize(
    ("headers", "number"),
    [
        ("api-key: k3y", 1),
        ("a=b,k3y", 2),
        ("=k3y", 1),
        ("api key=k3y", 1),
        ("a=k3y%0Ab", 1),
        ("a=b,c=k3y%E4%BD%A0", 2),
        ("a=k3y你", 1),
    ],
)
def test_headers_that_cannot_be_sent_are_named_by_number_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, headers: str, number: int
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", headers)
    with pytest.raises(SettingsError, match=f"OTEL_EXPORTER_OTLP_HEADERS: header {number} ") as caught:
        read_settings(OtelSettings)
    assert "k3y" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Basic%20abc==, x-scope=a b,,tenant="),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "authorization=Bearer abc"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "GZIP"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "2.5"),
        ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "unset"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://user:password@[::1]:4318/base"),
    ],
)
def test_what_the_sdk_understands_is_taken(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    assert "abc" not in repr(read_settings(OtelSettings))


@pytest.mark.parametrize(
    ("value", "heard"), [("tracecontext,baggage", True), ("b3, TraceContext", True), ("none", False), ("b3", False)]
)
def test_callers_are_heard_by_the_propagator_that_is_spoken_here(
    monkeypatch: pytest.MonkeyPatch, value: str, heard: bool
) -> None:
    monkeypatch.setenv("OTEL_PROPAGATORS", value)
    assert read_settings(OtelSettings).hears_callers is heard


# --- names


def test_attributes_of_the_conventions_have_the_conventions_names() -> None:
    known = {
        value
        for module in (messaging_attributes, http_attributes, url_attributes, error_attributes)
        for name, value in vars(module).items()
        if name.isupper() and isinstance(value, str)
    }
    dotted = {
        value for name, value in vars(spans).items() if name.isupper() and isinstance(value, str) and "." in value
    }
    ours = {value for value in dotted if value.startswith("vsrt.")}
    assert len(dotted - ours) > 8
    assert dotted - ours <= known


@pytest.mark.parametrize(
    ("audiences", "name"),
    [(["admin"], "admin"), (["users", "users", "admin"], "admin,users"), ([], ""), (["all", "admin"], "admin,all")],
)
def test_audiences_are_one_destination_in_one_order(audiences: list[str], name: str) -> None:
    assert spans.destination(audiences) == name
