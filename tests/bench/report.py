"""docs/performance.md, made of what the benches measured."""

import os
import platform
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import sanic

from tests.bench.client import Latencies
from tests.bench.delays import Delays
from tests.bench.endurance import Memory
from tests.bench.growth import Growth, Point
from tests.bench.held import Held
from tests.bench.plots import curve
from tests.bench.rounds import Result
from tests.bench.tracker import Measured

CHARTS = Path("docs/charts")

_INTRODUCTION = """\
# Performance

Made by `make bench`; no figure of a table was typed. {machine}.

Everything ran on this one machine, the load included, and other work beside it, so the ratios say more than
the figures: each case is compared with a *bare* Sanic route, which only returns the same JSON, within the
same round. Medians of {rounds} rounds of {seconds:g} s, the cases in turn. CPU seconds are those that the
system says the process under test has used (`/proc`), so that what else the machine does counts little. The
Kinesis is a sink that confirms every put {sink_ms} ms after it came, and does no more than the protocol asks.

- *bare*: Sanic alone. *naive*: a Sanic route that awaits aiobotocore's `put_record` for each event.
- *durable*: the tracker, which answers once Kinesis has confirmed. *buffered*: once the event is queued.
- A request comes as a load balancer hands it on: from an address of its own, with a trace of its own, eight
  headers. A batch has 100 views, each of a visitor and with a referrer, which the default privacy reduces.

    make bench                          # everything: about a quarter of an hour
    make bench ARGS="--quick"           # fewer and shorter rounds: about three minutes
    .venv/bin/python -m tests.bench tracker --only gzip
"""


_REASONS = """\
## What the time goes into

A put costs the tracker as much as ten to twenty views, whatever it carries: signing it, and sending it over
aiohttp. So an event is the dearer the fewer share a put, with more shards as with fewer connections, and that
is what *durable* takes beyond *buffered*: 64 connections that wait for their answers fill a put with 64
events at most. Beyond the put, a view's time is Python's own, spread over reading its headers, its address,
its event and the answer, with no part above a fifth; the system's calls take an eighth.

Half of a batch's event goes into making it, a quarter of that into the hash that stands for its visitor
(docs/privacy.md); a fifth into queueing it. A redirect still goes through Sanic's router and tasks, and pays
for them. Two thirds of a task's memory are the libraries that it imports, a sixth the lists that tell bots
and families from a user agent.
"""

_DELAYS = """\
## Until it is known elsewhere

On the whole local stack (`make run`, with an emulator of AWS in one process), under a steady load: from a
view's POST until it is in the table, and until a page at the other tracker is told of it; from a change's
message on Redis until both trackers have said that they have applied it, and from its PUT until then.
Milliseconds, p50 / p99.

"""


class Goal(NamedTuple):
    """What is to be reached, and what was; `is_met` compares them."""

    what: str
    goal: str
    figure: float
    is_met: bool


class Figures(NamedTuple):
    """What each bench measured; `memory` is empty where nobody waited for it."""

    measured: Measured
    growth: Growth
    held: list[Held]
    memory: list[Memory]
    delays: list[Delays]


def document(figures: Figures) -> str:
    measured, plan = figures.measured, figures.measured.plan
    introduction = _INTRODUCTION.format(
        machine=_machine(), rounds=plan.rounds, seconds=plan.seconds, sink_ms=plan.sink_ms
    )
    sections = [
        introduction,
        "## Goals\n\n" + _goals(goals(figures)),
        "## At saturation\n\n" + _saturated(measured.saturated),
        "## At 70 % of that\n\nFrom when a request was due, whether or not those before it were answered. The"
        " lag is what a request waits meanwhile that takes no work: `/health/live`.\n\n"
        + _steady(measured.steady),
        "## Growth\n\n" + _growth(figures),
        _REASONS,
        _DELAYS + _delays(figures.delays),
    ]
    return "\n\n".join(section.strip("\n") for section in sections) + "\n"


def goals(figures: Figures) -> list[Goal]:
    by_case = {each.case: each for each in figures.measured.saturated}
    steady = {each.case: each for each in figures.measured.steady}
    durable, buffered = by_case["durable"], by_case["buffered"]
    memory_ms = [each.memory_ms for each in figures.delays]
    return [
        _at_least("durable GET, of bare", 0.75, durable.to_bare),
        _at_least("durable GET, of naive", 6, durable.per_cpu_s / by_case["naive"].per_cpu_s),
        _at_least("buffered GET, of bare", 0.9, buffered.to_bare),
        _at_least("buffered GET, of bare (stretch)", 2, buffered.to_bare),
        _at_least("events per CPU second, msgpack", 60_000, _events(by_case, "msgpack")),
        _at_least("events per CPU second, JSON", 35_000, _events(by_case, "json")),
        _under("durable p99 at 70 %, ms", 25, steady["durable"].latency_ms.p99),
        _under("buffered p99 at 70 %, ms", 10, steady["buffered"].latency_ms.p99),
        _under("change to both memories, p50 ms", 10, max(each.p50 for each in memory_ms)),
        _under("change to both memories, p99 ms", 50, max(each.p99 for each in memory_ms)),
        *_memory_goals([each.rss_mb for each in figures.memory]),
    ]


