"""What tests look at in every rendering of the chart: settings, environment, policies. Its import renders them all."""

from __future__ import annotations

from typing import Any

import pytest

from docs import generate
from shared.otel_settings import OtelSettings
from tests.chart.kustomize import OVERLAYS, kustomized
from tests.chart.rendering import SETS, Object, Rendered, container, rendered, services

SECRETS = {
    "JWT_SECRET",
    "JWT_PUBLIC_KEY",
    "ROUTER_API_KEYS",
    "REDIS_PASSWORD",
    "REDIS_SENTINEL_PASSWORD",
    "DATABASE_URL",
    "OTEL_EXPORTER_OTLP_HEADERS",
}
# OpenTelemetry's variables that its SDK reads itself.
READ_BY_THE_SDK = {"OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_CERTIFICATE", "OTEL_RESOURCE_ATTRIBUTES"}


def _everything() -> list[Any]:
    sets = [pytest.param(rendered(name), id=name) for name in SETS]
    overlays = [pytest.param(Rendered(name, {"all.yaml": kustomized(name)}), id=f"overlay {name}") for name in OVERLAYS]
    return sets + overlays


each = pytest.mark.parametrize("chart", _everything())


def environment(chart: Rendered, component: str) -> dict[str, str | None]:
    """Return what a pod's services find in their environment; None for what is not known here."""
    (pod,) = [pod for name, pod in services(chart) if name == component]
    env: dict[str, str | None] = dict(chart.settings(component))
    return env | {variable["name"]: variable.get("value") for variable in container(pod)["env"]}


def read_by(component: str) -> set[str]:
    """Return the names of all settings that a service reads, OpenTelemetry's included."""
    ours = {s.name for _, settings in generate.groups() for s in settings if component in s.readers}
    return ours | {name.upper() for name in OtelSettings.model_fields} | READ_BY_THE_SDK


def policy_of(chart: Rendered, component: str) -> Object:
    return chart.one("NetworkPolicy", component)["spec"]
