"""A bounded fuzzer: whatever a decoder is given, it answers, or raises what it says that it raises."""

import json
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.dynamodb import Origin, event_item
from schemas.errors import FrameError, MalformedError, TrackerError, UpdateError
from schemas.events import encode_event
from schemas.failures import FailedRecord, decode_failure, encode_failed
from schemas.frames import COMPRESSED, VERSION, decode_frame, encode_frame
from schemas.invalidations import (
    CacheInvalidated,
    ProgramInvalidated,
    decode_invalidation,
    encode_invalidation,
)
from schemas.invocations import DeliveredRecord, Invocation, KinesisRecord, decode_invocation
from schemas.redis import read_program, read_totals
from schemas.updates import (
    BudgetReached,
    CachePurged,
    ProgramChanged,
    ProgramDeleted,
    VisitorFlagged,
    decode_update,
    encode_update,
)
from tests.abuse.mangling import hostile_requests, mangled
from tests.factories import NOW_MS, program
from tests.schemas import strategies
from tracker.events import EventMaker
from tracker.requests import EventRequest, decode_event, decode_item, decode_query, split_batch
from tracker.sender import Sender
from tracker.user_agents import UserAgents
from tracker.visitors import VisitorHashes

EXAMPLES = 150
DEPTH = 50_000
ITEM_MAX_BYTES = 16_384
ORIGIN = Origin("shardId-000000000000", "49600000000000000000000000000000000000000000000000000001")
MAKER = EventMaker(UserAgents(remembered=10), VisitorHashes(b"secret"))
MEDIA_TYPES = ["application/json", "application/msgpack", "application/x-ndjson", "", None, "text/plain; x"]

versions = strategies.counts
bodies = st.lists(strategies.events.map(encode_event), min_size=1, max_size=3)
updates = (
    strategies.programs.map(lambda each: ProgramChanged(program=each))
    | st.builds(ProgramDeleted, program_id=strategies.program_ids, version=versions)
    | st.builds(BudgetReached, program_id=strategies.program_ids, counted=strategies.counts)
    | st.builds(
        VisitorFlagged,
        program_id=strategies.program_ids,
        visitor=strategies.texts.filter(bool),
        until_ms=strategies.counts,
        clicks=strategies.counts,
    )
    | st.builds(CachePurged, version=versions)
)
invalidations = st.builds(
    ProgramInvalidated,
    program_id=strategies.program_ids,
    version=versions,
    sequence=versions,
    program=st.none() | strategies.programs,
) | st.builds(CacheInvalidated, version=versions, sequence=versions)

failures = st.builds(
    FailedRecord,
    stream=strategies.texts,
    shard_id=strategies.texts,
    sequence_number=strategies.texts,
    payload=st.binary(max_size=50),
    reason=strategies.texts,
    detail=strategies.texts,
    failed_at_ms=versions,
)
records = st.builds(
    KinesisRecord,
    sequence_number=strategies.texts,
    data=st.binary(max_size=50),
    approximate_arrival_timestamp=st.floats(allow_nan=False, allow_infinity=False),
)
invocations = st.builds(
    Invocation,
    records=st.lists(
        st.builds(DeliveredRecord, kinesis=records, event_id=strategies.texts, stream_arn=strategies.texts),
        max_size=2,
    ),
)


def _digits(number: int) -> bytes:
    return str(number).encode()


def _framed(body: bytes, *, compressed: bool) -> bytes:
    """A frame whose outside is right, whatever is within."""
    return bytes([VERSION | COMPRESSED]) + zlib.compress(body) if compressed else bytes([VERSION]) + body


frames = mangled(bodies.map(encode_frame)) | st.builds(
    _framed, mangled(bodies.map(lambda each: encode_frame(each)[1:])), compressed=st.booleans()
)


class Case(NamedTuple):
    """A decoder, what it may be given, and all that it may raise."""

    decode: Callable[[bytes], object]
    given: st.SearchStrategy[bytes]
    errors: tuple[type[Exception], ...]


