"""What a redirect takes: a tracker in each mode of acknowledgement against a route that only redirects."""

from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from statistics import median, quantiles
from typing import NamedTuple, get_args

from redis.asyncio import Redis

from cdk.local.ports import free_ports
from schemas.programs import Acknowledgement
from schemas.redis import Record
from tests.bench.load import latencies_ms, until_open
from tests.bench.processes import module, running, tracker_environment, valkey
from tests.bench.sink import PROGRAM
from tracker.core_data import RedisLevel

BARE = "bare"
PATH = f"/click/{PROGRAM.program_id}?visitor=v"
WARM_UP_S = 1
START_TIMEOUT_S = 30

Ports = dict[str, int]
"""Of each target, by its name."""


class Plan(NamedTuple):
    rate: int
    seconds: int
    rounds: int
    sink_ms: int


class Measured(NamedTuple):
    """One target: medians over the rounds, and what it adds to the bare route of the same round."""

    target: str
    p50_ms: float
    p99_ms: float
    added_p50_ms: float
    added_p99_ms: float


class Round(NamedTuple):
    p50_ms: float
    p99_ms: float


async def measure(plan: Plan) -> list[Measured]:
    """Each target in turn, round after round, so that what else the machine does hits all alike."""
    async with targets(plan.sink_ms) as ports:
        for port in ports.values():
            await _round(port, plan._replace(seconds=WARM_UP_S))
        rounds = [
            {target: await _round(port, plan) for target, port in ports.items()} for _ in range(plan.rounds)
        ]
    return [_measured(target, rounds) for target in ports]


@asynccontextmanager
async def targets(sink_ms: int) -> AsyncIterator[Ports]:
    modes = get_args(Acknowledgement)
    redis_port, sink_port, *ports = free_ports(3 + len(modes))
    bare_port, *tracker_ports = ports
    redis_url, sink_url = f"redis://127.0.0.1:{redis_port}", f"http://127.0.0.1:{sink_port}"
    with ExitStack() as stack:
        stack.enter_context(running(valkey(redis_port)))
        stack.enter_context(running(module("tests.bench.sink", sink_port, sink_ms)))
        stack.enter_context(running(module("tests.bench.bare", bare_port)))
        await until_open(redis_port, timeout_s=START_TIMEOUT_S)
        await _fill(redis_url)
        for port, ack in zip(tracker_ports, modes, strict=True):
            variables = tracker_environment(port, redis_url=redis_url, sink_url=sink_url, ack=ack)
            stack.enter_context(running(module("tracker"), variables))
        for port in (sink_port, *ports):
            await until_open(port, timeout_s=START_TIMEOUT_S)
        yield dict(zip((BARE, *modes), ports, strict=True))


def table(plan: Plan, measured: list[Measured]) -> str:
    load = f"{plan.rate} clicks/s, {plan.rounds} rounds of {plan.seconds} s"
    head = f"{'ms':10}{'p50':>8}{'p99':>8}{'added p50':>12}{'added p99':>12}"
    rows = [
        f"{each.target:10}{each.p50_ms:8.2f}{each.p99_ms:8.2f}{each.added_p50_ms:12.2f}{each.added_p99_ms:12.2f}"
        for each in measured
    ]
    return "\n".join([f"{load}, a sink that takes {plan.sink_ms} ms", head, *rows])


async def _fill(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as redis:
        level = RedisLevel(redis, channel="programs", timeout_ms=1_000)
        await level.fill(PROGRAM.program_id, Record(PROGRAM.version, PROGRAM))


async def _round(port: int, plan: Plan) -> Round:
    took_ms = await latencies_ms(port, PATH, rate=plan.rate, count=plan.rate * plan.seconds, status=302)
    percentiles = quantiles(took_ms, n=100, method="inclusive")
    return Round(percentiles[49], percentiles[98])


def _measured(target: str, rounds: list[dict[str, Round]]) -> Measured:
    return Measured(
        target,
        p50_ms=median(each[target].p50_ms for each in rounds),
        p99_ms=median(each[target].p99_ms for each in rounds),
        added_p50_ms=median(each[target].p50_ms - each[BARE].p50_ms for each in rounds),
        added_p99_ms=median(each[target].p99_ms - each[BARE].p99_ms for each in rounds),
    )
