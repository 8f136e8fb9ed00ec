from datetime import UTC, datetime
from uuid import UUID

import msgspec
import pytest

from schemas.failures import (
    DiscardedBatch,
    FailedRecord,
    KinesisBatchInfo,
    RequestContext,
    ResponseContext,
    decode_failed,
    decode_failure,
    discarded_key,
    encode_discarded,
    encode_failed,
)
from schemas.invocations import DeliveredRecord, Invocation, KinesisRecord

WHOLE = FailedRecord(
    stream="tracker-events",
    shard_id="shardId-000000000006",
    sequence_number="49590338271490256608559692538361571095921575989136588898",
    payload=b"\x00\xff",
    reason="bad_frame",
    detail="frame version 0 is not 1",
    failed_at_ms=1_760_000_000_000,
    partition_key="3",
)
EVENT = msgspec.structs.replace(WHOLE, index=0, partition_key=None, reason="bad_event")

GOLDEN_WHOLE = (
    b'{"type":"failed_record","stream":"tracker-events","shardId":"shardId-000000000006",'
    b'"sequenceNumber":"49590338271490256608559692538361571095921575989136588898","payload":"AP8=",'
    b'"reason":"bad_frame","detail":"frame version 0 is not 1","failedAtMs":1760000000000,'
    b'"partitionKey":"3"}'
)
GOLDEN_EVENT = (
    b'{"type":"failed_record","stream":"tracker-events","shardId":"shardId-000000000006",'
    b'"sequenceNumber":"49590338271490256608559692538361571095921575989136588898","payload":"AP8=",'
    b'"reason":"bad_event","detail":"frame version 0 is not 1","failedAtMs":1760000000000,"index":0}'
)


@pytest.mark.parametrize(("failed", "golden"), [(WHOLE, GOLDEN_WHOLE), (EVENT, GOLDEN_EVENT)])
def test_golden_bytes(failed: FailedRecord, golden: bytes) -> None:
    assert encode_failed(failed) == golden
    assert decode_failed(golden) == failed


def test_a_field_of_a_later_version_is_passed_over() -> None:
    assert decode_failed(GOLDEN_WHOLE.replace(b"{", b'{"attempts":3,', 1)) == WHOLE


def test_the_key_tells_the_origin() -> None:
    origin = "tracker-events/shardId-000000000006/49590338271490256608559692538361571095921575989136588898"

    assert WHOLE.key == f"{origin}.json"
    assert EVENT.key == f"{origin}-0.json"
    assert msgspec.structs.replace(EVENT, agent="tally").key == f"agents/tally/{origin}-0.json"


@pytest.mark.parametrize("data", [b"", b"{}", b'{"type":"other"}', b"\xff", b"[" * 100_000])
def test_another_object_is_refused(data: bytes) -> None:
    with pytest.raises(msgspec.MsgspecError):
        decode_failed(data)


