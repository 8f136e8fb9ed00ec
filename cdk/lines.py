"""A line of the bill, and the units that lines are worked out in."""

from typing import Literal, NamedTuple, get_args

HOURS = 730
SECONDS = HOURS * 3_600
GB = 1e9

Part = Literal["taking in", "storing", "core data", "workers", "watching"]
PARTS: tuple[Part, ...] = get_args(Part)
"""Taking in: a request to a durable event. Core data: what answers depend on. Workers: live counts, matching,
guarding."""


class Line(NamedTuple):
    """A line of the bill."""

    what: str
    usd: float
    part: Part


def total_usd(lines: list[Line]) -> float:
    return sum(line.usd for line in lines)


def usd_of(lines: list[Line], *parts: Part) -> float:
    return sum(line.usd for line in lines if line.part in parts)


def counted(count: int, what: str) -> str:
    """`1 task`, `2 tasks`."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
