"""``make soak MINUTES=5 SEED=7``: a long run, and its report.

python -m tests.faults [--minutes 5] [--seed 7] [--users 120] [--admins 20]
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


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=5.0, help="how long the schedule lasts")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000), help="brings a schedule back")
    parser.add_argument("--users", type=int, default=120, help="two or three devices each")
    parser.add_argument("--admins", type=int, default=20)
    options = parser.parse_args()
    plan = Plan(options.seed, options.minutes * 60, users=options.users, admins=options.admins)
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
