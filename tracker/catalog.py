"""Lists programs page by page, from DynamoDB."""

import asyncio
from typing import Any, NamedTuple, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from schemas.dynamodb import program_from_item, program_key
from schemas.errors import CoreDataUnavailableError
from schemas.programs import Program


class DynamoDB(Protocol):
    """What the catalog asks of a DynamoDB client."""

    async def scan(self, **request: Any) -> dict[str, Any]: ...


class Page(NamedTuple):
    """Some programs, in no particular order; `cursor` is None on the last page."""

    programs: list[Program]
    cursor: str | None


class Catalog:
    """All programs there are. A page may hold fewer than asked for: deleted ones are left out."""

    def __init__(self, dynamodb: DynamoDB, *, table: str, timeout_ms: int) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._timeout_s = timeout_ms / 1000

    async def page(self, *, limit: int, cursor: str | None) -> Page:
        """The programs after `cursor` (an earlier page's). Raises CoreDataUnavailableError."""
        request: dict[str, Any] = {"TableName": self._table, "Limit": limit}
        if cursor is not None:
            request["ExclusiveStartKey"] = program_key(cursor)
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await self._dynamodb.scan(**request)
        except (ClientError, BotoCoreError, TimeoutError) as error:
            raise CoreDataUnavailableError("DynamoDB does not list the programs") from error
        stored = (program_from_item(item).program for item in answer["Items"])
        last = answer.get("LastEvaluatedKey")
        return Page([program for program in stored if program], last["program_id"]["S"] if last else None)
