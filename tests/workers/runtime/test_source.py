import asyncio
import logging
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from schemas.errors import UnavailableError
from tests.kinesis import InMemoryKinesis, client_error
from tests.workers.ports import QUIET_S, SHARD, TIMEOUT_S, put
from workers.runtime.source import HASH_KEYS, READ_LIMIT, Record, Shard, ShardEnd, ShardReader, Shards

LONG_MS = 60_000


def reader_of(
    kinesis: InMemoryKinesis, *, after: str | None = None, poll_interval_ms: int = 1, shard_id: str = SHARD
) -> ShardReader:
    return ShardReader(kinesis, kinesis.stream, shard_id, after=after, poll_interval_ms=poll_interval_ms)


async def read_all(reader: ShardReader, count: int) -> list[Record]:
    """Reads until `count` records have come."""
    records: list[Record] = []
    async with asyncio.timeout(TIMEOUT_S):
        while len(records) < count:
            records += await reader.read()
    return records


async def test_a_reader_starts_at_the_oldest_record_where_nothing_is_read_yet() -> None:
    kinesis = InMemoryKinesis()
    numbers = await put(kinesis, b"a", b"b")
    before_ms = datetime.now(UTC).timestamp() * 1000

    records = await reader_of(kinesis).read()

    assert [(each.shard_id, each.sequence_number, each.partition_key, each.data) for each in records] == [
        (SHARD, numbers[0], "key", b"a"),
        (SHARD, numbers[1], "key", b"b"),
    ]
    assert all(abs(each.arrived_ms - before_ms) < TIMEOUT_S * 1000 for each in records)


async def test_a_reader_starts_behind_a_position() -> None:
    kinesis = InMemoryKinesis()
    numbers = await put(kinesis, b"a", b"b", b"c")

    records = await reader_of(kinesis, after=numbers[0]).read()

    assert [each.data for each in records] == [b"b", b"c"]


async def test_a_record_may_have_no_partition_key() -> None:
    kinesis = InMemoryKinesis(keyless=True)
    await put(kinesis, b"a")

    (record,) = await reader_of(kinesis).read()

    assert record.partition_key is None


async def test_a_reader_reads_on_where_it_left_off() -> None:
    kinesis = InMemoryKinesis()
    reader = reader_of(kinesis)
    assert await reader.read() == []

    await put(kinesis, b"a")
    first = await read_all(reader, 1)
    await put(kinesis, b"b")
    second = await read_all(reader, 1)

    assert [each.data for each in first + second] == [b"a", b"b"]


async def test_a_reader_that_is_behind_reads_again_at_once_else_after_the_poll_interval() -> None:
    kinesis = InMemoryKinesis()
    await put(kinesis, *[b"a"] * (READ_LIMIT + 1))
    reader = reader_of(kinesis, poll_interval_ms=LONG_MS)

    assert len(await reader.read()) == READ_LIMIT
    behind_ms = reader.lag_ms
    records = await read_all(reader, 1)

    assert behind_ms
    assert len(records) == 1
    assert reader.lag_ms == 0
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.read(), QUIET_S)


async def test_an_expired_iterator_is_replaced_behind_the_last_record_handed_out(
    caplog: pytest.LogCaptureFixture,
) -> None:
    kinesis = InMemoryKinesis()
    numbers = await put(kinesis, b"a", b"b")
    reader = reader_of(kinesis)
    await read_all(reader, 2)

    kinesis.expire_iterators()
    await put(kinesis, b"c")
    records = await read_all(reader, 1)

    assert [each.data for each in records] == [b"c"]
    assert kinesis.requests("get_shard_iterator")[-1]["StartingSequenceNumber"] == numbers[1]
    assert not [each for each in caplog.records if each.levelno >= logging.WARNING]


async def test_an_iterator_that_expires_before_any_record_starts_at_the_oldest_again() -> None:
    kinesis = InMemoryKinesis()
    reader = reader_of(kinesis)
    await reader.read()

    kinesis.expire_iterators()
    await put(kinesis, b"a")
    records = await read_all(reader, 1)

    assert [each.data for each in records] == [b"a"]
    assert kinesis.requests("get_shard_iterator")[-1]["ShardIteratorType"] == "TRIM_HORIZON"


