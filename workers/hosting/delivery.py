"""Brings batches of one shard to a function, by the rules of Lambda's event source mapping.

AWS Lambda API reference, CreateEventSourceMapping, and AWS Lambda Developer Guide, "Retain discarded
batch records for a Kinesis Data Streams event source in Lambda" and "Configuring partial batch response
with Kinesis Data Streams and Lambda":

https://docs.aws.amazon.com/lambda/latest/dg/kinesis-on-failure-destination.html
https://docs.aws.amazon.com/lambda/latest/dg/services-kinesis-batchfailurereporting.html
"""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from itertools import islice, takewhile
from typing import Any, TypeVar

from schemas.errors import UnavailableError
from schemas.failures import Condition
from workers.hosting.destination import Destination, Discarded
from workers.hosting.invocation import Function, Outcome, span
from workers.runtime.backoff import backoff_s
from workers.runtime.positions import Positions
from workers.runtime.source import Record
from workers.settings import HostSettings

FIRST_RETRY_S = 0.1

ClockMs = Callable[[], int]
Result = TypeVar("Result")

log = logging.getLogger(__name__)


def wall_clock_ms() -> int:
    return time.time_ns() // 1_000_000


class Delivery:
    """Brings batches to the function until they succeeded or are given up.

    1. Records past the maximum age are given up without an invocation.
    2. What succeeded, from the first record on, is done with: its position is saved.
    3. After an error of the function, with bisect, the batch is halved: its halves are batches of
       their own, in order, and no retry is used up. A function that named the record it failed at has
       the batch cut there already (2).
    4. The rest is retried with backoff. Retries count anew whenever records succeeded, so that none is
       given up before its own retries are used.
    5. What is given up goes to the destination, again until it is taken; then its position is saved.
    """

    def __init__(
        self,
        function: Function,
        positions: Positions,
        settings: HostSettings,
        *,
        stream_arn: str,
        destination: Destination,
        clock_ms: ClockMs = wall_clock_ms,
    ) -> None:
        self._function = function
        self._positions = positions
        self._settings = settings
        self._stream_arn = stream_arn
        self._destination = destination
        self._clock_ms = clock_ms

    async def deliver(self, batch: list[Record]) -> None:
        """Returns with the position behind the batch.

        Cancelled, it lets the invocation in hand end and saves how far it got. Raises
        UnavailableError where the position cannot be saved.
        """
        pieces = [batch]
        while pieces:
            pieces[:1] = await self._bring(pieces[0])

    async def _bring(self, batch: list[Record]) -> list[list[Record]]:
        """Returns the halves where the batch is to go on in two, else nothing once it is done with."""
        invocations, last, waits = 0, None, self._retries_s()
        while batch := await self._young(batch, invocations, last):
            last = await _to_the_end(self._attempt(batch))
            invocations += 1
            if last.succeeded:
                batch, waits = batch[last.succeeded :], self._retries_s()
            elif last.is_error and len(batch) > 1 and self._settings.bisect_batch_on_function_error:
                return halves(batch)
            if batch and not await self._waited(batch, waits):
                await self._give_up(batch, "RetryAttemptsExhausted", invocations, last)
                return []
        return []

    async def _attempt(self, batch: Sequence[Record]) -> Outcome:
        outcome = await asyncio.to_thread(self._function.invoke, batch, self._stream_arn)
        if outcome.succeeded:
            await self._save(batch[outcome.succeeded - 1])
        return outcome

    async def _waited(self, batch: Sequence[Record], waits: Iterator[float]) -> bool:
        wait_s = next(waits, None)
        if wait_s is None:
            return False
        log.warning("%s goes on with %s in %.1f s", self._function.name, span(batch), wait_s)
        await asyncio.sleep(wait_s)
        return True

    async def _young(self, batch: list[Record], invocations: int, last: Outcome | None) -> list[Record]:
        oldest_s = self._settings.maximum_record_age_s
        if oldest_s < 0:
            return batch
        since_ms = self._clock_ms() - oldest_s * 1000
        aged = list(takewhile(lambda record: record.arrived_ms < since_ms, batch))
        if aged:
            await self._give_up(aged, "RecordAgeExceeded", invocations, last)
        return batch[len(aged) :]

    async def _give_up(
        self, records: Sequence[Record], condition: Condition, invocations: int, last: Outcome | None
    ) -> None:
        log.error("%s gives up %s: %s", self._function.name, span(records), condition)
        discarded = Discarded(
            self._function.name, self._stream_arn, records, condition, invocations, last, self._clock_ms()
        )
        for wait_s in self._backoff_s():
            if await self._kept(discarded):
                return await self._save(records[-1])
            await asyncio.sleep(wait_s)

    async def _kept(self, discarded: Discarded) -> bool:
        try:
            await self._destination.keep(discarded)
        except UnavailableError as error:
            log.error("%s are kept until their destination takes them: %s", span(discarded.records), error)
            return False
        return True

    async def _save(self, last: Record) -> None:
        await self._positions.save(last.shard_id, last.sequence_number)

    def _retries_s(self) -> Iterator[float]:
        attempts = self._settings.maximum_retry_attempts
        return self._backoff_s() if attempts < 0 else islice(self._backoff_s(), attempts)

    def _backoff_s(self) -> Iterator[float]:
        return backoff_s(first_s=FIRST_RETRY_S, most_s=self._settings.retry_most_ms / 1000)


def halves(batch: list[Record]) -> list[list[Record]]:
    """The batch in two, the first half never the larger."""
    middle = len(batch) // 2
    return [batch[:middle], batch[middle:]]


async def _to_the_end(work: Coroutine[Any, Any, Result]) -> Result:
    """Awaits `work`. Cancelled meanwhile, lets it end first; what it raises then comes first."""
    task = asyncio.create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        task.result()
        raise
