"""How long what happens takes to be known elsewhere, on the whole local stack under a steady load."""

import asyncio
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import httpx
import msgspec
from redis.asyncio import Redis

from cdk.local.freshness import Renamer, Times, read_program
from tests.bench.client import Latencies, Order, latencies
from tests.bench.processes import module
from tests.bench.requests import FIRST_PROGRAM
from tests.system.conftest import Stack, running_stack, until

RATES = (10, 100, 1_000)
SAMPLES = 25
"""Of each, one after the other."""
SETTLE_S = 2
"""Of load before the first sample."""
TIMEOUT_S = 20
QUIET_PROGRAM = str(FIRST_PROGRAM + 1)
"""The load sends it nothing, so what is told of it is the sample's."""
LOAD_S = 600
"""More than the samples take: the load is ended after them."""


class Delays(msgspec.Struct, frozen=True, kw_only=True):
    """Under a load of `rate` events per second; milliseconds. `stored_ms` and `page_ms` are from the POST,
    `memory_ms` from the invalidation on Redis to every task's answer, `change_ms` from the PUT to that."""

    rate: int
    stored_ms: Latencies
    page_ms: Latencies
    memory_ms: Latencies
    change_ms: Latencies


def measure(rates: Sequence[int] = RATES, *, samples: int = SAMPLES) -> list[Delays]:
    with TemporaryDirectory() as folder, running_stack(Path(folder)) as stack:
        stack.trackers[0].get("/cache/fill").raise_for_status()
        return [_under(stack, rate, samples) for rate in rates]


def _under(stack: Stack, rate: int, samples: int) -> Delays:
    with _load(stack, rate):
        time.sleep(SETTLE_S)
        stored_s = [_stored_s(stack) for _ in range(samples)]
        page_s = _page_s(stack, samples)
        changes = asyncio.run(_changes(stack, samples))
    return Delays(
        rate=rate,
        stored_ms=latencies(stored_s),
        page_ms=latencies(page_s),
        memory_ms=latencies([each.after_publish_ms / 1000 for each in changes]),
        change_ms=latencies([each.after_put_ms / 1000 for each in changes]),
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


async def _changes(stack: Stack, samples: int) -> list[Times]:
    """A program renamed again and again, and when each tracker answers its new name."""
    trackers = stack.file.trackers
    async with (
        httpx.AsyncClient(timeout=TIMEOUT_S) as http,
        Redis.from_url(stack.file.redis_url) as redis,
        redis.pubsub() as messages,
    ):
        await messages.subscribe(stack.file.redis_channel)
        program = read_program(await http.get(f"{trackers[0]}/programs/{QUIET_PROGRAM}"))
        renamer = Renamer(http, messages, trackers)
        times = [await renamer.rename(program, f"{program.name} {turn}") for turn in range(samples)]
    return [each for one in times for each in one]