@pytest.mark.parametrize(
    "error",
    [
        client_error("ProvisionedThroughputExceededException"),
        client_error("InternalFailure"),
        EndpointConnectionError(endpoint_url="http://kinesis"),
        ConnectionResetError("reset"),
        TimeoutError(),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("operation", ["get_shard_iterator", "get_records"])
async def test_a_failed_read_hands_out_nothing_and_the_next_one_everything(
    operation: str, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    kinesis = InMemoryKinesis()
    await put(kinesis, b"a")
    kinesis.fail(operation, error, error)
    reader = reader_of(kinesis)

    assert await reader.read() == []
    assert await reader.read() == []
    records = await read_all(reader, 1)

    assert [each.data for each in records] == [b"a"]
    assert len(caplog.records) == 2
    assert reader.end is None


async def test_a_cancelled_read_loses_nothing() -> None:
    kinesis = InMemoryKinesis()
    await put(kinesis, b"a")
    reader = reader_of(kinesis)

    for turns in range(10):
        read = asyncio.create_task(reader.read())
        for _ in range(turns):
            await asyncio.sleep(0)
        if read.done():
            break
        read.cancel()
        await asyncio.wait([read])
    records = await reader.read() if read.cancelled() else read.result()

    assert [each.data for each in records] == [b"a"]


async def test_a_closed_shard_ends_with_its_last_records(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    kinesis = InMemoryKinesis()
    await put(kinesis, b"a")
    kinesis.close(SHARD)
    reader = reader_of(kinesis)

    records = await reader.read()

    assert [each.data for each in records] == [b"a"]
    assert reader.end is ShardEnd.CLOSED
    assert caplog.messages == [f"events/{SHARD} is read to its end"]


async def test_a_shard_that_no_longer_exists_ends(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    kinesis = InMemoryKinesis()
    reader = reader_of(kinesis)
    await reader.read()

    kinesis.forget(SHARD)

    assert await reader.read() == []
    assert reader.end is ShardEnd.GONE
    assert caplog.messages == [f"events/{SHARD} no longer exists"]


async def test_every_page_of_shards_is_listed_with_parents() -> None:
    kinesis = InMemoryKinesis(shards=2, page_size=1)
    children = kinesis.split(SHARD)

    shards = await Shards(kinesis, "events").listed()

    assert shards == [
        Shard(SHARD, (), 0, HASH_KEYS // 2 - 1),
        Shard("shardId-000000000001", (), HASH_KEYS // 2, HASH_KEYS - 1),
        Shard(children[0], (SHARD,), 0, HASH_KEYS // 4 - 1),
        Shard(children[1], (SHARD,), HASH_KEYS // 4, HASH_KEYS // 2 - 1),
    ]


async def test_a_stream_tells_its_arn() -> None:
    kinesis = InMemoryKinesis()

    assert await Shards(kinesis, "events").arn() == kinesis.arn


async def test_a_stream_that_does_not_answer_is_unavailable() -> None:
    kinesis = InMemoryKinesis()
    kinesis.fail("list_shards", EndpointConnectionError(endpoint_url="http://kinesis"))

    with pytest.raises(UnavailableError, match="stream events: Could not connect"):
        await Shards(kinesis, "events").listed()
    with pytest.raises(UnavailableError, match=r"stream elsewhere: .*ResourceNotFoundException"):
        await Shards(kinesis, "elsewhere").arn()


async def test_a_real_stream_is_read_to_its_last_record_in_order(kinesis: Any, stream: str) -> None:
    sent = [f"{number}".encode() for number in range(50)]
    records = [{"Data": data, "PartitionKey": data.decode()} for data in sent]
    await kinesis.put_records(StreamName=stream, Records=records)
    shards = await Shards(kinesis, stream).listed()

    read: list[Record] = []
    for shard in shards:
        reader = ShardReader(kinesis, stream, shard.shard_id, after=None, poll_interval_ms=1)
        of_shard = await reader.read()
        assert [each.sequence_number for each in of_shard] == sorted(
            (each.sequence_number for each in of_shard), key=int
        )
        read += of_shard

    assert sorted(each.data for each in read) == sorted(sent)
    assert all(each.partition_key == each.data.decode() for each in read)


async def test_a_shard_that_a_real_split_deletes_ends_and_its_children_are_listed(
    kinesis: Any, stream: str
) -> None:
    reader = ShardReader(kinesis, stream, SHARD, after=None, poll_interval_ms=1)
    await reader.read()

    await kinesis.split_shard(StreamName=stream, ShardToSplit=SHARD, NewStartingHashKey="1000")
    await reader.read()

    assert reader.end is ShardEnd.GONE
    shards = await Shards(kinesis, stream).listed()
    assert [shard.parents for shard in shards] == [(), (SHARD,), (SHARD,)]
