from collections.abc import Mapping
from random import Random

import pytest

from schemas.errors import LeaseLostError, UnavailableError
from schemas.leases import Lease, lease_from_row
from tests.workers.dynamodb import LEASES, STATE, Fault, MemoryDynamoDB
from workers.runtime.lease_table import LeaseTable
from workers.runtime.positions import Position, position_of
from workers.runtime.state import State
from workers.runtime.state_table import StateTable
from workers.runtime.table import VALUE_MAX_BYTES, Entries

KEY = "tally/events/shardId-000000000000"
LOG_MIN_BYTES = 1_000
LARGE = b"l" * VALUE_MAX_BYTES
OLD = {f"{number}": b"old" + LARGE[3:] for number in range(2)}
NEW = {f"{number}": b"new" + LARGE[3:] for number in range(1, 4)}
"""Commits of two items, of three and of one more, that deletes."""
WRITES = 4


class Owner:
    """An acquisition of the lease, with what it loaded."""

    def __init__(self, dynamodb: MemoryDynamoDB, lease: Lease) -> None:
        self.lease = lease
        self.entries = Entries()
        self.state = State()
        self.state.tables["table"] = self.entries
        self.table = StateTable(
            dynamodb, lease, leases_table=LEASES, state_table=STATE, log_min_bytes=LOG_MIN_BYTES
        )

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
        await self.table.load(self.state.tables)
        return {key: self.entries.get(key) or b"" for key in self.entries}


@pytest.fixture
def dynamodb() -> MemoryDynamoDB:
    return MemoryDynamoDB()


async def owner(dynamodb: MemoryDynamoDB, token: str) -> Owner:
    table = LeaseTable(dynamodb, LEASES, timeout_s=1)
    lease = await table.take((await table.read([KEY]))[KEY], owner="worker", token=token)
    assert lease is not None
    return Owner(dynamodb, lease)


def again(dynamodb: MemoryDynamoDB) -> Owner:
    """The same acquisition, begun anew."""
    return Owner(dynamodb, lease_from_row(dynamodb.row(LEASES, KEY)))


async def test_state_and_position_are_written_and_read_back(dynamodb: MemoryDynamoDB) -> None:
    await (await owner(dynamodb, "1")).write(OLD, "10")
    second = await owner(dynamodb, "2")

    assert await second.load() == OLD
    assert position_of(second.lease) == Position("10")


@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize("write", range(WRITES))
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
@pytest.mark.parametrize("write", range(WRITES))
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


async def test_deleted_entries_leave_nothing_that_counts(dynamodb: MemoryDynamoDB) -> None:
    first = await owner(dynamodb, "1")
    await first.write(OLD, "10")
    await first.write({}, "20")
    await first.commit("30")

    second = await owner(dynamodb, "2")

    assert await second.load() == {}
    assert second.lease.tail > int((second.lease.head or "").partition("/")[0])


async def test_a_commit_without_changes_writes_no_item(dynamodb: MemoryDynamoDB) -> None:
    first = await owner(dynamodb, "1")
    await first.write(OLD, "10")
    before = dict(dynamodb.tables[STATE])

    await first.commit("20")

    assert dynamodb.tables[STATE] == before
    assert await (await owner(dynamodb, "2")).load() == OLD


async def test_what_counts_no_more_is_written_over(dynamodb: MemoryDynamoDB) -> None:
    first, chance = await owner(dynamodb, "1"), Random(1)
    for number in range(20):
        last = {"key": chance.randbytes(300)}
        await first.write(last, f"{number}")

    assert len(dynamodb.tables[STATE]) < 8
    assert await (await owner(dynamodb, "2")).load() == last


async def test_what_changes_seldom_is_carried_on(dynamodb: MemoryDynamoDB) -> None:
    first, seldom = await owner(dynamodb, "1"), {f"{number}": b"%d" % number * 30 for number in range(20)}
    await first.write(seldom, "0")
    for number in range(200):
        await first.write(seldom | {"often": b"%d" % number * 20}, f"{number}")

    second = await owner(dynamodb, "2")

    assert await second.load() == seldom | {"often": b"199" * 20}
    assert second.lease.epoch - second.lease.tail < 100


async def test_what_a_worker_without_the_lease_writes_harms_nobody(dynamodb: MemoryDynamoDB) -> None:
    first = await owner(dynamodb, "1")
    await first.write(OLD, "10")
    second = await owner(dynamodb, "2")
    await second.load()
    with pytest.raises(LeaseLostError):
        await first.write({"0": b"lost"}, "20")
    await second.write(NEW, "20")

    with pytest.raises(LeaseLostError):
        await first.commit("20")

    assert await (await owner(dynamodb, "3")).load() == NEW


async def test_what_an_earlier_run_may_still_show_is_left_until_it_cannot(dynamodb: MemoryDynamoDB) -> None:
    first = await owner(dynamodb, "1")
    dynamodb.faults.extend([None, Fault.LATE])
    with pytest.raises(UnavailableError):
        await first.write({"0": b"late"}, "10")
    second = again(dynamodb)
    assert await second.load() == {}
    dynamodb.faults.extend([None, Fault.LOST])
    with pytest.raises(UnavailableError):
        await second.write({"0": b"lost"}, "10")

    dynamodb.arrive()

    assert await again(dynamodb).load() == {"0": b"late"}
    with pytest.raises(LeaseLostError):
        await second.commit("10")


async def test_items_of_a_commit_that_never_was_are_deleted(dynamodb: MemoryDynamoDB) -> None:
    first = await owner(dynamodb, "1")
    dynamodb.faults.extend([None] * 9 + [Fault.LOST])
    with pytest.raises(UnavailableError):
        await first.write({f"{number}": LARGE for number in range(9)}, "10")
    second = await owner(dynamodb, "2")
    await second.load()
    dynamodb.faults.extend([None, None, Fault.LOST])
    await second.write({"0": b"small"}, "10")
    assert len(dynamodb.tables[STATE]) == 10

    await second.commit("20")

    count = len(dynamodb.tables[STATE])
    assert count == 2, "as many may lie about as count"
    assert await (await owner(dynamodb, "3")).load() == {"0": b"small"}


async def test_a_log_that_is_not_whole_is_not_taken_for_less(dynamodb: MemoryDynamoDB) -> None:
    await (await owner(dynamodb, "1")).write(OLD, "10")
    del dynamodb.tables[STATE][KEY, "2"]

    with pytest.raises(UnavailableError, match="1 of 2 pieces"):
        await (await owner(dynamodb, "2")).load()
