"""What Kubernetes would say of an object; of custom kinds, what we know of them."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate

from tests.chart.rendering import Object

OLDEST, NEWEST = "1.30", "1.37"
CRDS = Path(__file__).parent / "crds"
CUSTOM = {
    "HTTPRoute": "gateway.networking.k8s.io/v1",
    "ScaledObject": "keda.sh/v1alpha1",
    "PodMonitor": "monitoring.coreos.com/v1",
    "ServiceMonitor": "monitoring.coreos.com/v1",
    "PrometheusRule": "monitoring.coreos.com/v1",
}


def problems(found: Object, version: str) -> list[str]:
    """Return what Kubernetes of a version would say of an object; of custom kinds, what we know of them."""
    kind = found["kind"]
    if kind in CUSTOM:
        if found["apiVersion"] != CUSTOM[kind]:
            return [f"{kind} is of {CUSTOM[kind]}, not {found['apiVersion']}"]
        errors = jsonschema.Draft202012Validator(shape_of(kind)).iter_errors(found["spec"])
        return [f"{kind} {error.json_path}: {error.message}" for error in errors]
    try:
        kubernetes_validate.validate(found, version, strict=True)
    except kubernetes_validate.ValidationError as error:
        return [f"{kind} {'/'.join(map(str, error.path))}: {error.message}"]
    except kubernetes_validate.SchemaNotFoundError as error:
        return [error.message]
    return []


@functools.cache
def shape_of(kind: str) -> Any:
    return json.loads((CRDS / f"{kind}.json").read_text())
