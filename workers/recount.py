"""Puts totals right where a batch was given up between storing and counting."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, NamedTuple, Protocol

from botocore.exceptions import ClientError

from schemas.dynamodb import (
    EXPIRES_AT,
    PROGRAMS_KEY,
    STORED_EVENT_ATTRIBUTES,
    TOTALS_KEY,
    Item,
    LaneTotals,
    bucket_names,
    lane_from_item,
    lane_item,
    program_from_item,
    program_key,
    stored_event_from_item,
    sum_of_lanes,
    while_held,
)
from schemas.errors import UnavailableError
from schemas.packs import PACKS_LANE
from schemas.programs import Totals
from schemas.updates import ProgramTotals, encode_update
from workers.lane_audit import Correction, GivenUp, LaneAudit, rebased
from workers.runtime.puts import Entry, Puts
from workers.settings import RecountSettings

MOST_AUDITS = 5
"""A new audit is asked for only where a recount, or a first count, came in between."""
MOST_ATTEMPTS = 50
"""Each failed attempt means that the lane's fence went on."""
NOTHING: GivenUp = {}


class DynamoDB(Protocol):
    """What recounting asks of a DynamoDB client."""

    async def get_item(self, **request: Any) -> dict[str, Any]: ...

    async def query(self, **request: Any) -> dict[str, Any]: ...

    async def scan(self, **request: Any) -> dict[str, Any]: ...

    async def put_item(self, **request: Any) -> dict[str, Any]: ...


class Recounted(NamedTuple):
    """A program's totals as relayed, the lanes that were put right, and events not counted yet."""

    program_id: str
    totals: Totals
    corrected: list[str]
    uncounted: int


class Recount:
    """Compares each lane with the stored events, and replaces it where they differ (`LaneAudit`).

    Exact while traffic goes on, idempotent, and safe to run twice at once: a lane is replaced only
    while it is as it was read, and counting does the same. Where a program's events expire, a lane is
    only ever raised. Packs are counted as they are stored, and left alone. Reads every event of a
    program. Raises what AWS raises, or UnavailableError.
    """

    def __init__(self, dynamodb: DynamoDB, puts: Puts, settings: RecountSettings) -> None:
        self._dynamodb = dynamodb
        self._puts = puts
        self._settings = settings

    async def programs(self) -> AsyncIterator[str]:
        """The id of every program there is or was."""
        request = {"TableName": self._settings.programs_table, "ProjectionExpression": PROGRAMS_KEY.partition}
        async for item in _pages(self._dynamodb.scan, request):
            yield str(item[PROGRAMS_KEY.partition]["S"])

    async def program(self, program_id: str, given_up: GivenUp = NOTHING) -> Recounted:
        """Puts the lanes of a program right and relays its totals, which repetition does not harm."""
        for _ in range(MOST_AUDITS):
            audit = await self._audit(program_id, given_up)
            corrections = list(audit.corrections())
            if all([await self._correct(program_id, each) for each in corrections]):
                totals = await self._relay(program_id)
                return Recounted(program_id, totals, [each.lane for each in corrections], audit.uncounted)
        raise UnavailableError(f"the lanes of program {program_id} are contended")

    async def _audit(self, program_id: str, given_up: GivenUp) -> LaneAudit:
        held = {str(item["lane"]["S"]): lane_from_item(item) for item in await self._lanes(program_id)}
        lanes = {lane: each for lane, each in held.items() if lane != PACKS_LANE}
        audit = LaneAudit(lanes, given_up, expiring=await self._expires(program_id))
        await asyncio.gather(*(self._add_events(audit, bucket) for bucket in bucket_names(program_id)))
        return audit

    async def _expires(self, program_id: str) -> bool:
        answer = await self._dynamodb.get_item(
            TableName=self._settings.programs_table, Key=program_key(program_id), ConsistentRead=True
        )
        stored = program_from_item(answer["Item"]) if "Item" in answer else None
        return bool(stored and stored.program and stored.program.retention_days)

    async def _add_events(self, audit: LaneAudit, bucket: str) -> None:
        request = {
            "TableName": self._settings.events_table,
            "KeyConditionExpression": "#bucket = :bucket",
            "ExpressionAttributeNames": {"#bucket": "bucket"},
            "ExpressionAttributeValues": {":bucket": {"S": bucket}},
            "ProjectionExpression": ", ".join((*STORED_EVENT_ATTRIBUTES, EXPIRES_AT)),
            "ConsistentRead": True,
        }
        async for item in _pages(self._dynamodb.query, request):
            audit.add(stored_event_from_item(item))

    async def _lanes(self, program_id: str) -> list[Item]:
        request = {
            "TableName": self._settings.totals_table,
            "KeyConditionExpression": f"{TOTALS_KEY.partition} = :program_id",
            "ExpressionAttributeValues": {":program_id": {"S": program_id}},
            "ConsistentRead": True,
        }
        return [item async for item in _pages(self._dynamodb.query, request)]

    async def _correct(self, program_id: str, correction: Correction) -> bool:
        now = correction.held
        for _ in range(MOST_ATTEMPTS):
            right = rebased(correction, now)
            if right is None:
                return False
            try:
                await self._replace(program_id, correction.lane, now, right)
            except ClientError as error:
                now = _held_instead(error)
            else:
                return True
        return False

    async def _replace(self, program_id: str, lane: str, held: LaneTotals | None, right: LaneTotals) -> None:
        await self._dynamodb.put_item(
            TableName=self._settings.totals_table,
            Item=lane_item(program_id, lane, right),
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
            **while_held(held),
        )

    async def _relay(self, program_id: str) -> Totals:
        totals = sum_of_lanes(await self._lanes(program_id))
        update = ProgramTotals(program_id=program_id, totals=totals)
        entry = Entry(Data=encode_update(update), PartitionKey=update.key)
        await self._puts.put(self._settings.update_stream, [entry])
        return totals


def described(recounted: Recounted) -> str:
    """One line."""
    program_id, totals, corrected, uncounted = recounted
    right = f"corrected {', '.join(corrected)}" if corrected else "nothing to correct"
    return f"program {program_id}: {totals.stored} counted, {uncounted} not yet; {right}"


async def _pages(call: Any, request: dict[str, Any]) -> AsyncIterator[Item]:
    """Every item of a query or scan."""
    page: dict[str, Any] = {}
    while True:
        answer = await call(**request, **page)
        for item in answer["Items"]:
            yield item
        if "LastEvaluatedKey" not in answer:
            return
        page = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}


def _held_instead(error: ClientError) -> LaneTotals | None:
    if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
        raise error
    item = error.response.get("Item")
    return lane_from_item(item) if item else None
