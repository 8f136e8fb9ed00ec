"""Tables and numbers as docs/performance.md has them."""

from collections.abc import Iterable, Sequence
from textwrap import fill

from tests.bench.order import Latencies

WIDTH = 110
"""Of a line of prose, as in the other pages."""


def prose(text: str) -> str:
    return fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """The first column to the left, the others to the right."""
    lines = [head, ["---", *("---:" for _ in head[1:])], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def number(value: float) -> str:
    """To three digits, or to the unit."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 3 else f"{value:.2f}"


def counted(count: int, things: str) -> str:
    """`1 shard`, `1,000 connections`."""
    return f"{count:,} {things if count != 1 else things.removesuffix('s')}"


def percentiles(latencies: Latencies) -> str:
    return f"{number(latencies.p50)} / {number(latencies.p99)}"