GOLDEN_DISCARDED = (
    b'{"requestContext":{"requestId":"c9b8fa9f-5a7f-xmpl-af9c-0c604cde93a5",'
    b'"functionArn":"arn:aws:lambda:us-east-2:123456789012:function:myfunction",'
    b'"condition":"RetryAttemptsExhausted","approximateInvokeCount":1},'
    b'"responseContext":{"statusCode":200,"executedVersion":"$LATEST","functionError":"Unhandled"},'
    b'"version":"1.0","timestamp":"2019-11-14T00:38:06.021Z",'
    b'"KinesisBatchInfo":{"shardId":"shardId-000000000001","startSequenceNumber":"7","endSequenceNumber":"7",'
    b'"approximateArrivalOfFirstRecord":"2019-11-14T00:38:04.835Z",'
    b'"approximateArrivalOfLastRecord":"2019-11-14T00:38:05.580Z","batchSize":1,'
    b'"streamArn":"arn:aws:kinesis:us-east-2:123456789012:stream/mystream"},'
    b'"payload":"{\\"Records\\":[{\\"kinesis\\":{\\"partitionKey\\":\\"3\\",\\"sequenceNumber\\":\\"7\\",'
    b'\\"data\\":\\"AP8=\\",\\"approximateArrivalTimestamp\\":1.5},'
    b'\\"eventID\\":\\"shardId-000000000001:7\\",'
    b'\\"eventSourceARN\\":\\"arn:aws:kinesis:us-east-2:123456789012:stream/mystream\\"}]}"}'
)
DISCARDED = DiscardedBatch(
    request_context=RequestContext(
        request_id="c9b8fa9f-5a7f-xmpl-af9c-0c604cde93a5",
        function_arn="arn:aws:lambda:us-east-2:123456789012:function:myfunction",
        condition="RetryAttemptsExhausted",
        approximate_invoke_count=1,
    ),
    response_context=ResponseContext(function_error="Unhandled"),
    version="1.0",
    timestamp="2019-11-14T00:38:06.021Z",
    batch=KinesisBatchInfo(
        shard_id="shardId-000000000001",
        start_sequence_number="7",
        end_sequence_number="7",
        approximate_arrival_of_first_record="2019-11-14T00:38:04.835Z",
        approximate_arrival_of_last_record="2019-11-14T00:38:05.580Z",
        batch_size=1,
        stream_arn="arn:aws:kinesis:us-east-2:123456789012:stream/mystream",
    ),
    payload=msgspec.json.decode(GOLDEN_DISCARDED)["payload"],
)
RECORDS = Invocation(
    [
        DeliveredRecord(
            KinesisRecord("7", b"\x00\xff", 1.5, "3"),
            "shardId-000000000001:7",
            "arn:aws:kinesis:us-east-2:123456789012:stream/mystream",
        )
    ]
)


def test_golden_bytes_of_a_discarded_batch() -> None:
    assert encode_discarded(DISCARDED) == GOLDEN_DISCARDED
    assert decode_failure(GOLDEN_DISCARDED) == DISCARDED


def test_a_discarded_batch_holds_its_records() -> None:
    assert DISCARDED.invocation == RECORDS
    assert DISCARDED.stream == RECORDS.records[0].stream == "mystream"
    assert RECORDS.records[0].shard_id == "shardId-000000000001"


def test_a_payload_that_is_no_text_is_read_too() -> None:
    plain = msgspec.json.decode(GOLDEN_DISCARDED)
    plain["payload"] = msgspec.json.decode(plain["payload"])

    discarded = decode_failure(msgspec.json.encode(plain))

    assert isinstance(discarded, DiscardedBatch)
    assert discarded.invocation == RECORDS


def test_a_batch_never_invoked_has_no_response() -> None:
    never = msgspec.structs.replace(DISCARDED, response_context=None)

    assert b"responseContext" not in encode_discarded(never)
    assert decode_failure(encode_discarded(never)) == never


def test_the_key_of_a_discarded_batch() -> None:
    at = datetime(2019, 11, 14, 0, 38, 6, 21_000, tzinfo=UTC)

    key = discarded_key(UUID(int=1), "shardId-000000000001", at, UUID(int=2))

    assert key == (
        "aws/lambda/00000000-0000-0000-0000-000000000001/shardId-000000000001/2019/11/14/"
        "2019-11-14T00.38.06-00000000-0000-0000-0000-000000000002"
    )


def test_either_kind_of_failure_is_told_from_the_other() -> None:
    assert decode_failure(GOLDEN_WHOLE) == WHOLE
    assert decode_failure(GOLDEN_EVENT) == EVENT


@pytest.mark.parametrize("data", [b"", b"{}", b'{"type":"other"}', b"\xff", b"[" * 100_000])
def test_an_object_that_tells_of_no_failure_is_refused(data: bytes) -> None:
    with pytest.raises(msgspec.MsgspecError):
        decode_failure(data)


@pytest.mark.parametrize("payload", ["", "[]", "no json", "{}"])
def test_a_payload_without_records_is_refused(payload: str) -> None:
    with pytest.raises(msgspec.MsgspecError):
        _ = msgspec.structs.replace(DISCARDED, payload=payload).invocation
