"""Traces and metrics by OpenTelemetry: what pods are told of the collector, and that they reach it."""

from __future__ import annotations

import json
import typing
from typing import Any

import pytest
from opentelemetry.sdk.resources import OTELResourceDetector

from docs import chart as values_page
from shared.otel_settings import OtelSettings
from tests.chart.looking import each, environment, policy_of
from tests.chart.rendering import (
    COMPONENTS,
    NAMESPACE,
    Rendered,
    changed,
    container,
    render,
    rendered,
    services,
    values_of,
)


def told(chart: Rendered, component: str, monkeypatch: pytest.MonkeyPatch) -> OtelSettings:
    """Return what a service makes of what it is told; a value that comes from a Secret is some text."""
    for name, value in environment(chart, component).items():
        if name.startswith("OTEL_"):
            monkeypatch.setenv(name, "name=value" if value is None else value)
    return OtelSettings()


def with_telemetry(**telemetry: Any) -> Rendered:
    values = {"endpoint": "http://collector:4318", **telemetry}
    return Rendered("telemetry", render(changed(values_of("least"), "telemetry", values)))


@each
def test_the_services_would_take_what_they_are_told(chart: Rendered, monkeypatch: pytest.MonkeyPatch) -> None:
    for component in COMPONENTS:
        with monkeypatch.context() as patched:
            settings = told(chart, component, patched)
        is_named = "OTEL_EXPORTER_OTLP_ENDPOINT" in chart.settings(component)
        assert bool(settings.traces_to or settings.metrics_to) == is_named


def test_without_a_collector_nothing_of_it_is_there() -> None:
    for component, pod in services(rendered("least")):
        assert not [name for name in environment(rendered("least"), component) if name.startswith("OTEL_")]
        assert "volumes" not in pod["spec"]


@pytest.mark.parametrize("component", COMPONENTS)
def test_a_collector_alone_gets_a_hundredth_of_the_traces_and_no_metrics(
    component: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = told(with_telemetry(), component, monkeypatch)
    assert (settings.traces_to, settings.metrics_to) == ("http://collector:4318", None)
    assert settings.sampling.follows_parent
    assert settings.otel_traces_sampler_arg == 0.01


@pytest.mark.parametrize("component", COMPONENTS)
def test_metrics_may_go_alone(component: str, monkeypatch: pytest.MonkeyPatch) -> None:
    chart = with_telemetry(traces={"enabled": False}, metrics={"enabled": True, "intervalSeconds": 15})
    settings = told(chart, component, monkeypatch)
    assert (settings.traces_to, settings.metrics_to) == (None, "http://collector:4318")
    assert settings.otel_metric_export_interval == 15_000


def test_strangers_decide_nothing_unless_it_is_asked_for_and_producers_always_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for heeded in (False, True):
        for component in COMPONENTS:
            with monkeypatch.context() as patched:
                settings = told(with_telemetry(heedBrowsers=heeded), component, patched)
            assert settings.hears_callers is (heeded or component == "router")


def test_what_is_sent_names_its_namespace_and_what_values_add(monkeypatch: pytest.MonkeyPatch) -> None:
    chart = with_telemetry(resourceAttributes={"deployment.environment.name": "production", "service.namespace": "a/b"})
    told(chart, "router", monkeypatch)
    assert dict(OTELResourceDetector().detect().attributes) == {
        "deployment.environment.name": "production",
        "service.namespace": "a/b",
        "k8s.namespace.name": NAMESPACE,
    }


def test_the_chart_knows_the_samplers_that_services_know() -> None:
    schema = json.loads(values_page.SCHEMA.read_text())["properties"]["telemetry"]["properties"]
    annotated = OtelSettings.model_fields["otel_traces_sampler"].annotation
    assert set(schema["traces"]["properties"]["sampler"]["enum"]) == set(typing.get_args(annotated))


def test_the_collector_can_be_reached_and_trusted() -> None:
    everything = rendered("everything")
    for component, pod in services(everything):
        (to,) = [rule for rule in policy_of(everything, component)["egress"] if rule["ports"][0]["port"] == 4317]
        assert to["to"] == values_of("everything")["networkPolicy"]["collector"]
        path = everything.settings(component)["OTEL_EXPORTER_OTLP_CERTIFICATE"]
        (mount,) = [mount for mount in container(pod)["volumeMounts"] if path.startswith(f"{mount['mountPath']}/")]
        (volume,) = [volume for volume in pod["spec"]["volumes"] if volume["name"] == mount["name"]]
        assert volume["secret"] == {"secretName": "collector-ca"}


def test_headers_come_from_the_secret() -> None:
    for name in ("everything", "production"):
        for _, pod in services(rendered(name)):
            (headers,) = [v for v in container(pod)["env"] if v["name"] == "OTEL_EXPORTER_OTLP_HEADERS"]
            assert headers["valueFrom"]["secretKeyRef"]["optional"] is True
    assert "OTEL_EXPORTER_OTLP_HEADERS" in rendered("everything").one("Secret")["data"]
