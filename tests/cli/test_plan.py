import httpx
import pytest
from videosite_realtime_cli.cluster import plan as planning
from videosite_realtime_cli.cluster.plan import Options


@pytest.fixture
async def client():
    async with httpx.AsyncClient() as http:
        yield http


def test_every_port_is_claimed_once():
    claims = planning.make(Options(nodes=2, routers=2), {}).claims()
    assert [claim.port for claim in claims] == [8000, 8001, 8002, 8011, 8012]


def test_secrets_are_made_anew_long_enough_and_shown_nowhere():
    first, second = planning.make(Options(), {}), planning.make(Options(), {})
    assert first.jwt_secret != second.jwt_secret
    assert len(first.jwt_secret) >= 32
    assert len(first.router_api_key) >= 16
    assert first.jwt_secret not in repr(first)


async def test_nodes_share_a_port_and_differ_in_name_and_management(client):
    parts = planning.node_parts(planning.make(Options(), {}), "redis://r", {}, client)
    environments = [part.environment for part in parts]
    assert [e["NODE_NAME"] for e in environments] == ["node-1", "node-2"]
    assert [e["NODE_MANAGEMENT_PORT"] for e in environments] == ["8011", "8012"]
    assert {(e["NODE_PORT"], e["NODE_REUSE_PORT"], e["NODE_HOST"]) for e in environments} == {
        ("8000", "true", "127.0.0.1")
    }


async def test_the_environments_word_goes_before_our_opinions_but_not_before_what_must_be(client):
    environment = {
        "BACKEND_CORS_ORIGINS": "https://a",
        "DRAIN_SECONDS": "9",
        "NODE_PORT": "1",
        "REDIS_URL": "redis://elsewhere",
        "JWT_ALGORITHM": "RS256",
        "JWT_PUBLIC_KEY": "pem",
    }
    [part, _] = planning.node_parts(planning.make(Options(), environment), "redis://r", environment, client)
    assert part.environment["BACKEND_CORS_ORIGINS"] == "https://a"
    assert part.environment["NODE_PORT"] == "8000"
    assert part.environment["REDIS_URL"] == "redis://r"
    assert part.environment["JWT_ALGORITHM"] == "HS256"
    assert "JWT_PUBLIC_KEY" not in part.environment, "a cluster takes one kind of key"
    assert part.grace > 9, "a drain is not cut off"


async def test_all_parts_send_all_their_traces_to_our_receiver(client):
    plan = planning.make(Options(), {})
    parts = [
        *planning.node_parts(plan, "redis://r", {}, client),
        *planning.router_parts(plan, "redis://r", {}, client),
        planning.demo_part(plan, {}),
    ]
    for part in parts:
        assert part.environment["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] == f"{plan.traces_url}/v1/traces"
        assert "OTEL_EXPORTER_OTLP_ENDPOINT" not in part.environment, "it would be the metrics' too"
        assert part.environment["OTEL_TRACES_SAMPLER"] == "parentbased_always_on"
    assert planning.receiver_part(plan, {}, client).command[-1] == str(plan.traces_port)


@pytest.mark.parametrize(
    "said",
    [
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"},
        {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"},
        {"OTEL_TRACES_EXPORTER": "none"},
        {"OTEL_SDK_DISABLED": "True"},
    ],
    ids=lambda said: next(iter(said)),
)
async def test_what_the_environment_says_of_traces_counts(client, said):
    plan = planning.make(Options(), said)
    assert plan.traces_url == ""
    [part] = planning.router_parts(plan, "redis://r", said, client)
    assert {name: value for name, value in part.environment.items() if name.startswith("OTEL_")} == said
