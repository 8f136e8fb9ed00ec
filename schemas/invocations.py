"""A batch of a Kinesis stream as Lambda's event source mapping hands it to a function.

The shape is AWS's (AWS Lambda Developer Guide, "Using Lambda to process records from Amazon Kinesis
Data Streams", https://docs.aws.amazon.com/lambda/latest/dg/with-kinesis.html).
"""

import msgspec

from schemas.errors import UNREADABLE


class KinesisRecord(msgspec.Struct, frozen=True, rename="camel"):
    """A record's own part. The time of arrival is in seconds. `data` is base64 in JSON.

    A stream that distributes records by itself gives no partition key.
    """

    sequence_number: str
    data: bytes
    approximate_arrival_timestamp: float
    partition_key: str | None = None


class DeliveredRecord(msgspec.Struct, frozen=True):
    """One record of the batch, and where it is from."""

    kinesis: KinesisRecord
    event_id: str = msgspec.field(name="eventID")
    stream_arn: str = msgspec.field(name="eventSourceARN")

    @property
    def stream(self) -> str:
        """The stream's name."""
        return stream_name(self.stream_arn)

    @property
    def shard_id(self) -> str:
        return self.event_id.partition(":")[0]


class Invocation(msgspec.Struct, frozen=True):
    """What a function is invoked with: records of one shard, in order."""

    records: list[DeliveredRecord] = msgspec.field(name="Records")


_decoder = msgspec.json.Decoder(Invocation)


def decode_invocation(data: str | bytes) -> Invocation:
    """An invocation in JSON. Raises msgspec.MsgspecError for anything else."""
    try:
        return _decoder.decode(data)
    except UNREADABLE as error:
        raise msgspec.DecodeError(str(error)) from error


def stream_name(arn: str) -> str:
    """The name in a stream's ARN."""
    return arn.rpartition("/")[2]
