"""Workers that share shards: skewed clocks, pauses, kills, and a network that loses, repeats and delays.

The real rules, keeper, lease table and commits run against a DynamoDB in memory. Whatever happens, no two
acquisitions' commits interleave on a shard, and none is lost or applied twice; and once things calm down,
every shard is owned again, by workers within one shard of each other.
"""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from itertools import count, groupby
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from schemas.errors import LeaseLostError, UnavailableError
from schemas.leases import Lease, lease_from_row
from tests.workers.dynamodb import LEASES, STATE, Fault, MemoryDynamoDB
from tests.workers.logs import decoded, entries_of
from workers.runtime.keeper import Keeper
from workers.runtime.lease_table import LeaseTable
from workers.runtime.positions import Position, position_of
from workers.runtime.state import State
from workers.runtime.state_table import StateTable
from workers.runtime.table import Codec, Entries, Table

FAILOVER_S = 10.0
KEYS = [f"tally/events/{number}" for number in range(5)]
WORKERS = 3
CALM_ROUNDS = 60

_names = count()
_picks = st.integers(0, WORKERS - 1)
_faults = st.lists(st.sampled_from([None, *Fault]), max_size=4)


class Shard:
    """What a worker has of a shard it holds: a table of one counter, counted up with each commit."""

    def __init__(self, dynamodb: MemoryDynamoDB, lease: Lease) -> None:
        self.lease = lease
        self.state = State()
        entries = Entries()
        codec: Codec[str, int] = Codec(str, int)
        self.counts = Table(entries, codec, int)
        self.state.add_table("counts", entries, self.counts)
        self.table = StateTable(dynamodb, lease, leases_table=LEASES, state_table=STATE, log_min_bytes=100)
        self.position = position_of(lease)
        self.uncommitted = False

    async def load(self) -> None:
        await self.table.load(self.state.tables)

    async def commit(self) -> None:
        """One more event, unless the last commit is still to be tried again."""
        if not self.uncommitted:
            self.counts["events"] += 1
            self.position = Position(str(int(self.position.after or 0) + 1))
            self.uncommitted = True
        await self.table.commit(self.position, self.state)
        self.state.keep()
        self.state.committed()
        self.uncommitted = False


class Worker:
    """A process, with a monotonic clock that stands still, runs or leaps as the test says."""

    def __init__(self, dynamodb: MemoryDynamoDB, clock_s: float) -> None:
        self.clock_s = clock_s
        self.shards: dict[str, Shard] = {}
        self._dynamodb = dynamodb
        self._table = LeaseTable(dynamodb, LEASES, timeout_s=1)
        self.keeper = Keeper(
            self._table, worker=f"worker-{next(_names)}", failover_s=FAILOVER_S, clock_s=lambda: self.clock_s
        )

    async def renew(self) -> None:
        lost, wanted = await self.keeper.renew()
        for key in lost:
            self.shards.pop(key, None)
        for key in wanted:
            await self.hand_over(key)

    async def hand_over(self, key: str) -> None:
        if shard := self.shards.pop(key, None):
            with suppress(UnavailableError):
                await shard.commit()
        with suppress(UnavailableError):
            await self.keeper.release(key)

    async def look(self) -> None:
        with suppress(UnavailableError):
            leases = await self._table.read(KEYS)
            for lease in await self.keeper.take(list(leases.values())):
                shard = Shard(self._dynamodb, lease)
                await shard.load()
                self.shards[lease.key] = shard

    async def commit(self, key: str) -> None:
        shard = self.shards.get(key)
        if shard is None:
            return
        try:
            await shard.commit()
        except LeaseLostError:
            self.shards.pop(key)
            self.keeper.held.pop(key, None)
        except UnavailableError:
            pass


class Leases(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.dynamodb = MemoryDynamoDB()
        self.workers = [Worker(self.dynamodb, clock_s=1000.0 * number) for number in range(WORKERS)]

    def do(self, work: Coroutine[Any, Any, None], faults: list[Fault | None] | None = None) -> None:
        self.dynamodb.faults.extend(faults or [])
        self.runner.run(work)
        self.dynamodb.faults.clear()

    @initialize()
    def begin(self) -> None:
        self.do(self.workers[0].look())

    @rule(which=_picks, by_s=st.floats(0, 2 * FAILOVER_S))
    def time_passes(self, which: int, by_s: float) -> None:
        """For one worker alone: a clock that runs fast, or others that are paused."""
        self.workers[which].clock_s += by_s

    @rule(which=_picks, faults=_faults)
    def renew(self, which: int, faults: list[Fault | None]) -> None:
        self.do(self.workers[which].renew(), faults)

    @rule(which=_picks, faults=_faults)
    def look(self, which: int, faults: list[Fault | None]) -> None:
        self.do(self.workers[which].look(), faults)

    @rule(which=_picks, key=st.sampled_from(KEYS), faults=_faults)
    def commit(self, which: int, key: str, faults: list[Fault | None]) -> None:
        self.do(self.workers[which].commit(key), faults)

    @rule(which=_picks, key=st.sampled_from(KEYS), faults=_faults)
    def release(self, which: int, key: str, faults: list[Fault | None]) -> None:
        self.do(self.workers[which].hand_over(key), faults)

    @rule(which=_picks)
    def kill(self, which: int) -> None:
        self.workers[which] = Worker(self.dynamodb, self.workers[which].clock_s)

    @rule()
    def late_writes_arrive(self) -> None:
        self.dynamodb.arrive()

    @invariant()
    def commits_of_acquisitions_do_not_interleave(self) -> None:
        for key in KEYS:
            commits = [commit for commit in self.dynamodb.commits if commit.lease == key]
            tokens = [token for token, _ in groupby(commit.token for commit in commits)]
            assert len(tokens) == len(set(tokens))
            assert [commit.epoch for commit in commits] == list(range(1, len(commits) + 1))

    @invariant()
    def state_and_position_are_of_one_commit(self) -> None:
        for key in KEYS:
            lease = lease_from_row({"lease_key": {"S": key}} | self.dynamodb.row(LEASES, key))
            counts = decoded(entries_of(lease, self.dynamodb.tables[STATE].values(), "counts"), int)
            assert int(lease.checkpoint or 0) == lease.epoch == counts.get("events", 0)

    def teardown(self) -> None:
        self.dynamodb.arrive()
        for _ in range(CALM_ROUNDS):
            for worker in self.workers:
                worker.clock_s += FAILOVER_S / 3
                self.runner.run(worker.renew())
                self.runner.run(worker.look())
        held = {key: worker for worker in self.workers for key in worker.keeper.held}
        sizes = [len(worker.keeper.held) for worker in self.workers]
        before = self.dynamodb.tables[LEASES].copy()
        for worker in self.workers:
            self.runner.run(worker.look())
        self.runner.close()
        assert sorted(held) == sorted(KEYS) and sum(sizes) == len(KEYS)
        assert max(sizes) - min(sizes) <= 1
        assert self.dynamodb.tables[LEASES] == before, "what is balanced is left alone"
        for key, worker in held.items():
            assert self.dynamodb.row(LEASES, key)["token"] == {"S": worker.keeper.held[key].token}


TestLeases = Leases.TestCase
TestLeases.settings = settings(max_examples=60, stateful_step_count=40)
