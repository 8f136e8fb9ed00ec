"""What failed, as objects in a bucket, one JSON object each.

Failed records, which can never be applied, set aside by the function with their reason:

    {stream}/{shard}/{sequence number}.json             a whole Kinesis record
    {stream}/{shard}/{sequence number}-{index}.json     one event of a frame
    agents/{agent}/{stream}/{shard}/...                 either, where it is a stream agent that failed on it

The key comes from the origin alone, so that a retry overwrites its own object. And discarded batches,
which the event source mapping gave up, as Lambda writes them (AWS Lambda Developer Guide, "Retain
discarded batch records for a Kinesis Data Streams event source in Lambda",
https://docs.aws.amazon.com/lambda/latest/dg/kinesis-on-failure-destination.html):

    aws/lambda/{mapping id}/{shard}/YYYY/MM/DD/YYYY-MM-DDTHH.MM.SS-{random id}
"""

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from schemas.errors import UNREADABLE
from schemas.invocations import Invocation, decode_invocation, stream_name

Condition = Literal["RetryAttemptsExhausted", "RecordAgeExceeded"]
"""Why a batch is discarded."""


class FailedRecord(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, tag="failed_record"
):
    """Bytes that could not be applied, why, and where they came from. Only append fields, with defaults.

    `payload` (base64 in JSON) is the record's data, or one encoded event when `index` tells its place
    in a frame. `reason` is that of a TrackerError. `agent` is the stream agent that failed on it:
    to everyone else it may be well.
    """

    stream: str
    shard_id: str
    sequence_number: str
    payload: bytes
    reason: str
    detail: str
    failed_at_ms: int
    index: int | None = None
    partition_key: str | None = None
    agent: str | None = None
    traceparent: str | None = None
    """Of the event, where it is known: see schemas/traces.py."""

    @property
    def key(self) -> str:
        """The name of its object."""
        place = self.sequence_number if self.index is None else f"{self.sequence_number}-{self.index}"
        whose = "" if self.agent is None else f"agents/{self.agent}/"
        return f"{whose}{self.stream}/{self.shard_id}/{place}.json"


class RequestContext(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The last invocation on a discarded batch. AWS may know more conditions than Condition."""

    request_id: str
    function_arn: str
    condition: str
    approximate_invoke_count: int


class ResponseContext(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What it was answered. `function_error` is None where the function reported failures itself."""

    status_code: int = 200
    executed_version: str = "$LATEST"
    function_error: str | None = None


class KinesisBatchInfo(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Which records. Times are UTC in ISO 8601, to the millisecond."""

    shard_id: str
    start_sequence_number: str
    end_sequence_number: str
    approximate_arrival_of_first_record: str
    approximate_arrival_of_last_record: str
    batch_size: int
    stream_arn: str


class DiscardedBatch(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A batch that was given up, with all its records. No response where it was never invoked.

    `payload` is the invocation, as JSON within the JSON; one that stands there as it is is read too.
    """

    request_context: RequestContext
    response_context: ResponseContext | None = None
    version: str
    timestamp: str
    batch: KinesisBatchInfo = msgspec.field(name="KinesisBatchInfo")
    payload: str | Invocation

    @property
    def stream(self) -> str:
        """The stream's name."""
        return stream_name(self.batch.stream_arn)

    @property
    def invocation(self) -> Invocation:
        """The records. Raises msgspec.MsgspecError for a payload that holds none."""
        return self.payload if isinstance(self.payload, Invocation) else decode_invocation(self.payload)


Failure = FailedRecord | DiscardedBatch

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(FailedRecord)
_discarded_decoder = msgspec.json.Decoder(DiscardedBatch)


def encode_failed(failed: FailedRecord) -> bytes:
    """The body of its object."""
    return _encoder.encode(failed)


def decode_failed(data: bytes) -> FailedRecord:
    """A body as read back. Raises msgspec.MsgspecError for anything else in the bucket."""
    try:
        return _decoder.decode(data)
    except UNREADABLE as error:
        raise msgspec.DecodeError(str(error)) from error


def discarded_key(mapping_id: UUID, shard_id: str, at: datetime, random_id: UUID) -> str:
    """The name of a discarded batch's object; `at` is in UTC."""
    return f"aws/lambda/{mapping_id}/{shard_id}/{at:%Y/%m/%d}/{at:%Y-%m-%dT%H.%M.%S}-{random_id}"


def encode_discarded(discarded: DiscardedBatch) -> bytes:
    """The body of its object."""
    return _encoder.encode(discarded)


def decode_failure(data: bytes) -> Failure:
    """Any object that tells of a failure. Raises msgspec.MsgspecError for anything else."""
    try:
        return decode_failed(data)
    except msgspec.MsgspecError:
        return _decode_discarded(data)


def _decode_discarded(data: bytes) -> DiscardedBatch:
    try:
        return _discarded_decoder.decode(data)
    except UNREADABLE as error:
        raise msgspec.DecodeError(str(error)) from error
