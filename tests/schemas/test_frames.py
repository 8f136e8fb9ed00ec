import random
import struct
import zlib
from itertools import pairwise
from uuid import UUID

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.errors import FrameError
from schemas.events import Event, encode_event
from schemas.frames import (
    COMPRESSED,
    FRAME_TARGET_BYTES,
    MAX_EVENTS,
    MAX_INFLATED_BYTES,
    VERSION,
    FailedEvent,
    Frame,
    decode_frame,
    encode_frame,
    split_frames,
)
from tests.factories import view
from tests.schemas import strategies

MESSAGE_ID = UUID("01999999-0000-7000-8000-000000000001")
PLAIN_HEAD = b"\x01"
COMPRESSED_HEAD = b"\x81"
NIL = b"\xc0"

_EVENT = (
    b"\x9f\xa4view\xc4\x10\x01\x99\x99\x99\x00\x00\x70\x00\x80\x00\x00\x00\x00\x00\x00\x01"
    b"\xcf\x00\x00\x01\x99\xc8\x2c\xc0\x00"
    b"\x96\xa6212313\xa8program2\xcd\x23\xa4\xa9Customer2\xa3124\xcf\x00\x06\x40\xb5\xee\xce\x00\x00"
    b"\xc3\xc0\xc0\xc0\xc0\xc0\xc0\xc0\xc0\xc0\xc0"
)
GOLDEN_PLAIN = b"\x01\x91" + _EVENT
GOLDEN_COMPRESSED = bytes.fromhex(
    "8178019b3c7f4959666af91101c69933673230143034308001e3790606c69927"
    "740e304c5b666468646c68bca2a0283fbd2831d7e8acf29295cea5c525f9b9a9"
    "45468b0d8d4cce33b0396c7d778e81e1f00138185ac6020057076892"
)
BEFORE_TRACES = bytes.fromhex(
    "8178019b3c6f4959666af91101c69933673230143034308001e3790606c69927"
    "740e304c5b666468646c68bca2a0283fbd2831d7e8acf29295cea5c525f9b9a9"
    "45468b0d8d4cce33b0396c7d778e81e1f00118184aa60200c1ad664f"
)
"""The same events, by a writer that knew no traceparent."""

sizes = st.lists(st.integers(0, 40_000), max_size=12)


@st.composite
def payloads(draw: st.DrawFn) -> list[bytes]:
    """Encoded values of all sizes, some that compress well and some that do not."""
    noise = random.Random(draw(st.integers(0, 2**32)))
    return [
        msgspec.msgpack.encode(bytes(size) if draw(st.booleans()) else noise.randbytes(size))
        for size in draw(sizes)
    ]


def test_golden_bytes_of_a_plain_frame() -> None:
    event = view(message_id=MESSAGE_ID)

    assert encode_frame([encode_event(event)]) == GOLDEN_PLAIN
    assert decode_frame(GOLDEN_PLAIN) == Frame([event], [])


def test_golden_bytes_of_a_compressed_frame() -> None:
    event = view(message_id=MESSAGE_ID)

    encoded = encode_frame([encode_event(event)] * 3)

    # How tightly zlib packs is its own affair; what it packs is the format.
    assert encoded[:1] == GOLDEN_COMPRESSED[:1] == COMPRESSED_HEAD
    assert zlib.decompress(encoded[1:]) == zlib.decompress(GOLDEN_COMPRESSED[1:]) == b"\x93" + _EVENT * 3
    assert decode_frame(GOLDEN_COMPRESSED) == Frame([event] * 3, [])


def test_a_frame_of_an_older_writer_is_read() -> None:
    assert decode_frame(BEFORE_TRACES) == decode_frame(GOLDEN_COMPRESSED)


def test_an_empty_frame_holds_nothing() -> None:
    assert encode_frame([]) == b"\x01\x90"
    assert decode_frame(b"\x01\x90") == Frame([], [])


@given(st.lists(strategies.events, max_size=40))
def test_round_trip(events: list[Event]) -> None:
    frame = encode_frame([encode_event(event) for event in events])

    assert decode_frame(frame) == Frame(events, [])


@pytest.mark.parametrize("count", [15, 16, 255, 256, MAX_EVENTS])
def test_round_trip_on_both_sides_of_each_array_length(count: int) -> None:
    event = view(message_id=MESSAGE_ID)

    frame = encode_frame([_EVENT] * count)

    assert decode_frame(frame) == Frame([event] * count, [])


@given(payloads())
def test_split_frames_keeps_order_and_takes_every_event_once(events: list[bytes]) -> None:
    frames = list(split_frames(events))

    decoded = [decode_frame(frame) for _, frame in frames]
    assert [failed.payload for frame in decoded for failed in frame.failed] == events
    assert [len(frame.failed) for frame in decoded] == [count for count, _ in frames]


@given(payloads())
def test_a_split_frame_stays_under_the_target_unless_it_holds_one_event(events: list[bytes]) -> None:
    frames = list(split_frames(events))

    assert all(len(frame) <= FRAME_TARGET_BYTES or count == 1 for count, frame in frames)
    assert all(count >= 1 for count, _ in frames)


@given(st.lists(strategies.events, min_size=1, max_size=5), st.integers(1, 400))
def test_split_frames_of_events_decode_to_the_events(events: list[Event], times: int) -> None:
    many = events * times

    frames = split_frames([encode_event(event) for event in many])

    assert [event for _, frame in frames for event in decode_frame(frame).events] == many


def test_small_events_fill_frames() -> None:
    events = [encode_event(view(user_agent=f"agent-{number}")) for number in range(2_000)]

    counts = [count for count, _ in split_frames(events)]

    assert sum(counts) == 2_000
    assert min(counts[:-1]) >= 200