CASES = {
    "frame": Case(decode_frame, frames, (FrameError,)),
    "update": Case(decode_update, mangled(updates.map(encode_update)), (UpdateError,)),
    "invalidation": Case(
        decode_invalidation, mangled(invalidations.map(encode_invalidation)), (msgspec.MsgspecError,)
    ),
    "program in Redis": Case(
        lambda value: read_program([b"1", value]),
        mangled(strategies.programs.map(msgspec.json.encode)),
        (msgspec.MsgspecError, ValueError),
    ),
    "version in Redis": Case(
        lambda version: read_program([version, b""]), mangled(versions.map(_digits)), (ValueError,)
    ),
    "totals in Redis": Case(
        read_totals, mangled(strategies.totals.map(msgspec.json.encode)), (msgspec.MsgspecError,)
    ),
    "failure": Case(decode_failure, mangled(failures.map(encode_failed)), (msgspec.MsgspecError,)),
    "invocation": Case(
        decode_invocation, mangled(invocations.map(msgspec.json.encode)), (msgspec.MsgspecError,)
    ),
}


NESTED = [b"[" * DEPTH, b'{"x":' * DEPTH, b"\x91" * DEPTH, b"\x81\xa1x" * DEPTH]


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@pytest.mark.parametrize("data", [*NESTED, *(bytes([VERSION]) + data for data in NESTED)])
def test_nesting_past_the_interpreters_limit_is_an_error_like_others(case: Case, data: bytes) -> None:
    with pytest.raises(case.errors):
        case.decode(data)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@settings(max_examples=EXAMPLES)
@given(data=st.data())
def test_a_decoder_raises_nothing_but_what_it_says(case: Case, data: st.DataObject) -> None:
    try:
        case.decode(data.draw(case.given))
    except case.errors as error:
        assert str(error)


@settings(max_examples=EXAMPLES)
@given(frames)
def test_what_a_frame_gives_can_be_written_again(data: bytes) -> None:
    try:
        frame = decode_frame(data)
    except FrameError:
        return

    again = decode_frame(encode_frame([encode_event(event) for event in frame.events]))
    assert len(again.events) == len(frame.events)
    assert again.failed == []


def requests_of(content_type: str | None) -> st.SearchStrategy[bytes]:
    encode: Callable[[Any], bytes] = msgspec.msgpack.encode if content_type == MEDIA_TYPES[1] else _json
    return mangled((hostile_requests | st.lists(hostile_requests, max_size=3)).map(encode))


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")


@pytest.mark.parametrize("content_type", MEDIA_TYPES)
@settings(max_examples=EXAMPLES)
@given(data=st.data())
def test_a_body_is_an_event_that_can_be_stored_or_malformed(
    content_type: str | None, data: st.DataObject
) -> None:
    try:
        asked = decode_event(data.draw(requests_of(content_type)), content_type)
    except MalformedError as error:
        assert str(error)
    else:
        assert_storable(asked)


@pytest.mark.parametrize("content_type", MEDIA_TYPES)
@settings(max_examples=EXAMPLES)
@given(data=st.data())
def test_each_item_of_a_batch_is_an_event_that_can_be_stored_or_told_why_not(
    content_type: str | None, data: st.DataObject
) -> None:
    try:
        batch = split_batch(data.draw(requests_of(content_type)), content_type)
    except MalformedError as error:
        assert str(error)
        return

    for raw in batch.raw:
        item = decode_item(raw, batch.decoder, max_bytes=ITEM_MAX_BYTES)
        if isinstance(item, TrackerError):
            assert str(item)
        else:
            assert_storable(item)


@settings(max_examples=EXAMPLES)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["kind", "value", "messageId", "visitor", "currency"]) | st.text(), st.text()
        )
    )
)
def test_a_query_is_an_event_that_can_be_stored_or_malformed(pairs: list[tuple[str, str]]) -> None:
    try:
        asked = decode_query(pairs)
    except MalformedError as error:
        assert str(error)
    else:
        assert_storable(asked)


def assert_storable(asked: EventRequest) -> None:
    """What a tracker takes goes all the way: into a frame, out of it, and into the table."""
    event = MAKER.make(program(privacy="full"), asked, Sender(), now_ms=NOW_MS).event
    frame = decode_frame(encode_frame([encode_event(event)]))

    assert frame.events == [event]
    assert event_item(frame.events[0], ORIGIN)["message_id"] == {"S": str(event.message_id)}
