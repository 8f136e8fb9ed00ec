import msgspec
import pytest

from schemas.failures import FailedRecord, decode_failed, encode_failed

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


@pytest.mark.parametrize("data", [b"", b"{}", b'{"type":"other"}', b"\xff", b"[" * 100_000])
def test_another_object_is_refused(data: bytes) -> None:
    with pytest.raises(msgspec.MsgspecError):
        decode_failed(data)
