"""What a person asks of a load on the command line."""

import argparse
from pathlib import Path
from typing import Any

from tests.load.fleet import ROOT

PLAN = "plan."
"""What the options that become fields of a Plan are kept under."""


def parse_arguments(given: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.load", description=__doc__)
    _add_plan(parser.add_argument_group("the load"))
    _add_where(parser.add_argument_group("where to"))
    after = parser.add_argument_group("afterwards")
    after.add_argument("--verify", action="store_true", help="audit: acknowledged = stored = counted")
    after.add_argument("--report", type=Path, metavar="FILE", help="an HTML page (.run/load.html)")
    return parser.parse_args(given)


def plan_fields(asked: argparse.Namespace) -> dict[str, Any]:
    """The fields of a Plan that were asked for; the others have their defaults."""
    given = {name.removeprefix(PLAN): value for name, value in vars(asked).items() if name.startswith(PLAN)}
    fields = {name: value for name, value in given.items() if value is not None}
    return fields | ({"rate_per_s": None} if asked.saturate else {})


def _add_plan(group: argparse._ArgumentGroup) -> None:
    def add(option: str, field: str, help: str, type: Any = int) -> None:
        group.add_argument(option, dest=PLAN + field, type=type, metavar="N", help=help)

    how_fast = group.add_mutually_exclusive_group()
    how_fast.add_argument(
        "--rate", dest=f"{PLAN}rate_per_s", type=float, metavar="N", help="events a second (200)"
    )
    how_fast.add_argument("--saturate", action="store_true", help="instead: as many events as are answered")
    add("--seconds", "duration_s", "how long (30)", float)
    add("--events", "events_max", "how many at most (1000000)")
    add("--ramp", "ramp_s", "seconds for which the rate rises from nothing (0)", float)
    add("--batch", "batch_sizes", "events a request, or several sizes in turn: 1,1,100 (1)", sizes)
    add("--mix", "mix", "shares of kinds (view=80,click=15,conversion=5)", shares)
    add(
        "--wrong",
        "wrong_checksums",
        "share of events that do not count, by their checksum (0.02)",
        float,
    )
    add("--visitors", "visitors", "how many send (2000)")
    add("--connections", "connections", "requests unanswered at a time (64)")
    add("--processes", "processes", "that send (1)")
    add("--attempts", "attempts", "at an event, before it is given up (20)")
    add("--timeout", "timeout_s", "seconds for an answer (10)", float)


def _add_where(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--tracker",
        action="append",
        metavar="URL",
        help="each tracker's (those that run here)",
    )
    add("--allow-remote", action="store_true", help="they are not on this machine, and mine to load")
    add("--program", action="append", metavar="ID", help="each program's (the sample programs)")
    add("--own-programs", type=int, metavar="N", help="instead: so many, load-1 and on, made if need be")
    add("--run-dir", type=Path, default=ROOT / ".run", help="of the system that runs here (.run)")


def sizes(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in text.split(","))


def shares(text: str) -> dict[str, int]:
    return {kind: int(share) for kind, _, share in (part.partition("=") for part in text.split(","))}
