"""Rounds: each case in turn, again and again, so that what else the machine does hits all alike."""

import asyncio
import sys
from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

import msgspec

from tests.bench.order import Latencies, Order, Seen
from tests.bench.requests import EVENTS
from tests.bench.targets import Target

TIMEOUT_S = 120


class Case(NamedTuple):
    """A load on a target. `rate` None is as much as goes."""

    name: str
    target: Target
    kind: str
    programs: int = 1
    connections: int = 64
    rate: float | None = None


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """Medians over the rounds. `per_cpu_s` is requests per second of CPU time of the target, and `to_bare`
    that figure by the bare route's in the same round."""

    case: str
    requests_per_s: float
    per_cpu_s: float
    events_per_cpu_s: float
    to_bare: float
    latency_ms: Latencies
    lag_ms: Latencies | None
    rss_mb: float
    system_share: float
    """Of the CPU time: what the system's calls took."""
    events_per_put: float | None = None


async def run(case: Case, seconds: float, *, once: bool = False) -> Seen:
    """One round of one case. Raises AssertionError where an answer was no success."""
    order = Order(
        port=case.target.port,
        pid=case.target.pid,
        kind=case.kind,
        programs=case.programs,
        connections=case.connections,
        seconds=seconds,
        rate=case.rate,
        probe=case.rate is not None,
        once=once,
    )
    command = (sys.executable, "-m", "tests.bench.client", msgspec.json.encode(order).decode())
    client = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    async with asyncio.timeout(TIMEOUT_S):
        output, _ = await client.communicate()
    assert client.returncode == 0, f"{case.name}: the client failed"
    seen = msgspec.json.decode(output, type=Seen)
    assert seen.statuses.keys() <= {"200", "302"}, f"{case.name} was answered {seen.statuses}"
    return seen


async def measure(cases: Sequence[Case], *, rounds: int, seconds: float) -> list[Result]:
    """Every case in each round; the first is what the others are compared with."""
    seen = [[await run(case, seconds) for case in cases] for _ in range(rounds)]
    return [
        _result(case, [each[place] for each in seen], [each[0] for each in seen])
        for place, case in enumerate(cases)
    ]


def _result(case: Case, seen: Sequence[Seen], bare: Sequence[Seen]) -> Result:
    per_cpu_s = median(map(_per_cpu_s, seen))
    ratios = [_per_cpu_s(each) / _per_cpu_s(other) for each, other in zip(seen, bare, strict=True)]
    lags = [each.lag_ms for each in seen if each.lag_ms]
    return Result(
        case=case.name,
        requests_per_s=median(each.requests / each.seconds for each in seen),
        per_cpu_s=per_cpu_s,
        events_per_cpu_s=per_cpu_s * EVENTS.get(case.kind, 1),
        to_bare=median(ratios),
        latency_ms=_median([each.latency_ms for each in seen]),
        lag_ms=_median(lags) if lags else None,
        rss_mb=median(each.rss_mb for each in seen),
        system_share=sum(each.system_s for each in seen) / sum(each.cpu_s for each in seen),
        events_per_put=_events_per_put(seen),
    )


def _events_per_put(seen: Sequence[Seen]) -> float | None:
    put = [each.puts for each in seen if each.puts and each.puts.puts]
    return sum(each.events for each in put) / sum(each.puts for each in put) if put else None


def _per_cpu_s(seen: Seen) -> float:
    return seen.requests / seen.cpu_s


def _median(each: Sequence[Latencies]) -> Latencies:
    fields = Latencies.__struct_fields__
    return Latencies(*(median(getattr(one, field) for one in each) for field in fields))
