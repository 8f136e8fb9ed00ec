"""One agent on one shard, for as long as this worker holds the lease."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from schemas.leases import Lease
from workers.runtime import lease_table, source, state_table
from workers.runtime.agents import Agent, Topic
from workers.runtime.clock import Clock
from workers.runtime.failed import S3, FailedEvents
from workers.runtime.feed import ShardFeed
from workers.runtime.positions import Position, position_of
from workers.runtime.progress import Place, Progress
from workers.runtime.restore import restore
from workers.runtime.run import AgentRun, Retries
from workers.runtime.sink import Outlet
from workers.runtime.source import Shard, ShardReader, Told, Turns
from workers.runtime.state import State
from workers.runtime.state_table import StateTable
from workers.runtime.stream import Pace, Stream
from workers.settings import WorkerSettings


class DynamoDB(lease_table.DynamoDB, state_table.DynamoDB, Protocol):
    """What a worker asks of a DynamoDB client."""


class Services(NamedTuple):
    """What all shards of a worker share."""

    kinesis: source.Kinesis
    dynamodb: DynamoDB
    s3: S3
    clock: Clock
    turns: Turns
    outlets: Mapping[str, Outlet[Any]]
    settings: WorkerSettings
    progress: Progress | None = None


class ShardWork:
    """Reads, feeds the agent, commits. `run` it anew where it failed: it begins at the last commit."""

    def __init__(self, agent: Agent[Any], stream: str, shard: Shard, services: Services) -> None:
        self._agent = agent
        self._stream = stream
        self._shard = shard
        self._services = services
        self._feed: ShardFeed[Any] | None = None
        self._reading: Stream[Any] | None = None
        self._told: Told
        self.is_running = False
        self.is_stopped = False

    @property
    def has_caught_up(self) -> bool:
        """All that the shard held when it was last read is done with and committed."""
        if self._feed is None or self._reading is None:
            return False
        return self._feed.caught_up and self._reading.is_settled

    def stop(self) -> None:
        """Has `run` return after the event in hand."""
        self.is_stopped = True
        if self._feed is not None:
            self._feed.stop()

    async def run(self, lease: Lease, parents: Sequence[Lease]) -> None:
        """Returns at the end of the shard, or when stopped; all that is done is committed then.

        Raises LeaseLostError, and whatever the agent's own failure is.
        """
        self.is_running = True
        progress = self._services.progress or Progress()
        place = Place(self._agent.name, self._stream, self._shard.shard_id)
        try:
            with progress.following(place) as self._told:
                await self._run(lease, parents)
        finally:
            self.is_running = False

    async def _run(self, lease: Lease, parents: Sequence[Lease]) -> None:
        state = State()
        call = self._agent.bound(state, self._services.outlets, self._services.settings)
        table = self._table(lease)
        await restore(self._agent, state, table, shard=self._shard, lease=lease, parents=parents)
        await self._read(call, state, table, position_of(lease))

    async def _read(
        self,
        call: Callable[[Stream[Any]], Awaitable[None]],
        state: State,
        table: StateTable,
        position: Position,
    ) -> None:
        clock, settings = self._services.clock, self._services.settings
        failed = self._failed_events()
        feed = ShardFeed(
            self._reader(position),
            self._agent.topic,
            failed,
            clock,
            position=position,
            prefetch_bytes=settings.prefetch_bytes,
        )
        stream = Stream(
            feed, state, table.commit, clock, _pace(settings, self._agent.topic), position=position
        )
        retries = Retries(attempts=settings.event_attempts, most_s=settings.retry_most_ms / 1000)
        run = AgentRun(
            self._agent.name,
            call,
            stream,
            state,
            failed,
            retries=retries,
            clock=clock,
            named=self._agent.topic.named,
        )
        self._feed, self._reading = feed, stream
        if self.is_stopped:
            feed.stop()
        watching = run.watch(settings.stall_ms)
        await _beside([feed.fetch(), watching], run.run())

    def _table(self, lease: Lease) -> StateTable:
        settings = self._services.settings
        return StateTable(
            self._services.dynamodb,
            lease,
            leases_table=settings.leases_table,
            state_table=settings.state_table,
            log_min_bytes=settings.log_min_bytes,
        )

    def _reader(self, position: Position) -> ShardReader:
        return ShardReader(
            self._services.kinesis,
            self._stream,
            self._shard.shard_id,
            after=position.after,
            poll_interval_ms=self._services.settings.poll_interval_ms,
            turns=self._services.turns,
            told=self._told,
        )

    def _failed_events(self) -> FailedEvents[Any]:
        return FailedEvents(
            self._services.s3,
            self._services.settings.failed_events_bucket,
            self._services.clock,
            agent=self._agent.name,
            stream=self._stream,
            encode=self._agent.topic.encode,
            named=self._agent.topic.named,
        )


def _pace(settings: WorkerSettings, topic: Topic[Any]) -> Pace:
    return Pace(
        flush_interval_ms=settings.flush_interval_ms,
        commit_interval_ms=settings.commit_interval_ms,
        idle_ms=settings.idle_ms if topic.follows_clock else None,
        retry_most_ms=settings.retry_most_ms,
    )


async def _beside(helpers: Sequence[Coroutine[Any, Any, None]], work: Coroutine[Any, Any, None]) -> None:
    """Runs `helpers` for as long as `work` takes. What any raises comes out, and ends all."""
    try:
        async with asyncio.TaskGroup() as tasks:
            helping = [tasks.create_task(helper) for helper in helpers]
            await work
            for each in helping:
                each.cancel()
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from None
