"""What is to be reached, and what was."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tests.bench.delays import Delays
from tests.bench.endurance import Memory
from tests.bench.figures import Figures
from tests.bench.persist import Stores
from tests.bench.rounds import Result
from tests.bench.tracker import Measured


class Goal(NamedTuple):
    what: str
    goal: str
    figure: float
    is_met: bool


def goals(figures: Figures) -> Iterator[Goal]:
    """Of the parts that were measured."""
    if figures.tracker and figures.tracker.is_whole:
        yield from _tracker(figures.tracker)
    if figures.persist:
        yield from _persist(figures.persist)
    if figures.delays:
        yield from _delays(figures.delays)
    if figures.endurance:
        yield from _memory(figures.endurance)


def _tracker(measured: Measured) -> Iterator[Goal]:
    by_case = {each.case: each for each in measured.saturated}
    steady = {each.case: each for each in measured.steady}
    durable, buffered = by_case["durable"], by_case["buffered"]
    yield _at_least("durable GET, of bare", 0.75, durable.to_bare)
    yield _at_least("durable GET, of naive", 6, durable.per_cpu_s / by_case["naive"].per_cpu_s)
    yield _at_least("buffered GET, of bare", 0.9, buffered.to_bare)
    yield _at_least("buffered GET, of bare (stretch)", 2, buffered.to_bare)
    yield _at_least("events per CPU second, msgpack", 60_000, _events(by_case, "msgpack"))
    yield _at_least("events per CPU second, JSON", 35_000, _events(by_case, "json"))
    yield _under("durable p99 at 70 %, ms", 25, steady["durable"].latency_ms.p99)
    yield _under("buffered p99 at 70 %, ms", 10, steady["buffered"].latency_ms.p99)


def _persist(stores: Stores) -> Iterator[Goal]:
    by_store = {each.case: each.to_naive for each in stores.cases}
    yield _at_least("persist, an item each, of naive", 8, by_store["an item each"])
    yield _at_least("persist, packed, of naive", 60, by_store["packed, 10 programs"])


def _delays(delays: Sequence[Delays]) -> Iterator[Goal]:
    memory_ms = [each.memory_ms for each in delays]
    yield _under("change to both memories, p50 ms", 10, max(each.p50 for each in memory_ms))
    yield _under("change to both memories, p99 ms", 50, max(each.p99 for each in memory_ms))


def _memory(memory: Sequence[Memory]) -> Iterator[Goal]:
    long_mb, events = [each.rss_mb for each in memory], memory[-1].events
    half = len(long_mb) // 2
    yield _under("memory with 10,000 programs, MB", 110, max(long_mb))
    what = f"growth of it in the last {events - memory[half].events:,} of {events:,} events, MB"
    yield _under(what, 5, long_mb[-1] - long_mb[half])


def _events(by_case: dict[str, Result], form: str) -> float:
    return by_case[f"durable, 100 events in {form}"].events_per_cpu_s


def _at_least(what: str, goal: float, figure: float) -> Goal:
    return Goal(what, f"at least {goal:,}", figure, figure >= goal)


def _under(what: str, goal: float, figure: float) -> Goal:
    return Goal(what, f"under {goal:,}", figure, figure < goal)
