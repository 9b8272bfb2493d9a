"""Values that make no sense are refused, with a message that names what is wrong."""

from __future__ import annotations

import functools
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from helm_python.errors import HelmError

from docs import chart
from tests.chart.rendering import CHART, SETS, changed, render, rendered, values_of, with_placeholders
from tests.support.access_list import SHIPPED

KEY = "-----BEGIN PUBLIC KEY-----\nMFkw\n-----END PUBLIC KEY-----"

SCRATCH = {"name": "scratch", "emptyDir": {}}
CLUSTER = {"redis.mode": "cluster", "redis.cluster.nodes": ["redis-0.redis:6379"]}


def at(path: str) -> dict[str, str]:
    return {"name": "scratch", "mountPath": path}


# What is changed of the least values, and what the message must say.
REFUSED: list[tuple[dict[str, Any], str]] = [
    # who may connect
    ({"auth.jwt.secret": ""}, r"auth\.jwt\.secret .*auth\.existingSecret"),
    ({"auth.jwt.secret": "too short"}, r"/auth/jwt/secret.*minLength: got 9, want 32"),
    ({"auth.jwt.type": "password"}, r"/auth/jwt/type.*'secret', 'publicKey', 'jwks'"),
    ({"auth.jwt.type": "jwks", "auth.jwt.secret": ""}, r"auth\.jwt\.jwksUrl is empty"),
    ({"auth.jwt.type": "publicKey", "auth.jwt.secret": ""}, r"set auth\.jwt\.publicKey"),
    (
        {"auth.jwt.type": "publicKey", "auth.jwt.publicKey": KEY},
        r"auth\.jwt\.secret is set, .* is publicKey",
    ),
    ({"auth.jwt.publicKey": KEY}, r"auth\.jwt\.publicKey is set, and auth\.jwt\.type is secret"),
    ({"auth.jwt.publicKey": "MFkw"}, r"/auth/jwt/publicKey"),
    ({"auth.jwt.algorithm": "RS256"}, r"auth\.jwt\.algorithm RS256 does not go with auth\.jwt\.type secret"),
    ({"auth.jwt.algorithm": "none"}, r"/auth/jwt/algorithm"),
    ({"auth.existingSecret": "mine"}, r"auth\.existingSecret is set, and so is a secret value"),
    ({"auth.routerApiKeys": ["short"]}, r"/auth/routerApiKeys/0.*minLength"),
    # Redis
    ({"redis.mode": "clustered"}, r"/redis/mode.*must be one of 'standalone', 'sentinel', 'cluster'"),
    ({"redis.mode": "sentinel"}, r"redis\.sentinel\.hosts is empty"),
    ({"redis.sentinel.hosts": ["a"]}, r"redis\.mode is standalone: set it to sentinel"),
    ({"redis.sentinel.hosts": ["redis://a"]}, r"/redis/sentinel/hosts/0"),
    ({"redis.mode": "cluster"}, r"redis\.cluster\.nodes is empty: name some of its servers"),
    ({"redis.cluster.nodes": ["a"]}, r"redis\.cluster\.nodes is set, and redis\.mode is standalone: set it to cluster"),
    ({"redis.mode": "sentinel", "redis.cluster.nodes": ["a"], "redis.sentinel.hosts": ["b"]}, r"mode is sentinel: set"),
    ({"redis.mode": "cluster", "redis.cluster.nodes": ["a"], "redis.sentinel.hosts": ["b"]}, r"mode is cluster: set"),
    ({**CLUSTER, "redis.url": "redis://there/3"}, r"redis\.url redis://there/3 names another database than 0"),
    ({**CLUSTER, "redis.cluster.nodes": ["redis://a"]}, r"/redis/cluster/nodes/0"),
    ({**CLUSTER, "redis.cluster.nodes": ["a,b"]}, r"/redis/cluster/nodes/0"),
    ({**CLUSTER, "redis.cluster.nodes": ["fd00::1"]}, r"/redis/cluster/nodes/0"),
    ({**CLUSTER, "redis.cluster.nodes": ["[fd00]:6379"]}, r"/redis/cluster/nodes/0"),
    ({**CLUSTER, "redis.cluster.nodes": "a:6379"}, r"/redis/cluster/nodes'?: got string, want array"),
    ({**CLUSTER, "redis.tls.caSecret": "ca"}, r"redis\.url does not begin with rediss://"),
    ({"redis.url": "redis://user:secret@there"}, r"redis\.url has a user or a password in it"),
    ({"redis.url": "http://there"}, r"/redis/url"),
    ({"redis.tls.caSecret": "ca"}, r"redis\.url does not begin with rediss://"),
    ({"redis.username": "me"}, r"redis\.username is set without redis\.password"),
    # the inbox's database
    ({"database.enabled": True}, r"set database\.url, or auth\.existingSecret .* DATABASE_URL"),
    ({"database.enabled": True, "database.url": "sqlite:////srv/inbox.db"}, r"/database/url.*does not match"),
    ({"database.url": "postgresql://a:b@c/d"}, r"database\.url is set, and database\.enabled is false"),
    ({"database.tls.caSecret": "ca"}, r"database\.tls is set, and database\.enabled is false"),
    (
        {"database.enabled": True, "database.url": "postgresql://a:b@c:5433/d?sslrootcert=/e:1/f"},
        r"database\.url leads to port 5433, and database\.port is 5432",
    ),
    ({"node.settings": {"DATABASE_URL": "postgresql://a:b@c/d"}}, r"invalid propertyName 'DATABASE_URL'"),
    # telemetry
    ({"telemetry.endpoint": "collector:4317"}, r"/telemetry/endpoint.*does not match"),
    ({"telemetry.endpoint": "http://user:secret@collector"}, r"/telemetry/endpoint.*does not match"),
    ({"telemetry.headers": "authorization=Bearer x"}, r"telemetry\.endpoint is empty: name the collector"),
    ({"telemetry.endpoint": "http://c:4318", "telemetry.caSecret": "ca"}, r"does not begin with https://"),
    ({"telemetry.traces": {"ratio": 5}}, r"/telemetry/traces/ratio.*maximum: got 5, want 1"),
    ({"telemetry.traces": {"sampler": "all"}}, r"/telemetry/traces/sampler.*'always_on'"),
    ({"telemetry.resourceAttributes": {"a": "b,c=d"}}, r"/telemetry/resourceAttributes/a.*does not match"),
    # being watched
    (
        {"metrics.rules.enabled": True, "metrics.monitor.enabled": True, "metrics.monitor.interval": "1m"},
        r"metrics\.monitor\.interval is 1m, and the rules .* look at two minutes: at most 30s",
    ),
    (
        {"metrics.rules.enabled": True, "metrics.monitor.enabled": True, "metrics.monitor.interval": "60s"},
        r"metrics\.monitor\.interval is 60s",
    ),
    (
        {"metrics.rules.enabled": True, "telemetry.metrics": {"enabled": True, "intervalSeconds": 60}},
        r"telemetry\.metrics\.intervalSeconds is 60, and the rules .* at most 30",
    ),
    ({"metrics.runbookUrl": "the wiki"}, r"/metrics/runbookUrl.*does not match"),
    # how long and how many
    (
        {"node.drainSeconds": 60, "node.terminationGracePeriodSeconds": 60},
        r"60, and a pod would be killed .*preStopSeconds 5 \+ node\.drainSeconds 60 \+ 10 = 75",
    ),
    ({"node.drainSeconds": "20s"}, r"/node/drainSeconds.*got string, want integer"),
    ({"node.preStopSeconds": 0}, r"/node/preStopSeconds.*minimum"),
    ({"node.replicas": 0}, r"/node/replicas.*minimum"),
    ({"router.replicas": "two"}, r"/router/replicas.*got string, want null or integer"),
    ({"node.rollingUpdate.maxSurge": 0}, r"/node/rollingUpdate/maxSurge"),
    ({"node.podDisruptionBudget.maxUnavailable": 0}, r"/node/podDisruptionBudget/maxUnavailable"),
    (
        {"node.autoscaling.scaleDownWindowSeconds": 60},
        r"scaleDownWindowSeconds.*minimum: got 60, want 300",
    ),
    (
        {"node.autoscaling.enabled": True, "node.autoscaling.minReplicas": 20},
        r"node\.autoscaling\.minReplicas 20 is more than node\.autoscaling\.maxReplicas 10",
    ),
    (
        {"node.autoscaling.enabled": True, "node.maxConnections": 10000},
        r"targetConnections 10000 is not less than node\.maxConnections 10000",
    ),
    ({"node.podDisruptionBudget.maxUnavailable": 2}, r"node\.podDisruptionBudget\.maxUnavailable 2 .* all 2 pods"),
    (
        {"router.autoscaling.enabled": True, "router.autoscaling.minReplicas": 20},
        r"router\.autoscaling\.minReplicas 20 is more than router\.autoscaling\.maxReplicas 10",
    ),
    (
        {"router.autoscaling.enabled": True, "router.resources.requests": {"cpu": None}},
        r"router\.resources\.requests\.cpu is not set",
    ),
    (
        {"router.autoscaling.enabled": True, "router.resources.requests": {"cpu": 2}},
        r"targetCPUUtilizationPercentage 70 of router\.resources\.requests\.cpu 2 is 1400m, .* one core at most",
    ),
    (
        {"router.autoscaling": {"enabled": True, "targetCPUUtilizationPercentage": 200}},
        r"targetCPUUtilizationPercentage 200 of router\.resources\.requests\.cpu 500m is 1000m",
    ),
    ({"router.autoscaling": {"targetConnections": 1}}, r"'targetConnections' not allowed"),
    ({"router.autoscaling": {"scaleDownWindowSeconds": 10}}, r"minimum: got 10, want 300"),
    # volumes
    ({"node.extraVolumes": [{"name": "a"}]}, r"/node/extraVolumes/0.*minProperties"),
    ({"node.extraVolumes": [{"name": "Private CA", "emptyDir": {}}]}, r"/node/extraVolumes/0/name"),
    ({"router.extraVolumes": [{"name": "redis-ca", "emptyDir": {}}]}, r"volume redis-ca, and the chart has one"),
    ({"node.extraVolumes": [SCRATCH, SCRATCH]}, r"node\.extraVolumes has two volumes scratch"),
    ({"node.extraVolumeMounts": [at("/srv")]}, r"mounts scratch at /srv, and node\.extraVolumes has no volume"),
    ({"node.extraVolumeMounts": [at("srv")]}, r"/node/extraVolumeMounts/0/mountPath"),
    *(
        (
            {"node.extraVolumes": [SCRATCH], "node.extraVolumeMounts": [at(path)]},
            rf"mounts at {shown}, where .* is ours",
        )
        for path, shown in (
            ("/", "/"),
            ("/etc", "/etc"),
            ("/etc/redis-ca/", "/etc/redis-ca"),
            ("/etc/otlp-ca/more", "/etc/otlp-ca/more"),
            ("/srv/../app", "/app"),
            ("/opt/venv/lib", "/opt/venv/lib"),
        )
    ),
    (
        {"node.extraVolumes": [SCRATCH], "node.extraVolumeMounts": [at("/srv"), at("/srv/")]},
        r"node\.extraVolumeMounts mounts twice at /srv",
    ),
    # the way in
    ({"ingress.enabled": True}, r"ingress\.hosts is empty: name the host"),
    ({"ingress.enabled": True, "ingress.hosts": ["https://a"]}, r"/ingress/hosts/0"),
    ({"httpRoute.enabled": True, "httpRoute.hostnames": ["a"]}, r"httpRoute\.parentRefs is empty: name the Gateway"),
    ({"httpRoute.enabled": True, "httpRoute.parentRefs": [{"name": "a"}]}, r"httpRoute\.hostnames is empty"),
    ({"httpRoute.requestTimeout": "forever"}, r"/httpRoute/requestTimeout"),
    ({"node.corsOrigins": ["https://a/"]}, r"/node/corsOrigins/0"),
    ({"node.corsOrigins": ["https://A"]}, r"/node/corsOrigins/0"),
    ({"node.corsOrigins": ["https://*.a"]}, r"/node/corsOrigins/0"),
    ({"networkPolicy.browsers": []}, r"/networkPolicy/browsers.*minItems"),
    (
        {
            "metrics.monitor.enabled": True,
            "metrics.monitor.kind": "ServiceMonitor",
            "node.service.type": "LoadBalancer",
        },
        r"would open the management port .*choose PodMonitor",
    ),
    (
        {
            "node.topologySpreadConstraints": [
                {"topologyKey": "zone", "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {}}
            ]
        },
        r"/node/topologySpreadConstraints/0.*'labelSelector' not allowed",
    ),
    ({"networkPolicy.dns": []}, r"/networkPolicy/dns.*minItems"),
    # names
    ({"fullnameOverride": "real.time"}, r"real\.time cannot begin the name of a Service.*: set fullnameOverride"),
    ({"fullnameOverride": "2nd"}, r"2nd cannot begin the name of a Service"),
    ({"commonLabels": {"app.kubernetes.io/name": "x"}}, r"commonLabels sets app\.kubernetes\.io/name.*leave it out"),
    ({"router.podLabels": {"app.kubernetes.io/component": "x"}}, r"router\.podLabels sets app\.kubernetes\.io/comp"),
    ({"image.tag": "latest"}, r"image\.tag, .* is latest"),
    ({"router.imageTag": "latest"}, r"router\.imageTag is latest"),
    ({"image.digest": "sha256:abc"}, r"/image/digest"),
    ({"nodes.replicas": 3}, r"additional properties 'nodes' not allowed"),
    ({"node.drainSecond": 3}, r"/node'?: additional properties 'drainSecond' not allowed"),
    ({"node.settings": {"HEARTBEAT_TIMOUT": "1"}}, r"'HEARTBEAT_TIMOUT'(.|\n)*one of .*'HEARTBEAT_TIMEOUT'"),
    ({"node.settings": {"HISTORY_TTL": "1"}}, r"'HISTORY_TTL'"),
    ({"router.settings": {"ROUTER_API_KEYS": "0123456789abcdef"}}, r"'ROUTER_API_KEYS'"),
]


@pytest.mark.parametrize(("changes", "said"), REFUSED, ids=[" ".join(changes) for changes, _ in REFUSED])
def test_nonsense_is_refused_by_name(changes: dict[str, Any], said: str) -> None:
    values = values_of("least")
    for path, value in changes.items():
        values = changed(values, path, value)
    with pytest.raises(HelmError) as refused:
        render(values)
    assert re.search(said, str(refused.value)), str(refused.value)


def test_without_any_value_the_message_says_what_to_set_first() -> None:
    with pytest.raises(HelmError, match=r"set auth\.jwt\.secret .*or auth\.existingSecret"):
        render({})


# --- values and their documents


def test_every_value_is_documented() -> None:
    paths = {value.path for value in chart.documented()}
    leaves = set(leaves_of(yaml.safe_load((CHART / "values.yaml").read_text()), paths))
    assert leaves == paths


def leaves_of(values: Any, documented: set[tuple[str, ...]], path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Return the paths of values: as deep as there are names, or as they are documented as a whole."""
    if not isinstance(values, dict) or not values or path in documented:
        return [path]
    return [leaf for name, value in values.items() for leaf in leaves_of(value, documented, (*path, name))]


def test_the_schema_knows_every_value_and_no_other() -> None:
    def known(schema: dict[str, Any], path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
        if "$ref" in schema:
            schema = tree["$defs"][schema["$ref"].rpartition("/")[2]]
        names = schema.get("properties")
        if names is None:
            return [path]
        return [leaf for name, inner in names.items() for leaf in known(inner, (*path, name))]

    tree = json.loads(chart.SCHEMA.read_text())
    assert set(known(tree)) - {("global",)} == {value.path for value in chart.documented()}


def test_every_value_is_used_by_a_template() -> None:
    texts = "".join(path.read_text() for path in (CHART / "templates").rglob("*.*"))
    for value in chart.documented():
        assert re.search(rf"\b{value.path[-1]}\b", texts), value.path


@pytest.mark.parametrize("path", [value.path for value in chart.documented()], ids=".".join)
def test_every_value_does_something(path: tuple[str, ...], chart_with_files: Path) -> None:
    """In one of our sets it makes a difference whether it is given."""
    assert any(has(values_of(name), path) for name in SETS), "no set gives it"
    assert any(makes_a_difference(name, path, chart_with_files) for name in SETS if has(values_of(name), path))


@pytest.fixture(scope="module")
def chart_with_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return with_placeholders(tmp_path_factory.mktemp("with files"))


def has(values: Any, path: tuple[str, ...]) -> bool:
    for name in path:
        if not isinstance(values, dict) or name not in values:
            return False
        values = values[name]
    return True


def makes_a_difference(name: str, path: tuple[str, ...], where: Path) -> bool:
    """Whether a set without this value is another one, or none at all; a name that nobody reads counts as its own."""
    values = values_of(name)
    without = changed(values, ".".join(path), chart.default_of(path))
    if path == ("node", "autoscaling", "metric"):
        without = changed(values, ".".join(path), "another_metric")
    try:
        return render(without, where) != with_all_values(name, where)
    except HelmError:
        return True


@functools.cache
def with_all_values(name: str, where: Path) -> dict[str, str]:
    return render(values_of(name), where)


def test_the_access_list_can_be_given_to_all_servers_of_a_cluster_at_once() -> None:
    """`redis-cli --cluster call` takes a word that begins with a dash for an option of its own."""
    (line,) = [line for line in SHIPPED.read_text().splitlines() if line.startswith("user ")]
    assert not [word for word in line.split() if word.startswith("-")]


def test_the_access_list_is_no_template() -> None:
    assert "{{" not in SHIPPED.read_text()
    assert not any("SHA256-OF" in text for text in rendered("everything").texts.values())
