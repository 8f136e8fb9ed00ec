"""What to put back on which stream for something that failed, and what it leaves to recount. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from schemas.dynamodb import Origin, event_item, lane_of
from schemas.errors import EventError, FrameError, PoisonError
from schemas.failures import DiscardedBatch, FailedRecord, Failure
from schemas.frames import decode_frame, encode_frame
from schemas.invocations import DeliveredRecord
from schemas.updates import decode_update
from workers.runtime.puts import Entry

KEYLESS = "replayed"
"""The partition key of what had none."""

Marks = dict[str, dict[str, str]]
"""By program and lane, the last sequence number that was given up."""


class Streams(NamedTuple):
    """The names of both streams."""

    events: str
    updates: str


class Restored(NamedTuple):
    """Records for one stream."""

    stream: str
    entries: list[Entry]


def restored(failure: Failure, streams: Streams) -> Restored:
    """The records as they were: a single event in a frame of its own, a discarded batch whole.

    Raises PoisonError for what would only fail again, msgspec.MsgspecError for a batch without its
    records.
    """
    if failure.stream not in streams:
        raise PoisonError(f"{failure.stream} is neither {streams.events} nor {streams.updates}")
    if isinstance(failure, FailedRecord) and failure.agent is not None:
        raise PoisonError(f"only agent {failure.agent} failed on it, and everyone would read it again")
    if isinstance(failure, DiscardedBatch):
        return Restored(failure.stream, [_entry(each) for each in failure.invocation.records])
    data = _event_data(failure) if failure.stream == streams.events else _update_data(failure)
    return Restored(failure.stream, [Entry(Data=data, PartitionKey=failure.partition_key or KEYLESS)])


def arrived_ms(batch: DiscardedBatch) -> int:
    """When the first of its records came, after which any of them may have been stored."""
    arrivals = (each.kinesis.approximate_arrival_timestamp for each in batch.invocation.records)
    return int(1_000 * min(arrivals, default=0))


def marks(batch: DiscardedBatch) -> Marks:
    """Up to where each lane of the event stream was given up, for each program in the batch."""
    last: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for record in batch.invocation.records:
        lane = lane_of(record.shard_id, record.kinesis.partition_key)
        for program_id in _programs(record.kinesis.data):
            last[program_id][lane] = record.kinesis.sequence_number
    return dict(last)


def furthest(given_up: Iterable[Marks]) -> Marks:
    """For each program and lane the last of them."""
    last: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for program_id, lanes in (each for some in given_up for each in some.items()):
        for lane, sequence_number in lanes.items():
            last[program_id][lane] = max(last[program_id].get(lane, "-1"), sequence_number, key=int)
    return dict(last)


def _entry(record: DeliveredRecord) -> Entry:
    return Entry(Data=record.kinesis.data, PartitionKey=record.kinesis.partition_key or KEYLESS)


def _event_data(failed: FailedRecord) -> bytes:
    if failed.index is None:
        _check_frame(failed.payload)
        return failed.payload
    frame = encode_frame([failed.payload])
    _check_frame(frame)
    return frame


def _check_frame(data: bytes) -> None:
    """Raises PoisonError unless at least one event of it can be stored. The others fail on their own."""
    frame = decode_frame(data)
    if frame.failed and not frame.events:
        raise EventError(frame.failed[0].detail)
    if len(frame.events) == 1:
        event_item(frame.events[0], Origin("", "0"))


def _update_data(failed: FailedRecord) -> bytes:
    decode_update(failed.payload)
    return failed.payload


def _programs(data: bytes) -> Iterator[str]:
    try:
        events = decode_frame(data).events
    except FrameError:
        return
    yield from {event.program.program_id for event in events}
