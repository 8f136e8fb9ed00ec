"""Hosts a Lambda function on a Kinesis stream, as Lambda's event source mapping would.

Per shard, one batch at a time and in order:

1. gather a batch (`Batches`);
2. invoke the function on it, in a thread (`Function`);
3. save the position behind the records that succeeded, and only then
4. retry the rest, with backoff, or go on.

A kill between 2 and 3 delivers the same records again: at least once, as with Lambda.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any, TypeVar

from workers.runtime.backoff import backoff_s
from workers.runtime.batches import Batches
from workers.runtime.invocation import Function, span
from workers.runtime.positions import SHARD_END, Positions, readable
from workers.runtime.source import Kinesis, Record, ShardEnd, ShardReader, Shards
from workers.runtime.supervisor import Supervisor
from workers.settings import HostSettings

FIRST_RETRY_S = 0.1
LISTING_GAP_S = 0.2
"""The least time between two looks at the stream's shards."""

Exhausted = Callable[[Sequence[Record]], Awaitable[None]]
"""Takes the records whose retries are used up. They are skipped once it returns."""
Result = TypeVar("Result")

log = logging.getLogger(__name__)


async def drop(batch: Sequence[Record]) -> None:
    """Lets exhausted records go; the host has said which."""


class Delivery:
    """Brings batches of one shard to the function until they succeeded or are given up."""

    def __init__(
        self,
        function: Function,
        positions: Positions,
        settings: HostSettings,
        *,
        stream_arn: str,
        on_exhausted: Exhausted,
    ) -> None:
        self._function = function
        self._positions = positions
        self._settings = settings
        self._stream_arn = stream_arn
        self._on_exhausted = on_exhausted

    async def deliver(self, batch: list[Record]) -> None:
        """Returns with the position behind the batch. Retries count anew whenever records succeeded,
        so that none is given up before its own retries are used.

        Cancelled, it lets the invocation in hand end and saves how far it got. Raises
        UnavailableError where the position cannot be saved.
        """
        waits = self._retries_s()
        while batch:
            count = await _to_the_end(self._attempt(batch))
            if count:
                waits = self._retries_s()
                batch = batch[count:]
            if batch:
                wait_s = next(waits, None)
                if wait_s is None:
                    return await self._give_up(batch)
                log.warning("%s goes on with %s in %.1f s", self._function.name, span(batch), wait_s)
                await asyncio.sleep(wait_s)

    async def _attempt(self, batch: Sequence[Record]) -> int:
        count = await asyncio.to_thread(self._function.invoke, batch, self._stream_arn)
        if count:
            await self._save(batch[count - 1])
        return count

    async def _give_up(self, batch: Sequence[Record]) -> None:
        log.error("%s gives up %s: no retries left", self._function.name, span(batch))
        await self._on_exhausted(batch)
        await self._save(batch[-1])

    async def _save(self, last: Record) -> None:
        await self._positions.save(last.shard_id, last.sequence_number)

    def _retries_s(self) -> Iterator[float]:
        waits = backoff_s(first_s=FIRST_RETRY_S, most_s=self._settings.retry_most_ms / 1000)
        attempts = self._settings.maximum_retry_attempts
        return waits if attempts < 0 else islice(waits, attempts)


class Host:
    """Runs a function on every shard of a stream, each shard on its own: none stalls another.

    One host of a function at a time. Needs nothing to be up: what is down is tried again.
    """

    def __init__(
        self,
        function: Function,
        kinesis: Kinesis,
        positions: Positions,
        settings: HostSettings,
        *,
        stream: str,
        on_exhausted: Exhausted = drop,
    ) -> None:
        self._function = function
        self._kinesis = kinesis
        self._positions = positions
        self._settings = settings
        self._stream = stream
        self._on_exhausted = on_exhausted
        self._shards = Shards(kinesis, stream)
        self._ended: set[str] = set()
        self._changed = asyncio.Event()
        self._reading = -1

    async def run(self, supervisor: Supervisor) -> None:
        """Follows the stream's shards until cancelled; each is read by a task of `supervisor`.

        Raises UnavailableError where the stream or the positions do not answer; the shards that are
        read already go on. Leave the supervisor to stop: invocations in hand end, their positions
        are saved.
        """
        stream_arn = await self._shards.arn()
        while True:
            self._changed.clear()
            await self._start_readable(supervisor, stream_arn)
            await asyncio.sleep(LISTING_GAP_S)
            await self._wait_for_change()

    async def _start_readable(self, supervisor: Supervisor, stream_arn: str) -> None:
        shards = await self._shards.listed()
        running = {shard.shard_id for shard in shards if supervisor.is_running(self._task(shard.shard_id))}
        await self._look_for_ends([shard.shard_id for shard in shards if shard.shard_id not in running])
        readables = readable(shards, self._ended)
        for shard_id in readables:
            if shard_id not in running:
                supervisor.start(self._task(shard_id), partial(self._read, shard_id, stream_arn))
        if len(readables) != self._reading:
            self._reading = len(readables)
            log.info("%s reads %s: %d shards", self._function.name, self._stream, self._reading)

    async def _look_for_ends(self, shard_ids: list[str]) -> None:
        for shard_id in shard_ids:
            if shard_id not in self._ended and await self._positions.load(shard_id) == SHARD_END:
                self._ended.add(shard_id)

    async def _wait_for_change(self) -> None:
        try:
            async with asyncio.timeout(self._settings.shard_refresh_ms / 1000):
                await self._changed.wait()
        except TimeoutError:
            pass

    async def _read(self, shard_id: str, stream_arn: str) -> None:
        position = await self._positions.load(shard_id)
        log.info("%s/%s is read from %s", self._stream, shard_id, position or "its oldest record")
        settings = self._settings
        reader = ShardReader(
            self._kinesis,
            self._stream,
            shard_id,
            after=position,
            poll_interval_ms=settings.poll_interval_ms,
        )
        batches = Batches(reader, size=settings.batch_size, window_ms=settings.batching_window_ms)
        delivery = Delivery(
            self._function, self._positions, settings, stream_arn=stream_arn, on_exhausted=self._on_exhausted
        )
        while batch := await batches.take():
            await delivery.deliver(batch)
        if reader.end is ShardEnd.CLOSED:
            await self._positions.save(shard_id, SHARD_END)
        self._changed.set()

    def _task(self, shard_id: str) -> str:
        return f"{self._function.name} on {self._stream}/{shard_id}"


async def _to_the_end(work: Coroutine[Any, Any, Result]) -> Result:
    """Awaits `work`. Cancelled meanwhile, lets it end first; what it raises then comes first."""
    task = asyncio.create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        task.result()
        raise
