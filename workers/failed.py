"""What failed, as objects in buckets: listed, read, and shown to people."""

from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

import msgspec

from schemas.errors import FrameError, UpdateError
from schemas.events import Event, kind_of
from schemas.failures import DiscardedBatch, FailedRecord, Failure, decode_failure
from schemas.frames import decode_frame, encode_frame
from schemas.updates import decode_update
from workers.listing import ListingS3, Place, listed

LIST_DEFAULT = 100
UNREADABLE_OBJECT = "unreadable"


class S3(ListingS3, Protocol):
    """What failed objects ask of an S3 client."""

    async def get_object(self, **request: Any) -> dict[str, Any]: ...

    async def delete_object(self, **request: Any) -> dict[str, Any]: ...


class FailedObjects:
    """The objects of what failed. Raises what AWS raises."""

    def __init__(self, s3: S3) -> None:
        self._s3 = s3

    def places(self, buckets: Sequence[str], prefix: str) -> AsyncIterator[Place]:
        """Every object whose key begins with `prefix`."""
        return listed(self._s3, buckets, prefix)

    async def read(self, place: Place) -> bytes:
        answer = await self._s3.get_object(Bucket=place.bucket, Key=place.key)
        data: bytes = await answer["Body"].read()
        return data

    async def delete(self, place: Place) -> None:
        await self._s3.delete_object(Bucket=place.bucket, Key=place.key)


def line(place: Place, data: bytes) -> str:
    """One line of a list: when, why, what, where, and in what words."""
    try:
        failure = decode_failure(data)
    except msgspec.MsgspecError as error:
        return f"{UNREADABLE_OBJECT}  {place}  {error}"
    if isinstance(failure, DiscardedBatch):
        context = failure.request_context
        size = failure.batch.batch_size
        return f"{failure.timestamp}  {context.condition}  batch of {size} from {failure.stream}  {place}"
    what = "record" if failure.index is None else f"event {failure.index}"
    return f"{_moment(failure.failed_at_ms)}  {failure.reason}  {what}  {place}  {failure.detail}"


def shown(data: bytes, *, update_stream: str) -> str:
    """All that is known of a failure, with what its payload holds where it decodes, as JSON.

    Raises msgspec.MsgspecError for an object that tells of no failure.
    """
    failure = decode_failure(data)
    facts = {name: value for name, value in msgspec.to_builtins(failure).items() if name != "payload"}
    holds = _update if failure.stream == update_stream else _events
    contents = {"holds": [holds(payload) for payload in _payloads(failure)]}
    return msgspec.json.format(msgspec.json.encode(facts | contents), indent=2).decode()


def _payloads(failure: Failure) -> Iterator[bytes]:
    if isinstance(failure, DiscardedBatch):
        yield from (record.kinesis.data for record in failure.invocation.records)
    else:
        yield _framed(failure)


def _framed(failed: FailedRecord) -> bytes:
    return failed.payload if failed.index is None else encode_frame([failed.payload])


def _events(data: bytes) -> dict[str, object]:
    try:
        frame = decode_frame(data)
    except FrameError as error:
        return {"error": str(error), "data": data}
    return {
        "events": [named(event) for event in frame.events],
        "failed": [{"error": each.detail, "data": each.payload} for each in frame.failed],
    }


def named(event: Event) -> dict[str, object]:
    """With its fields by name: on the wire an event is an array."""
    program = msgspec.structs.asdict(event.program)
    return {"kind": kind_of(event)} | msgspec.structs.asdict(event) | {"program": program}


def _update(data: bytes) -> dict[str, object]:
    try:
        return {"update": decode_update(data)}
    except UpdateError as error:
        return {"error": str(error), "data": data}


def _moment(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
