from collections.abc import Mapping

import pytest

from schemas.errors import LeaseLostError, UnavailableError
from schemas.leases import Lease, lease_from_row
from tests.workers.dynamodb import LEASES, STATE, Fault, MemoryDynamoDB
from workers.runtime.lease_table import LeaseTable
from workers.runtime.positions import Position, position_of
from workers.runtime.state import State
from workers.runtime.state_table import BYTES_PER_WRITE, ENTRIES_PER_WRITE, Changed, StateTable, pieces
from workers.runtime.table import VALUE_MAX_BYTES, Change, Entries

KEY = "tally/events/shardId-000000000000"
MANY = ENTRIES_PER_WRITE * 2 + 20
OLD = {f"{number}": b"old" for number in range(0, MANY, 2)}
NEW = {f"{number}": b"new" for number in range(0, MANY, 3)}


class Owner:
    """An acquisition of the lease, with what it loaded."""

    def __init__(self, dynamodb: MemoryDynamoDB, lease: Lease) -> None:
        self.lease = lease
        self.entries = Entries()
        self.state = State()
        self.state.tables["table"] = self.entries
        self.table = StateTable(dynamodb, lease, leases_table=LEASES, state_table=STATE)

    async def write(self, values: Mapping[str, bytes], after: str) -> None:
        """Makes `values` all that the table holds, and commits it; a commit that fails may be tried again."""
        for key in {*self.entries, *values}:
            self.entries.put(key, values.get(key))
        self.entries.keep()
        await self.commit(after)

    async def commit(self, after: str) -> None:
        await self.table.commit(Position(after), self.state)
        self.state.committed()

    async def load(self) -> dict[str, bytes]:
        for entry in await self.table.read(KEY):
            value = entry.as_of(self.lease.epoch)
            self.entries.load(entry.key, value)
            if value is None or entry.epoch > self.lease.epoch:
                self.entries.rewrite(entry.key)
        return {key: value for key in self.entries if (value := self.entries.get(key))}


@pytest.fixture
def dynamodb() -> MemoryDynamoDB:
    return MemoryDynamoDB()


async def owner(dynamodb: MemoryDynamoDB, token: str) -> Owner:
    table = LeaseTable(dynamodb, LEASES, timeout_s=1)
    lease = await table.take((await table.read([KEY]))[KEY], owner="worker", token=token)
    assert lease is not None
    return Owner(dynamodb, lease)


async def test_state_and_position_are_written_and_read_back(dynamodb: MemoryDynamoDB) -> None:
    await (await owner(dynamodb, "1")).write(OLD, "10")
    second = await owner(dynamodb, "2")

    assert await second.load() == OLD
    assert position_of(second.lease) == Position("10")


@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize("write", range(4))
async def test_a_large_commit_that_ends_halfway_is_whole_or_not_at_all(
    dynamodb: MemoryDynamoDB, write: int, fault: Fault
) -> None:
    first = await owner(dynamodb, "1")
    await first.write(OLD, "10")
    dynamodb.faults.extend([None] * write + [fault])
    try:
        await first.write(NEW, "20")
    except UnavailableError:
        dynamodb.faults.clear()
    dynamodb.faults.clear()
    second = await owner(dynamodb, "2")
    dynamodb.arrive()

    whole = position_of(second.lease) == Position("20")
    assert await second.load() == (NEW if whole else OLD)
    await second.commit("30")
    assert await (await owner(dynamodb, "3")).load() == (NEW if whole else OLD)


@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize("write", range(4))
async def test_a_large_commit_tried_again_is_written_once(
    dynamodb: MemoryDynamoDB, write: int, fault: Fault
) -> None:
    first = await owner(dynamodb, "1")
    await first.write(OLD, "10")
    dynamodb.faults.extend([None] * write + [fault])
    try:
        await first.write(NEW, "20")
    except UnavailableError:
        await first.commit("20")
    dynamodb.faults.clear()
    dynamodb.arrive()
    await first.commit("30")

    third = await owner(dynamodb, "3")
    assert await third.load() == NEW
    assert third.lease.epoch == 3


async def test_a_lease_that_was_lost_commits_nothing_even_regained(dynamodb: MemoryDynamoDB) -> None:
    first = await owner(dynamodb, "1")
    await owner(dynamodb, "2")
    again = await owner(dynamodb, "3")

    with pytest.raises(LeaseLostError):
        await first.write(NEW, "10")

    await again.write(OLD, "20")
    with pytest.raises(LeaseLostError):
        await first.commit("10")
    assert lease_from_row(dynamodb.row(LEASES, KEY)).checkpoint == "20"


async def test_a_position_within_a_record_is_kept(dynamodb: MemoryDynamoDB) -> None:
    first = await owner(dynamodb, "1")
    await first.table.commit(Position("10", "11", 3), first.state)
    second = await owner(dynamodb, "2")
    assert position_of(second.lease) == Position("10", "11", 3)

    await second.table.commit(Position("11"), second.state)

    assert position_of((await owner(dynamodb, "3")).lease) == Position("11")


async def test_what_is_left_of_a_deleted_entry_goes_with_the_next_commit(dynamodb: MemoryDynamoDB) -> None:
    first = await owner(dynamodb, "1")
    await first.write({f"{number}": b"old" for number in range(MANY)}, "10")
    await first.write({}, "20")
    second = await owner(dynamodb, "2")

    assert await second.load() == {}
    await second.commit("20")

    assert dynamodb.tables[STATE] == {}


def test_a_piece_is_what_a_transaction_takes() -> None:
    small = [Changed("table", Change(f"{number}", b"v", None)) for number in range(MANY)]
    large = [Changed("table", Change(f"{number}", b"v" * VALUE_MAX_BYTES, None)) for number in range(40)]

    assert [len(piece) for piece in pieces(small)] == [ENTRIES_PER_WRITE, ENTRIES_PER_WRITE, 20]
    assert [each for piece in pieces(small + large) for each in piece] == small + large
    assert all(sum(each.size for each in piece) <= BYTES_PER_WRITE for piece in pieces(large))
    assert pieces([]) == []
