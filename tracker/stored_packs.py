"""Stored events, read back from packs (schemas/packs.py): in the order in which they were stored."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import UUID

from botocore.exceptions import BotoCoreError, ClientError

from schemas.errors import EventsUnavailableError
from schemas.events import Event
from schemas.frames import decode_frame
from schemas.packs import LAST_NUMBER, Pack, pack_from_item, pack_key, packs_bucket
from schemas.places import LATEST_MS, TOLERANCE_MS, Place, time_in
from tracker.stored import DynamoDB, EventPage, Span, StoredEvents, is_kept

LATE_MS = 3_600_000
"""An event that was stored later than that after it came is not found by its time; a program's whole list has
it."""
PACKS_PER_QUERY = 8
PACKS_SEARCHED = 1_000
"""For an id that tells no time, or another than its event came at, so many of the newest packs."""


class EventPacks(StoredEvents):
    """A program's packs from the newest on, and behind them what was stored as items.

    The place of a page's last event is the number of its pack, which is less than any time, and its id.
    """

    def __init__(
        self,
        dynamodb: DynamoDB,
        items: StoredEvents,
        *,
        table: str,
        timeout_ms: int,
        clock_ms: Callable[[], int],
    ) -> None:
        self._dynamodb = dynamodb
        self._items = items
        self._table = table
        self._timeout_s = timeout_ms / 1000
        self._clock_ms = clock_ms

    async def page(self, program_id: str, *, span: Span, limit: int, before: Place | None) -> EventPage:
        if before and before.at_ms > LAST_NUMBER:
            return await self._items.page(program_id, span=span, limit=limit, before=before)
        found: list[tuple[int, Event]] = []
        async for number, event in self._newest_first(program_id, span, before):
            if len(found) == limit:
                number, last = found[-1]
                return EventPage([event for _, event in found], Place(number, last.message_id))
            found.append((number, event))
        rest = await self._items.page(program_id, span=span, limit=limit - len(found) or 1, before=None)
        return _joined(found, rest, limit)

    async def find(self, program_id: str, message_id: UUID) -> Event | None:
        async for pack in self._where_it_may_be(program_id, message_id):
            for event in _events(pack):
                if event.message_id == message_id:
                    return event if is_kept(event, self._clock_ms()) else None
        return await self._items.find(program_id, message_id)

    async def _newest_first(
        self, program_id: str, span: Span, before: Place | None
    ) -> AsyncIterator[tuple[int, Event]]:
        last = before.at_ms if before else await self._last_of(program_id, span.to_ms)
        is_past = before is None
        async for pack in self._packs(program_id, last=last):
            if pack.at_ms < span.from_ms:
                return
            for event in reversed(_events(pack)):
                if is_past and span.from_ms <= event.received_at_ms < span.to_ms and self._shows(event):
                    yield pack.number, event
                is_past = is_past or (before is not None and event.message_id == before.message_id)
            is_past = True

    async def _where_it_may_be(self, program_id: str, message_id: UUID) -> AsyncIterator[Pack]:
        """By the time in the id, where it tells one, then among the newest."""
        made_ms = time_in(message_id)
        if made_ms is not None:
            last = await self._last_of(program_id, made_ms)
            async for pack in self._packs(program_id, last=last):
                if pack.at_ms < made_ms - TOLERANCE_MS:
                    break
                yield pack
        searched = 0
        async for pack in self._packs(program_id, last=LAST_NUMBER):
            yield pack
            searched += 1
            if searched == PACKS_SEARCHED:
                return

    async def _last_of(self, program_id: str, to_ms: int) -> int:
        """The number of the last pack that was stored by LATE_MS after a time: halves what it may be."""
        if to_ms + LATE_MS > self._clock_ms():
            return LAST_NUMBER
        newest = [pack async for pack in self._packs(program_id, last=LAST_NUMBER, at_most=1)]
        low, high = 0, newest[0].number if newest else 0
        while low < high:
            middle = (low + high + 1) // 2
            pack = await self._pack(program_id, middle)
            if pack is None or pack.at_ms <= to_ms + LATE_MS:
                low = middle
            else:
                high = middle - 1
        return low

    async def _pack(self, program_id: str, number: int) -> Pack | None:
        """None where it has expired: older than any that is there."""
        answer = await self._ask(self._dynamodb.get_item, Key=pack_key(program_id, number))
        return pack_from_item(answer["Item"]) if "Item" in answer else None

    async def _packs(
        self, program_id: str, *, last: int, at_most: int = PACKS_PER_QUERY
    ) -> AsyncIterator[Pack]:
        """From number `last` downwards; `at_most` so many of them if fewer than a query gives."""
        page: dict[str, Any] = {}
        while True:
            answer = await self._ask(
                self._dynamodb.query,
                KeyConditionExpression="#bucket = :bucket AND message_id <= :last",
                ExpressionAttributeNames={"#bucket": "bucket"},
                ExpressionAttributeValues={
                    ":bucket": {"S": packs_bucket(program_id)},
                    ":last": pack_key(program_id, last)["message_id"],
                },
                ScanIndexForward=False,
                Limit=at_most,
                **page,
            )
            for item in answer["Items"]:
                yield pack_from_item(item)
            if "LastEvaluatedKey" not in answer or at_most < PACKS_PER_QUERY:
                return
            page = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}

    async def _ask(self, call: Callable[..., Any], **request: Any) -> dict[str, Any]:
        try:
            async with asyncio.timeout(self._timeout_s):
                answer: dict[str, Any] = await call(TableName=self._table, **request)
                return answer
        except (ClientError, BotoCoreError, TimeoutError) as error:
            raise EventsUnavailableError(f"DynamoDB: {str(error) or type(error).__name__}") from error

    def _shows(self, event: Event) -> bool:
        return is_kept(event, self._clock_ms())


def _events(pack: Pack) -> list[Event]:
    return decode_frame(pack.frame).events


def _joined(found: list[tuple[int, Event]], rest: EventPage, limit: int) -> EventPage:
    """Packs are done with. A page that they fill goes on with the items, if there is one."""
    events = [event for _, event in found]
    if len(events) < limit:
        return EventPage(events + rest.events, rest.last)
    return EventPage(events, Place(LATEST_MS, UUID(int=0)) if rest.events else None)
