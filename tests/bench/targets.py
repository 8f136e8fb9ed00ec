"""What is measured: a tracker in each mode of acknowledgement, and what people would write instead."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, suppress
from itertools import islice
from typing import Any, NamedTuple

from redis.asyncio import Redis

from cdk.local.ports import free_ports
from schemas.redis import PUBLISH_IF_NEWER, program_change
from tests.bench.cores import Cores, first_kept_free
from tests.bench.processes import CREDENTIALS, in_image, module, running, tracker_environment, valkey
from tests.bench.requests import FIRST_PROGRAM, HOPS
from tests.bench.sink import PROGRAM
from tests.factories import program

BARE, NAIVE = "bare", "naive"
DURABLE, BUFFERED = "durable", "buffered"
CHANNEL = "programs"
START_TIMEOUT_S = 30
FILLED_AT_ONCE = 1_000


class Target(NamedTuple):
    """A process that serves HTTP."""

    name: str
    port: int
    pid: int


class Bench:
    """Starts targets. All talk to one Redis; each tracker to a sink of its own number of shards."""

    def __init__(self, stack: ExitStack, *, cores: Cores, redis_url: str, sink_ms: int) -> None:
        self.cores = cores
        self._stack = stack
        self._redis_url = redis_url
        self._sink_ms = sink_ms
        self._sinks: dict[int, str] = {}

    async def bare(self) -> Target:
        return await self._started(BARE, in_image("tests.bench.bare"))

    async def naive(self) -> Target:
        variables = CREDENTIALS | {"AWS_ENDPOINT_URL": await self.sink(shards=1)}
        return await self._started(NAIVE, in_image("tests.bench.naive"), variables)

    async def tracker(self, name: str, *, shards: int = 1, **fields: Any) -> Target:
        (port,) = free_ports(1)
        variables = tracker_environment(
            port,
            redis_url=self._redis_url,
            sink_url=await self.sink(shards=shards),
            proxy_hops=HOPS,
            **fields,
        )
        return await self._measured(name, port, in_image("tracker"), variables)

    async def sink(self, *, shards: int) -> str:
        """The address of the sink of so many shards."""
        if shards not in self._sinks:
            (port,) = free_ports(1)
            sink = module("tests.bench.sink", port, self._sink_ms, shards)
            self._stack.enter_context(running(sink))
            await until_open(port)
            self._sinks[shards] = f"http://127.0.0.1:{port}"
        return self._sinks[shards]

    async def fill(self, programs: int) -> None:
        """Core data in Redis, so that a tracker that is asked finds it there."""
        async with Redis.from_url(self._redis_url) as redis:
            put = redis.register_script(PUBLISH_IF_NEWER)
            numbers = iter(range(FIRST_PROGRAM, FIRST_PROGRAM + programs))
            while some := list(islice(numbers, FILLED_AT_ONCE)):
                pipeline = redis.pipeline(transaction=False)
                for number in some:
                    change = program_change(CHANNEL, program(program_id=str(number), version=PROGRAM.version))
                    await put(keys=change.keys, args=change.args, client=pipeline)
                await pipeline.execute()

    async def _started(
        self, name: str, command: list[str], environment: dict[str, str] | None = None
    ) -> Target:
        (port,) = free_ports(1)
        return await self._measured(name, port, [*command, str(port)], environment)

    async def _measured(
        self, name: str, port: int, command: list[str], environment: dict[str, str] | None
    ) -> Target:
        pid = self._stack.enter_context(running(command, environment))
        self.cores.give_first(pid)
        await until_open(port)
        return Target(name, port, pid)


@asynccontextmanager
async def bench(*, sink_ms: int) -> AsyncIterator[Bench]:
    """What it starts ends with the block."""
    with ExitStack() as stack:
        cores = stack.enter_context(first_kept_free())
        (port,) = free_ports(1)
        stack.enter_context(running(valkey(port)))
        await until_open(port)
        yield Bench(stack, cores=cores, redis_url=f"redis://127.0.0.1:{port}", sink_ms=sink_ms)


async def until_open(port: int) -> None:
    """Raises TimeoutError where nothing listens in time."""
    async with asyncio.timeout(START_TIMEOUT_S):
        while True:
            with suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            await asyncio.sleep(0.05)