def _memory_goals(long_mb: Sequence[float]) -> Iterable[Goal]:
    if long_mb:
        yield _under("memory with 10,000 programs, MB", 110, max(long_mb))
        yield _under(
            "growth of it in the second million events, MB", 5, long_mb[-1] - long_mb[len(long_mb) // 2]
        )


def charts(figures: Figures) -> Iterable[str]:
    """Draws them, and says where they are."""
    CHARTS.mkdir(exist_ok=True)
    growth = figures.growth
    held = [(each.programs, each.us_per_look_up) for each in figures.held]
    memory = [(each.events, each.rss_mb) for each in figures.memory]
    for name, title, points, is_log in (
        ("shards", "requests per CPU second by shards", _per_cpu(growth.shards), True),
        ("connections", "requests per CPU second by connections", _per_cpu(growth.connections), True),
        ("programs", "requests per CPU second by programs", _per_cpu(growth.programs), True),
        ("look-ups", "µs to look a program up, by programs held", held, True),
        ("memory", "MB after so many events", memory, False),
    ):
        if not points:
            continue
        curve(CHARTS / f"{name}.svg", title, points, is_log=is_log)
        yield f"![{title}](charts/{name}.svg)"


def _events(by_case: dict[str, Result], form: str) -> float:
    return by_case[f"durable, 100 events in {form}"].events_per_cpu_s


def _at_least(what: str, goal: float, figure: float) -> Goal:
    return Goal(what, f"at least {goal:,}", figure, figure >= goal)


def _under(what: str, goal: float, figure: float) -> Goal:
    return Goal(what, f"under {goal:,}", figure, figure < goal)


def _goals(goals: Sequence[Goal]) -> str:
    rows = [(each.what, each.goal, _number(each.figure), "yes" if each.is_met else "no") for each in goals]
    return _table(("", "goal", "measured", "reached"), rows)


def _saturated(results: Sequence[Result]) -> str:
    rows = [
        (
            each.case,
            _number(each.requests_per_s),
            _number(each.per_cpu_s),
            f"{each.to_bare:.2f}",
            _number(each.events_per_cpu_s),
            _number(each.latency_ms.p50),
            _number(each.latency_ms.p99),
            _number(each.rss_mb),
        )
        for each in results
    ]
    head = ("", "requests/s", "per CPU s", "to bare", "events per CPU s", "p50 ms", "p99 ms", "MB")
    return _table(head, rows)


def _steady(results: Sequence[Result]) -> str:
    rows = [
        (
            each.case,
            _number(each.requests_per_s),
            *(_number(value) for value in (each.latency_ms.p50, each.latency_ms.p99, each.latency_ms.p999)),
            *((_number(each.lag_ms.p50), _number(each.lag_ms.p99)) if each.lag_ms else ("", "")),
        )
        for each in results
    ]
    return _table(("", "requests/s", "p50 ms", "p99 ms", "p99.9 ms", "lag p50 ms", "lag p99 ms"), rows)


def _growth(figures: Figures) -> str:
    growth = figures.growth
    points: list[tuple[str, list[Point]]] = [
        ("shards", growth.shards),
        ("connections", growth.connections),
        ("programs", growth.programs),
        ("tasks", growth.tasks),
    ]
    rows = [
        (f"{point.at:,} {name}", _number(point.result.requests_per_s), _number(point.result.per_cpu_s))
        for name, curve in points
        for point in curve
    ]
    held = [
        (f"{each.programs:,}", _number(each.bytes_per_program), f"{each.us_per_look_up:.2f}")
        for each in figures.held
    ]
    return (
        "\n\n".join(
            [
                _table(("durable GET", "requests/s", "per CPU s"), rows),
                "Of two tasks, each has its row: they share the machine's cores with the load.",
                _table(("programs held", "bytes each", "µs to look one up"), held),
                f"An idle connection takes {growth.kb_per_idle_connection:.1f} KB.",
                *charts(figures),
            ]
        )
        + "\n"
    )


def _delays(delays: Sequence[Delays]) -> str:
    rows = [
        (
            f"{each.rate:,}",
            *map(_percentiles, (each.stored_ms, each.page_ms, each.memory_ms, each.change_ms)),
        )
        for each in delays
    ]
    return _table(("events/s", "stored", "on the page", "message to memory", "PUT to memory"), rows) + "\n"


def _percentiles(latencies: Latencies) -> str:
    return f"{_number(latencies.p50)} / {_number(latencies.p99)}"


def _per_cpu(points: Sequence[Point]) -> list[tuple[float, float]]:
    return [(point.at, point.result.per_cpu_s) for point in points]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---", *("---:" for _ in head[1:])], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _number(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 3 else f"{value:.2f}"


def _machine() -> str:
    return (
        f"{os.cpu_count()} cores ({platform.machine()}), {_memory_gb()} GB, {platform.system()};"
        f" Python {platform.python_version()}, Sanic {sanic.__version__}"
    )


def _memory_gb() -> int:
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)
