"""How the tracker grows: the tables, the plots, and where each curve bends and why.

What is said of a curve follows from its points, and a reason is given only where its figures bear it out.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.bench.bends import Points, bend, falls, rises, told
from tests.bench.endurance import Memory
from tests.bench.figures import Figures
from tests.bench.growth import Growth, Point
from tests.bench.held import Held
from tests.bench.plots import curve
from tests.bench.tables import counted, number, table

NAMES = ("shards", "connections", "programs", "tasks")
_TASKS = "Of two tasks, each has its row: they share the machine's cores with the load."


def growth(figures: Figures, charts: Path) -> Iterator[str]:
    """Paragraphs; the plots go to `charts`."""
    if figures.growth:
        yield from _grown(figures.growth, charts)
    if figures.held:
        yield from _held(figures.held, charts)
    if figures.endurance:
        yield from _endured(figures.endurance, charts)


def _grown(growth: Growth, charts: Path) -> Iterator[str]:
    rows = [
        (
            counted(point.at, name),
            number(point.result.requests_per_s),
            number(point.result.per_cpu_s),
            number(point.result.events_per_put or 0),
        )
        for name in NAMES
        for point in getattr(growth, name)
    ]
    yield f"Medians of {growth.plan.rounds} rounds of {growth.plan.seconds:g} s."
    yield table(("durable GET", "requests/s", "per CPU s", "events a put"), rows)
    yield _TASKS
    for name in NAMES[:-1]:
        points: list[Point] = getattr(growth, name)
        title = f"requests per CPU second by {name}"
        yield _plot(charts, name, title, per_cpu(points), is_log=True)
        yield f"By {name}, the curve {told(per_cpu(points), name)}{_why(points)}"
    yield f"An idle connection takes {growth.kb_per_idle_connection:.1f} KB."


def _why(points: Sequence[Point]) -> str:
    """A put costs the same whatever it carries, so what a request costs follows from how many share one."""
    figures, shares = per_cpu(points), [(point.at, point.result.events_per_put or 0) for point in points]
    first, last = shares[0][1], shares[-1][1]
    carried = f"{number(first)} events at first and {number(last)} at last"
    if (falls(figures) and falls(shares)) or (rises(figures) and rises(shares)):
        return f", as does what a put carries, which costs as much whatever that is: {carried}."
    if falls(figures) or rises(figures):
        return f"; what a put carries does not explain that: {carried}."
    return f"; a put carries {carried}."


def _held(held: Sequence[Held], charts: Path) -> Iterator[str]:
    rows = [
        (f"{each.programs:,}", number(each.bytes_per_program), f"{each.us_per_look_up:.2f}") for each in held
    ]
    points = [(each.programs, each.us_per_look_up) for each in held]
    yield table(("programs held", "bytes each", "µs to look one up"), rows)
    yield _plot(charts, "look-ups", "µs to look a program up, by programs held", points, is_log=True)
    yield f"A look-up's time {told(points, 'programs')}. {_why_held(held, points)}".rstrip()


def _why_held(held: Sequence[Held], points: Points) -> str:
    at = bend(points)
    if at is None or not rises(points):
        return ""
    mb = {each.programs: each.programs * each.bytes_per_program / 1e6 for each in held}
    after = min(programs for programs in mb if programs > at)
    cache_mb = core_cache_mb()
    return (
        f"It bends most between {at:,.0f} and {after:,}, where programs grow from {number(mb[int(at)])} to"
        f" {number(mb[after])} MB: a core's own cache has {cache_mb:g}, and past it a look-up in no order"
        " waits for memory."
    )


def _endured(memory: Sequence[Memory], charts: Path) -> Iterator[str]:
    points = [(each.events, each.rss_mb) for each in memory]
    yield _plot(charts, "memory", "MB after so many events", points, is_log=False)
    yield (
        f"Memory with 10,000 programs {told(points, 'events')}: {number(points[0][1])} MB before the first,"
        f" {number(max(mb for _, mb in points))} at most."
    )


def _plot(charts: Path, name: str, title: str, points: Points, *, is_log: bool) -> str:
    charts.mkdir(parents=True, exist_ok=True)
    curve(charts / f"{name}.svg", title, points, is_log=is_log)
    return f"![{title}]({charts.name}/{name}.svg)"


def per_cpu(points: Sequence[Point]) -> list[tuple[float, float]]:
    return [(point.at, point.result.per_cpu_s) for point in points]


def core_cache_mb() -> float:
    """The largest cache that is one core's own, as Linux tells it."""
    indexes = Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")
    own = [each for each in indexes if (each / "level").read_text().strip() == "2"]
    return max((int((each / "size").read_text().strip().rstrip("K")) / 1024 for each in own), default=0)
