"""Several workers in one process, on an in-memory Kinesis and DynamoDB, which may be killed."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count, repeat
from typing import Any

from schemas.leases import Lease, lease_from_row
from tests.kinesis import InMemoryKinesis
from tests.workers.counting import Numbered, Seen, encode
from tests.workers.counting import agents as counting
from tests.workers.dynamodb import LEASES, STATE, MemoryDynamoDB
from tests.workers.logs import decoded, entries_of
from workers.runtime.agents import Agents
from workers.runtime.clock import WallClock
from workers.runtime.shard import Services
from workers.runtime.sink import Outlet
from workers.runtime.source import Turns
from workers.runtime.supervisor import Supervisor
from workers.runtime.worker import Worker
from workers.settings import WorkerSettings

TIMEOUT_S = 30.0
NUMBERS = count(1)


def worker_settings(**fields: Any) -> WorkerSettings:
    """Settings that wait for nothing long."""
    names = {
        "event_stream": "events",
        "update_stream": "updates",
        "touch_stream": "touches",
        "leases_table": LEASES,
        "state_table": STATE,
        "matches_table": "matches",
        "failed_events_bucket": "failed",
    }
    waits = {
        "failover_ms": 300,
        "poll_interval_ms": 5,
        "flush_interval_ms": 10,
        "commit_interval_ms": 20,
        "retry_most_ms": 20,
        "idle_ms": 50,
        "shard_refresh_ms": 200,
        "stop_timeout_ms": 2_000,
    }
    return WorkerSettings(**(names | waits | fields))


class FreeTurns(Turns):
    """The stream in memory takes any number of reads."""

    async def wait(self, shard_id: str) -> None:
        pass


class MemoryS3:
    """Objects by key."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    async def put_object(self, **request: Any) -> dict[str, Any]:
        self.objects[request["Key"]] = request["Body"]
        return {}


class Crowd:
    """The workers, and what they share."""

    def __init__(self, kinesis: InMemoryKinesis, *, agents: Agents = counting, **settings: Any) -> None:
        self.kinesis = kinesis
        self.dynamodb = MemoryDynamoDB()
        self.s3 = MemoryS3()
        self.outlets: dict[str, Outlet[Any]] = {}
        self.workers: dict[str, tuple[Worker, AsyncExitStack]] = {}
        self.sent: Counter[str] = Counter()
        self._agents = agents
        self._settings = worker_settings(**settings)

    async def hire(self) -> str:
        """Starts a worker. Returns its name."""
        name = f"worker-{next(NUMBERS)}"
        stack = AsyncExitStack()
        supervisor = await stack.enter_async_context(Supervisor(backoff=lambda: repeat(0.01)))
        services = Services(
            self.kinesis, self.dynamodb, self.s3, WallClock(), FreeTurns(), self.outlets, self._settings
        )
        worker = Worker(
            list(self._agents.agents.values()),
            list(self._agents.timers.values()),
            services,
            supervisor,
            name=name,
            streams={agent.topic.name: self.kinesis.stream for agent in self._agents.agents.values()},
        )
        worker.start()
        self.workers[name] = (worker, stack)
        return name

    async def kill(self, name: str) -> None:
        """Ends a worker where it stands: it commits nothing more and releases nothing."""
        _, stack = self.workers.pop(name)
        await stack.aclose()

    async def dismiss(self, name: str) -> None:
        """Stops a worker as a signal does."""
        worker, stack = self.workers.pop(name)
        await worker.stop()
        await stack.aclose()

    async def send(self, key: str, *, events: int = 1) -> None:
        """Puts the key's next events on the stream, in one record."""
        first = self.sent[key] + 1
        data = encode([Numbered(key, number) for number in range(first, first + events)])
        await self.kinesis.put_records(
            StreamName=self.kinesis.stream, Records=[{"Data": data, "PartitionKey": key}]
        )
        self.sent[key] += events

    def leases(self) -> list[Lease]:
        return [lease_from_row(row) for row in self.dynamodb.tables[LEASES].values()]

    def open_leases(self) -> list[Lease]:
        return [lease for lease in self.leases() if not lease.has_ended]

    def owned(self) -> Counter[str]:
        """How many open shards each worker owns."""
        return Counter(lease.owner for lease in self.open_leases() if lease.owner is not None)

    def table(self, name: str, kind: Any) -> dict[str, Any]:
        """A table's entries over all shards that are not at their end."""
        found: dict[str, Any] = {}
        for lease in self.open_leases():
            entries = decoded(entries_of(lease, self.dynamodb.tables[STATE].values(), name), kind)
            assert found.keys().isdisjoint(entries), "a key is on two shards"
            found |= entries
        return found

    def counts(self) -> dict[str, int]:
        return {key: seen.count for key, seen in self.table("seen", Seen).items()}

    async def until(self, condition: Callable[[], bool]) -> None:
        """Returns once it holds; looked at after each write."""
        async with asyncio.timeout(TIMEOUT_S):
            while not condition():
                self.dynamodb.written.clear()
                await self.dynamodb.written.wait()


@asynccontextmanager
async def crowd(
    kinesis: InMemoryKinesis, *, workers: int = 1, agents: Agents = counting, **settings: Any
) -> AsyncIterator[Crowd]:
    """So many workers of `agents`. What is left of them at the end is stopped."""
    made = Crowd(kinesis, agents=agents, **settings)
    try:
        for _ in range(workers):
            await made.hire()
        yield made
    finally:
        for name in list(made.workers):
            await made.dismiss(name)