def test_events_that_compress_well_still_inflate_to_little() -> None:
    events = [msgspec.msgpack.encode(bytes(1_000))] * 2_000

    frames = [frame for _, frame in split_frames(events)]

    assert all(frame.startswith(COMPRESSED_HEAD) for frame in frames)
    assert max(len(zlib.decompress(frame[1:])) for frame in frames) <= 4 * FRAME_TARGET_BYTES + 3


def test_split_frames_never_exceeds_the_array_length() -> None:
    frames = list(split_frames([NIL] * (MAX_EVENTS + 10)))

    assert [count for count, _ in frames] == [MAX_EVENTS, 10]
    assert [len(decode_frame(frame).failed) for _, frame in frames] == [MAX_EVENTS, 10]


@given(
    st.lists(strategies.events.map(encode_event) | strategies.not_events.map(lambda bad: (bad,)), max_size=12)
)
def test_bad_events_spoil_no_other(entries: list[bytes | tuple[bytes]]) -> None:
    encoded = [entry if isinstance(entry, bytes) else entry[0] for entry in entries]
    good = [entry for entry in entries if isinstance(entry, bytes)]
    bad = [(index, entry[0]) for index, entry in enumerate(entries) if isinstance(entry, tuple)]

    frame = decode_frame(encode_frame(encoded))

    assert [encode_event(event) for event in frame.events] == good
    assert [(failed.index, failed.payload) for failed in frame.failed] == bad
    assert all(failed.detail for failed in frame.failed)


def test_text_that_is_not_utf8_fails_one_event() -> None:
    good = view(message_id=MESSAGE_ID)
    bad = encode_event(view(user_agent="agent")).replace(b"agent", b"ag\xff\xfet")

    frame = decode_frame(encode_frame([_EVENT, bad, _EVENT]))

    assert frame.events == [good, good]
    assert [(failed.index, failed.payload) for failed in frame.failed] == [(1, bad)]


def test_a_failed_event_says_why() -> None:
    unknown = msgspec.msgpack.encode(["like", 1])

    frame = decode_frame(encode_frame([unknown]))

    assert frame.failed == [FailedEvent(0, unknown, "Invalid value 'like' - at `$[0]`")]


@pytest.mark.parametrize("golden", [GOLDEN_PLAIN, GOLDEN_COMPRESSED], ids=["plain", "compressed"])
def test_a_truncated_frame_is_refused(golden: bytes) -> None:
    for length in range(len(golden)):
        with pytest.raises(FrameError):
            decode_frame(golden[:length])


@pytest.mark.parametrize("golden", [GOLDEN_PLAIN, GOLDEN_COMPRESSED], ids=["plain", "compressed"])
def test_bytes_after_the_events_are_refused(golden: bytes) -> None:
    with pytest.raises(FrameError):
        decode_frame(golden + b"\x00")


@pytest.mark.parametrize("head", sorted(set(range(256)) - {VERSION, VERSION | COMPRESSED}))
def test_another_version_is_refused(head: int) -> None:
    with pytest.raises(FrameError, match="frame version"):
        decode_frame(bytes((head,)) + GOLDEN_PLAIN[1:])


def test_a_frame_that_inflates_past_the_limit_is_refused() -> None:
    bomb = COMPRESSED_HEAD + zlib.compress(bytes(MAX_INFLATED_BYTES + 1))

    with pytest.raises(FrameError, match="inflates past"):
        decode_frame(bomb)


@pytest.mark.parametrize("count", [MAX_EVENTS + 1, 2**32 - 1])
def test_a_frame_of_too_many_entries_is_refused_before_they_are_made(count: int) -> None:
    body = struct.pack(">BI", 0xDD, count) + NIL * (MAX_EVENTS + 1)

    for frame in (PLAIN_HEAD + body, COMPRESSED_HEAD + zlib.compress(body)):
        with pytest.raises(FrameError, match=f"more than {MAX_EVENTS}"):
            decode_frame(frame)


@pytest.mark.parametrize("prefix", [b"", b"\x9f" + _EVENT[1:]], ids=["frame", "event"])
def test_nesting_past_every_limit_is_refused(prefix: bytes) -> None:
    body = b"\x91" + prefix + b"\x91" * 100_000 + NIL

    with pytest.raises(FrameError):
        decode_frame(PLAIN_HEAD + body)


@given(
    st.binary()
    | st.binary().map(lambda body: PLAIN_HEAD + body)
    | st.binary().map(lambda body: COMPRESSED_HEAD + body)
    | st.binary().map(lambda body: COMPRESSED_HEAD + zlib.compress(body))
    | strategies.not_events.map(lambda value: PLAIN_HEAD + value)
)
@example(b"")
@example(PLAIN_HEAD)
@example(COMPRESSED_HEAD)
def test_arbitrary_bytes_are_a_frame_or_a_frame_error(data: bytes) -> None:
    try:
        frame = decode_frame(data)
    except FrameError:
        return

    assert all(isinstance(event, Event) for event in frame.events)
    assert all(earlier.index < later.index for earlier, later in pairwise(frame.failed))


@given(st.lists(strategies.events, min_size=1, max_size=4), st.data())
def test_a_damaged_byte_never_raises_another_error(events: list[Event], data: st.DataObject) -> None:
    frame = bytearray(encode_frame([encode_event(event) for event in events]))
    frame[data.draw(st.integers(0, len(frame) - 1))] ^= data.draw(st.integers(1, 255))

    try:
        decode_frame(bytes(frame))
    except FrameError as error:
        assert str(error)
