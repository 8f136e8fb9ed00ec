"""What a task's memory does while it takes millions of events."""

import msgspec

from tests.bench.plan import Plan
from tests.bench.requests import ITEMS
from tests.bench.rounds import Case, run
from tests.bench.targets import DURABLE, bench
from tests.bench.usage import usage

PROGRAMS = 10_000
LOOKS = 8
"""At its memory, between the first event and the last."""
SECONDS = 4
"""Of load, between two looks at the clock."""


class Memory(msgspec.Struct, frozen=True):
    """Of a task, after so many events."""

    events: int
    rss_mb: float


async def endure(plan: Plan) -> list[Memory]:
    """A task that holds many programs, and takes batches all the time."""
    async with bench(sink_ms=plan.sink_ms) as started:
        await started.fill(PROGRAMS)
        target = await started.tracker(DURABLE, ack=DURABLE)
        await run(Case("warm", target, "get", programs=PROGRAMS), 0, once=True)
        load = Case("long", target, "msgpack", connections=16)
        seen, events = [Memory(0, usage(target.pid).rss_mb)], 0
        while events < plan.events:
            round = await run(load, SECONDS)
            events += round.requests * ITEMS
            if events >= len(seen) * plan.events / LOOKS:
                seen.append(Memory(events, round.rss_mb))
        return seen
