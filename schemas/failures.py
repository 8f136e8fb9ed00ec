"""Failed records: what can never be applied, set aside in the failed-events bucket with its reason.

    {stream}/{shard}/{sequence number}.json             a whole Kinesis record
    {stream}/{shard}/{sequence number}-{index}.json     one event of a frame

One JSON object each. The key comes from the origin alone, so that a retry overwrites its own object.
"""

import msgspec

from schemas.errors import UNREADABLE


class FailedRecord(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, tag="failed_record"
):
    """Bytes that could not be applied, why, and where they came from. Only append fields, with defaults.

    `payload` (base64 in JSON) is the record's data, or one encoded event when `index` tells its place
    in a frame. `reason` is the `reason` of a PoisonError.
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

    @property
    def key(self) -> str:
        """The name of its object."""
        place = self.sequence_number if self.index is None else f"{self.sequence_number}-{self.index}"
        return f"{self.stream}/{self.shard_id}/{place}.json"


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(FailedRecord)


def encode_failed(failed: FailedRecord) -> bytes:
    """The body of its object."""
    return _encoder.encode(failed)


def decode_failed(data: bytes) -> FailedRecord:
    """A body as read back. Raises msgspec.MsgspecError for anything else in the bucket."""
    try:
        return _decoder.decode(data)
    except UNREADABLE as error:
        raise msgspec.DecodeError(str(error)) from error
