"""Invokes a Lambda function's handler in this process, on a batch of Kinesis records.

The event has the shape that the event source mapping sends (AWS Lambda Developer Guide, "How Lambda
processes records from stream-based event sources: Amazon Kinesis Data Streams", example event,
https://docs.aws.amazon.com/lambda/latest/dg/with-kinesis.html), the answer is read by the mapping's
rules (same guide, "Configuring partial batch response with Kinesis Data Streams and Lambda",
https://docs.aws.amazon.com/lambda/latest/dg/services-kinesis-batchfailurereporting.html).
"""

import logging
from base64 import b64encode
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, NamedTuple
from uuid import uuid4

import msgspec
from msgspec import field

from schemas.errors import SettingsError
from workers.runtime.source import Record

PAYLOAD_MAX_BYTES = 6 * 1024 * 1024
"""An invocation's event as JSON, by Lambda's quota."""
ENVELOPE_BYTES = 1_024
"""What a record takes of the event beside its data and partition key, and a little more."""

log = logging.getLogger(__name__)


class Context(NamedTuple):
    """What a handler is told about its invocation, named as in Lambda."""

    function_name: str
    aws_request_id: str


Handler = Callable[[dict[str, Any], Context], object]


class Outcome(NamedTuple):
    """How an invocation ended: so many records, from the first on, succeeded.

    `is_error` says that the function failed as a whole: it raised, or its answer cannot be read.
    """

    request_id: str
    succeeded: int
    is_error: bool = False


class Function:
    """A handler under its name. Shards invoke it at the same time, each from a thread of its own."""

    def __init__(self, name: str, handler: Handler) -> None:
        self.name = name
        self._handler = handler

    def invoke(self, batch: Sequence[Record], stream_arn: str) -> Outcome:
        """Blocks: call it in a thread.

        Nothing that the handler raises comes out of it, SystemExit included, as with Lambda.
        """
        event = kinesis_event(batch, stream_arn, role=self.name)
        context = Context(self.name, str(uuid4()))
        try:
            count = succeeded(batch, self._handler(event, context))
        except BaseException:
            log.warning("%s raised on %s", self.name, span(batch), exc_info=True)
            count = None
        return Outcome(context.aws_request_id, count or 0, is_error=count is None)


class _Failure(msgspec.Struct):
    sequence_number: str = field(name="itemIdentifier")


class _Answer(msgspec.Struct):
    failures: list[_Failure] | None = field(name="batchItemFailures", default=None)


def import_handler(dotted: str) -> Handler:
    """The handler called `dotted`, "package.module.function". Raises SettingsError for none."""
    module, _, name = dotted.rpartition(".")
    try:
        handler: Handler | None = getattr(import_module(module), name, None)
    except (ImportError, ValueError) as error:
        raise SettingsError(f"no handler {dotted}: {error}") from error
    if handler is None or not callable(handler):
        raise SettingsError(f"no handler {dotted}: {module} has no function {name}")
    return handler


def kinesis_event(batch: Sequence[Record], stream_arn: str, *, role: str) -> dict[str, Any]:
    """The event of a batch. Arrival is in seconds; a record without partition key has none here."""
    _, _, _, region, account, _ = stream_arn.split(":", 5)
    return {
        "Records": [
            {
                "kinesis": _kinesis(record),
                "eventSource": "aws:kinesis",
                "eventVersion": "1.0",
                "eventID": f"{record.shard_id}:{record.sequence_number}",
                "eventName": "aws:kinesis:record",
                "invokeIdentityArn": f"arn:aws:iam::{account}:role/{role}",
                "awsRegion": region,
                "eventSourceARN": stream_arn,
            }
            for record in batch
        ]
    }


def payload_bytes(record: Record) -> int:
    """What `record` takes of an event, at most."""
    return (len(record.data) + 2) // 3 * 4 + len(record.partition_key or "") + ENVELOPE_BYTES


def succeeded(batch: Sequence[Record], answer: object) -> int | None:
    """How many records, from the first on, `answer` says succeeded; the rest is to be retried.

    No answer, or one without failures, is success. Else all before the lowest sequence number named
    succeeded. A name that is none of the batch's, or an answer of any other shape, fails the batch as
    a whole: None.
    """
    places = {record.sequence_number: place for place, record in enumerate(batch)}
    try:
        failures = msgspec.convert(answer or {}, _Answer).failures or []
        return min((places[failure.sequence_number] for failure in failures), default=len(batch))
    except (msgspec.ValidationError, KeyError) as error:
        log.warning("the answer on %s fails the batch: %s", span(batch), error)
        return None


def span(batch: Sequence[Record]) -> str:
    """Which records these are, in words."""
    first, last = batch[0], batch[-1]
    return f"{len(batch)} records of {first.shard_id}, {first.sequence_number} to {last.sequence_number}"


def _kinesis(record: Record) -> dict[str, Any]:
    key = {} if record.partition_key is None else {"partitionKey": record.partition_key}
    return key | {
        "kinesisSchemaVersion": "1.0",
        "sequenceNumber": record.sequence_number,
        "data": b64encode(record.data).decode("ascii"),
        "approximateArrivalTimestamp": record.arrived_ms / 1000,
    }
