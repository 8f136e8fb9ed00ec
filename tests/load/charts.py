"""Charts as SVG that takes its colours from the page around it."""

import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape

from tests.load.histogram import Bar

WIDTH, HEIGHT = 760, 240
LEFT, RIGHT, TOP, BOTTOM = 64, 32, 28, 32
TICKS = 4
STEPS = (1, 1.5, 2, 3, 4, 5, 7.5, 10)
GAP = 1

Point = tuple[float, float]


def histogram_chart(bars: Sequence[Bar], title: str) -> str:
    """A bar for each, equally wide, with some of their bounds below in milliseconds."""
    most = _round_above(max((bar.count for bar in bars), default=0))
    width = (WIDTH - LEFT - RIGHT) / max(1, len(bars))
    shapes = [
        f'<rect x="{LEFT + place * width:.1f}" y="{_y(bar.count, most):.1f}" width="{width - GAP:.1f}" '
        f'height="{HEIGHT - BOTTOM - _y(bar.count, most):.1f}"><title>{bar.count:,} from {bar.from_ms:.2f} '
        f"to {bar.to_ms:.2f} ms</title></rect>"
        for place, bar in enumerate(bars)
    ]
    every = max(1, len(bars) // TICKS)
    labels = [
        _label(LEFT + place * width, f"{_short(bars[place].from_ms)} ms")
        for place in range(0, len(bars), every)
    ]
    return _svg(title, [*_scale(most), *shapes, *labels])


def line_chart(lines: Mapping[str, Sequence[Point]], title: str, unit: str = "") -> str:
    """A line by its name, over seconds."""
    points = [point for line in lines.values() for point in line]
    most = _round_above(max((y for _, y in points), default=0))
    end_s = max((x for x, _ in points), default=0) or 1
    shapes = [_line(name, number, line, end_s, most) for number, (name, line) in enumerate(lines.items())]
    seconds = [_label(_x(end_s * n / TICKS, end_s), f"{end_s * n / TICKS:.0f} s") for n in range(TICKS + 1)]
    return _svg(title, [*_scale(most, unit), *shapes, *_names(list(lines)), *seconds])


def _line(name: str, number: int, points: Sequence[Point], end_s: float, most: float) -> str:
    path = " ".join(f"{_x(x, end_s):.1f},{_y(y, most):.1f}" for x, y in points)
    return f'<polyline class="line-{number}" points="{path}"><title>{escape(name)}</title></polyline>'


def _names(names: Sequence[str]) -> Iterator[str]:
    for number, name in enumerate(names):
        x = WIDTH - RIGHT - 130 * (len(names) - number)
        yield f'<text class="name-{number}" x="{x}" y="{TOP - 14}">&#9473; {escape(name)}</text>'


def _scale(most: float, unit: str = "") -> Iterator[str]:
    for tick in range(TICKS + 1):
        value = most * tick / TICKS
        y = _y(value, most)
        yield f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield f'<text text-anchor="end" x="{LEFT - 6}" y="{y + 4:.1f}">{_short(value)}{unit}</text>'


def _label(x: float, text: str) -> str:
    return f'<text text-anchor="middle" x="{x:.1f}" y="{HEIGHT - 10}">{text}</text>'


def _svg(title: str, shapes: Sequence[str]) -> str:
    inside = "".join(shapes)
    return f'<svg role="img" aria-label="{escape(title)}" viewBox="0 0 {WIDTH} {HEIGHT}">{inside}</svg>'


def _x(seconds: float, end_s: float) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * seconds / end_s


def _y(value: float, most: float) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / most


def _round_above(value: float) -> float:
    """The least number that is not below it and whose share of each tick is a round one."""
    unit = TICKS * 10.0 ** math.floor(math.log10(value / TICKS)) if value else TICKS
    return next(unit * step for step in STEPS if unit * step >= value)


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 or value == 0 else f"{value:.2g}"
