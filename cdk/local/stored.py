"""Reads what is stored and counted, straight from the tables: the other side of the ledger."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

from msgspec import structs

from cdk.local.audit import Count, Entry
from cdk.local.resources import aws_client
from cdk.local.stack_file import StackFile
from schemas.dynamodb import EVENTS_KEY, Item, events_key, sum_of_lanes
from schemas.events import encode_event, kind_of
from schemas.frames import decode_frame, encode_frame
from schemas.packs import pack_from_item, pack_item, packs_bucket
from schemas.programs import Totals

COUNT_OF_KIND: Mapping[str, Count] = {"view": "views", "click": "clicks", "conversion": "conversions"}
POLL_S = 0.02
PACKS_A_PAGE = 16
EVENT_ATTRIBUTES = ("bucket", "message_id", "kind", "valid")
PACK_ATTRIBUTES = ("at_ms", "lane", "sequence_number", "nth", "frame")


class Stored:
    """The events and totals tables of a running stack. Close it when done."""

    def __init__(self, stack: StackFile) -> None:
        self._stack = stack
        self._dynamodb = aws_client("dynamodb", endpoint_url=stack.aws_endpoint_url, region=stack.region)

    async def entries(self) -> list[Entry]:
        """Every stored event, however it is stored."""
        return await asyncio.to_thread(
            lambda: [entry for item in self._scan_events() for entry in entries_of(item)]
        )

    async def totals(self) -> dict[str, Totals]:
        """Each program's totals, summed over its lanes."""
        return await asyncio.to_thread(self._totals)

    async def until_held(self, entry: Entry) -> None:
        """Returns once this event, which came alone, is in the table, whatever it counts as."""
        while True:
            if await asyncio.to_thread(self._is_held, entry):
                return
            await asyncio.sleep(POLL_S)

    async def remove(self, entry: Entry) -> None:
        """Loses an event, from its pack where it is in one, so that an audit has something to find."""
        await asyncio.to_thread(self._remove, entry)

    def close(self) -> None:
        self._dynamodb.close()

    def _is_held(self, entry: Entry) -> bool:
        table = self._stack.events_table
        if "Item" in self._dynamodb.get_item(TableName=table, Key=_key(entry), ConsistentRead=True):
            return True
        newest = next(self._packs(entry.program_id, page=1), None)
        return newest is not None and _holds(newest, entry)

    def _remove(self, entry: Entry) -> None:
        table = self._stack.events_table
        self._dynamodb.delete_item(TableName=table, Key=_key(entry))
        for item in self._packs(entry.program_id):
            if _holds(item, entry):
                self._dynamodb.put_item(TableName=table, Item=_without(item, entry))

    def _packs(self, program_id: str, *, page: int = PACKS_A_PAGE) -> Iterator[Item]:
        """The newest first."""
        pages = self._dynamodb.get_paginator("query").paginate(
            TableName=self._stack.events_table,
            KeyConditionExpression="#bucket = :bucket",
            ExpressionAttributeNames={"#bucket": EVENTS_KEY.partition},
            ExpressionAttributeValues={":bucket": {"S": packs_bucket(program_id)}},
            ScanIndexForward=False,
            ConsistentRead=True,
            PaginationConfig={"PageSize": page},
        )
        for each in pages:
            yield from each["Items"]

    def _scan_events(self) -> Iterator[Item]:
        names = {f"#{name}": name for name in (*EVENT_ATTRIBUTES, *PACK_ATTRIBUTES)}
        return self._scan(
            self._stack.events_table, ProjectionExpression=",".join(names), ExpressionAttributeNames=names
        )

    def _totals(self) -> dict[str, Totals]:
        lanes: defaultdict[str, list[Item]] = defaultdict(list)
        for item in self._scan(self._stack.totals_table):
            lanes[str(item["program_id"]["S"])].append(item)
        return {program_id: sum_of_lanes(items) for program_id, items in lanes.items()}

    def _scan(self, table: str, **arguments: Any) -> Iterator[Item]:
        pages = self._dynamodb.get_paginator("scan").paginate(
            TableName=table, ConsistentRead=True, **arguments
        )
        for page in pages:
            yield from page["Items"]


def entries_of(item: Item) -> Iterator[Entry]:
    """The ledger's view of an item of the events table: an event, or a pack of them."""
    program_id, _, _ = str(item["bucket"]["S"]).rpartition("#")
    if "frame" in item:
        for event in decode_frame(pack_from_item(item).frame).events:
            yield Entry(program_id, str(event.message_id), _count(kind_of(event), valid=event.valid))
    else:
        count = _count(str(item["kind"]["S"]), valid=bool(item["valid"]["BOOL"]))
        yield Entry(program_id, str(item["message_id"]["S"]), count)


def _holds(pack: Item, entry: Entry) -> bool:
    return entry.message_id in (each.message_id for each in entries_of(pack))


def _without(item: Item, entry: Entry) -> Item:
    """A pack as if it had never held that event."""
    pack = pack_from_item(item)
    kept = [each for each in decode_frame(pack.frame).events if str(each.message_id) != entry.message_id]
    frame = encode_frame([encode_event(each) for each in kept])
    return pack_item(entry.program_id, structs.replace(pack, frame=frame))


def _count(kind: str, *, valid: bool) -> Count:
    return COUNT_OF_KIND[kind] if valid else "invalid"


def _key(entry: Entry) -> Item:
    return events_key(entry.program_id, UUID(entry.message_id))
