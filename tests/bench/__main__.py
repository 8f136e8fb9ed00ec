"""`python -m tests.bench WHAT`: measures, on this machine, one thing against another in one run."""

import argparse
import asyncio
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
from msgspec.structs import replace

from tests.bench import delays, held, persist, steps
from tests.bench.endurance import endure
from tests.bench.figures import Weights, forget, keep, kept
from tests.bench.growth import grow
from tests.bench.parts import run_part
from tests.bench.plan import QUICK, Plan
from tests.bench.processes import CREDENTIALS, in_image, module
from tests.bench.report import document
from tests.bench.tracker import compare, table

FIGURES = Path(".run/bench")
QUICK_FIGURES = FIGURES / "quick"
DOCUMENT = Path("docs/performance.md")
CHARTS = "charts"


def main() -> int:
    asked = _arguments()
    if asked.what == "all":
        return _all(asked)
    if asked.what == "report":
        _write(asked)
        return 0
    keep(_folder(asked), asked.what, PARTS[asked.what](_plan(asked)))
    return 0


def _all(asked: argparse.Namespace) -> int:
    """Every part that can be measured, and the page of them. Exits 1 where one failed."""
    failed = {part: why for part in PARTS if (why := _measured(part, asked))}
    _write(asked)
    for part, why in failed.items():
        print(f"{part} failed: {why}", file=sys.stderr)
    return 1 if failed else 0


def _measured(part: str, asked: argparse.Namespace) -> str | None:
    """What was measured before is forgotten: a page has no figures of two runs."""
    forget(_folder(asked), part)
    began_s = time.monotonic()
    why = run_part(module("tests.bench", part, *sys.argv[2:]))
    print(f"{part}: {why or 'measured'}, {time.monotonic() - began_s:.0f} s", flush=True)
    return why


def _write(asked: argparse.Namespace) -> None:
    page = QUICK_FIGURES / DOCUMENT.name if asked.quick else DOCUMENT
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(document(kept(_folder(asked)), charts=page.parent / CHARTS))
    print(f"written: {page}")


def _tracker(plan: Plan) -> object:
    measured = asyncio.run(compare(plan))
    print(table(measured))
    return measured


def _persist(plan: Plan) -> object:
    stores = persist.measure(plan.rounds)
    print(persist.table(stores))
    return stores


def _weights(_: Plan) -> Weights:
    output = subprocess.check_output(in_image("tests.bench.weights"), env=CREDENTIALS)
    return msgspec.json.decode(output, type=Weights)


PARTS: dict[str, Callable[[Plan], object]] = {
    "tracker": _tracker,
    "growth": lambda plan: asyncio.run(grow(plan)),
    "held": lambda plan: held.measure(plan.held),
    "endurance": lambda plan: asyncio.run(endure(plan)),
    "steps": lambda _: steps.measure(),
    "weights": _weights,
    "delays": delays.measure,
    "persist": _persist,
}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument(
        "what", choices=["all", *PARTS, "report"], help=f"figures go to {FIGURES}, the page is {DOCUMENT}"
    )
    parser.add_argument(
        "--quick", action="store_true", help=f"less of everything, all of it to {QUICK_FIGURES}"
    )
    parser.add_argument("--rounds", type=int, help="of each case, in turn; medians are told")
    parser.add_argument("--seconds", type=float, help="of each round")
    parser.add_argument("--sink-ms", type=int, help="what Kinesis takes to confirm")
    parser.add_argument("--rate", type=float, help="of the steady load; without it 70 %% of the most")
    parser.add_argument("--only", help="cases whose names have this in them")
    return parser.parse_args()


def _plan(asked: argparse.Namespace) -> Plan:
    given = {
        name: value for name in Plan.__struct_fields__ if (value := getattr(asked, name, None)) is not None
    }
    return replace(QUICK if asked.quick else Plan(), **given)


def _folder(asked: argparse.Namespace) -> Path:
    return QUICK_FIGURES if asked.quick else FIGURES


if __name__ == "__main__":
    sys.exit(main())
