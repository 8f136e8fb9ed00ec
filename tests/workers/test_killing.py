"""Worker processes on MiniStack, killed at random under load: nothing lost, nothing counted twice."""

import asyncio
import os
import random
import re
import sys
from asyncio.subprocess import Process
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from schemas.leases import entry_from_row, lease_from_row
from tests.workers.counting import Numbered, Seen, encode

ROOT = Path(__file__).parents[2]
SHARDS = 8
WORKERS = 3
KEYS = [f"key-{number}" for number in range(64)]
FAILOVER_S = 2.0
KILL_EVERY_S = 2.0
PUT_EVERY_S = 0.02
LOOK_EVERY_S = 0.1
CALM_S = 60
COMMIT = re.compile(r"(\S+): commit (\d+) under (\S+)")


class Fleet:
    """Worker processes, each writing what it says to a file of its own."""

    def __init__(self, environment: Mapping[str, str], logs: Path) -> None:
        self.processes: list[Process] = []
        self._environment = environment
        self._logs = logs
        self._started = 0

    async def start(self) -> None:
        self._started += 1
        with (self._logs / f"{self._started}.log").open("wb") as output:
            self.processes.append(
                await asyncio.create_subprocess_exec(
                    *(sys.executable, "-m", "tests.workers.counting"),
                    cwd=ROOT,
                    env=self._environment,
                    stdout=output,
                    stderr=output,
                )
            )

    async def kill(self, process: Process) -> None:
        self.processes.remove(process)
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()

    def commits(self) -> dict[str, list[tuple[int, str]]]:
        """What the workers say they committed: epoch and token, by lease, in order of the epochs."""
        found: dict[str, list[tuple[int, str]]] = {}
        for path in self._logs.iterdir():
            for key, epoch, token in COMMIT.findall(path.read_text()):
                found.setdefault(key, []).append((int(epoch), token))
        return {key: sorted(commits) for key, commits in found.items()}


class Books:
    """What was sent, what the tables say, and how long a shard stood still."""

    def __init__(self, dynamodb: Any, leases_table: str, state_table: str) -> None:
        self.sent: Counter[str] = Counter()
        self.longest_unowned_s = 0.0
        self.over = False
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

    async def watch(self) -> None:
        """Notes the longest time that a lease's owner gave no sign of life, until it is over."""
        seen: dict[str, tuple[object, float]] = {}
        while not self.over:
            now_s = asyncio.get_running_loop().time()
            for row in await self._rows(self._leases_table):
                lease = lease_from_row(row)
                state = (lease.token, lease.counter) if lease.owner else None
                if state != seen.get(lease.key, (None, 0.0))[0]:
                    seen[lease.key] = (state, now_s)
                since_s = now_s - seen.setdefault(lease.key, (state, now_s))[1]
                self.longest_unowned_s = max(self.longest_unowned_s, since_s)
            await asyncio.sleep(LOOK_EVERY_S)

    async def counted(self, table: str, kind: Any) -> dict[str, Any]:
        rows = await self._rows(self._leases_table)
        epochs = {lease.key: lease.epoch for lease in map(lease_from_row, rows)}
        found = {}
        for row in await self._rows(self._state_table):
            entry = entry_from_row(row)
            value = entry.as_of(epochs[str(row["lease_key"]["S"])])
            if entry.table == table and value is not None:
                found[msgspec.json.decode(entry.key)] = msgspec.msgpack.decode(value, type=kind)
        return found

    async def until_counted(self) -> None:
        async with asyncio.timeout(CALM_S):
            while not await self._is_counted():  # noqa: ASYNC110
                await asyncio.sleep(LOOK_EVERY_S)

    async def _is_counted(self) -> bool:
        counts = {key: seen.count for key, seen in (await self.counted("seen", Seen)).items()}
        return counts == self.sent

    async def _rows(self, table: str) -> list[Any]:
        answer = await self._dynamodb.scan(TableName=table, ConsistentRead=True)
        rows: list[Any] = answer["Items"]
        return rows


@pytest.fixture
def books(dynamodb: Any, leases_table: str, state_table: str) -> Books:
    return Books(dynamodb, leases_table, state_table)


@pytest.fixture
async def shards(kinesis: Any) -> str:
    """The name of a stream with eight shards."""
    name = f"events-{uuid4()}"
    await kinesis.create_stream(StreamName=name, ShardCount=SHARDS)
    return name


@pytest.fixture
async def fleet(
    tmp_path: Path, ministack: str, shards: str, leases_table: str, state_table: str, bucket: str
) -> AsyncIterator[Fleet]:
    environment = {
        "PATH": os.environ["PATH"],
        "AWS_ENDPOINT_URL": ministack,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "EVENT_STREAM": shards,
        "UPDATE_STREAM": "updates",
        "TOUCH_STREAM": "touches",
        "MATCHES_TABLE": "matches",
        "LEASES_TABLE": leases_table,
        "STATE_TABLE": state_table,
        "FAILED_EVENTS_BUCKET": bucket,
        "WORKER_FAILOVER_MS": str(round(FAILOVER_S * 1000)),
        "WORKER_POLL_INTERVAL_MS": "250",
        "WORKER_COMMIT_INTERVAL_MS": "100",
    }
    fleet = Fleet(environment, tmp_path)
    yield fleet
    for process in list(fleet.processes):
        await fleet.kill(process)


async def ordeal(fleet: Fleet, books: Books, kinesis: Any, stream: str, *, kills: int) -> None:
    """Load and kills, then calm, until all is counted."""
    chance = random.Random(kills)
    for _ in range(WORKERS):
        await fleet.start()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(books.send(kinesis, stream, chance))
        tasks.create_task(books.watch())
        for _ in range(kills):
            await asyncio.sleep(KILL_EVERY_S)
            await fleet.kill(chance.choice(fleet.processes))
            await fleet.start()
        books.over = True
    await books.until_counted()


async def assert_whole(fleet: Fleet, books: Books) -> None:
    assert await books.counted("astray", int) == {}
    assert len(fleet.commits()) == SHARDS
    for commits in fleet.commits().values():
        epochs = [epoch for epoch, _ in commits]
        turns = [token for token, _ in groupby(token for _, token in commits)]
        assert len(epochs) == len(set(epochs))
        assert len(turns) == len(set(turns))


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
    print(f"{books.sent.total()} events, {books.longest_unowned_s:.1f} s without an owner at most")
    assert books.longest_unowned_s <= FAILOVER_S + 2
