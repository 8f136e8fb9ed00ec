"""Where core data is read from beyond this task's memory: Redis, and behind it DynamoDB."""

import asyncio
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError
from redis.asyncio import Redis
from redis.exceptions import RedisError

from schemas.dynamodb import program_from_item, program_key
from schemas.errors import CoreDataUnavailableError
from schemas.redis import (
    PUBLISH_IF_NEWER,
    RECORD_FIELDS,
    Record,
    program_change,
    read_program,
    tombstone_change,
)
from schemas.redis import program_key as redis_key


class Level(Protocol):
    """One place that holds core data."""

    async def read(self, program_id: str) -> Record | None:
        """The record held, a tombstone included; None for none. Raises CoreDataUnavailableError."""


class DynamoDB(Protocol):
    """What core data asks of a DynamoDB client."""

    async def get_item(self, **request: Any) -> dict[str, Any]: ...


class RedisLevel:
    """Core data in Redis. Writes only what DynamoDB was just seen to hold, by version."""

    def __init__(self, redis: Redis, *, channel: str, timeout_ms: int) -> None:
        self._redis = redis
        self._channel = channel
        self._timeout_s = timeout_ms / 1000
        self._publish_if_newer = redis.register_script(PUBLISH_IF_NEWER)

    async def read(self, program_id: str) -> Record | None:
        try:
            async with asyncio.timeout(self._timeout_s):
                fields = await self._redis.hmget(redis_key(program_id), *RECORD_FIELDS)
            return read_program(fields)
        except (RedisError, OSError, TimeoutError, ValueError) as error:
            raise CoreDataUnavailableError(f"Redis: {_named(error)}") from error

    async def fill(self, program_id: str, record: Record) -> None:
        """Puts `record` there unless Redis holds a newer one. Raises CoreDataUnavailableError."""
        if record.program is None:
            change = tombstone_change(self._channel, program_id, record.version)
        else:
            change = program_change(self._channel, record.program)
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._publish_if_newer(keys=change.keys, args=change.args)
        except (RedisError, OSError, TimeoutError) as error:
            raise CoreDataUnavailableError(f"Redis: {_named(error)}") from error


class DynamoDBLevel:
    """Core data in DynamoDB: the durable truth, read consistently."""

    def __init__(self, dynamodb: DynamoDB, *, table: str, timeout_ms: int) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._timeout_s = timeout_ms / 1000

    async def read(self, program_id: str) -> Record | None:
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await self._dynamodb.get_item(
                    TableName=self._table, Key=program_key(program_id), ConsistentRead=True
                )
        except (ClientError, BotoCoreError, TimeoutError) as error:
            raise CoreDataUnavailableError(f"DynamoDB: {_named(error)}") from error
        if "Item" not in answer:
            return None
        stored = program_from_item(answer["Item"])
        return Record(stored.version, stored.program)


def _named(error: BaseException) -> str:
    return str(error) or type(error).__name__
