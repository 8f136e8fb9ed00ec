"""What of records that are to be put back is in a program's packs already (schemas/packs.py)."""

from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from typing import Any, Protocol
from uuid import UUID

from schemas.errors import FrameError
from schemas.events import encode_event
from schemas.frames import Frame, decode_frame, encode_frame
from schemas.packs import Pack, pack_from_item, packs_bucket
from workers.runtime.puts import Entry

Ids = dict[str, set[UUID]]
"""Message ids by their program."""


class DynamoDB(Protocol):
    """What this asks of a DynamoDB client."""

    async def query(self, **request: Any) -> dict[str, Any]: ...


class PackedEvents:
    """Reads packs, newest first. The packed store knows a resend for some minutes; what is put back may be
    older than that, so what was stored is left out before.
    """

    def __init__(self, dynamodb: DynamoDB, *, table: str) -> None:
        self._dynamodb = dynamodb
        self._table = table

    async def without(self, entries: list[Entry], *, since_ms: int) -> list[Entry]:
        """The records of the event stream without the events that packs stored since then hold. Where there
        are no packs, the records as they are."""
        stored = {
            program_id: await self._stored(program_id, ids, since_ms)
            for program_id, ids in _ids(entries).items()
        }
        left = [_without(entry, stored) for entry in entries]
        return [entry for entry in left if entry]

    async def _stored(self, program_id: str, ids: set[UUID], since_ms: int) -> set[UUID]:
        found: set[UUID] = set()
        async for pack in self._newest_first(program_id):
            if pack.at_ms < since_ms or found == ids:
                break
            found |= ids & {event.message_id for event in decode_frame(pack.frame).events}
        return found

    async def _newest_first(self, program_id: str) -> AsyncIterator[Pack]:
        page: dict[str, Any] = {}
        while True:
            answer = await self._dynamodb.query(
                TableName=self._table,
                KeyConditionExpression="#bucket = :bucket",
                ExpressionAttributeNames={"#bucket": "bucket"},
                ExpressionAttributeValues={":bucket": {"S": packs_bucket(program_id)}},
                ConsistentRead=True,
                ScanIndexForward=False,
                **page,
            )
            for item in answer["Items"]:
                yield pack_from_item(item)
            if "LastEvaluatedKey" not in answer:
                return
            page = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}


def _ids(entries: Iterable[Entry]) -> Ids:
    ids: defaultdict[str, set[UUID]] = defaultdict(set)
    for entry in entries:
        for event in _frame(entry).events:
            ids[event.program.program_id].add(event.message_id)
    return ids


def _without(entry: Entry, stored: Ids) -> Entry | None:
    """What does not decode goes back with the others, to be set aside again."""
    frame = _frame(entry)
    left = [event for event in frame.events if event.message_id not in stored[event.program.program_id]]
    if len(left) == len(frame.events):
        return entry
    payloads = [*map(encode_event, left), *(failed.payload for failed in frame.failed)]
    return Entry(Data=encode_frame(payloads), PartitionKey=entry["PartitionKey"]) if payloads else None


def _frame(entry: Entry) -> Frame:
    try:
        return decode_frame(entry["Data"])
    except FrameError:
        return Frame([], [])
