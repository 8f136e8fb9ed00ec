import asyncio
import logging

import pytest
from botocore.exceptions import EndpointConnectionError

from schemas.leases import SHARD_END
from tests.kinesis import InMemoryKinesis, client_error
from tests.workers.ports import (
    OTHER_SHARD,
    QUIET_S,
    SHARD,
    TIMEOUT_S,
    Gate,
    MemoryDestination,
    MemoryPositions,
    RecordingHandler,
    failing_from,
    failing_on,
    hosting,
    put,
    put_on_each_shard,
    shard_of,
)


async def batches_of(handler: RecordingHandler, count: int) -> list[list[bytes]]:
    return [await handler.next_batch() for _ in range(count)]


async def test_records_are_delivered_once_in_order_and_the_position_follows() -> None:
    kinesis, handler, positions = InMemoryKinesis(), RecordingHandler(), MemoryPositions()
    numbers = await put(kinesis, b"a", b"b", b"c")

    async with hosting(handler, kinesis, positions, batch_size=2):
        saves = [await positions.next_save(), await positions.next_save()]
        await put(kinesis, b"d")
        await positions.next_save()

    assert await batches_of(handler, 3) == [[b"a", b"b"], [b"c"], [b"d"]]
    assert saves == [(SHARD, numbers[1]), (SHARD, numbers[2])]
    assert handler.is_quiet


async def test_a_shard_is_read_on_behind_its_position() -> None:
    kinesis, handler = InMemoryKinesis(), RecordingHandler()
    numbers = await put(kinesis, b"a", b"b")

    async with hosting(handler, kinesis, MemoryPositions(**{SHARD: numbers[0]})):
        assert await handler.next_batch() == [b"b"]


async def test_the_event_says_where_its_records_are_from() -> None:
    kinesis, handler = InMemoryKinesis(), RecordingHandler()
    (number,) = await put(kinesis, b"a")

    async with hosting(handler, kinesis, MemoryPositions()):
        await handler.next_batch()

    (sent,) = handler.events[0]["Records"]
    assert (sent["eventSourceARN"], sent["awsRegion"]) == (kinesis.arn, "eu-west-1")
    assert sent["eventID"] == f"{SHARD}:{number}"


async def test_a_window_gathers_a_batch_over_several_reads() -> None:
    kinesis, handler, positions = InMemoryKinesis(), RecordingHandler(), MemoryPositions()

    async with hosting(handler, kinesis, positions, batch_size=2, batching_window_ms=60_000):
        await put(kinesis, b"a")
        await asyncio.sleep(QUIET_S)
        assert handler.is_quiet
        await put(kinesis, b"b")

        assert await handler.next_batch() == [b"a", b"b"]


async def test_a_partial_failure_saves_what_succeeded_and_retries_from_the_failed_record() -> None:
    kinesis, positions = InMemoryKinesis(), MemoryPositions()
    handler = RecordingHandler(failing_from(1))
    numbers = await put(kinesis, b"a", b"b", b"c")

    async with hosting(handler, kinesis, positions):
        saves = [await positions.next_save(), await positions.next_save()]

    assert await batches_of(handler, 2) == [[b"a", b"b", b"c"], [b"b", b"c"]]
    assert saves == [(SHARD, numbers[0]), (SHARD, numbers[2])]


@pytest.mark.parametrize(
    "failure",
    [
        ValueError("broken"),
        SystemExit(1),
        StopIteration(),
        failing_from(0),
        {"batchItemFailures": [{"itemIdentifier": ""}]},
    ],
    ids=repr,
)
async def test_a_failed_batch_is_delivered_again_whole_before_any_position(failure: object) -> None:
    kinesis, positions = InMemoryKinesis(), MemoryPositions()
    handler = RecordingHandler(failure)
    numbers = await put(kinesis, b"a", b"b")

    async with hosting(handler, kinesis, positions):
        save = await positions.next_save()

    assert await batches_of(handler, 2) == [[b"a", b"b"], [b"a", b"b"]]
    assert save == (SHARD, numbers[1])


