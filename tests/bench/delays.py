"""How long what happens takes to be known elsewhere, on the whole local stack under a steady load."""

import asyncio
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple
from uuid import uuid4

import httpx
import msgspec
from msgspec.structs import replace
from redis.asyncio import Redis
from redis.asyncio.client import PubSub

from cdk.local.freshness import read_program
from schemas.invalidations import Invalidation, ProgramInvalidated, TaskReported, decode_invalidation
from schemas.programs import Program, PublicProgram
from schemas.redis import tasks_channel
from tests.bench.order import Latencies, Order, latencies
from tests.bench.plan import Plan
from tests.bench.processes import module
from tests.bench.requests import FIRST_PROGRAM
from tests.system.conftest import Stack, running_stack, until

RATES = (10, 100, 1_000)
SETTLE_S = 2
"""Of load before the first sample."""
TIMEOUT_S = 20
QUIET_PROGRAM = str(FIRST_PROGRAM + 1)
"""The load sends it nothing, so what is told of it is the sample's."""
LOAD_S = 600
"""More than the samples take: the load is ended after them."""


class Change(NamedTuple):
    """From its message on Redis, and from its PUT, until every task has said that it has applied it."""

    after_message_s: float
    after_put_s: float


class Delays(msgspec.Struct, frozen=True, kw_only=True):
    """Under a load of `rate` events per second; milliseconds. `stored_ms` and `page_ms` are from the POST,
    `memory_ms` and `change_ms` as Change has them."""

    rate: int
    samples: int
    changes: int
    stored_ms: Latencies
    page_ms: Latencies
    memory_ms: Latencies
    change_ms: Latencies


def measure(plan: Plan) -> list[Delays]:
    with TemporaryDirectory() as folder, running_stack(Path(folder)) as stack:
        stack.trackers[0].get("/cache/fill").raise_for_status()
        return [_under(stack, rate, plan) for rate in RATES]


def _under(stack: Stack, rate: int, plan: Plan) -> Delays:
    with _load(stack, rate):
        time.sleep(SETTLE_S)
        stored_s = [_stored_s(stack) for _ in range(plan.samples)]
        page_s = _page_s(stack, plan.samples)
        changes = asyncio.run(_changes(stack, plan.changes))
    return Delays(
        rate=rate,
        samples=plan.samples,
        changes=plan.changes,
        stored_ms=latencies(stored_s),
        page_ms=latencies(page_s),
        memory_ms=latencies([each.after_message_s for each in changes]),
        change_ms=latencies([each.after_put_s for each in changes]),
    )


@contextmanager
def _load(stack: Stack, rate: int) -> Iterator[None]:
    port = httpx.URL(stack.file.trackers[0]).port or 0
    order = Order(port=port, pid=stack.process.pid, kind="get", seconds=LOAD_S, rate=rate)
    client = subprocess.Popen(module("tests.bench.client", msgspec.json.encode(order).decode()))
    try:
        yield
    finally:
        client.terminate()
        client.wait()


def _stored_s(stack: Stack) -> float:
    """From a view's POST until it is in the table."""
    message_id, began_s = str(uuid4()), time.perf_counter()
    stack.trackers[1].post(f"/event/{QUIET_PROGRAM}", json={"messageId": message_id}).raise_for_status()
    until(lambda: stack.stored(QUIET_PROGRAM, message_id), timeout_s=TIMEOUT_S)
    return time.perf_counter() - began_s


def _page_s(stack: Stack, samples: int) -> list[float]:
    """From each view's POST until the other tracker's page is told of it."""
    took_s = []
    with stack.trackers[0].stream("GET", "/live/stream") as stream:
        told = _totals(stream)
        views = next(told)
        for _ in range(samples):
            began_s = time.perf_counter()
            stack.trackers[1].post(f"/event/{QUIET_PROGRAM}").raise_for_status()
            views += 1
            while next(told) < views:
                pass
            took_s.append(time.perf_counter() - began_s)
    return took_s


def _totals(stream: httpx.Response) -> Iterator[int]:
    """The stored events of the quiet program, each time that they are told."""
    for line in stream.iter_lines():
        if line.startswith("data: "):
            totals = msgspec.json.decode(line.removeprefix("data: ")).get("totals", ())
            yield from (sum(counts) for program_id, *counts in totals if program_id == QUIET_PROGRAM)


async def _changes(stack: Stack, samples: int) -> list[Change]:
    """A program renamed again and again."""
    async with (
        httpx.AsyncClient(base_url=stack.file.trackers[0], timeout=TIMEOUT_S) as http,
        Redis.from_url(stack.file.redis_url) as redis,
        redis.pubsub() as messages,
    ):
        channel = stack.file.redis_channel
        await messages.subscribe(channel, tasks_channel(channel))
        program = read_program(await http.get(f"/programs/{QUIET_PROGRAM}"))
        watch = Watch(messages, tasks=len(stack.file.trackers))
        return [await watch.change(http, replace(program, name=f"name {turn}")) for turn in range(samples)]


class Watch:
    """Waits until a change has come by and every task has said that it has applied it."""

    def __init__(self, messages: PubSub, *, tasks: int) -> None:
        self._messages = messages
        self._tasks = tasks

    async def change(self, http: httpx.AsyncClient, program: PublicProgram) -> Change:
        began_s = time.perf_counter()
        async with asyncio.timeout(TIMEOUT_S), asyncio.TaskGroup() as group:
            path = f"/programs/{program.program_id}"
            group.create_task(http.put(path, content=msgspec.json.encode(program)))
            sequence = await self._published(program)
            published_s = time.perf_counter()
            await self._applied(sequence)
        applied_s = time.perf_counter()
        return Change(applied_s - published_s, applied_s - began_s)

    async def _published(self, program: PublicProgram) -> int:
        while True:
            match await self._heard():
                case ProgramInvalidated(program=Program(name=program.name), sequence=sequence):
                    return sequence

    async def _applied(self, sequence: int) -> None:
        tasks: set[str] = set()
        while len(tasks) < self._tasks:
            match await self._heard():
                case TaskReported(task=task, applied=applied) if applied >= sequence:
                    tasks.add(task)

    async def _heard(self) -> Invalidation | None:
        message = await self._messages.get_message(ignore_subscribe_messages=True, timeout=TIMEOUT_S)
        return decode_invalidation(message["data"]) if message else None
