import asyncio

import pytest

from tests.workers.ports import QUIET_S, TIMEOUT_S, record
from workers.hosting.batches import Batches
from workers.hosting.invocation import PAYLOAD_MAX_BYTES, payload_bytes
from workers.runtime.source import Record, ShardEnd

LONG_MS = 60_000


class Reads:
    """A source that gives its reads in turn, then ends, or where `endless` waits for more."""

    def __init__(self, *reads: list[Record], endless: bool = False) -> None:
        self.end: ShardEnd | None = None
        self.begun = 0
        self._endless = endless
        self._reads: asyncio.Queue[list[Record]] = asyncio.Queue()
        for records in reads:
            self.add(records)

    def add(self, records: list[Record]) -> None:
        self._reads.put_nowait(records)

    async def read(self) -> list[Record]:
        self.begun += 1
        await asyncio.sleep(0)
        records = await self._reads.get()
        if self._reads.empty() and not self._endless:
            self.end = ShardEnd.CLOSED
        return records


def numbered(*numbers: int) -> list[Record]:
    return [record(number) for number in numbers]


async def take(batches: Batches) -> list[int]:
    async with asyncio.timeout(TIMEOUT_S):
        return [int(each.sequence_number) for each in await batches.take()]


async def test_without_a_window_what_one_read_brought_goes_at_once() -> None:
    reads = Reads([], numbered(1, 2), numbered(3), endless=True)
    batches = Batches(reads, size=100, window_ms=0)

    assert await take(batches) == [1, 2]
    assert reads.begun == 2
    assert await take(batches) == [3]


async def test_a_batch_has_at_most_size_records() -> None:
    batches = Batches(Reads(numbered(1, 2, 3, 4, 5)), size=2, window_ms=0)

    assert [await take(batches) for _ in range(4)] == [[1, 2], [3, 4], [5], []]


async def test_with_a_window_a_batch_waits_until_it_is_full() -> None:
    reads = Reads(numbered(1), [], numbered(2, 3, 4), endless=True)
    batches = Batches(reads, size=3, window_ms=LONG_MS)

    assert await take(batches) == [1, 2, 3]


async def test_with_a_window_a_batch_goes_when_the_window_has_passed() -> None:
    batches = Batches(Reads(numbered(1), numbered(2), endless=True), size=3, window_ms=20)

    assert await take(batches) == [1, 2]


async def test_the_window_begins_with_the_first_record() -> None:
    batches = Batches(Reads([], endless=True), size=3, window_ms=1)

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(batches.take(), QUIET_S)


async def test_with_a_window_a_batch_goes_when_the_shard_ends() -> None:
    batches = Batches(Reads(numbered(1), numbered(2)), size=3, window_ms=LONG_MS)

    assert await take(batches) == [1, 2]
    assert await take(batches) == []


async def test_a_batch_goes_when_one_more_record_would_pass_the_payload() -> None:
    size = PAYLOAD_MAX_BYTES // 4
    large = [record(number, b"x" * size) for number in (1, 2, 3, 4, 5)]
    batches = Batches(Reads(large, endless=True), size=100, window_ms=LONG_MS)

    assert sum(payload_bytes(each) for each in large[:2]) <= PAYLOAD_MAX_BYTES
    assert await take(batches) == [1, 2]
    assert await take(batches) == [3, 4]


async def test_a_record_larger_than_the_payload_goes_alone() -> None:
    large = record(1, b"x" * PAYLOAD_MAX_BYTES)
    batches = Batches(Reads([large, record(2)]), size=100, window_ms=LONG_MS)

    assert await take(batches) == [1]
    assert await take(batches) == [2]


async def test_a_cancelled_take_loses_nothing() -> None:
    reads = Reads(numbered(1), numbered(2), endless=True)
    batches = Batches(reads, size=3, window_ms=LONG_MS)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(batches.take(), QUIET_S)

    reads.add(numbered(3))

    assert await take(batches) == [1, 2, 3]
