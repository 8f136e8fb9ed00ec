"""How the tracker grows: with shards, connections, programs and tasks."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import msgspec

from tests.bench.plan import Plan
from tests.bench.rounds import Case, Result, measure, run
from tests.bench.targets import DURABLE, Target, bench
from tests.bench.usage import usage

SHARDS = (1, 2, 4, 8)
CONNECTIONS = (1, 8, 64, 256, 1_000)
IDLE = 2_000
WARM_PROGRAMS = (10, 1_000, 20_000)


class Point(msgspec.Struct, frozen=True):
    """A result at one place of a curve."""

    at: int
    result: Result


class Growth(msgspec.Struct, frozen=True, kw_only=True):
    plan: Plan
    shards: list[Point]
    connections: list[Point]
    programs: list[Point]
    tasks: list[Point]
    kb_per_idle_connection: float


async def grow(plan: Plan) -> Growth:
    async with bench(sink_ms=plan.sink_ms) as started:
        await started.fill(WARM_PROGRAMS[-1])
        bare = Case("bare", await started.bare(), "get")
        by_shards = [
            Case(f"{count} shards", await started.tracker(DURABLE, ack=DURABLE, shards=count), "get")
            for count in SHARDS
        ]
        first, second = by_shards[0].target, by_shards[1].target
        by_connections = [Case(f"{n} connections", first, "get", connections=n) for n in CONNECTIONS]
        by_programs = [Case(f"{n} programs", first, "get", programs=n) for n in WARM_PROGRAMS]
        for case in (*by_shards, by_programs[-1]):
            await run(case, 0, once=True)
        idle_kb = await _kb_per_idle_connection(second)
        points = await _points(plan, bare, [*by_shards, *by_connections, *by_programs])
        with started.cores.shared([first.pid, second.pid]):
            tasks = await _tasks(plan, [first, second])
        return Growth(
            plan=plan,
            shards=points[: len(SHARDS)],
            connections=points[len(SHARDS) : -len(WARM_PROGRAMS)],
            programs=points[-len(WARM_PROGRAMS) :],
            tasks=tasks,
            kb_per_idle_connection=idle_kb,
        )


async def _points(plan: Plan, bare: Case, cases: Sequence[Case]) -> list[Point]:
    _, *results = await measure([bare, *cases], rounds=plan.rounds, seconds=plan.seconds)
    return [Point(int(result.case.split()[0]), result) for result in results]


async def _tasks(plan: Plan, targets: Sequence[Target]) -> list[Point]:
    """One task, and both at once: what each of them takes then."""
    alone = await measure([Case("1 task", targets[0], "get")], rounds=plan.rounds, seconds=plan.seconds)
    both = await asyncio.gather(
        *(
            measure([Case("2 tasks", target, "get")], rounds=plan.rounds, seconds=plan.seconds)
            for target in targets
        )
    )
    return [Point(1, alone[0]), *(Point(2, result) for (result,) in both)]


async def _kb_per_idle_connection(target: Target) -> float:
    before = usage(target.pid)
    async with _connected(target, IDLE):
        return (usage(target.pid).rss_mb - before.rss_mb) * 1024 / IDLE


@asynccontextmanager
async def _connected(target: Target, count: int) -> AsyncIterator[None]:
    """Connections that have asked once and been answered, and stay."""
    opened = [await asyncio.open_connection("127.0.0.1", target.port) for _ in range(count)]
    for reader, writer in opened:
        writer.write(b"GET /health/live HTTP/1.1\r\nHost: tracker\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
    try:
        yield
    finally:
        for _, writer in opened:
            writer.close()
