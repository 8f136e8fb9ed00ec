import time
from typing import Any

import msgspec
import pytest
from botocore.exceptions import EndpointConnectionError

from lambdas.batch import FailedEvents, LateBucket, Poison, Record, answer, decode_batch
from lambdas.calls import IN_FLIGHT
from schemas.errors import EventError, FrameError
from schemas.failures import FailedRecord, decode_failed
from tests.lambdas.memory import Killed, MemoryBucket, Steps, client_error
from tests.lambdas.recorded import RECORDED
from tests.lambdas.world import Shard

CONNECTING_S = 0.05
"""So long that every thread comes by meanwhile."""


def recorded(**kinesis: Any) -> dict[str, Any]:
    delivered = RECORDED["Records"][0]
    return {"Records": [delivered | {"kinesis": delivered["kinesis"] | kinesis}]}


def test_a_batch_decodes_into_records() -> None:
    assert decode_batch(RECORDED) == [
        Record(
            stream="lambda-stream",
            shard_id="shardId-000000000006",
            sequence_number="49590338271490256608559692538361571095921575989136588898",
            data=b"Hello, this is a test.",
            arrived_at_ms=1545084650987,
            partition_key="1",
        )
    ]


def test_a_record_distributed_by_the_service_has_no_partition_key() -> None:
    event = recorded()
    del event["Records"][0]["kinesis"]["partitionKey"]

    (record,) = decode_batch(event)

    assert record.partition_key is None
    assert record.lane == "shardId-000000000006/"


def test_a_lane_is_one_partition_key_of_one_shard() -> None:
    (record,) = decode_batch(recorded(partitionKey="key-3"))

    assert record.lane == "shardId-000000000006/key-3"


def test_positions_order_as_numbers_where_text_does_not() -> None:
    (earlier,) = decode_batch(recorded(sequenceNumber="9" * 56))
    (later,) = decode_batch(recorded(sequenceNumber="1" + "0" * 56))

    assert earlier.position < later.position
    assert earlier.sequence_number > later.sequence_number


def test_an_event_of_another_source_is_an_error_of_the_deployment() -> None:
    with pytest.raises(msgspec.ValidationError):
        decode_batch({"Records": [{"eventSource": "aws:sqs", "body": "{}"}]})


def test_the_answer_names_nothing_when_all_is_applied() -> None:
    assert answer(None) == {"batchItemFailures": []}


def test_the_answer_names_the_first_record_not_applied(shard: Shard) -> None:
    record = shard.record(b"")

    assert answer(record) == {"batchItemFailures": [{"itemIdentifier": record.sequence_number}]}


def test_poison_is_kept_with_its_payload_reason_and_origin(shard: Shard) -> None:
    bucket = MemoryBucket(Steps())
    record = shard.record(b"\x00whole", key="key-7")
    number = record.sequence_number

    store = FailedEvents(bucket, "failed", clock_ms=lambda: 1_000)
    store.set_aside(Poison(record, FrameError("unreadable"), record.data))
    store.set_aside(Poison(record, EventError("unstorable"), b"event", 3))

    assert {key: decode_failed(body) for key, body in bucket.objects.items()} == {
        f"stream/shardId-000000000000/{number}.json": FailedRecord(
            stream="stream",
            shard_id="shardId-000000000000",
            sequence_number=number,
            payload=b"\x00whole",
            reason="bad_frame",
            detail="unreadable",
            failed_at_ms=1_000,
            partition_key="key-7",
        ),
        f"stream/shardId-000000000000/{number}-3.json": FailedRecord(
            stream="stream",
            shard_id="shardId-000000000000",
            sequence_number=number,
            payload=b"event",
            reason="bad_event",
            detail="unstorable",
            failed_at_ms=1_000,
            index=3,
            partition_key="key-7",
        ),
    }


@pytest.mark.parametrize(
    "error", [client_error("SlowDown"), EndpointConnectionError(endpoint_url="http://s3")], ids=repr
)
def test_poison_that_the_store_does_not_take_is_returned(shard: Shard, error: Exception) -> None:
    steps = Steps()
    steps.faults["put_object"].append(error)
    poison = Poison(shard.record(b""), FrameError("empty"), b"")

    assert FailedEvents(MemoryBucket(steps), "failed").set_aside_all([poison]) == [poison]


def test_a_kill_while_poison_is_set_aside_is_not_caught(shard: Shard) -> None:
    steps = Steps()
    steps.kill_at(0)
    poisons = [Poison(shard.record(b""), FrameError("empty"), b"") for _ in range(3)]

    with pytest.raises(Killed):
        FailedEvents(MemoryBucket(steps), "failed").set_aside_all(poisons)


def test_a_late_bucket_is_connected_to_at_its_first_use_and_only_once(shard: Shard) -> None:
    bucket, connections = MemoryBucket(Steps()), list[MemoryBucket]()

    def connect() -> MemoryBucket:
        time.sleep(CONNECTING_S)
        connections.append(bucket)
        return bucket

    store = FailedEvents(LateBucket(connect), "failed")
    poisons = [Poison(shard.record(b""), FrameError("unreadable"), b"") for _ in range(IN_FLIGHT)]
    assert connections == []

    assert store.set_aside_all(poisons) == []

    assert len(bucket.objects) == IN_FLIGHT
    assert connections == [bucket]
