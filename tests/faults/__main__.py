"""``make soak MINUTES=5 SEED=7``: a long run, and its report.

python -m tests.faults [--minutes 5] [--seed 7] [--users 60] [--admins 10] [--pace 0.3]
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import shutil
import sys
import tempfile
from pathlib import Path

from tests.faults.run import Plan, run
from tests.faults.schedule import SHORTEST


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=5.0, help="how long the schedule lasts")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000), help="brings a schedule back")
    parser.add_argument("--users", type=int, default=60, help="two or three devices each")
    parser.add_argument("--admins", type=int, default=10)
    parser.add_argument("--pace", type=float, default=0.3, help="seconds that a producer rests after a step")
    options = parser.parse_args()
    seconds = options.minutes * 60
    if seconds < SHORTEST:
        parser.error(f"--minutes: every kind of fault takes {SHORTEST / 60:.2f} at least")
    plan = Plan(options.seed, seconds, users=options.users, admins=options.admins, pace=options.pace)
    print(f"{options.minutes:g} minutes of faults, seed {options.seed}", flush=True)
    directory = Path(tempfile.mkdtemp(prefix="faults-"))
    report = asyncio.run(run(plan, directory))
    print(report.text())
    if report.flaws():
        print(f"the logs are in {directory}")
        return 1
    shutil.rmtree(directory)
    return 0


if __name__ == "__main__":
    sys.exit(main())
