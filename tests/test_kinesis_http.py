"""The Kinesis in memory, asked by a client of AWS's."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore.exceptions import ClientError, ConnectionClosedError

from tests.kinesis import STREAM, InMemoryKinesis, client_error
from tests.kinesis_http import served

CREDENTIALS = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
ONCE = AioConfig(retries={"mode": "standard", "total_max_attempts": 1})


@pytest.fixture
def kinesis() -> InMemoryKinesis:
    return InMemoryKinesis(shards=2)


@pytest.fixture
async def client(kinesis: InMemoryKinesis) -> AsyncIterator[Any]:
    async with (
        served(kinesis) as url,
        get_session().create_client("kinesis", endpoint_url=url, config=ONCE, **CREDENTIALS) as client,
    ):
        yield client


async def read(client: Any, shard_id: str) -> dict[str, Any]:
    started = await client.get_shard_iterator(
        StreamName=STREAM, ShardId=shard_id, ShardIteratorType="TRIM_HORIZON"
    )
    answer: dict[str, Any] = await client.get_records(ShardIterator=started["ShardIterator"], Limit=100)
    return answer


async def test_what_is_put_is_read(client: Any, kinesis: InMemoryKinesis) -> None:
    data = bytes(range(256))
    put = await client.put_records(StreamName=STREAM, Records=[{"Data": data, "PartitionKey": "key"}])

    answer = await read(client, put["Records"][0]["ShardId"])

    (record,), (held,) = answer["Records"], kinesis.records()
    assert (record["Data"], record["PartitionKey"]) == (data, "key")
    assert record["SequenceNumber"] == put["Records"][0]["SequenceNumber"]
    late = record["ApproximateArrivalTimestamp"] - held["ApproximateArrivalTimestamp"]
    assert abs(late.total_seconds()) < 0.001


async def test_a_split_shard_is_read_to_its_end_and_has_children(
    client: Any, kinesis: InMemoryKinesis
) -> None:
    parent = kinesis.shard_ids[0]
    children = kinesis.split(parent)

    listed = await client.list_shards(StreamName=STREAM)

    assert "NextShardIterator" not in await read(client, parent)
    found = [shard["ShardId"] for shard in listed["Shards"] if shard.get("ParentShardId") == parent]
    assert found == children


async def test_errors_are_those_of_the_api(client: Any, kinesis: InMemoryKinesis) -> None:
    kinesis.fail("list_shards", client_error("LimitExceededException"))

    with pytest.raises(ClientError, match="LimitExceededException"):
        await client.list_shards(StreamName=STREAM)


async def test_an_answer_that_is_lost_breaks_the_connection(client: Any, kinesis: InMemoryKinesis) -> None:
    kinesis.lose_answers(1)

    with pytest.raises(ConnectionClosedError):
        await client.put_records(StreamName=STREAM, Records=[{"Data": b"x", "PartitionKey": "key"}])

    assert len(kinesis.records()) == 1
