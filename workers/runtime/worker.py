"""A worker: takes its share of the shards of its agents' streams, and runs the agents on them.

Each shard is a task of its own: one that fails starts again, with backoff, and stalls no other.
"""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from math import inf
from typing import Any, NamedTuple

from schemas.errors import LeaseLostError, UnavailableError
from schemas.leases import Lease, lease_key
from workers.runtime.agents import Agent, Timer
from workers.runtime.health import WELL
from workers.runtime.keeper import Keeper
from workers.runtime.leaks import note_tasks
from workers.runtime.lease_table import LeaseTable
from workers.runtime.positions import readable
from workers.runtime.shard import Services, ShardWork
from workers.runtime.sink import Sink
from workers.runtime.source import Shard, Shards
from workers.runtime.state import State
from workers.runtime.supervisor import Supervisor

RENEWALS_PER_FAILOVER = 3
LOOKING = "looking for leases"

log = logging.getLogger(__name__)


class Place(NamedTuple):
    """A shard that an agent reads, with the keys of its lease and its parents'."""

    agent: Agent[Any]
    stream: str
    shard: Shard

    @property
    def key(self) -> str:
        return self._key(self.shard.shard_id)

    @property
    def parents(self) -> list[str]:
        return [self._key(parent) for parent in self.shard.parents]

    def _key(self, shard_id: str) -> str:
        return lease_key(self.agent.name, self.stream, shard_id)


