"""Reads the shards of a Kinesis stream, each in order from a position, skipping nothing."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from schemas.errors import UnavailableError
from workers.runtime.backoff import backoff_s

READ_LIMIT = 10_000
"""Records in one GetRecords call: the most there can be. Its reply is at most 10 MiB."""
READS_PER_S = 5
"""What a shard takes of all its readers together (GetRecords)."""
HASH_KEYS = 2**128
FIRST_RETRY_S = 0.1
MOST_RETRY_S = 5.0
AWS_ERRORS = (ClientError, BotoCoreError, OSError, TimeoutError)
"""What a call to AWS raises that did not succeed."""
EXPIRED = "ExpiredIteratorException"
"""What comes of reading on after a while: nothing is wrong, and the next read goes on where this one was."""

log = logging.getLogger(__name__)


class Kinesis(Protocol):
    """What a reader asks of a Kinesis client."""

    async def describe_stream_summary(self, **request: Any) -> dict[str, Any]: ...

    async def list_shards(self, **request: Any) -> dict[str, Any]: ...

    async def get_shard_iterator(self, **request: Any) -> dict[str, Any]: ...

    async def get_records(self, **request: Any) -> dict[str, Any]: ...


class Shard(NamedTuple):
    """A shard, open or closed, the shards it came from by a split or merge, and its range of hash keys."""

    shard_id: str
    parents: tuple[str, ...] = ()
    first_hash: int = 0
    last_hash: int = HASH_KEYS - 1

    def covers(self, hash_key: int) -> bool:
        return self.first_hash <= hash_key <= self.last_hash


class Record(NamedTuple):
    """A record as read. A stream that distributes records by itself gives no partition key."""

    shard_id: str
    sequence_number: str
    partition_key: str | None
    data: bytes
    arrived_ms: int


class ShardEnd(StrEnum):
    """Why there is nothing more to read."""

    CLOSED = "is read to its end"
    GONE = "no longer exists"


class Shards:
    """Asks a stream about itself. Raises UnavailableError while it does not answer."""

    def __init__(self, kinesis: Kinesis, stream: str) -> None:
        self._kinesis = kinesis
        self._stream = stream

    async def arn(self) -> str:
        try:
            answer = await self._kinesis.describe_stream_summary(StreamName=self._stream)
        except AWS_ERRORS as error:
            raise self._unavailable(error) from error
        return str(answer["StreamDescriptionSummary"]["StreamARN"])

    async def listed(self) -> list[Shard]:
        """Every shard that holds records or takes them, closed ones included."""
        try:
            pages = await self._pages()
        except AWS_ERRORS as error:
            raise self._unavailable(error) from error
        return [_shard(shard) for page in pages for shard in page["Shards"]]

    async def _pages(self) -> list[dict[str, Any]]:
        pages = [await self._kinesis.list_shards(StreamName=self._stream)]
        while token := pages[-1].get("NextToken"):
            pages.append(await self._kinesis.list_shards(NextToken=token))
        return pages

    def _unavailable(self, error: Exception) -> UnavailableError:
        return UnavailableError(f"stream {self._stream}: {str(error) or type(error).__name__}")


class Turns:
    """Shares the reads that a shard takes among this process's readers of it."""

    def __init__(self) -> None:
        self._next_s: dict[str, float] = {}

    async def wait(self, shard_id: str) -> None:
        now_s = asyncio.get_running_loop().time()
        turn_s = max(now_s, self._next_s.get(shard_id, now_s))
        self._next_s[shard_id] = turn_s + 1 / READS_PER_S
        await asyncio.sleep(turn_s - now_s)


Told = Callable[[int, int], None]
"""Hears of each read: how many records it brought, and how many milliseconds it was behind the newest."""


def _nobody(records: int, lag_ms: int) -> None:
    """Nobody is told."""


