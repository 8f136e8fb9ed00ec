"""Hosts a Lambda function on a Kinesis stream, as Lambda's event source mapping would.

Per shard, one batch at a time and in order:

1. gather a batch (`Batches`);
2. invoke the function on it, in a thread (`Function`);
3. save the position behind the records that succeeded, and only then
4. retry the rest, give it up to the destination, or go on (`Delivery`).

A kill between 2 and 3 delivers the same records again: at least once, as with Lambda.
"""

import asyncio
import logging
from functools import partial

from schemas.leases import SHARD_END
from workers.hosting.batches import Batches
from workers.hosting.delivery import ClockMs, Delivery, wall_clock_ms
from workers.hosting.destination import Destination
from workers.hosting.invocation import Function
from workers.runtime.positions import Positions, readable
from workers.runtime.progress import Place, Progress
from workers.runtime.source import Kinesis, ShardEnd, ShardReader, Shards, Told
from workers.runtime.supervisor import Supervisor
from workers.settings import HostSettings

LISTING_GAP_S = 0.2
"""The least time between two looks at the stream's shards."""

log = logging.getLogger(__name__)


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
        destination: Destination,
        clock_ms: ClockMs = wall_clock_ms,
        progress: Progress | None = None,
    ) -> None:
        self._function = function
        self._kinesis = kinesis
        self._positions = positions
        self._settings = settings
        self._stream = stream
        self._destination = destination
        self._clock_ms = clock_ms
        self._progress = progress or Progress()
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
        with self._progress.following(Place(self._function.name, self._stream, shard_id)) as told:
            await self._follow(shard_id, stream_arn, told)

    async def _follow(self, shard_id: str, stream_arn: str, told: Told) -> None:
        position = await self._positions.load(shard_id)
        log.info("%s/%s is read from %s", self._stream, shard_id, position or "its oldest record")
        settings = self._settings
        reader = ShardReader(
            self._kinesis,
            self._stream,
            shard_id,
            after=position,
            poll_interval_ms=settings.poll_interval_ms,
            told=told,
        )
        batches = Batches(reader, size=settings.batch_size, window_ms=settings.batching_window_ms)
        delivery = Delivery(
            self._function,
            self._positions,
            settings,
            stream_arn=stream_arn,
            destination=self._destination,
            clock_ms=self._clock_ms,
        )
        while batch := await batches.take():
            await delivery.deliver(batch)
        if reader.end is ShardEnd.CLOSED:
            await self._positions.save(shard_id, SHARD_END)
        self._changed.set()

    def _task(self, shard_id: str) -> str:
        return f"{self._function.name} on {self._stream}/{shard_id}"
