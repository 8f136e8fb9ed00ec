"""Stored events, read back: a program's, newest first and page by page, and one by its message id."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, Protocol
from uuid import UUID

from botocore.exceptions import BotoCoreError, ClientError

from schemas.dynamodb import (
    BUCKETS,
    EVENTS_KEY,
    PLACE,
    PLACES_INDEX,
    PLACES_KEY,
    KeySchema,
    bucket_names,
    event_from_item,
    events_key,
    expires_at_s,
)
from schemas.errors import EventsUnavailableError
from schemas.events import Event
from schemas.places import LATEST_MS, Place, first_id, last_id, place_of

QUERIES_AT_ONCE = 8
"""Of all requests together: events need programs first."""
SPARE = 4
"""Read ahead of a bucket beyond its share of a page, since chance deals unevenly."""


Query = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]


class DynamoDB(Protocol):
    """What reading stored events asks of a DynamoDB client."""

    async def query(self, **request: Any) -> dict[str, Any]: ...

    async def get_item(self, **request: Any) -> dict[str, Any]: ...


class Span(NamedTuple):
    """From `from_ms` on, and until before `to_ms`, by the places of the events."""

    from_ms: int = 0
    to_ms: int = LATEST_MS


class EventPage(NamedTuple):
    """Events, newest first; `last` is where the next page goes on from, None on the last page."""

    events: list[Event]
    last: Place | None


class StoredEvents(Protocol):
    """Where stored events are read. What has expired is not shown, whether or not it is removed yet."""

    async def page(self, program_id: str, *, span: Span, limit: int, before: Place | None) -> EventPage:
        """At most `limit` events older than `before`, or the newest. Raises EventsUnavailableError."""

    async def find(self, program_id: str, message_id: UUID) -> Event | None:
        """The event as stored last. Raises EventsUnavailableError."""


class EventItems:
    """StoredEvents, an item each: merged from a program's buckets, each read in both its orders, by
    message id and by place (schemas/places.py)."""

    def __init__(
        self, dynamodb: DynamoDB, *, table: str, timeout_ms: int, clock_ms: Callable[[], int]
    ) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._timeout_s = timeout_ms / 1000
        self._clock_ms = clock_ms
        self._queries = asyncio.Semaphore(QUERIES_AT_ONCE)

    async def page(self, program_id: str, *, span: Span, limit: int, before: Place | None) -> EventPage:
        if _newest_ms(span, before) < span.from_ms:
            return EventPage([], None)
        shelves = [
            Shelf(bucket, order, self._query, limit=limit, before=before, now_ms=self._clock_ms())
            for bucket in bucket_names(program_id)
            for order in (_by_id(span, before), _by_place(span, before))
        ]
        await asyncio.gather(*(shelf.fill() for shelf in shelves))
        events: list[Event] = []
        while (newest := max(shelves, key=lambda shelf: shelf.next)).next and len(events) < limit:
            events.append(await newest.take())
        return EventPage(events, place_of(events[-1]) if newest.next and events else None)

    async def find(self, program_id: str, message_id: UUID) -> Event | None:
        key = events_key(program_id, message_id)
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await self._dynamodb.get_item(TableName=self._table, Key=key, ConsistentRead=True)
        except (ClientError, BotoCoreError, TimeoutError) as error:
            raise _unavailable(error) from error
        event = event_from_item(answer["Item"]) if "Item" in answer else None
        return event if event and is_kept(event, self._clock_ms()) else None

    async def _query(self, request: dict[str, Any]) -> dict[str, Any]:
        try:
            async with self._queries, asyncio.timeout(self._timeout_s):
                return await self._dynamodb.query(TableName=self._table, **request)
        except (ClientError, BotoCoreError, TimeoutError) as error:
            raise _unavailable(error) from error


class Order(NamedTuple):
    """One order of a bucket, and between which keys of it, both included."""

    key: KeySchema
    index_name: str | None
    first: str
    last: str


class Shelf:
    """What one bucket has to give in one order, newest first, read a little ahead."""

    def __init__(
        self,
        bucket: str,
        order: Order,
        query: Query,
        *,
        limit: int,
        before: Place | None,
        now_ms: int,
    ) -> None:
        self._request: dict[str, Any] | None = _request(bucket, order, limit)
        self._is_by_id = order.index_name is None
        self._query = query
        self._before = before
        self._now_ms = now_ms
        self._events: deque[Event] = deque()

    @property
    def next(self) -> tuple[Place, ...]:
        """The place of its newest event, once it is filled; empty where it has none, which is oldest."""
        return (place_of(self._events[0]),) if self._events else ()

    async def take(self) -> Event:
        """Its newest event; the next one is there then."""
        event = self._events.popleft()
        await self.fill()
        return event

    async def fill(self) -> None:
        """Reads until there is an event, or no more."""
        while not self._events and self._request:
            answer = await self._query(self._request)
            self._events += [event for item in answer["Items"] if (event := self._shown(item))]
            last = answer.get("LastEvaluatedKey")
            self._request = self._request | {"ExclusiveStartKey": last} if last else None

    def _shown(self, item: dict[str, Any]) -> Event | None:
        if self._is_by_id and PLACE in item:
            return None  # an id that only looks as if it told the time
        event = event_from_item(item)
        is_older = self._before is None or place_of(event) < self._before
        return event if is_older and is_kept(event, self._now_ms) else None


def _newest_ms(span: Span, before: Place | None) -> int:
    return min(span.to_ms - 1, before.at_ms) if before else span.to_ms - 1


def _by_id(span: Span, before: Place | None) -> Order:
    last = last_id(_newest_ms(span, before))
    return Order(EVENTS_KEY, None, str(first_id(span.from_ms)), str(last))


def _by_place(span: Span, before: Place | None) -> Order:
    last = str(before) if before and before.at_ms < span.to_ms else _edge(span.to_ms)
    return Order(PLACES_KEY, PLACES_INDEX, _edge(span.from_ms), last)


def _edge(at_ms: int) -> str:
    """Between the places of this millisecond and all before."""
    return str(Place(at_ms, UUID(int=0))).partition("/")[0]


def _request(bucket: str, order: Order, limit: int) -> dict[str, Any]:
    index = {"IndexName": order.index_name} if order.index_name else {}
    return index | {
        "KeyConditionExpression": "#bucket = :bucket AND #key BETWEEN :first AND :last",
        "ExpressionAttributeNames": {"#bucket": order.key.partition, "#key": order.key.sort},
        "ExpressionAttributeValues": {
            ":bucket": {"S": bucket},
            ":first": {"S": order.first},
            ":last": {"S": order.last},
        },
        "ScanIndexForward": False,
        "Limit": limit // BUCKETS + SPARE,
    }


def is_kept(event: Event, now_ms: int) -> bool:
    """Whether a stored event has not expired yet."""
    expires_s = expires_at_s(event)
    return expires_s is None or expires_s * 1000 > now_ms


def _unavailable(error: BaseException) -> EventsUnavailableError:
    return EventsUnavailableError(f"DynamoDB: {str(error) or type(error).__name__}")
