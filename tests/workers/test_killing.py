"""Worker processes that are killed at random under load: nothing is lost, and nothing counted twice."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from schemas.errors import UnavailableError
from schemas.leases import lease_from_row
from tests.kinesis import InMemoryKinesis
from tests.kinesis_http import served
from tests.workers.conftest import FAILOVER_S, MANY_SHARDS
from tests.workers.counting import Numbered, Seen, encode
from tests.workers.fleet import Fleet, decimate, mustered
from tests.workers.gaps import Watchman, told
from tests.workers.logs import decoded, entries_of
from tests.workers.turns import intruded

KEYS = [f"key-{number}" for number in range(64)]
PUT_EVERY_S = 0.02
LOOK_EVERY_S = 0.1
CALM_S = 60


class Books:
    """What was sent, and what the tables say."""

    def __init__(self, dynamodb: Any, leases_table: str, state_table: str) -> None:
        self.sent: Counter[str] = Counter()
        self.over = False
        self.watchman = Watchman(dynamodb, leases_table)
        self._dynamodb = dynamodb
        self._leases_table = leases_table
        self._state_table = state_table

    async def send(self, kinesis: Any, stream: str, chance: random.Random) -> None:
        """Sends numbered events of random keys until it is over."""
        while not self.over:
            entries = []
            for key in chance.sample(KEYS, 16):
                count = chance.randint(1, 4)
                events = [Numbered(key, self.sent[key] + each + 1) for each in range(count)]
                entries.append((key, count, encode(events)))
            records = [{"Data": data, "PartitionKey": key} for key, _, data in entries]
            answer = await kinesis.put_records(StreamName=stream, Records=records)
            assert answer["FailedRecordCount"] == 0
            self.sent.update({key: count for key, count, _ in entries})
            await asyncio.sleep(PUT_EVERY_S)

    async def counted(self, table: str, kind: Any) -> dict[str, Any]:
        """Raises UnavailableError where that was committed on in between."""
        leases = [lease_from_row(row) for row in await self._rows(self._leases_table)]
        rows = await self._rows(self._state_table)
        found: dict[str, Any] = {}
        for lease in leases:
            if not lease.has_ended:
                found |= decoded(entries_of(lease, rows, table), kind)
        return found

    async def until_counted(self) -> None:
        async with asyncio.timeout(CALM_S):
            while not await self._is_counted():  # noqa: ASYNC110
                await asyncio.sleep(LOOK_EVERY_S)

    async def _is_counted(self) -> bool:
        try:
            counted = await self.counted("seen", Seen)
        except UnavailableError:
            return False
        return {key: seen.count for key, seen in counted.items()} == self.sent

    async def _rows(self, table: str) -> list[Any]:
        answer = await self._dynamodb.scan(TableName=table, ConsistentRead=True)
        rows: list[Any] = answer["Items"]
        return rows


@pytest.fixture
def books(dynamodb: Any, leases_table: str, state_table: str) -> Books:
    return Books(dynamodb, leases_table, state_table)


@pytest.fixture
async def fleet(tmp_path: Path, worker_environment: dict[str, str]) -> AsyncIterator[Fleet]:
    async with mustered(Fleet(worker_environment, tmp_path)) as fleet:
        yield fleet


@pytest.fixture
def memory() -> InMemoryKinesis:
    return InMemoryKinesis(stream=f"events-{uuid4()}", shards=MANY_SHARDS)


@pytest.fixture
async def memory_fleet(
    tmp_path: Path, worker_environment: dict[str, str], memory: InMemoryKinesis
) -> AsyncIterator[Fleet]:
    """Workers that read from the Kinesis in memory, and have their leases and state in MiniStack."""
    async with served(memory) as url:
        environment = worker_environment | {"AWS_ENDPOINT_URL_KINESIS": url, "EVENT_STREAM": memory.stream}
        async with mustered(Fleet(environment, tmp_path)) as fleet:
            yield fleet


async def ordeal(
    fleet: Fleet,
    books: Books,
    kinesis: Any,
    stream: str,
    *,
    kills: int,
    then: Callable[[int], object] = lambda kill: None,
) -> None:
    """Load and kills, then calm, until all is counted."""
    chance = random.Random(kills)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(books.send(kinesis, stream, chance))
        watching = tasks.create_task(books.watchman.watch())
        await decimate(fleet, chance, kills=kills, then=then)
        books.over = True
        watching.cancel()
    await books.until_counted()


async def assert_whole(fleet: Fleet, books: Books, *, shards: int = MANY_SHARDS) -> None:
    """Every event was counted in its order and once, and each shard had one owner at a time."""
    assert await books.counted("astray", int) == {}
    assert len(fleet.commits()) == shards
    assert intruded(fleet.commits()) == []


def assert_owned(fleet: Fleet, books: Books) -> None:
    """No shard was without an owner for long."""
    gaps = books.watchman.gaps()
    killed_s = sorted(fleet.killed_s.values())
    print(f"{books.sent.total()} events, {len(killed_s)} kills in {killed_s[-1] - killed_s[0]:.0f} s")
    print(
        f"{gaps[0].length_s:.1f} s without an owner at most; all over {FAILOVER_S} s, from the last renewal:"
    )
    print(told(gaps, fleet, over_s=FAILOVER_S))
    assert gaps[0].length_s <= FAILOVER_S + 2


async def test_a_few_kills_lose_nothing_and_count_nothing_twice(
    fleet: Fleet, books: Books, kinesis: Any, shards: str
) -> None:
    await ordeal(fleet, books, kinesis, shards, kills=3)

    await assert_whole(fleet, books)


@pytest.mark.faults
async def test_forty_seconds_of_kills_lose_nothing_and_leave_no_shard_unowned_for_long(
    fleet: Fleet, books: Books, kinesis: Any, shards: str
) -> None:
    await ordeal(fleet, books, kinesis, shards, kills=20)

    await assert_whole(fleet, books)
    assert_owned(fleet, books)


@pytest.mark.faults
async def test_so_it_is_on_the_kinesis_in_memory(
    memory_fleet: Fleet, books: Books, memory: InMemoryKinesis
) -> None:
    await ordeal(memory_fleet, books, memory, memory.stream, kills=20)

    await assert_whole(memory_fleet, books)
    assert_owned(memory_fleet, books)


@pytest.mark.faults
async def test_so_it_is_where_shards_are_split_and_merged_between_kills(
    memory_fleet: Fleet, books: Books, memory: InMemoryKinesis
) -> None:
    def reshard(kill: int) -> None:
        if kill % 6 == 2:
            memory.split(memory.open_shard_ids[0])
        if kill % 6 == 5:
            memory.merge(*memory.open_shard_ids[-2:])

    await ordeal(memory_fleet, books, memory, memory.stream, kills=20, then=reshard)

    await assert_whole(memory_fleet, books, shards=len(memory.shard_ids))
    assert len(memory.shard_ids) > len(memory.open_shard_ids) == MANY_SHARDS
    assert_owned(memory_fleet, books)
