"""The measuring scripts work, in small; what they measure is nobody's promise here."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE

from videosite_realtime_cli.capacity import costs

from tests.support.process import ROOT


async def output(module: str, *options: str) -> str:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, *options, cwd=ROOT, env=os.environ, stdout=PIPE, stderr=PIPE
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode()


def rows(text: str) -> dict[str, list[str]]:
    """Return a Markdown table's rows by their first cell."""
    lines = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("|")]
    return {first.strip(): [cell.strip() for cell in rest] for first, *rest in lines}


async def test_the_bench_measures_every_server_and_counts_every_message():
    table = rows(await output("loadtests.bench", "--connections", "40", "--seconds", "0.1", "--messages", "100"))
    assert table[""] == ["this project", "naive FastAPI", "python-socketio"]
    assert table["lost"] == ["0", "0", "0"]
    measured = [row for row in table if row not in {"", "---", "lost", "memory per idle connection, KiB"}]
    assert len(measured) == 6
    for row in measured:
        figures = [float(cell.strip("*").replace(",", "")) for cell in table[row] if cell != "–"]
        assert figures, row
        assert min(figures) > 0, row


async def test_locusts_limits_are_measured_for_every_client():
    table = rows(await output("loadtests.bench.clients", "--connections", "20", "--rounds", "2"))
    assert {"websocket-client", "wsproto", "websockets", "locust"} <= table.keys()
    assert float(table["locust"][2]) > 0


async def test_a_message_to_one_user_takes_as_many_commands_on_two_nodes_as_on_one():
    options = ("--nodes", "1", "2", "--rounds", "1", "--messages", "200", "--clients", "20", "--rest", "1")
    text = await output("loadtests.nodes", *options)
    to_one, to_all = text.split("a message to all")[0], text.split("a message to all")[1].split("a second in which")[0]
    commands = {nodes: float(rows(to_one)[nodes][4]) for nodes in ("1", "2")}
    sent = {nodes: float(rows(to_all)[nodes][6].replace(",", "")) for nodes in ("1", "2")}
    assert abs(commands["1"] - commands["2"]) < 0.5
    assert sent["2"] > 1.5 * sent["1"]  # Redis sends it to each node


async def test_the_costs_that_are_measured_are_those_that_the_command_line_reckons_with():
    options = ("--clients", "30", "--messages", "100", "--rest", "1", "--rounds", "1")
    unit = costs.read(json.loads(await output("loadtests.unit_costs", *options)))
    assert unit.personal.commands > unit.batched.commands > 0
    assert unit.memory.redis_stream > unit.memory.redis_event > 0
