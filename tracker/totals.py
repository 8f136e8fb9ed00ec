"""Reads what is stored so far for a program: from Redis, where `refresh` keeps it, else DynamoDB."""

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol

import msgspec
from botocore.exceptions import BotoCoreError, ClientError
from redis.asyncio import Redis
from redis.exceptions import RedisError

from schemas.dynamodb import TOTALS_KEY, Item, sum_of_lanes
from schemas.errors import CoreDataUnavailableError
from schemas.programs import Totals
from schemas.redis import read_totals, totals_key

SUMS_AT_ONCE = 16
"""Of all requests together; the client has 64 connections, and events need programs first."""


class DynamoDB(Protocol):
    """What totals ask of a DynamoDB client."""

    async def query(self, **request: Any) -> dict[str, Any]: ...


class TotalsReader:
    """Totals of programs, as new as any level has them."""

    def __init__(self, redis: Redis, dynamodb: DynamoDB, *, table: str, timeout_ms: int) -> None:
        self._redis = redis
        self._dynamodb = dynamodb
        self._table = table
        self._timeout_s = timeout_ms / 1000
        self._sums = asyncio.Semaphore(SUMS_AT_ONCE)

    async def read(self, program_id: str) -> Totals:
        """The newest totals known. Raises CoreDataUnavailableError where neither level answers."""
        (totals,) = await self.read_all([program_id])
        return totals

    async def read_all(self, program_ids: Sequence[str]) -> list[Totals]:
        """The same of many, in their order: one question to Redis, and of DynamoDB only what Redis does
        not have, some at a time, so that a long list keeps nobody else out."""
        held = await self._held(program_ids)
        missing = [program_id for program_id, totals in zip(program_ids, held, strict=True) if totals is None]
        sums = iter(await asyncio.gather(*map(self._sum, missing)))
        return [next(sums) if totals is None else totals for totals in held]

    async def _held(self, program_ids: Sequence[str]) -> list[Totals | None]:
        try:
            async with asyncio.timeout(self._timeout_s), self._redis.pipeline(transaction=False) as pipeline:
                for program_id in program_ids:
                    pipeline.hget(totals_key(program_id), "value")
                return [_readable(value) for value in await pipeline.execute(raise_on_error=False)]
        except (RedisError, OSError, TimeoutError):
            return [None] * len(program_ids)

    async def _sum(self, program_id: str) -> Totals:
        try:
            async with self._sums, asyncio.timeout(self._timeout_s):
                return sum_of_lanes(await self._lanes(program_id))
        except (ClientError, BotoCoreError, TimeoutError) as error:
            raise CoreDataUnavailableError("neither Redis nor DynamoDB gives the totals") from error

    async def _lanes(self, program_id: str) -> list[Item]:
        request: dict[str, Any] = {
            "TableName": self._table,
            "KeyConditionExpression": f"{TOTALS_KEY.partition} = :program_id",
            "ExpressionAttributeValues": {":program_id": {"S": program_id}},
        }
        lanes: list[Item] = []
        while True:
            page = await self._dynamodb.query(**request)
            lanes += page["Items"]
            if "LastEvaluatedKey" not in page:
                return lanes
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def _readable(value: bytes | RedisError | None) -> Totals | None:
    try:
        return None if isinstance(value, RedisError) else read_totals(value)
    except msgspec.MsgspecError:
        return None
