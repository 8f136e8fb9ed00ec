"""`python -m tests.bench WHAT`: measures, on this machine, one thing against another in one run."""

import argparse
import asyncio
import sys

from tests.bench.click import Plan, measure, table


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    benches = parser.add_subparsers(dest="what", required=True)
    click = benches.add_parser("click", help="what a redirect takes, by mode of acknowledgement")
    click.add_argument("--rate", type=int, default=500, help="clicks a second")
    click.add_argument("--seconds", type=int, default=6, help="of each round")
    click.add_argument("--rounds", type=int, default=5, help="of each target, in turn; medians are told")
    click.add_argument("--sink-ms", type=int, default=5, help="what Kinesis takes to confirm")
    asked = parser.parse_args()
    plan = Plan(rate=asked.rate, seconds=asked.seconds, rounds=asked.rounds, sink_ms=asked.sink_ms)
    print(table(plan, asyncio.run(measure(plan))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
