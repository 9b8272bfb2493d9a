"""Everything breaks, and nothing is lost: a short run with every kind of fault. ``make soak`` is the long one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.faults.run import Plan, run
from tests.faults.schedule import SHORTEST

SEED = int(os.environ.get("FAULTS_SEED", "3"))


@pytest.mark.timeout(300)
async def test_under_every_kind_of_fault_each_event_arrives_once_and_in_order(tmp_path: Path) -> None:
    print(f"seed {SEED}")  # shown with whatever makes it fail
    report = await run(Plan(SEED, SHORTEST), tmp_path)
    print(report.text())
    assert report.flaws() == [], f"seed {SEED}, logs in {tmp_path}"
    # It did hurt: or nothing would have been proved.
    assert report.total.received > 1000
    assert all(client.reconnects for client in report.clients)
    assert report.unknown > 0
