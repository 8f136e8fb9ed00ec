"""`python -m tests.bench WHAT`: measures, on this machine, one thing against another in one run."""

import argparse
import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec

from tests.bench import delays, held, persist
from tests.bench.endurance import Memory, endure
from tests.bench.growth import Growth, grow
from tests.bench.report import Figures, document
from tests.bench.tracker import QUICK, Measured, Plan, compare, table

Kind = TypeVar("Kind")

FIGURES = Path(".run/bench")
DOCUMENT = Path("docs/performance.md")


def main() -> int:
    asked = _arguments()
    for bench in _BENCHES.values() if asked.what == "all" else (_BENCHES[asked.what],):
        bench(_plan(asked))
    return 0


def _tracker(plan: Plan) -> None:
    measured = asyncio.run(compare(plan))
    print(table(measured))
    _keep("tracker", measured)


def _growth(plan: Plan) -> None:
    _keep("growth", asyncio.run(grow(plan)))


def _held(_: Plan) -> None:
    _keep("held", held.measure())


def _endurance(plan: Plan) -> None:
    _keep("endurance", asyncio.run(endure(plan)))


def _delays(_: Plan) -> None:
    _keep("delays", delays.measure())


def _persist(plan: Plan) -> None:
    stores = persist.measure(plan.rounds)
    print(persist.table(plan.rounds, stores))
    _keep("persist", stores)


def _report(_: Plan) -> None:
    figures = Figures(
        measured=_kept("tracker", Measured),
        growth=_kept("growth", Growth),
        held=_kept("held", list[held.Held]),
        memory=_kept("endurance", list[Memory]) if (FIGURES / "endurance.json").exists() else [],
        delays=_kept("delays", list[delays.Delays]),
    )
    DOCUMENT.write_text(document(figures))


_BENCHES: dict[str, Callable[[Plan], None]] = {
    "tracker": _tracker,
    "growth": _growth,
    "held": _held,
    "endurance": _endurance,
    "delays": _delays,
    "persist": _persist,
    "report": _report,
}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument(
        "what", choices=["all", *_BENCHES], help=f"figures go to {FIGURES}, all to {DOCUMENT}"
    )
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    parser.add_argument("--rounds", type=int, help="of each case, in turn; medians are told")
    parser.add_argument("--seconds", type=float, help="of each round")
    parser.add_argument("--sink-ms", type=int, help="what Kinesis takes to confirm")
    parser.add_argument("--rate", type=float, help="of the steady load; without it 70 %% of the most")
    parser.add_argument("--only", help="cases whose names have this in them")
    return parser.parse_args()


def _plan(asked: argparse.Namespace) -> Plan:
    given = {name: value for name in Plan._fields if (value := getattr(asked, name)) is not None}
    return (QUICK if asked.quick else Plan())._replace(**given)


def _kept(name: str, kind: type[Kind]) -> Kind:
    return msgspec.json.decode((FIGURES / f"{name}.json").read_bytes(), type=kind)


def _keep(name: str, figures: object) -> None:
    FIGURES.mkdir(parents=True, exist_ok=True)
    (FIGURES / f"{name}.json").write_bytes(msgspec.json.format(msgspec.json.encode(figures)))


if __name__ == "__main__":
    sys.exit(main())