class Worker:
    """Runs agents until it is told to stop. `streams` are the names of the streams behind the topics.

    Raises AgentError for an agent that sends to a sink which has no outlet.
    """

    def __init__(
        self,
        agents: Sequence[Agent[Any]],
        timers: Sequence[Timer],
        services: Services,
        supervisor: Supervisor,
        *,
        name: str,
        streams: Mapping[str, str],
    ) -> None:
        settings = services.settings
        self.caught_up = asyncio.Event()
        """Every shard that this worker can have is read to where it ended when last looked at."""
        self.renewed_ms = services.clock.now_ms()
        """When the leases were last looked after."""
        for agent in agents:
            agent.bound(State(), services.outlets, settings)
        self._agents = agents
        self._timers = timers
        self._services = services
        self._supervisor = supervisor
        self._streams = streams
        failover_s = settings.failover_ms / 1000
        self._table = LeaseTable(services.dynamodb, settings.leases_table, timeout_s=failover_s / 2)
        self._keeper = Keeper(self._table, worker=name, failover_s=failover_s)
        self._renew_every_s = failover_s / RENEWALS_PER_FAILOVER
        self._look_every_s = min(self._renew_every_s, settings.look_interval_ms / 1000)
        self._works: dict[str, ShardWork] = {}
        self._places: dict[str, Place] = {}
        self._at_end: set[str] = set()
        self._listed_ms: int | None = None
        self._changed = asyncio.Event()
        self._is_stopping = False

    def start(self) -> None:
        """Begins as tasks of the supervisor. Needs nothing to be up: what is down is tried again."""
        note_tasks()
        self._supervisor.start("renewing leases", self._keep_renewing)
        self._supervisor.start(LOOKING, self._keep_looking)
        for timer in self._timers:
            self._supervisor.start(timer.name, partial(self._keep_calling, timer))

    def condition(self) -> str:
        """WELL, or what is wrong with this worker."""
        silent_ms = self._services.clock.now_ms() - self.renewed_ms
        if silent_ms < self._services.settings.failover_ms:
            return WELL
        return f"leases were last looked after {silent_ms} ms ago"

    async def stop(self) -> None:
        """Lets go of every shard: the event in hand ends, all is committed, the lease is free at once."""
        self._is_stopping = True
        self._changed.set()
        await self._ended(LOOKING)
        await asyncio.gather(*(self._let_go(key) for key in list(self._keeper.held)))

    async def _keep_renewing(self) -> None:
        """At a rate that does not depend on how long DynamoDB takes."""
        due_s = time.monotonic()
        while True:
            lost, wanted = await self._keeper.renew()
            for key in lost:
                log.warning("%s is lost", key)
            for key in (*lost, *wanted):
                if not self._supervisor.is_running(_ending(key)):
                    self._supervisor.start(_ending(key), partial(self._let_go, key))
            self.renewed_ms = self._services.clock.now_ms()
            due_s = max(due_s + self._renew_every_s, time.monotonic())
            await asyncio.sleep(due_s - time.monotonic())

    async def _keep_looking(self) -> None:
        """Looks every so often, at once where something changed, and as soon as a lease is free."""
        while not self._is_stopping:
            self._changed.clear()
            free_s = inf
            try:
                await self._look()
                free_s = self._keeper.next_s
            except UnavailableError as error:
                log.warning("free leases are looked for again: %s", error)
            with suppress(TimeoutError):
                async with asyncio.timeout(min(self._look_every_s, free_s - time.monotonic())):
                    await self._changed.wait()

    async def _look(self) -> None:
        await self._list_shards()
        mine = self._keeper.leases()
        others = [key for key in self._places if key not in mine and key not in self._at_end]
        leases = mine | await self._table.read(others, is_latest=False)
        self._note_ends(leases)
        wanted = [leases[key] for key in self._readable()]
        for lease in await self._keeper.take([lease for lease in wanted if not self._is_ending(lease.key)]):
            log.info("%s is taken, at %s", lease.key, lease.checkpoint or "its oldest record")
            place = self._places[lease.key]
            self._works[lease.key] = ShardWork(place.agent, place.stream, place.shard, self._services)
            self._supervisor.start(lease.key, partial(self._work, place))
        if all(self._has_caught_up(lease.key) for lease in wanted) and self._listed_ms is not None:
            self.caught_up.set()

    def _note_ends(self, leases: Mapping[str, Lease]) -> None:
        """Where a shard has come to its end, whoever read it, its children are there to be found."""
        ended = {key for key, lease in leases.items() if lease.has_ended}
        if not ended <= self._at_end:
            self._at_end |= ended
            self._listed_ms = None
            self._changed.set()

    def _has_caught_up(self, key: str) -> bool:
        if key in self._works:
            return self._works[key].has_caught_up
        return self._keeper.is_alive(key)

    def _is_ending(self, key: str) -> bool:
        """The work of an acquisition that is no more has not ended yet."""
        return key not in self._keeper.held and (
            self._supervisor.is_running(key) or self._supervisor.is_running(_ending(key))
        )

    async def _list_shards(self) -> None:
        now_ms = self._services.clock.now_ms()
        if (
            self._listed_ms is not None
            and now_ms < self._listed_ms + self._services.settings.shard_refresh_ms
        ):
            return
        places: dict[str, Place] = {}
        for topic, stream in self._streams.items():
            agents = [agent for agent in self._agents if agent.topic.name == topic]
            if agents:
                shards = await Shards(self._services.kinesis, stream).listed()
                places |= {
                    place.key: place for place in (Place(a, stream, s) for a in agents for s in shards)
                }
        self._places, self._listed_ms = places, now_ms

    def _readable(self) -> list[str]:
        """The keys of leases whose shard is to be read now, by the rules of `readable`."""
        keys = []
        for agent in self._agents:
            places = {p.shard.shard_id: p for p in self._places.values() if p.agent is agent}
            ended = [shard_id for shard_id, place in places.items() if place.key in self._at_end]
            keys += [places[each].key for each in readable([p.shard for p in places.values()], ended)]
        return keys

    async def _work(self, place: Place) -> None:
        key, work, held = place.key, self._works.get(place.key), self._keeper.held.get(place.key)
        leases = await self._table.read([key, *place.parents])
        if work is None or held is None or leases[key].token != held.token:
            return self._forget(key)
        try:
            await work.run(leases[key], [leases[parent] for parent in place.parents])
        except LeaseLostError as error:
            log.warning("%s", error)
            return self._forget(key)
        if not work.is_stopped:
            await self._release(key)
        self._changed.set()

    async def _let_go(self, key: str) -> None:
        """Ends the work on a shard in the time there is, and then frees its lease."""
        work = self._works.get(key)
        if work is not None:
            work.stop()
        if work is not None and work.is_running:
            await self._ended(key)
        await self._supervisor.stop(key)
        await self._release(key)

    async def _ended(self, name: str) -> None:
        """Waits for a task as long as a stop may take, and then cuts it off."""
        try:
            async with asyncio.timeout(self._services.settings.stop_timeout_ms / 1000):
                await self._supervisor.ended(name)
        except TimeoutError:
            log.warning("%s takes too long to stop, and is cut off", name)
            await self._supervisor.stop(name)

    async def _release(self, key: str) -> None:
        self._works.pop(key, None)
        try:
            await self._keeper.release(key)
        except UnavailableError as error:
            log.warning("%s is not released, and free only after the failover time: %s", key, error)

    def _forget(self, key: str) -> None:
        self._works.pop(key, None)
        self._keeper.held.pop(key, None)

    async def _keep_calling(self, timer: Timer) -> None:
        sinks: dict[str, Sink[Any]] = {name: Sink(self._services.outlets[name]) for name in timer.sinks}
        clock = self._services.clock
        while True:
            await clock.sleep_until((clock.now_ms() // timer.every_ms + 1) * timer.every_ms)
            await timer.function(**sinks)
            for sink in sinks.values():
                sink.keep()
                await sink.flush()


def _ending(key: str) -> str:
    return f"letting go of {key}"