async def test_no_position_is_saved_and_nothing_newer_delivered_while_a_batch_is_in_hand() -> None:
    kinesis, positions, gate = InMemoryKinesis(), MemoryPositions(), Gate()
    handler = RecordingHandler(gate)
    await put(kinesis, b"a")

    async with hosting(handler, kinesis, positions):
        await handler.next_batch()
        await put(kinesis, b"b")
        await asyncio.sleep(QUIET_S)
        assert handler.is_quiet
        assert positions.saved == {}
        gate.open()

        assert await handler.next_batch() == [b"b"]


async def test_retries_are_endless_by_default() -> None:
    kinesis, positions, failures = InMemoryKinesis(), MemoryPositions(), 30
    handler = RecordingHandler(*[ValueError("broken")] * failures)
    await put(kinesis, b"a")

    async with hosting(handler, kinesis, positions):
        await positions.next_save()

    assert len(handler.events) == failures + 1


async def test_a_batch_whose_retries_are_used_up_is_handed_over_said_and_skipped(
    caplog: pytest.LogCaptureFixture,
) -> None:
    kinesis, positions, destination = InMemoryKinesis(), MemoryPositions(), MemoryDestination()
    handler = RecordingHandler(*[ValueError("broken")] * 3)
    numbers = await put(kinesis, b"a", b"b")

    async with hosting(handler, kinesis, positions, destination=destination, maximum_retry_attempts=2):
        save = await positions.next_save()
        await put(kinesis, b"c")
        assert await batches_of(handler, 4) == [[b"a", b"b"]] * 3 + [[b"c"]]

    assert destination.batches == [[b"a", b"b"]]
    assert save == (SHARD, numbers[1])
    errors = [entry.getMessage() for entry in caplog.records if entry.levelno == logging.ERROR]
    assert errors == [
        f"persist gives up 2 records of {SHARD}, {numbers[0]} to {numbers[1]}: RetryAttemptsExhausted"
    ]


async def test_no_retries_at_all_is_a_number_of_retries() -> None:
    kinesis, positions, destination = InMemoryKinesis(), MemoryPositions(), MemoryDestination()
    await put(kinesis, b"a")

    async with hosting(
        RecordingHandler(ValueError("broken")),
        kinesis,
        positions,
        destination=destination,
        maximum_retry_attempts=0,
    ):
        await positions.next_save()

    assert destination.batches == [[b"a"]]


async def test_retries_count_anew_when_a_batch_got_further() -> None:
    kinesis, positions, destination = InMemoryKinesis(), MemoryPositions(), MemoryDestination()
    handler = RecordingHandler(failing_from(1), failing_from(1), failing_from(0))
    await put(kinesis, b"a", b"b", b"c")

    async with hosting(handler, kinesis, positions, destination=destination, maximum_retry_attempts=1):
        for _ in range(3):
            await positions.next_save()

    assert await batches_of(handler, 3) == [[b"a", b"b", b"c"], [b"b", b"c"], [b"c"]]
    assert destination.batches == [[b"c"]]


async def test_exhausted_records_wait_until_their_destination_takes_them(
    caplog: pytest.LogCaptureFixture,
) -> None:
    kinesis, positions, destination = InMemoryKinesis(), MemoryPositions(), MemoryDestination(refusals=3)
    handler = RecordingHandler(ValueError("broken"))
    numbers = await put(kinesis, b"a", b"b")

    async with hosting(
        handler, kinesis, positions, destination=destination, maximum_retry_attempts=0, batch_size=1
    ):
        saves = [await positions.next_save(), await positions.next_save()]

    assert await batches_of(handler, 2) == [[b"a"], [b"b"]]
    assert destination.batches == [[b"a"]]
    assert saves == [(SHARD, numbers[0]), (SHARD, numbers[1])]
    assert caplog.text.count("kept until their destination takes them: the destination is down") == 3


