"""What the time and the memory go into, of what was measured; no figure is typed."""

from collections.abc import Iterator, Sequence

from tests.bench.cases import by_name
from tests.bench.figures import Figures, Weights
from tests.bench.persist import Stores
from tests.bench.rounds import Result
from tests.bench.steps import Step, Steps
from tests.bench.tables import number, table
from tests.bench.tracker import Measured

_VIEW_REST = "the connection, the loop, the put's share"
_ITEM_REST = "the queue, its acknowledgement, its place in the answer, the put's share"


def reasons(figures: Figures) -> Iterator[str]:
    """Paragraphs."""
    if figures.tracker and figures.tracker.is_whole:
        yield from _of_the_tracker(figures.tracker)
        if figures.steps:
            yield from _of_an_event(figures.tracker, figures.steps)
    if figures.weights:
        yield from _of_memory(figures.weights)


def _of_the_tracker(measured: Measured) -> Iterator[str]:
    us = {each.case: _us(each) for each in measured.saturated}
    shared = {each.case: each.events_per_put or 0 for each in measured.saturated}
    put_us = us["durable, 1 connection"] - us["buffered, 1 connection"]
    yield (
        f"A view in `buffered` mode takes {number(us['buffered'])} µs of CPU time, and the bare route"
        f" {number(us['bare'])}. A put takes as much as {put_us / us['buffered']:.0f} views: what a lone"
        f" connection's view takes more in `durable` mode than in `buffered`, {number(put_us)} µs, to sign it"
        " and to send it over aiohttp. So an event is the dearer the fewer share a put, and that is what"
        " *durable* takes beyond *buffered*: 64 connections that wait for their answers fill a put with"
        f" {number(shared['durable'])} events, those that do not wait with {number(shared['buffered'])}."
    )
    yield (
        f"A redirect goes through Sanic's router and tasks, and takes {number(us['buffered, click'])} µs,"
        f" {us['buffered, click'] / us['buffered']:.1f} times a view's: views have a lane past Sanic"
        " (docs/decisions/0024-fast-lane.md)."
    )


def _of_an_event(measured: Measured, steps: Steps) -> Iterator[str]:
    by_case = {each.case: each for each in measured.saturated}
    bare, view = by_case["bare"], by_case["buffered"]
    item_us = 1e6 / by_case["durable, 100 events in msgpack"].events_per_cpu_s
    yield "Of a view in `buffered` mode, each step timed by itself:"
    system = Step("the system's calls", _system_us(view))
    yield _steps([*steps.view, system], _us(view), _VIEW_REST)
    yield (
        f"Twice a bare route would be {number(_us(bare) / 2)} µs for all of that. The system's calls alone"
        f" take {number(system.us)}, as a bare route's take {number(_system_us(bare))}, and the steps"
        f" {number(sum(each.us for each in steps.view))}."
    )
    yield "Of one of 100 events of a POST in msgpack:"
    yield _steps(steps.item, item_us, _ITEM_REST)


def _steps(steps: Sequence[Step], whole_us: float, rest: str) -> str:
    known_us = sum(each.us for each in steps if not each.name.startswith("of which"))
    rows = [*((each.name, each.us) for each in steps), (rest, whole_us - known_us), ("all", whole_us)]
    return table(("", "µs", "share"), [(name, number(us), f"{us / whole_us:.0%}") for name, us in rows])


def _of_memory(weights: Weights) -> Iterator[str]:
    whole_mb = sum(mb for _, mb in weights)
    rows = [(name, number(mb), f"{mb / whole_mb:.0%}") for name, mb in weights]
    yield (
        "A task's memory before its first request, each part on top of those before it, with the packages"
        " that its image has and no others:"
    )
    yield table(("", "MB", "share"), rows)


def stored(stores: Stores) -> Iterator[str]:
    """What `persist` takes, and what it depends on."""
    rows = [
        (each.case, number(each.events_per_cpu_s), number(each.us_per_event), f"{each.to_naive:.1f}")
        for each in stores.cases
    ]
    yield (
        f"The function in a process of its own, against a DynamoDB that answers at once; medians of"
        f" {stores.rounds} rounds, the cases in turn. *Naive* is one PutItem of boto3 for each event."
    )
    yield table(("", "events per CPU s", "µs per event", "to naive"), rows)
    by_case = {each.case: each.us_per_event for each in stores.cases}
    few, many = by_name("packed, 10 programs"), by_name("packed, 100 programs")
    few_us, many_us = by_case[few.name], by_case[many.name]
    more_us = (many_us - few_us) * many.events / (many.programs - few.programs)
    yield (
        "A packed batch takes a call for each program and another for its head, however many events they"
        f" carry. So the same {many.events:,} events take {many_us / few_us:.1f} times as long of"
        f" {many.programs} programs as of {few.programs}: each more costs {number(more_us)} µs"
        " (docs/decisions/0025-dynamodb-on-the-wire.md)."
    )


def _system_us(result: Result) -> float:
    return result.system_share * _us(result)


def _us(result: Result) -> float:
    return 1e6 / result.per_cpu_s
