"""Gathers a shard's records into batches, when and as large as Lambda would send them."""

import asyncio
from collections import deque
from itertools import islice
from typing import Protocol

from workers.hosting.invocation import PAYLOAD_MAX_BYTES, payload_bytes
from workers.runtime.source import Record, ShardEnd


class Source(Protocol):
    """Where the records come from: a ShardReader."""

    @property
    def end(self) -> ShardEnd | None: ...

    async def read(self) -> list[Record]: ...


class Batches:
    """Batches of one shard, in order.

    A batch goes when it has `size` records, when one more would pass the invocation payload, when
    the window has passed since its first record was there, or when the shard ends. With a window of
    0, what one read brought goes at once (AWS Lambda Developer Guide, "Batching behavior").
    """

    def __init__(self, source: Source, *, size: int, window_ms: int) -> None:
        self._source = source
        self._size = size
        self._window_s = window_ms / 1000
        self._pending: deque[Record] = deque()

    async def take(self) -> list[Record]:
        """The next batch; empty only when the shard has ended. Cancelled, it loses nothing."""
        while not self._pending and self._source.end is None:
            await self._read()
        if self._window_s:
            await self._fill()
        return [self._pending.popleft() for _ in range(self._ready())]

    async def _fill(self) -> None:
        try:
            async with asyncio.timeout(self._window_s):
                while self._source.end is None and not self._is_full():
                    await self._read()
        except TimeoutError:
            pass

    async def _read(self) -> None:
        self._pending += await self._source.read()

    def _is_full(self) -> bool:
        return self._ready() == self._size or self._ready() < len(self._pending)

    def _ready(self) -> int:
        count, used = 0, 0
        for record in islice(self._pending, self._size):
            used += payload_bytes(record)
            if count and used > PAYLOAD_MAX_BYTES:
                break
            count += 1
        return count
