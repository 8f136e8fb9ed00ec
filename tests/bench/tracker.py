"""The tracker against a bare route and the naive way, in one run."""

import msgspec

from tests.bench.plan import Plan
from tests.bench.rounds import Case, Result, measure, run
from tests.bench.tables import counted
from tests.bench.targets import BUFFERED, DURABLE, Target, bench

LOADED_SHARE = 0.7
"""Of what a target takes at most."""
WARM_UP_S = 1
FORMATS = ("json", "ndjson", "msgpack")


class Measured(msgspec.Struct, frozen=True):
    """At saturation, and at a steady share of it."""

    plan: Plan
    saturated: list[Result]
    steady: list[Result]

    @property
    def is_whole(self) -> bool:
        """Whether it has every case."""
        return not self.plan.only


async def compare(plan: Plan) -> Measured:
    async with bench(sink_ms=plan.sink_ms) as started:
        await started.fill(3)
        bare, naive = await started.bare(), await started.naive()
        durable = await started.tracker(DURABLE, ack=DURABLE)
        buffered = await started.tracker(BUFFERED, ack=BUFFERED)
        first, *others = _cases(bare, naive, durable, buffered)
        cases = [first, *(case for case in others if plan.only in case.name)]
        for case in cases:
            await run(case, min(WARM_UP_S, plan.seconds))
        saturated = await measure(cases, rounds=plan.rounds, seconds=plan.seconds)
        loaded = [
            case._replace(rate=plan.rate or LOADED_SHARE * result.requests_per_s)
            for case, result in zip(cases, saturated, strict=True)
            if case.kind in ("get", "click") and case.connections == Case._field_defaults["connections"]
        ]
        return Measured(plan, saturated, await measure(loaded, rounds=plan.rounds, seconds=plan.seconds))


def _cases(bare: Target, naive: Target, durable: Target, buffered: Target) -> list[Case]:
    many = [
        Case(f"{target.name}, {counted(connections, 'connections')}", target, "get", connections=connections)
        for target in (bare, durable, buffered)
        for connections in (1, 1_000)
    ]
    return [
        *(Case(f"{target.name}", target, "get") for target in (bare, naive, durable, buffered)),
        *many,
        *(Case(f"{target.name}, gzip", target, "get-gzip") for target in (durable, buffered)),
        *(Case(f"{target.name}, click", target, "click") for target in (bare, durable, buffered)),
        *(Case(f"{durable.name}, 100 events in {form}", durable, form, connections=16) for form in FORMATS),
    ]


def table(measured: Measured) -> str:
    head = f"{'':34}{'req/s':>9}{'per CPU s':>11}{'to bare':>9}{'events/CPU s':>14}{'RSS MB':>8}"
    rows = [
        f"{each.case:34}{each.requests_per_s:9.0f}{each.per_cpu_s:11.0f}{each.to_bare:9.2f}"
        f"{each.events_per_cpu_s:14.0f}{each.rss_mb:8.1f}"
        for each in measured.saturated
    ]
    steady_head = f"{'steady, ms':34}{'req/s':>9}{'p50':>8}{'p99':>8}{'p99.9':>8}{'lag p50':>9}{'lag p99':>9}"
    steady = [
        f"{each.case:34}{each.requests_per_s:9.0f}{each.latency_ms.p50:8.2f}{each.latency_ms.p99:8.2f}"
        f"{each.latency_ms.p999:8.2f}{each.lag_ms.p50 if each.lag_ms else 0:9.2f}"
        f"{each.lag_ms.p99 if each.lag_ms else 0:9.2f}"
        for each in measured.steady
    ]
    return "\n".join([head, *rows, "", steady_head, *steady])
