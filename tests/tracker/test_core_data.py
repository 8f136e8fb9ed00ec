"""The levels behind memory: Redis for real, DynamoDB as its client behaves."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
from botocore.exceptions import ConnectTimeoutError
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from schemas.dynamodb import program_item, tombstone_item
from schemas.errors import CoreDataUnavailableError
from schemas.redis import Record, program_key
from tests.factories import VERSION, program
from tests.kinesis import client_error
from tracker.core_data import DynamoDBLevel, RedisLevel

OLD = Record(VERSION, program(name="old"))
NEW = Record(VERSION + 1, program(name="new", version=VERSION + 1))
GONE = Record(VERSION + 2, None)


@pytest.fixture
async def redis(valkey: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(valkey, retry=Retry(NoBackoff(), 0)) as redis:
        yield redis


@pytest.fixture
def channel() -> str:
    return f"channel-{uuid4()}"


@pytest.fixture
def level(redis: Redis, channel: str) -> RedisLevel:
    return RedisLevel(redis, channel=channel, timeout_ms=10_000)


async def test_redis_gives_back_what_it_was_filled_with(level: RedisLevel) -> None:
    program_id = str(uuid4())
    assert await level.read(program_id) is None

    await level.fill(program_id, GONE)

    assert await level.read(program_id) == GONE


async def test_redis_keeps_the_newer_of_two(level: RedisLevel, redis: Redis) -> None:
    await redis.delete(program_key(program().program_id))

    for record in (NEW, OLD):
        await level.fill(program().program_id, record)

    assert await level.read(program().program_id) == NEW


async def test_what_redis_is_filled_with_is_told_to_every_task(
    level: RedisLevel, redis: Redis, channel: str
) -> None:
    async with redis.pubsub() as pubsub:
        await pubsub.subscribe(channel)
        assert (await pubsub.get_message(timeout=5))["type"] == "subscribe"

        await level.fill(str(uuid4()), GONE)

        assert (await pubsub.get_message(timeout=5))["type"] == "message"


async def test_a_value_that_is_no_program_counts_as_redis_being_down(level: RedisLevel, redis: Redis) -> None:
    program_id = str(uuid4())
    await redis.hset(program_key(program_id), mapping={"version": "1", "value": "{"})

    with pytest.raises(CoreDataUnavailableError):
        await level.read(program_id)


async def test_a_redis_that_stalls_or_is_not_there_is_unavailable(redis: Redis, channel: str) -> None:
    stalled = RedisLevel(redis, channel=channel, timeout_ms=50)
    await redis.client_pause(1_000)
    for call in (stalled.read("a"), stalled.fill("a", GONE)):
        with pytest.raises(CoreDataUnavailableError):
            await call
    await redis.ping()

    async with Redis.from_url("redis://127.0.0.1:1", retry=Retry(NoBackoff(), 0)) as nowhere:
        with pytest.raises(CoreDataUnavailableError):
            await RedisLevel(nowhere, channel=channel, timeout_ms=500).read("a")


class FakeDynamoDB:
    def __init__(self, answer: dict[str, Any] | Exception | None) -> None:
        self.answer = answer

    async def get_item(self, **request: Any) -> dict[str, Any]:
        assert request["ConsistentRead"] is True
        if self.answer is None:
            await asyncio.Event().wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer or {}


@pytest.mark.parametrize(
    ("answer", "record"),
    [
        ({}, None),
        ({"Item": program_item(program())}, Record(VERSION, program())),
        ({"Item": tombstone_item("212313", VERSION + 2)}, GONE),
    ],
)
async def test_dynamodb_gives_the_program_its_tombstone_or_nothing(
    answer: dict[str, Any], record: Record | None
) -> None:
    level = DynamoDBLevel(FakeDynamoDB(answer), table="programs", timeout_ms=500)

    assert await level.read("212313") == record


@pytest.mark.parametrize(
    "answer",
    [None, client_error("ThrottlingException"), ConnectTimeoutError(endpoint_url="nowhere")],
)
async def test_a_dynamodb_that_stalls_throttles_or_is_not_there_is_unavailable(
    answer: Exception | None,
) -> None:
    level = DynamoDBLevel(FakeDynamoDB(answer), table="programs", timeout_ms=20)

    with pytest.raises(CoreDataUnavailableError):
        await level.read("212313")
