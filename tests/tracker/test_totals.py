"""Totals: from Redis, and without it from DynamoDB's lanes."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from schemas.dynamodb import LaneTotals, lane_item
from schemas.errors import CoreDataUnavailableError
from schemas.programs import Totals
from schemas.redis import PUBLISH_IF_NEWER, totals_change, totals_key
from tests.factories import totals
from tests.kinesis import client_error
from tracker.totals import SUMS_AT_ONCE, TotalsReader


class FakeDynamoDB:
    """Two lanes, one on each page."""

    def __init__(self) -> None:
        self.down = False
        self.asked = 0
        self.most_asked = 0

    async def query(self, **request: Any) -> dict[str, Any]:
        if self.down:
            raise client_error("ThrottlingException")
        self.asked += 1
        self.most_asked = max(self.most_asked, self.asked)
        await asyncio.sleep(0)
        self.asked -= 1
        if "ExclusiveStartKey" in request:
            return {"Items": [lane_item("p", "b", LaneTotals("1", Totals(clicks=2)))]}
        return {
            "Items": [lane_item("p", "a", LaneTotals("1", Totals(views=1)))],
            "LastEvaluatedKey": {"lane": {"S": "a"}},
        }


@pytest.fixture
async def redis(valkey: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(valkey) as redis:
        yield redis


@pytest.fixture
def dynamodb() -> FakeDynamoDB:
    return FakeDynamoDB()


def reader(redis: Redis, dynamodb: FakeDynamoDB) -> TotalsReader:
    return TotalsReader(redis, dynamodb, table="totals", timeout_ms=10_000)


async def test_redis_answers_where_refresh_has_put_them(redis: Redis, dynamodb: FakeDynamoDB) -> None:
    program_id = str(uuid4())
    change = totals_change("channel", program_id, totals())
    await redis.register_script(PUBLISH_IF_NEWER)(keys=change.keys, args=change.args)

    assert await reader(redis, dynamodb).read(program_id) == totals()


async def test_without_them_the_lanes_are_summed(redis: Redis, dynamodb: FakeDynamoDB) -> None:
    assert await reader(redis, dynamodb).read(str(uuid4())) == Totals(views=1, clicks=2)


async def test_without_redis_the_lanes_are_summed(dynamodb: FakeDynamoDB) -> None:
    async with Redis.from_url("redis://127.0.0.1:1", retry=Retry(NoBackoff(), 0)) as nowhere:
        assert await reader(nowhere, dynamodb).read("p") == Totals(views=1, clicks=2)


async def test_without_either_they_are_unavailable(redis: Redis, dynamodb: FakeDynamoDB) -> None:
    dynamodb.down = True

    with pytest.raises(CoreDataUnavailableError):
        await reader(redis, dynamodb).read(str(uuid4()))


async def test_many_are_one_question_to_redis_and_what_it_has_not_is_summed_some_at_a_time(
    redis: Redis, dynamodb: FakeDynamoDB
) -> None:
    program_ids = [str(uuid4()) for _ in range(1_000)]
    kept, broken, other = program_ids[:3]
    change = totals_change("channel", kept, totals())
    await redis.register_script(PUBLISH_IF_NEWER)(keys=change.keys, args=change.args)
    await redis.hset(totals_key(broken), "value", "[" * 100_000)
    await redis.set(totals_key(other), "no hash")

    found = await reader(redis, dynamodb).read_all(program_ids)

    assert found == [totals()] + [Totals(views=1, clicks=2)] * 999
    assert dynamodb.most_asked == SUMS_AT_ONCE