async def test_a_failing_shard_does_not_stall_another() -> None:
    kinesis, positions = InMemoryKinesis(shards=2), MemoryPositions()
    await put_on_each_shard(kinesis, b"a")

    async with hosting(RecordingHandler(otherwise=failing_on(SHARD)), kinesis, positions):
        first = await positions.next_save()
        await put_on_each_shard(kinesis, b"b")
        second = await positions.next_save()

    assert {first[0], second[0]} == {OTHER_SHARD}
    assert SHARD not in positions.saved


async def test_a_slow_shard_does_not_stall_another() -> None:
    kinesis, positions, gate = InMemoryKinesis(shards=2), MemoryPositions(), Gate()
    handler = RecordingHandler(otherwise=lambda event: gate(event) if shard_of(event) == SHARD else None)
    await put_on_each_shard(kinesis, b"a")

    async with hosting(handler, kinesis, positions):
        saved, _ = await positions.next_save()
        gate.open()

    assert saved == OTHER_SHARD


async def test_a_shard_whose_read_breaks_starts_again_behind_its_position() -> None:
    kinesis, handler, positions = InMemoryKinesis(), RecordingHandler(), MemoryPositions()
    await put(kinesis, b"a")

    async with hosting(handler, kinesis, positions):
        await positions.next_save()
        kinesis.fail("get_records", KeyError("not an answer of AWS"))
        await put(kinesis, b"b")

        assert await batches_of(handler, 2) == [[b"a"], [b"b"]]


async def test_children_are_read_once_their_parent_is_at_its_end() -> None:
    kinesis, handler, positions = InMemoryKinesis(), RecordingHandler(ValueError("broken")), MemoryPositions()
    await put(kinesis, b"parent")
    first_child, second_child = kinesis.split(SHARD)
    await put_on_each_shard(kinesis, b"child")

    async with hosting(handler, kinesis, positions, shard_refresh_ms=60_000):
        saves = [await positions.next_save() for _ in range(4)]

    assert [shard for shard, _ in saves[:2]] == [SHARD, SHARD]
    assert saves[1] == (SHARD, SHARD_END)
    assert {shard for shard, _ in saves[2:]} == {first_child, second_child}
    assert await batches_of(handler, 4) == [[b"parent"], [b"parent"], [b"child"], [b"child"]]


async def test_children_wait_while_their_parent_fails() -> None:
    kinesis, positions = InMemoryKinesis(), MemoryPositions()
    handler = RecordingHandler(otherwise=failing_on(SHARD))
    await put(kinesis, b"parent")
    kinesis.split(SHARD)
    await put_on_each_shard(kinesis, b"child")

    async with hosting(handler, kinesis, positions):
        assert await batches_of(handler, 20) == [[b"parent"]] * 20

    assert positions.saved == {}


async def test_children_found_later_are_read_beside_the_shards_that_go_on() -> None:
    kinesis, handler, positions = InMemoryKinesis(shards=2), RecordingHandler(), MemoryPositions()

    async with hosting(handler, kinesis, positions, shard_refresh_ms=60_000):
        await put_on_each_shard(kinesis, b"before")
        assert await batches_of(handler, 2) == [[b"before"]] * 2
        kinesis.split(SHARD)
        await put_on_each_shard(kinesis, b"after")

        assert await batches_of(handler, 3) == [[b"after"]] * 3

    assert handler.is_quiet


async def test_shards_that_no_end_announced_are_found_by_looking() -> None:
    kinesis, handler, positions = InMemoryKinesis(), RecordingHandler(), MemoryPositions()

    async with hosting(handler, kinesis, positions, shard_refresh_ms=1):
        await put(kinesis, b"before")
        assert await handler.next_batch() == [b"before"]
        kinesis.open_shard()
        await put_on_each_shard(kinesis, b"after")

        assert await batches_of(handler, 2) == [[b"after"]] * 2


async def test_a_parent_that_vanishes_holds_its_children_up_no_longer() -> None:
    kinesis, handler, positions = InMemoryKinesis(), RecordingHandler(), MemoryPositions()

    async with hosting(handler, kinesis, positions, shard_refresh_ms=60_000):
        await put(kinesis, b"parent")
        await positions.next_save()
        kinesis.split(SHARD)
        kinesis.forget(SHARD)
        await put_on_each_shard(kinesis, b"child")

        assert await batches_of(handler, 3) == [[b"parent"], [b"child"], [b"child"]]

    assert positions.saved[SHARD] != SHARD_END


