"""Puts records on a Kinesis stream and returns once Kinesis has confirmed them all."""

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, Protocol, TypedDict

from schemas.errors import UnavailableError
from workers.runtime.backoff import backoff_s
from workers.runtime.source import AWS_ERRORS

RECORDS_PER_CALL = 500
BYTES_PER_CALL = 5 * 1024 * 1024
"""PutRecords takes more today; older stand-ins do not."""
ATTEMPTS = 10
FIRST_RETRY_S = 0.1
MOST_RETRY_S = 5.0

log = logging.getLogger(__name__)


class Entry(TypedDict):
    """A record to put."""

    Data: bytes
    PartitionKey: str


class Kinesis(Protocol):
    """What putting asks of a Kinesis client."""

    async def put_records(self, **request: Any) -> dict[str, Any]: ...


def retry_waits_s() -> Iterator[float]:
    return islice(backoff_s(first_s=FIRST_RETRY_S, most_s=MOST_RETRY_S), ATTEMPTS - 1)


class Puts:
    """Puts at least once and in no particular order: what was refused comes behind what was not."""

    def __init__(self, kinesis: Kinesis, *, waits_s: Callable[[], Iterator[float]] = retry_waits_s) -> None:
        self._kinesis = kinesis
        self._waits_s = waits_s

    async def put(self, stream: str, entries: Sequence[Entry]) -> None:
        """Returns once Kinesis confirmed every one of them. Else raises UnavailableError; any may
        then be on the stream.
        """
        for some in calls(entries):
            await self._put(stream, some)

    async def _put(self, stream: str, entries: Sequence[Entry]) -> None:
        left, reason = await self._attempt(stream, entries)
        waits = self._waits_s()
        while left:
            wait_s = next(waits, None)
            if wait_s is None:
                raise UnavailableError(f"stream {stream} did not take {len(left)} records: {reason}")
            log.warning("stream %s: %s; %d records again in %.1f s", stream, reason, len(left), wait_s)
            await asyncio.sleep(wait_s)
            left, reason = await self._attempt(stream, left)

    async def _attempt(self, stream: str, entries: Sequence[Entry]) -> tuple[Sequence[Entry], str]:
        try:
            answer = await self._kinesis.put_records(StreamName=stream, Records=list(entries))
        except AWS_ERRORS as error:
            return entries, str(error) or type(error).__name__
        codes = [result.get("ErrorCode", "") for result in answer["Records"]]
        left = [entry for entry, code in zip(entries, codes, strict=True) if code]
        return left, ", ".join(sorted(set(codes) - {""}))


def calls(entries: Sequence[Entry]) -> Iterator[list[Entry]]:
    """The entries in their order, as many in each call as it takes."""
    call: list[Entry] = []
    room = BYTES_PER_CALL
    for entry in entries:
        size = len(entry["Data"]) + len(entry["PartitionKey"].encode())
        if call and (size > room or len(call) == RECORDS_PER_CALL):
            yield call
            call, room = [], BYTES_PER_CALL
        call.append(entry)
        room -= size
    if call:
        yield call
