"""docs/performance.md, made of what the benches measured."""

import os
import platform
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import sanic

from tests.bench.curves import growth
from tests.bench.delays import Delays
from tests.bench.figures import Figures
from tests.bench.goals import goals
from tests.bench.reasons import reasons, stored
from tests.bench.rounds import Result
from tests.bench.tables import number, percentiles, prose, table
from tests.bench.tracker import Measured

_INTRODUCTION = """\
# Performance

Made by `make bench`; no figure was typed. {machine}.

Everything ran on this one machine, the load included, so the ratios say more than the figures: each case is
compared with a *bare* Sanic route, which only returns the same JSON, within the same round. CPU seconds are
those that the system says the process under test has used (`/proc`), so that what else the machine does
counts little; that process has a core to itself, and what loads it the others. The Kinesis is a sink that
does no more than the protocol asks.

- *bare*: Sanic alone. *naive*: a Sanic route that awaits aiobotocore's `put_record` for each event.
- *durable*: the tracker, which answers once Kinesis has confirmed. *buffered*: once the event is queued.
- A request comes as a load balancer hands it on: from an address of its own, with a trace of its own, eight
  headers. A batch has 100 views, each of a visitor and with a referrer, which the default privacy reduces.

    make bench                          # everything: some ten minutes
    make bench ARGS="--quick"           # less of everything, about three minutes; to .run/bench/quick
    .venv/bin/python -m tests.bench tracker --only gzip
    .venv/bin/python -m tests.bench report      # this page again, of what was measured last\
"""

_STEADY = """\
From when a request was due, whether or not those before it were answered. The lag is what a request waits
meanwhile that takes no work: `/health/live`.\
"""

_DELAYS = """\
On the whole local stack (`make run`, with an emulator of AWS in one process), under a steady load: from a
view's POST until it is in the table, and until a page at the other tracker is told of it; from a change's
message on Redis until both trackers have said that they have applied it, and from its PUT until then. What is
stored waits for the function's next look at its shard (`LAMBDA_POLL_INTERVAL_MS`), a page for the next event
of the live stream (`TRACKER_LIVE_INTERVAL_MS`). Milliseconds, p50 / p99.\
"""


def document(figures: Figures, *, charts: Path) -> str:
    """Of whichever parts there are; the plots go to `charts`, which is beside the page."""
    sections = [
        [_INTRODUCTION.format(machine=_machine()), *_missing(figures)],
        _titled("Goals", [_goals(figures)]),
        *_compared(figures.tracker),
        _titled("Growth", growth(figures, charts)),
        _titled("Storing", stored(figures.persist) if figures.persist else ()),
        _titled("Until it is known elsewhere", _delays(figures.delays) if figures.delays else ()),
        _titled("What the time goes into", reasons(figures)),
    ]
    return "\n\n".join(_wrapped(paragraph) for section in sections for paragraph in section) + "\n"


def _wrapped(paragraph: str) -> str:
    """What has lines already, or none to spare, stays as it is."""
    return paragraph if "\n" in paragraph or paragraph.startswith(("#", "!")) else prose(paragraph)


def _titled(title: str, paragraphs: Iterable[str]) -> list[str]:
    """Nothing where there is nothing to say."""
    said = list(paragraphs)
    return [f"## {title}", *said] if said else []


def _missing(figures: Figures) -> Iterator[str]:
    if figures.missing:
        yield f"**Not measured this time: {', '.join(figures.missing)}.**"


def _goals(figures: Figures) -> str:
    rows = [
        (each.what, each.goal, number(each.figure), "yes" if each.is_met else "no") for each in goals(figures)
    ]
    return table(("", "goal", "measured", "reached"), rows)


def _compared(measured: Measured | None) -> Iterator[list[str]]:
    if measured:
        plan = measured.plan
        rounds = (
            f"Medians of {plan.rounds} rounds of {plan.seconds:g} s, the cases in turn. Kinesis confirms a"
            f" put {plan.sink_ms} ms after it came."
        )
        yield _titled("At saturation", [rounds, _saturated(measured.saturated)])
        yield _titled("At 70 % of that", [_STEADY, _steady(measured.steady)])


def _saturated(results: Sequence[Result]) -> str:
    rows = [
        (
            each.case,
            number(each.requests_per_s),
            number(each.per_cpu_s),
            f"{each.to_bare:.2f}",
            number(each.events_per_cpu_s),
            number(each.latency_ms.p50),
            number(each.latency_ms.p99),
            number(each.rss_mb),
        )
        for each in results
    ]
    head = ("", "requests/s", "per CPU s", "to bare", "events per CPU s", "p50 ms", "p99 ms", "MB")
    return table(head, rows)


def _steady(results: Sequence[Result]) -> str:
    rows = [
        (
            each.case,
            number(each.requests_per_s),
            *(number(value) for value in (each.latency_ms.p50, each.latency_ms.p99, each.latency_ms.p999)),
            *((number(each.lag_ms.p50), number(each.lag_ms.p99)) if each.lag_ms else ("", "")),
        )
        for each in results
    ]
    return table(("", "requests/s", "p50 ms", "p99 ms", "p99.9 ms", "lag p50 ms", "lag p99 ms"), rows)


def _delays(delays: Sequence[Delays]) -> Iterator[str]:
    rows = [
        (
            f"{each.rate:,}",
            *map(percentiles, (each.stored_ms, each.page_ms, each.memory_ms, each.change_ms)),
        )
        for each in delays
    ]
    yield _DELAYS
    yield table(("events/s", "stored", "on the page", "message to memory", "PUT to memory"), rows)
    yield f"{delays[0].samples} events and {delays[0].changes} changes at each rate, one after the other."


def _machine() -> str:
    return (
        f"{os.cpu_count()} cores ({platform.machine()}), {_memory_gb()} GB, {platform.system()};"
        f" Python {platform.python_version()}, Sanic {sanic.__version__}"
    )


def _memory_gb() -> int:
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)