async def test_a_shard_at_its_end_is_not_read_again() -> None:
    kinesis, handler = InMemoryKinesis(), RecordingHandler()
    await put(kinesis, b"parent")
    kinesis.split(SHARD)
    await put_on_each_shard(kinesis, b"child")

    async with hosting(handler, kinesis, MemoryPositions(**{SHARD: SHARD_END})):
        assert await batches_of(handler, 2) == [[b"child"], [b"child"]]

    assert all(request["ShardId"] != SHARD for request in kinesis.requests("get_shard_iterator"))


async def test_a_host_waits_until_the_stream_answers_and_then_says_it_is_ready(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    kinesis, handler = InMemoryKinesis(shards=2), RecordingHandler()
    kinesis.fail("describe_stream_summary", EndpointConnectionError(endpoint_url="http://kinesis"))
    kinesis.fail("list_shards", client_error("ResourceNotFoundException"))
    await put(kinesis, b"a")

    async with hosting(handler, kinesis, MemoryPositions()):
        assert await handler.next_batch() == [b"a"]

    failures = [message for message in caplog.messages if message.startswith("persist failed: stream events")]
    assert len(failures) == 2
    assert caplog.messages.count("persist reads events: 2 shards") == 1


async def test_a_host_waits_until_positions_can_be_loaded() -> None:
    kinesis, handler, positions = InMemoryKinesis(), RecordingHandler(), MemoryPositions()
    positions.down = True
    await put(kinesis, b"a")

    async with hosting(handler, kinesis, positions):
        await asyncio.sleep(QUIET_S)
        assert handler.is_quiet
        positions.down = False

        assert await handler.next_batch() == [b"a"]


async def test_a_batch_whose_position_cannot_be_saved_is_delivered_again() -> None:
    kinesis, positions, gate = InMemoryKinesis(), MemoryPositions(), Gate()
    handler = RecordingHandler(gate)
    await put(kinesis, b"a")

    async with hosting(handler, kinesis, positions):
        await handler.next_batch()
        positions.down = True
        gate.open()
        await asyncio.sleep(QUIET_S)
        positions.down = False

        assert await handler.next_batch() == [b"a"]
        await positions.next_save()


async def test_stopping_lets_the_invocation_in_hand_end_and_saves_its_position() -> None:
    kinesis, positions, gate = InMemoryKinesis(), MemoryPositions(), Gate()
    handler = RecordingHandler(gate)
    (number,) = await put(kinesis, b"a")

    async with asyncio.timeout(TIMEOUT_S), hosting(handler, kinesis, positions):
        await handler.next_batch()
        await put(kinesis, b"b")
        asyncio.get_running_loop().call_later(QUIET_S, gate.open)

    assert positions.saved == {SHARD: number}
    assert handler.is_quiet


async def test_stopping_does_not_wait_for_retries() -> None:
    kinesis, positions = InMemoryKinesis(), MemoryPositions()
    handler = RecordingHandler(otherwise=ValueError("broken"))
    await put(kinesis, b"a")

    async with asyncio.timeout(TIMEOUT_S), hosting(handler, kinesis, positions, retry_most_ms=600_000):
        await handler.next_batch()

    assert positions.saved == {}


async def test_stopping_ends_also_where_the_position_cannot_be_saved(
    caplog: pytest.LogCaptureFixture,
) -> None:
    kinesis, positions, gate = InMemoryKinesis(), MemoryPositions(), Gate()
    handler = RecordingHandler(gate)
    await put(kinesis, b"a")

    async with asyncio.timeout(TIMEOUT_S), hosting(handler, kinesis, positions):
        await handler.next_batch()
        positions.down = True
        asyncio.get_running_loop().call_later(QUIET_S, gate.open)

    assert f"persist on events/{SHARD} failed while stopping: down" in caplog.messages
