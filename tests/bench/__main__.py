"""`python -m tests.bench WHAT`: measures, on this machine, one thing against another in one run."""

import argparse
import asyncio
import sys
from pathlib import Path

import msgspec

from tests.bench.tracker import Plan, compare, table


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    benches = parser.add_subparsers(dest="what", required=True)
    tracker = benches.add_parser("tracker", help="the tracker against a bare route and the naive way")
    tracker.add_argument("--rounds", type=int, default=5, help="of each case, in turn; medians are told")
    tracker.add_argument("--seconds", type=float, default=2, help="of each round")
    tracker.add_argument("--sink-ms", type=int, default=5, help="what Kinesis takes to confirm")
    tracker.add_argument("--rate", type=float, help="of the steady load; without it 70 %% of the most")
    tracker.add_argument("--only", default="", help="cases whose names have this in them")
    tracker.add_argument("--json", type=Path, help="where the figures go")
    asked = parser.parse_args()
    plan = Plan(
        rounds=asked.rounds, seconds=asked.seconds, sink_ms=asked.sink_ms, only=asked.only, rate=asked.rate
    )
    measured = asyncio.run(compare(plan))
    print(table(measured))
    if asked.json:
        asked.json.write_bytes(msgspec.json.format(msgspec.json.encode(measured)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
