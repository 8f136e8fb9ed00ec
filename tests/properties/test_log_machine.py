"""The log of one lease: owners that come and go, are killed between any two writes, or go on without knowing
that the lease is another's, on a network that loses, repeats and delays.

Whatever happens, what the tables in DynamoDB tell is what the commit that the lease names has committed, in
every table whole; and once things calm down, nothing lies about, and the log is near the size of what it
tells.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from schemas.errors import LeaseLostError, UnavailableError
from schemas.leases import Lease, lease_from_row
from tests.workers.dynamodb import LEASES, STATE, Fault, MemoryDynamoDB
from tests.workers.logs import entries_of
from workers.runtime.lease_table import LeaseTable
from workers.runtime.log import LIVE_TIMES
from workers.runtime.positions import Position
from workers.runtime.state import State
from workers.runtime.state_table import StateTable
from workers.runtime.table import VALUE_MAX_BYTES, Entries

KEY = "tally/events/0"
TABLES = ("one", "other")
LOG_MIN_BYTES = 2_000
OWNERS = 3
"""At once; one of them at most has the lease."""
CALM_COMMITS = 100
"""Half of them change something."""

Contents = dict[str, dict[str, bytes]]

_owners = st.integers(0, OWNERS - 1)
_faults = st.lists(st.sampled_from([None, None, *Fault]), max_size=6)
_keys = st.sampled_from([f"key-{number}" for number in range(8)])
_sizes = st.sampled_from([1, 100, 100, 1_000, VALUE_MAX_BYTES])
_changes = st.lists(
    st.tuples(st.sampled_from(TABLES), _keys, st.none() | st.tuples(st.integers(0, 255), _sizes)), max_size=6
)


class Owner:
    """A run on the shard, with all it knows. What it could not commit it tries again, unchanged."""

    def __init__(self, dynamodb: MemoryDynamoDB, lease: Lease) -> None:
        self.state = State()
        self.state.tables = {name: Entries() for name in TABLES}
        self.table = StateTable(
            dynamodb, lease, leases_table=LEASES, state_table=STATE, log_min_bytes=LOG_MIN_BYTES
        )
        self.epoch = lease.epoch
        self.uncommitted = False

    @property
    def contents(self) -> Contents:
        return {name: values(entries) for name, entries in self.state.tables.items()}

    def change(self, changes: list[tuple[str, str, tuple[int, int] | None]]) -> None:
        for table, key, value in changes:
            data = None if value is None else value[0].to_bytes() + b"v" * (value[1] - 1)
            self.state.tables[table].put(key, data)
        self.uncommitted = True

    async def commit(self) -> None:
        await self.table.commit(Position(str(self.epoch + 1)), self.state)
        for entries in self.state.tables.values():
            entries.keep()
            entries.committed()
        self.epoch += 1
        self.uncommitted = False


class Logs(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.dynamodb = MemoryDynamoDB()
        self.owners: list[Owner | None] = [None] * OWNERS
        self.attempts: dict[tuple[str, int], Contents] = {}
        """What a commit is to leave, by its writer and epoch."""
        self.tokens = 0

    def do(self, work: Coroutine[Any, Any, None], faults: list[Fault | None] | None = None) -> None:
        self.dynamodb.faults.extend(faults or [])
        self.runner.run(work)
        self.dynamodb.faults.clear()

    @property
    def lease(self) -> Lease:
        return lease_from_row({"lease_key": {"S": KEY}} | self.dynamodb.row(LEASES, KEY))

    @property
    def committed(self) -> Contents:
        lease = self.lease
        return self.attempts[lease.writer, lease.epoch] if lease.writer else {name: {} for name in TABLES}

    @initialize()
    def begin(self) -> None:
        self.take_over(0)

    @rule(which=_owners)
    def take_over(self, which: int) -> None:
        """The one there was is killed. Others go on, and do not know yet."""
        self.do(self._take_over(which))

    @rule(which=_owners)
    def run_again(self, which: int) -> None:
        """Under the token there is, whatever is still on its way."""
        self.do(self._begin(which))

    @rule(which=_owners, changes=_changes, faults=_faults)
    def commit(
        self, which: int, changes: list[tuple[str, str, tuple[int, int] | None]], faults: list[Fault | None]
    ) -> None:
        if (owner := self.owners[which]) is not None:
            if not owner.uncommitted:
                owner.change(changes)
            self.do(self._commit(which, owner), faults)

    @rule()
    def late_writes_arrive(self) -> None:
        self.dynamodb.arrive()

    @invariant()
    def what_is_told_is_what_was_committed_last(self) -> None:
        lease, rows = self.lease, list(self.dynamodb.tables[STATE].values())
        assert {name: values(entries_of(lease, rows, name)) for name in TABLES} == self.committed

    def teardown(self) -> None:
        self.dynamodb.arrive()
        self.do(self._take_over(0))
        owner = self.owners[0]
        assert owner is not None
        for number in range(CALM_COMMITS):
            owner.change([("one", "key-0", (number, 100))] if number < CALM_COMMITS // 2 else [])
            self.do(self._commit(0, owner))
        self.what_is_told_is_what_was_committed_last()
        self.runner.close()
        live = sum(entries.size for entries in owner.state.tables.values())
        assert owner.table.log.size <= max(LOG_MIN_BYTES, LIVE_TIMES * live) + 200
        units = sum(slot.units for slot in owner.table.log.slots)
        assert sum(slot.units for slot in owner.table.slots.free) <= max(units, LOG_MIN_BYTES // 1_024)
        known = {slot.number for slot in (*owner.table.log.slots, *owner.table.slots.free)}
        assert {int(slot) for _, slot in self.dynamodb.tables[STATE]} == known

    async def _take_over(self, which: int) -> None:
        self.tokens += 1
        table = LeaseTable(self.dynamodb, LEASES, timeout_s=1)
        await table.take(self.lease, owner="worker", token=f"{self.tokens}")
        await self._begin(which)

    async def _begin(self, which: int) -> None:
        owner = self.owners[which] = Owner(self.dynamodb, self.lease)
        await owner.table.load(owner.state.tables)
        assert owner.contents == self.committed

    async def _commit(self, which: int, owner: Owner) -> None:
        self.attempts[owner.table.writer, owner.epoch + 1] = owner.contents
        try:
            await owner.commit()
        except LeaseLostError:
            self.owners[which] = None
        except UnavailableError:
            pass


def values(entries: Entries) -> dict[str, bytes]:
    return {key: entries.get(key) or b"" for key in entries}


TestLogs = Logs.TestCase
TestLogs.settings = settings(max_examples=60, stateful_step_count=40)
