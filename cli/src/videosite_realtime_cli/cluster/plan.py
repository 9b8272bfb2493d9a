"""What runs where, with which environment: decided before anything is started, from options and environment alone."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec

import httpx

from videosite_realtime_cli.cluster.part import Part, Probe
from videosite_realtime_cli.cluster.ports import LOOPBACK, Claim, free_port
from videosite_realtime_cli.errors import BadInput
from videosite_realtime_cli.identity import Signer

ALGORITHM = "HS256"
DEMO_USER = "7"

_MANAGEMENT_OFFSET = 10
_DRAIN_SECONDS = "2"  # nobody waits twenty seconds for Ctrl-C
_DEV_ORIGINS = [f"http://{host}:{port}" for host in ("localhost", "127.0.0.1") for port in (3000, 4173, 5173, 8080)]
# A cluster takes one kind of key; ours is the secret.
_OTHER_KEYS = ("JWT_PUBLIC_KEY", "JWT_JWKS_URL")


@dataclass(frozen=True, slots=True)
class Options:
    """What was typed."""

    nodes: int = 2
    routers: int = 1
    port: int = 8000
    router_port: int = 8001


@dataclass(frozen=True, slots=True)
class Plan:
    """Names, ports and secrets of a local cluster."""

    options: Options
    jwt_secret: str = field(repr=False)
    api_keys: str = field(repr=False)
    issuer: str | None = None
    audience: str | None = None
    traces_port: int | None = None  # None: they go where the environment says, if anywhere

    @property
    def node_url(self) -> str:
        return f"http://{LOOPBACK}:{self.options.port}"

    @property
    def router_urls(self) -> dict[str, str]:
        first = self.options.router_port
        return {f"router-{n + 1}": f"http://{LOOPBACK}:{first + n}" for n in range(self.options.routers)}

    @property
    def router_url(self) -> str:
        return self.router_urls["router-1"]

    @property
    def management_ports(self) -> dict[str, int]:
        first = self.options.router_port + _MANAGEMENT_OFFSET
        return {f"node-{n + 1}": first + n for n in range(self.options.nodes)}

    @property
    def management_urls(self) -> dict[str, str]:
        return {name: f"http://{LOOPBACK}:{port}" for name, port in self.management_ports.items()}

    @property
    def traces_url(self) -> str:
        return f"http://{LOOPBACK}:{self.traces_port}" if self.traces_port else ""

    @property
    def router_api_key(self) -> str:
        return next(key.strip() for key in self.api_keys.split(",") if key.strip())

    @property
    def signer(self) -> Signer:
        return Signer(self.jwt_secret, ALGORITHM, self.issuer, self.audience)

    def claims(self) -> list[Claim]:
        """Return every port the cluster needs, besides the embedded Valkey's, which may be any."""
        routers = range(self.options.router_port, self.options.router_port + self.options.routers)
        return [
            Claim(self.options.port, "the nodes", "--port"),
            *(Claim(port, f"router-{n}", "--router-port") for n, port in enumerate(routers, 1)),
            *(Claim(port, f"{name}'s management", "--router-port") for name, port in self.management_ports.items()),
        ]


def make(options: Options, environment: Mapping[str, str]) -> Plan:
    """Return the plan; secrets that the environment does not name are made anew."""
    if find_spec("node") is None or find_spec("router") is None:
        raise BadInput("the cluster is not installed: pip install 'videosite-realtime-cli[up]'")
    keys = environment.get("ROUTER_API_KEYS", "")
    return Plan(
        options,
        environment.get("JWT_SECRET") or secrets.token_urlsafe(48),
        keys if keys.strip(" ,") else secrets.token_urlsafe(32),
        environment.get("JWT_ISSUER") or None,
        environment.get("JWT_AUDIENCE") or None,
        None if _has_a_say_on_traces(environment) else free_port(),
    )


def _has_a_say_on_traces(environment: Mapping[str, str]) -> bool:
    """Tell whether the environment says where traces go, or that there are to be none."""
    endpoints = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_TRACES_EXPORTER")
    disabled = environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    return disabled or any(environment.get(name) for name in endpoints)


