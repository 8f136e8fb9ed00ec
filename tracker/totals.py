"""Reads what is stored so far for a program: from Redis, where `refresh` keeps it, else DynamoDB."""

import asyncio
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError
from redis.asyncio import Redis
from redis.exceptions import RedisError

from schemas.dynamodb import TOTALS_KEY, Item, sum_of_lanes
from schemas.errors import CoreDataUnavailableError
from schemas.programs import Totals
from schemas.redis import read_totals, totals_key


class DynamoDB(Protocol):
    """What totals ask of a DynamoDB client."""

    async def query(self, **request: Any) -> dict[str, Any]: ...


class TotalsReader:
    """Totals of one program at a time."""

    def __init__(self, redis: Redis, dynamodb: DynamoDB, *, table: str, timeout_ms: int) -> None:
        self._redis = redis
        self._dynamodb = dynamodb
        self._table = table
        self._timeout_s = timeout_ms / 1000

    async def read(self, program_id: str) -> Totals:
        """The newest totals known. Raises CoreDataUnavailableError where neither level answers."""
        try:
            async with asyncio.timeout(self._timeout_s):
                totals = read_totals(await self._redis.hget(totals_key(program_id), "value"))
        except (RedisError, OSError, TimeoutError, ValueError):
            totals = None
        return totals if totals is not None else await self._sum(program_id)

    async def _sum(self, program_id: str) -> Totals:
        try:
            async with asyncio.timeout(self._timeout_s):
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
