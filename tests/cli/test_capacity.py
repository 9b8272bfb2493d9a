"""The arithmetic of `videosite-realtime plan`, with costs that are easy to reckon with, and the command around it."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from importlib import resources
from pathlib import Path

import pytest
from redis.crc import key_slot
from typer.main import get_command
from videosite_realtime_cli.capacity import costs, model
from videosite_realtime_cli.capacity.costs import Cost, Memory, UnitCosts
from videosite_realtime_cli.capacity.model import Demand, Supply, plan
from videosite_realtime_cli.main import app

from router.operations import EXPLICIT_KEY_TTL_MS
from shared.keys import TAGS
from shared.settings import CommonSettings
from tests.support.process import ROOT

MIB, GIB = 2**20, 2**30
MEMORY = Memory(
    node=60 * MIB,
    router=50 * MIB,
    node_connection=5000,
    redis_user=100,
    redis_known_user=50,
    redis_stream=4000,
    redis_event=200,
    redis_operation=150,
    redis_claim=200,
    redis_state=1000,
)
COSTS = UnitCosts(
    measured="today",
    command="by hand",
    conditions="none",
    message_bytes=300,
    connect=Cost(node=500, redis=30),
    leave=Cost(node=20, redis=10),
    heartbeat=Cost(node=10),
    compare=Cost(node=1, redis=0.3),
    personal=Cost(node=30, router=120, redis=50, sent=400),
    batched=Cost(node=10, router=20, redis=15, sent=350),
    progress=Cost(node=40, router=150, redis=100, sent=700),
    broadcast=Cost(router=150, redis=60, sent=100),
    broadcast_node=Cost(node=60, redis=3, sent=330),
    delivery=Cost(node=5),
    cluster=Cost(router=3000, redis=1500),
    idle_node=Cost(node=4000, redis=300, sent=300),
    memory=MEMORY,
)
NOTHING = Demand(
    users=100_000, tabs=1, accounts=100_000, admins=0, rate=0, batched=0, videos=0, updates=20, broadcasts=0,
    message=300, session=math.inf, return_time=math.inf, heartbeat=math.inf, history_length=200, history_ttl=900,
)  # fmt: skip
SUPPLY = Supply(busy=0.5, node_connections=50_000, node_memory=GIB, redis_memory=64 * GIB, redis_network=1.25e9)


def planned(**more: float) -> model.Cluster:
    return plan(replace(NOTHING, **more), SUPPLY, COSTS)


# --- nodes


def test_the_tightest_reason_says_how_many_nodes_and_one_is_to_spare():
    cluster = planned(users=500_000)
    assert cluster.nodes_for["connections"] == 10
    assert cluster.nodes_for["memory"] == math.ceil(500_000 * 5000 / (GIB - 60 * MIB))
    assert cluster.nodes == 11


def test_a_small_cluster_still_has_two_of_everything():
    cluster = planned(users=10)
    assert (cluster.nodes, cluster.routers) == (2, 2)


def test_everybody_coming_back_at_once_asks_for_cores():
    calm, storm = planned(users=1_000_000), planned(users=1_000_000, return_time=60)
    assert storm.nodes_for["CPU"] == calm.nodes_for["CPU"] + math.ceil(1_000_000 / 60 * 500e-6 / 0.5)
    assert storm.storm_cores == pytest.approx(storm.node_cores + 1_000_000 / 60 * 500e-6)


def test_heartbeats_are_work_without_any_message():
    assert planned(heartbeat=10).node_cores - planned().node_cores == pytest.approx(100_000 / 10 * 10e-6, rel=0.01)


def test_a_node_without_room_for_connections_is_told():
    with pytest.raises(ValueError, match="no room"):
        plan(NOTHING, replace(SUPPLY, node_memory=50 * MIB), COSTS)


# --- what grows with what


def test_a_message_to_one_user_costs_the_same_however_many_nodes_there_are():
    def redis_per_message(supply: Supply) -> float:
        return plan(replace(NOTHING, rate=1000), supply, COSTS).parts["messages to one user"] / 1000

    few, many = SUPPLY, replace(SUPPLY, node_connections=500)
    assert plan(NOTHING, many, COSTS).nodes > 60 * plan(NOTHING, few, COSTS).nodes
    assert redis_per_message(few) == redis_per_message(many) == pytest.approx(50e-6)


def test_a_broadcast_costs_redis_more_with_every_node():
    def redis(supply: Supply) -> float:
        with_it = plan(replace(NOTHING, broadcasts=1), supply, COSTS)
        without = plan(NOTHING, supply, COSTS)
        return sum(with_it.parts.values()) - sum(without.parts.values())

    few, many = SUPPLY, replace(SUPPLY, node_connections=500)
    nodes = plan(NOTHING, many, COSTS).nodes - plan(NOTHING, few, COSTS).nodes
    assert redis(many) - redis(few) == pytest.approx(nodes * 3e-6)


def test_batches_spare_router_and_redis():
    alone, batched = planned(rate=10_000), planned(rate=10_000, batched=1)
    assert alone.router_cores - batched.router_cores == pytest.approx(10_000 * 100e-6)
    assert alone.memory_parts["idempotency keys of a day"] > batched.memory_parts["idempotency keys of a day"]


def test_every_tab_hears_what_its_user_is_sent():
    assert planned(rate=1000, tabs=3).parts["messages to one user"] == planned(rate=1000).parts["messages to one user"]
    assert planned(rate=1000, tabs=3).node_cores > planned(rate=1000).node_cores


# --- Redis's memory


def test_keys_are_kept_for_a_day():
    keys = planned(rate=100).memory_parts["idempotency keys of a day"]
    assert keys == 100 * 24 * 3600 * (150 + 200)


def test_a_batch_remembers_half_as_much():
    keys = planned(rate=100, batched=1).memory_parts["idempotency keys of a day"]
    assert keys == 100 * model.key_bytes(COSTS, batched=True) == 100 * 24 * 3600 * 150


def test_rare_messages_make_a_stream_of_one_event_each():
    # 100 in 900 s, to 100,000 users: hardly anybody gets two.
    assert planned(rate=100 / 900).memory_parts["history"] == pytest.approx(100 * 4000, rel=0.01)


def test_frequent_messages_fill_every_stream_and_no_more():
    full = planned(rate=100_000 * 100 / 900).memory_parts["history"]
    assert full == pytest.approx(100_000 * (4000 + 199 * 200))


def test_accounts_that_are_away_take_their_positions_place():
    assert planned(accounts=10_000_000).memory_parts["positions of all accounts"] == 10_000_000 * 50


# --- what breaks first


def test_what_breaks_first_has_the_largest_share_and_its_cause():
    cluster = planned(rate=10_000, users=1_000_000)
    assert cluster.first.share == max(limit.share for limit in cluster.limits)
    assert (cluster.first.name, cluster.first.cause) == ("Redis's memory", "idempotency keys of a day")
    assert not cluster.fits


def test_a_storm_is_a_limit_of_its_own():
    first = planned(users=1_000_000, return_time=10).first
    assert (first.name, first.cause) == ("Redis's core while everybody comes back", "connects of all at once")
    assert first.used == pytest.approx(1_000_000 / 10 * 30e-6, rel=0.05)


def test_keys_live_as_long_as_the_router_says():
    assert model.KEY_SECONDS * 1000 == EXPLICIT_KEY_TTL_MS


# --- the costs that come with the program


def test_the_measured_costs_are_complete_and_none_of_the_great_ones_is_nothing():
    unit = costs.measured()
    assert unit.command.startswith(".venv/bin/python -m loadtests.unit_costs")
    for cost in (unit.personal, unit.batched, unit.progress):
        assert min(cost.node, cost.router, cost.redis, cost.sent) > 0
    assert unit.batched.redis < unit.personal.redis
    assert unit.connect.node > unit.heartbeat.node > unit.delivery.node > 0
    assert min(getattr(unit.memory, name) for name in Memory.__slots__) > 0


def test_a_cost_too_much_or_too_little_is_noticed():
    text = resources.files(costs.__package__).joinpath("unit_costs.json").read_text()
    document = json.loads(text)
    del document["costs"]["personal"]
    with pytest.raises(TypeError, match="personal"):
        costs.read(document)


# --- the command


def test_it_says_how_much_and_what_breaks_first(command):
    shown = command("plan", "--users", "100000")
    assert shown.exit_code == 0
    assert "100,000 users on 120,050 connections" in shown.output
    assert "What breaks first: Redis's" in shown.output
    assert costs.measured().measured in shown.output


def test_it_says_of_what_redis_memory_is_made_and_what_a_key_costs(command):
    shown = " ".join(command("plan", "--users", "100000", "--rate", "1000", "--videos", "0").output.split())
    gib = 1000 * model.key_bytes(costs.measured()) / GIB
    assert f"Redis's memory: idempotency keys of a day {gib:.1f} GiB, " in shown
    mib = model.key_bytes(costs.measured()) / MIB
    assert f"A message per second that bears a key costs {mib:.1f} MiB of it" in shown


def test_what_one_redis_cannot_do_is_said(command):
    shown = command("plan", "--users", "10000000", "--rate", "50000")
    assert shown.exit_code == 0
    assert "One Redis is not enough" in shown.output
    assert "A Redis Cluster spreads what is single users'" in " ".join(shown.output.split())


def test_it_can_be_read_by_a_program(command):
    answer = json.loads(command("plan", "--users", "5000", "--rate", "7", "--json-output").output)
    assert answer["demand"]["rate"] == 7
    assert answer["cluster"]["nodes"] >= 2
    assert answer["fits"] is True


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--users", "0"), "Invalid value for '--users'"),
        (("--users", "10", "--batched", "1.5"), "Invalid value for '--batched'"),
        (("--users", "10", "--busy", "0"), "Invalid value for '--busy'"),
        (("--users", "10", "--accounts", "5"), "--accounts 5: of these 10 users cannot be connected at once"),
        (("--users", "10", "--broadcasts", "1e9"), "a node is busy with itself"),
        ((), "Missing option '--users'"),
    ],
)
def test_figures_that_cannot_be_are_refused(command, words, said):
    refused = command("plan", *words)
    assert refused.exit_code != 0
    assert said in " ".join((refused.output + refused.stderr).replace("│", " ").split())


def test_its_defaults_are_the_settings():
    defaults = {parameter.name: parameter.default for parameter in get_command(app).commands["plan"].params}  # type: ignore[attr-defined]
    assert defaults["history_length"] == CommonSettings.model_fields["history_length"].default
    assert defaults["history_ttl"] == CommonSettings.model_fields["history_ttl"].default


def test_the_page_shows_the_costs_that_were_measured():
    page = (Path(__file__).parents[2] / "docs" / "capacity.md").read_text(encoding="utf-8")
    shown = {cells[0].strip(): [cell.strip() for cell in cells[2:]] for cells in _rows(page)}
    document = json.loads(resources.files(costs.__package__).joinpath("unit_costs.json").read_text())
    columns = ("node", "router", "redis", "commands", "received", "sent")
    for name, cost in document["costs"].items():
        assert shown[name] == [f"{cost[column]:g}" for column in columns], name
    for name, size in document["memory"].items():
        assert shown[name] == [f"{size:,.0f}"], name
    assert document["measured"] in page


def test_the_page_says_what_a_key_costs():
    page = (Path(__file__).parents[2] / "docs" / "capacity.md").read_text(encoding="utf-8")
    unit = costs.measured()
    assert f"costs Redis {model.key_bytes(unit) / 1e6:.1f} MB" in page
    assert f"in a batch {model.key_bytes(unit, batched=True) / 1e6:.1f} MB" in page


def _rows(page: str) -> list[list[str]]:
    return [line.strip("|").split("|") for line in page.splitlines() if line.startswith("| ")]


def test_the_document_names_the_slots_of_all_hash_tags() -> None:
    text = (ROOT / "docs" / "capacity.md").read_text()
    named = dict(re.findall(r"^\| `\{(\w)\}` \| (\d+) \|", text, re.MULTILINE))
    assert named == {tag: str(key_slot(tag.encode())) for tag in TAGS}
    of_five = [key_slot(tag.encode()) * 5 // 16384 for tag in TAGS]
    assert sorted(of_five) == [0, 1, 2, 3, 4], "dealt out evenly, five masters have one each"