def receiver_part(plan: Plan, environment: Mapping[str, str], client: httpx.AsyncClient) -> Part:
    """Return what receives and keeps the traces; only where the environment does not say where they go."""
    command = (sys.executable, "-P", "-m", "videosite_realtime_cli.traces.receiver", str(plan.traces_port))
    return Part("traces", command, environment, _readyz(client, plan.traces_url))


def node_parts(plan: Plan, redis_url: str, environment: Mapping[str, str], client: httpx.AsyncClient) -> list[Part]:
    common = _common(plan, redis_url, environment)
    return [
        Part(
            name,
            (sys.executable, "-P", "-m", "node"),
            common
            | _traced(plan)
            | {
                "NODE_NAME": name,
                "NODE_HOST": LOOPBACK,
                "NODE_PORT": str(plan.options.port),
                "NODE_REUSE_PORT": "true",
                "NODE_MANAGEMENT_PORT": str(port),
            },
            _readyz(client, plan.management_urls[name]),
            grace=_drain_seconds(common) + 5,
        )
        for name, port in plan.management_ports.items()
    ]


def router_parts(plan: Plan, redis_url: str, environment: Mapping[str, str], client: httpx.AsyncClient) -> list[Part]:
    common = _common(plan, redis_url, environment)
    return [
        Part(
            name,
            (sys.executable, "-P", "-m", "router"),
            common
            | _traced(plan)
            | {"ROUTER_NAME": name, "ROUTER_HOST": LOOPBACK, "ROUTER_PORT": url.rpartition(":")[2]},
            _readyz(client, url),
        )
        for name, url in plan.router_urls.items()
    ]


def demo_part(plan: Plan, environment: Mapping[str, str]) -> Part:
    example = ["-P", "-m", "videosite_realtime.examples.transcoder", "--forever", "--pause", "5", "--user"]
    return Part(
        "demo",
        (sys.executable, *example, DEMO_USER),
        {
            **environment,
            **_traced(plan),
            "OTEL_SERVICE_NAME": "demo",
            "PYTHONUNBUFFERED": "1",
            "ROUTER_URL": plan.router_url,
            "ROUTER_API_KEY": plan.router_api_key,
        },
    )


def _common(plan: Plan, redis_url: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Return what every node and router is told; where we only have an opinion, the environment's word goes."""
    opinions = {
        "BACKEND_CORS_ORIGINS": ",".join(_DEV_ORIGINS),
        "DRAIN_SECONDS": _DRAIN_SECONDS,
        "LOG_FORMAT": "text",
        "LOG_USER_IDS": "true",
    }
    inherited = {name: value for name, value in environment.items() if value and name not in _OTHER_KEYS}
    return (
        opinions
        | inherited
        | {
            "PYTHONUNBUFFERED": "1",
            "REDIS_URL": redis_url,
            "JWT_SECRET": plan.jwt_secret,
            "JWT_ALGORITHM": ALGORITHM,
            "ROUTER_API_KEYS": plan.api_keys,
            "ROUTER_URL": plan.router_url,
        }
    )


def _traced(plan: Plan) -> dict[str, str]:
    """Return what makes a part send its traces to our receiver: all of them, and soon."""
    if not plan.traces_url:
        return {}
    return {
        # Not the endpoint of all signals: metrics would go there too, and nobody takes them.
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{plan.traces_url}/v1/traces",
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf",
        "OTEL_TRACES_SAMPLER": "parentbased_always_on",
        "OTEL_BSP_SCHEDULE_DELAY": "500",
    }


def _drain_seconds(environment: Mapping[str, str]) -> float:
    try:
        return float(environment["DRAIN_SECONDS"])
    except ValueError as error:
        raise BadInput(f"DRAIN_SECONDS is not a number: {environment['DRAIN_SECONDS']!r}") from error


def _readyz(client: httpx.AsyncClient, url: str) -> Probe:
    async def ready() -> str | None:
        try:
            answer = await client.get(f"{url}/readyz")
        except httpx.HTTPError as error:
            return f"{url}/readyz: {str(error) or type(error).__name__}"
        return None if answer.status_code == 200 else f"{url}/readyz answers {answer.status_code}"

    return ready
