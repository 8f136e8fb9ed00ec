"""Frames: many events in one Kinesis record.

    version byte | msgpack array of events            (version byte < 0x80)
    version byte | zlib(msgpack array of events)      (high bit set: compressed)

A PUT payload unit is 25 KB (Kinesis Data Streams pricing), so a frame aims at just under one.
"""

import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from schemas.errors import UNREADABLE, FrameError
from schemas.events import Event

VERSION = 1
COMPRESSED = 0x80
FRAME_TARGET_BYTES = 24_000
"""What a frame aims at after compression."""
MAX_RECORD_BYTES = 1_048_576
"""A stream's default record limit (UpdateMaxRecordSize may raise it, up to 10 MiB)."""
MAX_INFLATED_BYTES = 16 * MAX_RECORD_BYTES
"""A compressed frame that inflates past this is refused: no writer of ours makes one."""
MAX_EVENTS = 65_535
"""What the array's 16-bit length holds. More would be a few bytes that inflate into gigabytes of
objects, so a 32-bit length is refused."""

_RAW_PER_PACKED = 4
_FASTEST = 1
_PLAIN_HEAD = bytes((VERSION,))
_COMPRESSED_HEAD = bytes((VERSION | COMPRESSED,))
_LONG_ARRAY = b"\xdd"

_events: msgspec.msgpack.Decoder[list[Event]] = msgspec.msgpack.Decoder(list[Event])
_event: msgspec.msgpack.Decoder[Event] = msgspec.msgpack.Decoder(Event)
_raws = msgspec.msgpack.Decoder(list[msgspec.Raw])


class FailedEvent(msgspec.Struct, frozen=True):
    """One event of a frame that did not decode: its place, its bytes and why."""

    index: int
    payload: bytes
    detail: str


class Frame(NamedTuple):
    """What a frame held: the events that decode, in order, and those that do not."""

    events: list[Event]
    failed: list[FailedEvent]

    @property
    def placed(self) -> list[tuple[int, Event]]:
        """The events, each with its place in the frame."""
        if not self.failed:
            return list(enumerate(self.events))
        failed = {each.index for each in self.failed}
        places = (place for place in range(len(self.events) + len(failed)) if place not in failed)
        return list(zip(places, self.events, strict=True))


def encode_frame(events: Sequence[bytes]) -> bytes:
    """One frame of at most MAX_EVENTS already encoded events, compressed where that is smaller."""
    body = _array_head(len(events)) + b"".join(events)
    packed = zlib.compress(body, _FASTEST)
    return _COMPRESSED_HEAD + packed if len(packed) < len(body) else _PLAIN_HEAD + body


def split_frames(
    events: Sequence[bytes], target_bytes: int = FRAME_TARGET_BYTES
) -> Iterator[tuple[int, bytes]]:
    """Frames for `events` in their order, each as (how many events it took, its bytes).

    A frame stays under `target_bytes` unless it holds a single event larger than that.
    """
    start = 0
    while start < len(events):
        count = _fitting(events, start, _RAW_PER_PACKED * target_bytes)
        frame = encode_frame(events[start : start + count])
        while len(frame) > target_bytes and count > 1:
            count = max(1, min(count - 1, count * target_bytes // len(frame)))
            frame = encode_frame(events[start : start + count])
        yield count, frame
        start += count


def decode_frame(data: bytes) -> Frame:
    """The events of one Kinesis record.

    One event that does not decode is returned as failed and spoils no other. Raises FrameError
    where the record as a whole cannot be read: empty, a newer version, damaged, or too large.
    """
    body = _body(data)
    try:
        return Frame(_events.decode(body), [])
    except UNREADABLE:
        return _decode_each(body)


def _array_head(length: int) -> bytes:
    if length < 16:
        return bytes((0x90 | length,))
    return struct.pack(">BH", 0xDC, length)


def _fitting(events: Sequence[bytes], start: int, raw_target_bytes: int) -> int:
    size = 0
    for count, event in enumerate(events[start : start + MAX_EVENTS]):
        size += len(event)
        if size > raw_target_bytes and count:
            return count
    return min(len(events) - start, MAX_EVENTS)


def _body(data: bytes) -> bytes:
    if not data:
        raise FrameError("the record is empty")
    version = data[0] & ~COMPRESSED
    if version != VERSION:
        raise FrameError(f"frame version {version} is not {VERSION}")
    body = _inflate(data[1:]) if data[0] & COMPRESSED else data[1:]
    if body.startswith(_LONG_ARRAY):
        raise FrameError(f"the frame holds more than {MAX_EVENTS} events")
    return body


def _inflate(data: bytes) -> bytes:
    inflater = zlib.decompressobj()
    try:
        body = inflater.decompress(data, MAX_INFLATED_BYTES)
    except zlib.error as error:
        raise FrameError(f"the frame does not inflate: {error}") from error
    if not inflater.eof:
        raise FrameError(f"the frame is cut short or inflates past {MAX_INFLATED_BYTES} bytes")
    if inflater.unused_data:
        raise FrameError(f"{len(inflater.unused_data)} bytes follow the compressed events")
    return body


def _decode_each(body: bytes) -> Frame:
    try:
        raws = _raws.decode(body)
    except UNREADABLE as error:
        raise FrameError(f"the frame is not an array of events: {error}") from error
    frame = Frame([], [])
    for index, raw in enumerate(raws):
        payload = bytes(raw)
        try:
            frame.events.append(_event.decode(payload))
        except UNREADABLE as error:
            frame.failed.append(FailedEvent(index, payload, str(error)))
    return frame