class ShardReader:
    """Reads one shard from behind `after` (a sequence number), or from its oldest record for None.

    Call `read` until `end` says why there is nothing more.
    """

    def __init__(
        self,
        kinesis: Kinesis,
        stream: str,
        shard_id: str,
        *,
        after: str | None,
        poll_interval_ms: int,
        turns: Turns | None = None,
        told: Told = _nobody,
    ) -> None:
        self.end: ShardEnd | None = None
        self.lag_ms: int | None = None
        """How far the last read was behind the newest record; None before the first read."""
        self._kinesis = kinesis
        self._stream = stream
        self._shard_id = shard_id
        self._after = after
        self._poll_interval_s = poll_interval_ms / 1000
        self._turns = turns
        self._told = told
        self._iterator: str | None = None
        self._due_s = 0.0
        self._waits = backoff_s(first_s=FIRST_RETRY_S, most_s=MOST_RETRY_S)

    async def read(self) -> list[Record]:
        """Waits until the next read is due, reads once and hands out what came, perhaps nothing.

        It is due at once while the shard has more, else after the poll interval, and after a failed
        read with backoff, from behind the last record handed out: an iterator lives five minutes.
        Cancelled, it loses nothing: the next read starts at the same record.
        """
        await asyncio.sleep(self._due_s - asyncio.get_running_loop().time())
        if self._turns is not None:
            await self._turns.wait(self._shard_id)
        try:
            answer = await self._get_records()
        except AWS_ERRORS as error:
            self._fail(error)
            return []
        return self._hand_out(answer)

    async def _get_records(self) -> dict[str, Any]:
        if self._iterator is None:
            answer = await self._kinesis.get_shard_iterator(
                StreamName=self._stream, ShardId=self._shard_id, **_start(self._after)
            )
            self._iterator = answer["ShardIterator"]
        return await self._kinesis.get_records(ShardIterator=self._iterator, Limit=READ_LIMIT)

    def _hand_out(self, answer: Mapping[str, Any]) -> list[Record]:
        records = [self._record(record) for record in answer["Records"]]
        if records:
            self._after = records[-1].sequence_number
        self._iterator = answer.get("NextShardIterator")
        if self._iterator is None:
            self._finish(ShardEnd.CLOSED)
        self.lag_ms = answer.get("MillisBehindLatest", 0)
        self._told(len(records), self.lag_ms)
        self._waits = backoff_s(first_s=FIRST_RETRY_S, most_s=MOST_RETRY_S)
        self._wait(0 if self.lag_ms else self._poll_interval_s)
        return records

    def _fail(self, error: Exception) -> None:
        if _code(error) == "ResourceNotFoundException":
            return self._finish(ShardEnd.GONE)
        self._iterator = None
        wait_s = next(self._waits)
        reason = str(error) or type(error).__name__
        level = logging.INFO if _code(error) == EXPIRED else logging.WARNING
        log.log(level, "%s/%s: %s; next read in %.1f s", self._stream, self._shard_id, reason, wait_s)
        self._wait(wait_s)

    def _finish(self, end: ShardEnd) -> None:
        self.end = end
        log.info("%s/%s %s", self._stream, self._shard_id, end)

    def _wait(self, wait_s: float) -> None:
        self._due_s = asyncio.get_running_loop().time() + wait_s

    def _record(self, record: Mapping[str, Any]) -> Record:
        return Record(
            self._shard_id,
            record["SequenceNumber"],
            record.get("PartitionKey"),
            record["Data"],
            round(record["ApproximateArrivalTimestamp"].timestamp() * 1000),
        )


def _shard(shard: Mapping[str, Any]) -> Shard:
    parents = (shard.get("ParentShardId"), shard.get("AdjacentParentShardId"))
    hashes = shard["HashKeyRange"]
    return Shard(
        shard["ShardId"],
        tuple(parent for parent in parents if parent),
        int(hashes["StartingHashKey"]),
        int(hashes["EndingHashKey"]),
    )


def _start(after: str | None) -> dict[str, str]:
    if after is None:
        return {"ShardIteratorType": "TRIM_HORIZON"}
    return {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": after}


def _code(error: Exception) -> str:
    return str(error.response["Error"]["Code"]) if isinstance(error, ClientError) else ""
