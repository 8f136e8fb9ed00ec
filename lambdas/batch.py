"""What both Lambdas share: the batch Lambda hands over, the answer to it, and where poison goes."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from threading import Lock
from typing import Any, Protocol

import msgspec
from botocore.exceptions import BotoCoreError, ClientError

from lambdas.calls import in_flight
from schemas.dynamodb import lane_of
from schemas.errors import PoisonError, UnavailableError
from schemas.failures import FailedRecord, encode_failed
from schemas.invocations import DeliveredRecord, Invocation
from schemas.logs import about

DEPENDENCY_ERRORS = (ClientError, BotoCoreError, UnavailableError)
"""What a dependency that is down, slow or throttling raises. Anything else is a bug and propagates."""

Answer = dict[str, list[dict[str, str]]]
"""{"batchItemFailures": [{"itemIdentifier": sequence number}]}, as the event source mapping takes it."""

log = logging.getLogger(__name__)


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One record of a Kinesis stream. Sequence numbers are long decimals: compare `position`."""

    stream: str
    shard_id: str
    sequence_number: str
    data: bytes
    arrived_at_ms: int
    partition_key: str | None = None

    @property
    def position(self) -> int:
        return int(self.sequence_number)

    @property
    def lane(self) -> str:
        return lane_of(self.shard_id, self.partition_key)


class Bucket(Protocol):
    """The part of an S3 client that poison takes."""

    def put_object(self, *, Bucket: str, Key: str, Body: bytes, ContentType: str) -> object: ...


class LateBucket:
    """A Bucket whose client is made when it is first used, which most function environments never do: making
    it takes longer than the other clients together.
    """

    def __init__(self, connect: Callable[[], Bucket]) -> None:
        self._connect = cache(connect)
        self._connecting = Lock()

    def put_object(self, *, Bucket: str, Key: str, Body: bytes, ContentType: str) -> object:
        with self._connecting:
            s3 = self._connect()
        return s3.put_object(Bucket=Bucket, Key=Key, Body=Body, ContentType=ContentType)


class Poison(msgspec.Struct, frozen=True):
    """A whole record, or the event at `index` of its frame, that no retry can ever apply."""

    record: Record
    error: PoisonError
    payload: bytes
    index: int | None = None
    traceparent: str | None = None


class FailedEvents:
    """The failed-events store: one object for each poison thing. A retry overwrites its own objects."""

    def __init__(
        self,
        s3: Bucket,
        bucket: str,
        *,
        clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._clock_ms = clock_ms

    def set_aside(self, poison: Poison) -> None:
        """Keeps it with its reason and origin.

        Raises one of DEPENDENCY_ERRORS when the store cannot be reached: its record is not applied.
        """
        failed = _failed_record(poison, self._clock_ms())
        body = encode_failed(failed)
        self._s3.put_object(Bucket=self._bucket, Key=failed.key, Body=body, ContentType="application/json")
        log.warning("set aside %s: %s", failed.key, failed.reason, extra=about(None, failed.traceparent))

    def set_aside_all(self, poisons: Sequence[Poison]) -> list[Poison]:
        """Keeps each of them, several at a time. Returns those it may not have kept."""
        kept = 0
        try:
            for _ in in_flight(self.set_aside, poisons):
                kept += 1
        except DEPENDENCY_ERRORS as error:
            log.warning("the failed-events store is out of reach: %s", error)
        return list(poisons[kept:])


def decode_batch(event: Mapping[str, Any]) -> list[Record]:
    """The records of a Lambda invocation, in order. Raises msgspec.ValidationError for another event."""
    return [_record(each) for each in msgspec.convert(event, Invocation).records]


def answer(unapplied: Record | None) -> Answer:
    """The invocation's answer: everything before `unapplied` is applied; None says that all is.

    Lambda retries everything from the named record on, so more than one name would say nothing (AWS
    Lambda Developer Guide, "Configuring partial batch response with Kinesis Data Streams and Lambda").
    """
    failures = [] if unapplied is None else [{"itemIdentifier": unapplied.sequence_number}]
    return {"batchItemFailures": failures}


def _failed_record(poison: Poison, now_ms: int) -> FailedRecord:
    record = poison.record
    return FailedRecord(
        stream=record.stream,
        shard_id=record.shard_id,
        sequence_number=record.sequence_number,
        payload=poison.payload,
        reason=poison.error.reason,
        detail=str(poison.error),
        failed_at_ms=now_ms,
        index=poison.index,
        partition_key=record.partition_key,
        traceparent=poison.traceparent,
    )


def _record(delivered: DeliveredRecord) -> Record:
    kinesis = delivered.kinesis
    return Record(
        stream=delivered.stream,
        shard_id=delivered.shard_id,
        sequence_number=kinesis.sequence_number,
        data=kinesis.data,
        arrived_at_ms=round(kinesis.approximate_arrival_timestamp * 1000),
        partition_key=kinesis.partition_key,
    )
