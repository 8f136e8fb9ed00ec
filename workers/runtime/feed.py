"""Feeds an agent the events of one shard, reading ahead within a bound."""

import asyncio
from collections import deque
from typing import Any, Generic, TypeVar

from schemas.errors import EventError, PoisonError
from schemas.leases import SHARD_END
from workers.runtime.agents import Decoded, Topic
from workers.runtime.clock import Clock
from workers.runtime.failed import FailedEvents
from workers.runtime.positions import Position
from workers.runtime.source import Record, ShardEnd, ShardReader
from workers.runtime.stream import Item, Origin

T = TypeVar("T")


class ShardFeed(Generic[T]):
    """Records become events one record at a time; what of them does not decode is kept aside.

    `fetch` reads for as long as less than `prefetch_bytes` wait, and runs beside whoever asks for `next`.
    """

    def __init__(
        self,
        reader: ShardReader,
        topic: Topic[T],
        failed: FailedEvents[Any],
        clock: Clock,
        *,
        position: Position,
        prefetch_bytes: int,
    ) -> None:
        self.stopped = False
        self._reader = reader
        self._topic = topic
        self._failed = failed
        self._clock = clock
        self._position = position
        self._prefetch_bytes = prefetch_bytes
        self._bytes = 0
        self._records: deque[Record] = deque()
        self._items: deque[Item[T]] = deque()
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    @property
    def ended(self) -> bool:
        return self.stopped or (self._reader.end is not None and not self._records and not self._items)

    @property
    def end(self) -> Position | None:
        at_end = self.ended and not self.stopped and self._reader.end is ShardEnd.CLOSED
        return Position(SHARD_END) if at_end else None

    @property
    def caught_up(self) -> bool:
        return self._reader.lag_ms == 0 and not self._records and not self._items

    def stop(self) -> None:
        """What has not been handed out stays on the shard."""
        self.stopped = True
        self._news.set()

    async def fetch(self) -> None:
        """Reads ahead, to the end of the shard."""
        while self._reader.end is None:
            await self._room.wait()
            records = await self._reader.read()
            self._records += records
            self._count(sum(len(record.data) for record in records))
            self._news.set()

    async def next(self, until_ms: int | None) -> Item[T] | None:
        while not self.ended:
            if self._items:
                return self._items.popleft()
            if self._records:
                await self._open(self._records[0])
            elif not await self._waited(until_ms):
                break
        return None

    async def _waited(self, until_ms: int | None) -> bool:
        """Whether there may be news before that moment."""
        self._news.clear()
        wait_s = None if until_ms is None else (until_ms - self._clock.now_ms()) / 1000
        try:
            async with asyncio.timeout(wait_s):
                await self._news.wait()
        except TimeoutError:
            return False
        return bool(self._records) or self.ended

    async def _open(self, record: Record) -> None:
        decoded = await self._decoded(record)
        await asyncio.sleep(0)
        self._records.popleft()
        self._count(-len(record.data))
        after, partial, done = self._position
        skip = done if record.sequence_number == partial else 0
        last = len(decoded.events)
        for number, (place, event) in enumerate(decoded.events[skip:], start=skip + 1):
            position = Position(after, record.sequence_number, number)
            if number == last:
                position = Position(record.sequence_number)
            at_ms = self._topic.at_ms(event) if self._topic.at_ms else record.arrived_ms
            origin = Origin(record.shard_id, record.sequence_number, place)
            self._items.append(Item(event, at_ms, position, origin))
        self._position = Position(record.sequence_number)

    async def _decoded(self, record: Record) -> Decoded[T]:
        try:
            decoded = self._topic.decode(record.data)
        except PoisonError as error:
            origin = Origin(record.shard_id, record.sequence_number, 0)
            await self._failed.keep_payload(record.data, origin, error, is_whole=True)
            return Decoded([])
        for failed in decoded.failed:
            origin = Origin(record.shard_id, record.sequence_number, failed.index)
            await self._failed.keep_payload(failed.payload, origin, EventError(failed.detail))
        return decoded

    def _count(self, size: int) -> None:
        self._bytes += size
        if self._bytes < self._prefetch_bytes:
            self._room.set()
        else:
            self._room.clear()
