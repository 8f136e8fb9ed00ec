"""Where a curve bends, in words that follow from its points alone."""

from collections.abc import Sequence
from itertools import groupby, pairwise
from operator import attrgetter
from typing import NamedTuple

FLAT = 0.15
"""Two neighbours that differ by less are alike: so do two rounds of one case on a busy machine."""
Points = Sequence[tuple[float, float]]


class Run(NamedTuple):
    """Points one after the other between which a curve goes one way: 1 is up, -1 down, 0 neither."""

    way: int
    first: tuple[float, float]
    last: tuple[float, float]

    @property
    def factor(self) -> float:
        return self.last[1] / self.first[1]


def runs(points: Points) -> list[Run]:
    """The curve cut where it bends."""
    steps = [Run(_way(before[1], after[1]), before, after) for before, after in pairwise(points)]
    grouped = (list(some) for _, some in groupby(steps, key=attrgetter("way")))
    return [Run(some[0].way, some[0].first, some[-1].last) for some in grouped]


def told(points: Points, unit: str) -> str:
    """`rises 8.3-fold from 1 to 64 connections, and is flat to 1,000`."""
    *others, last = [_told(run, nth, unit) for nth, run in enumerate(runs(points))]
    return ", ".join(others) + ", and " + last if others else last


def falls(points: Points) -> bool:
    return points[-1][1] < points[0][1] * (1 - FLAT)


def rises(points: Points) -> bool:
    return points[-1][1] > points[0][1] * (1 + FLAT)


def bend(points: Points) -> float | None:
    """Where the steepest step begins; None of a curve without one."""
    steps = [step for step in pairwise(points) if _way(step[0][1], step[1][1])]
    if not steps:
        return None
    return max(steps, key=lambda step: abs(step[1][1] - step[0][1]) / min(step[0][1], step[1][1]))[0][0]


def _told(run: Run, nth: int, unit: str) -> str:
    until = f"from {run.first[0]:,} to {run.last[0]:,} {unit}" if nth == 0 else f"to {run.last[0]:,}"
    match run.way:
        case 1:
            return f"rises {run.factor:.1f}-fold {until}"
        case -1:
            return f"falls by {1 - run.factor:.0%} {until}"
        case _:
            return f"is flat {until}"


def _way(before: float, after: float) -> int:
    if abs(after - before) < FLAT * max(before, after):
        return 0
    return 1 if after > before else -1
