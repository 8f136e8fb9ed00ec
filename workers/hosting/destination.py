"""Where batches go that the event source mapping gives up."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple, Protocol
from uuid import NAMESPACE_URL, UUID, uuid4, uuid5

import msgspec

from schemas.errors import UnavailableError
from schemas.failures import (
    Condition,
    DiscardedBatch,
    KinesisBatchInfo,
    RequestContext,
    ResponseContext,
    discarded_key,
    encode_discarded,
)
from workers.hosting.invocation import Outcome, kinesis_event
from workers.runtime.failed import S3
from workers.runtime.source import AWS_ERRORS, Record


class Discarded(NamedTuple):
    """Records of one shard that are given up, why, and when. `last` is None where none was invoked."""

    function: str
    stream_arn: str
    records: Sequence[Record]
    condition: Condition
    invocations: int
    last: Outcome | None
    at_ms: int


class Destination(Protocol):
    """Keeps what is given up. The position moves past it only then."""

    async def keep(self, discarded: Discarded) -> None:
        """Returns once it is kept. Raises UnavailableError; called again it may keep it twice."""


class Nowhere:
    """Keeps nothing: the host has said which records are gone."""

    async def keep(self, discarded: Discarded) -> None:
        pass


class S3Destination:
    """A bucket, where a batch stays with all its records, in the form that Lambda gives it."""

    def __init__(self, s3: S3, bucket: str) -> None:
        self._s3 = s3
        self._bucket = bucket

    async def keep(self, discarded: Discarded) -> None:
        at = _time(discarded.at_ms)
        mapping_id = mapping_of(discarded.function, discarded.stream_arn)
        key = discarded_key(mapping_id, discarded.records[0].shard_id, at, uuid4())
        body = encode_discarded(discarded_batch(discarded))
        try:
            await self._s3.put_object(Bucket=self._bucket, Key=key, Body=body, ContentType="application/json")
        except AWS_ERRORS as error:
            reason = str(error) or type(error).__name__
            raise UnavailableError(f"bucket {self._bucket}: {reason}") from error


def mapping_of(function: str, stream_arn: str) -> UUID:
    """The id of the mapping between the two: the same for every host of it."""
    return uuid5(NAMESPACE_URL, f"{stream_arn}/{function}")


def discarded_batch(discarded: Discarded) -> DiscardedBatch:
    """The object's content."""
    event = kinesis_event(discarded.records, discarded.stream_arn, role=discarded.function)
    return DiscardedBatch(
        request_context=_request(discarded),
        response_context=_response(discarded.last),
        version="1.0",
        timestamp=_text(discarded.at_ms),
        batch=_info(discarded.records, discarded.stream_arn),
        payload=msgspec.json.encode(event).decode(),
    )


def _request(discarded: Discarded) -> RequestContext:
    _, _, _, region, account, _ = discarded.stream_arn.split(":", 5)
    return RequestContext(
        request_id=discarded.last.request_id if discarded.last else str(uuid4()),
        function_arn=f"arn:aws:lambda:{region}:{account}:function:{discarded.function}",
        condition=discarded.condition,
        approximate_invoke_count=discarded.invocations,
    )


def _response(last: Outcome | None) -> ResponseContext | None:
    if last is None:
        return None
    return ResponseContext(function_error="Unhandled" if last.is_error else None)


def _info(records: Sequence[Record], stream_arn: str) -> KinesisBatchInfo:
    first, last = records[0], records[-1]
    return KinesisBatchInfo(
        shard_id=first.shard_id,
        start_sequence_number=first.sequence_number,
        end_sequence_number=last.sequence_number,
        approximate_arrival_of_first_record=_text(first.arrived_ms),
        approximate_arrival_of_last_record=_text(last.arrived_ms),
        batch_size=len(records),
        stream_arn=stream_arn,
    )


def _time(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, UTC)


def _text(at_ms: int) -> str:
    return _time(at_ms).isoformat(timespec="milliseconds").replace("+00:00", "Z")
