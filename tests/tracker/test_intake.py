"""The intake over a Kinesis in memory that misbehaves: order, acknowledgement, bounds, reshards."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import zip_longest
from secrets import token_hex
from typing import Any

import pytest
from botocore.exceptions import ConnectTimeoutError, EndpointConnectionError, NoCredentialsError
from botocore.parsers import ResponseParserError

from schemas.errors import (
    BufferFullError,
    DrainingError,
    NotAcknowledgedError,
    TooLargeError,
    TrackerError,
    UnavailableError,
)
from schemas.events import Event, View
from schemas.frames import decode_frame
from schemas.programs import Acknowledgement
from tests.factories import view
from tests.kinesis import InMemoryKinesis, client_error
from tests.properties.leaping import LeapingLoop
from tests.tracker.ports import tracker_settings
from tracker.intake import EVENT_OVERHEAD_BYTES, Intake
from workers.runtime.supervisor import Supervisor


@asynccontextmanager
async def running(kinesis: InMemoryKinesis, **fields: Any) -> AsyncIterator[Intake]:
    async with Supervisor() as supervisor:
        intake = Intake(kinesis, tracker_settings(**fields), supervisor)
        await intake.refresh()
        supervisor.start("intake", intake.run)
        yield intake


def stored(kinesis: InMemoryKinesis) -> list[Event]:
    """Every event on the stream in the order of arrival."""
    records = sorted(kinesis.records(), key=lambda record: int(record["SequenceNumber"]))
    return [event for record in records for event in decode_frame(record["Data"]).events]


def of_visitor(kinesis: InMemoryKinesis, visitor: str) -> list[int]:
    """The times of a visitor's events in the order in which each first came."""
    return list(dict.fromkeys(e.received_at_ms for e in stored(kinesis) if e.visitor == visitor))


async def send_all(
    intake: Intake, events: list[View], *, acks: Sequence[Acknowledgement | None] = ()
) -> list[TrackerError | None]:
    offers = [intake.offer(event, ack=ack) for event, ack in zip_longest(events, acks)]
    return await intake.acknowledged(offers)


def views(visitor: str, count: int, *, size: int = 0) -> list[View]:
    return [view(visitor=visitor, received_at_ms=n, referrer="r" * size) for n in range(count)]


async def test_an_event_is_on_the_stream_once_it_is_acknowledged() -> None:
    kinesis = InMemoryKinesis(shards=4)
    event = view()

    async with running(kinesis) as intake:
        await intake.send(event)

        assert stored(kinesis) == [event]


async def test_what_arrives_while_a_put_is_in_flight_leaves_together() -> None:
    kinesis = InMemoryKinesis()
    async with running(kinesis) as intake:
        kinesis.hold()
        first = asyncio.create_task(intake.send(view()))
        await kinesis.asked("put_records")
        rest = asyncio.create_task(send_all(intake, views("v", 50)))
        await asyncio.sleep(0)
        kinesis.let_go()
        await asyncio.gather(first, rest)

    assert [len(decode_frame(record["Data"]).events) for record in kinesis.records()] == [1, 50]


async def test_a_key_always_goes_to_one_shard_and_keys_spread_over_all() -> None:
    kinesis = InMemoryKinesis(shards=4)
    async with running(kinesis) as intake:
        for _ in range(3):
            await send_all(intake, [view(visitor=f"v{n}") for n in range(100)])

    shards: dict[str, set[str]] = {}
    for shard_id in kinesis.shard_ids:
        for record in kinesis.records(shard_id):
            for event in decode_frame(record["Data"]).events:
                shards.setdefault(str(event.visitor), set()).add(shard_id)
    assert all(len(each) == 1 for each in shards.values())
    assert set.union(*shards.values()) == set(kinesis.shard_ids)


@pytest.mark.parametrize("keys_per_shard", [1, 4])
async def test_order_per_key_survives_refusals_errors_and_lost_answers(keys_per_shard: int) -> None:
    kinesis = InMemoryKinesis(shards=2)
    visitors = [f"v{n}" for n in range(8)]
    async with running(kinesis, keys_per_shard=keys_per_shard, ack_timeout_ms=30_000) as intake:
        kinesis.refuse_every(3)
        kinesis.lose_answers(2)
        kinesis.fail("put_records", client_error("ProvisionedThroughputExceededException"))
        events = [
            view(visitor=each, received_at_ms=n, referrer=token_hex(800))
            for n in range(20)
            for each in visitors
        ]
        errors = await asyncio.gather(*(send_all(intake, events[n : n + 80]) for n in (0, 80)))

    assert all(error is None for each in errors for error in each)
    for visitor in visitors:
        assert of_visitor(kinesis, visitor) == list(range(20))


@pytest.mark.parametrize(
    "error",
    [
        client_error("ProvisionedThroughputExceededException"),
        client_error("InternalFailure"),
        client_error("ExpiredTokenException"),
        client_error("InvalidSignatureException"),
        client_error("ResourceNotFoundException"),
        ConnectTimeoutError(endpoint_url="in memory"),
        EndpointConnectionError(endpoint_url="in memory"),
        NoCredentialsError(),
        ResponseParserError("the answer is no JSON"),
    ],
    ids=str,
)
async def test_whatever_a_put_fails_with_it_is_tried_again(error: Exception) -> None:
    kinesis = InMemoryKinesis()
    event = view()
    async with running(kinesis) as intake:
        kinesis.fail("put_records", error, error)

        await intake.send(event)

    assert stored(kinesis) == [event]


async def test_a_put_whose_answer_is_lost_is_sent_again_with_the_same_ids() -> None:
    kinesis = InMemoryKinesis()
    event = view()
    async with running(kinesis) as intake:
        kinesis.lose_answers(1)

        await intake.send(event)

    assert stored(kinesis) == [event, event]


def test_where_half_of_the_records_is_refused_forty_frames_are_confirmed_in_time() -> None:
    async def errors() -> list[TrackerError | None]:
        kinesis = InMemoryKinesis()
        async with running(kinesis) as intake:
            kinesis.refuse_every(2)
            return await send_all(intake, [view(visitor="v", referrer=token_hex(5_000)) for _ in range(80)])

    with asyncio.Runner(loop_factory=LeapingLoop) as runner:
        assert runner.run(errors()) == [None] * 80


async def test_an_event_not_confirmed_in_time_is_not_acknowledged_and_not_sent_anew() -> None:
    kinesis = InMemoryKinesis()
    async with running(kinesis, ack_timeout_ms=300) as intake:
        kinesis.hold()
        with pytest.raises(NotAcknowledgedError):
            await intake.send(view())
        late = await send_all(intake, views("v", 3))
        kinesis.let_go()
        await intake.send(view(visitor="after"))

    assert [type(error) for error in late] == [NotAcknowledgedError] * 3
    assert of_visitor(kinesis, "v") == []
    assert len(of_visitor(kinesis, "after")) == 1


async def test_buffered_acknowledges_at_once_and_sends_when_it_can() -> None:
    kinesis = InMemoryKinesis()
    async with running(kinesis, ack="buffered") as intake:
        kinesis.fail("put_records", *[client_error("InternalFailure")] * 2)

        await intake.send(view(visitor="v"))
        assert await send_all(intake, views("w", 2)) == [None, None]
        assert await intake.drain()

    assert len(stored(kinesis)) == 3


async def test_each_event_may_be_acknowledged_in_its_own_mode() -> None:
    kinesis = InMemoryKinesis()
    async with running(kinesis, ack_timeout_ms=100) as intake:
        kinesis.hold()

        await intake.send(view(visitor="b"), ack="buffered")
        durable, buffered, default = await send_all(intake, views("c", 3), acks=["durable", "buffered", None])

        assert buffered is None
        assert isinstance(durable, NotAcknowledgedError)
        assert isinstance(default, NotAcknowledgedError)
        kinesis.let_go()
        assert await intake.drain()

    assert len(of_visitor(kinesis, "b")) == 1
    assert 1 in of_visitor(kinesis, "c")


async def test_the_buffer_is_bounded_in_bytes_and_room_comes_back() -> None:
    kinesis = InMemoryKinesis()
    async with running(kinesis, buffer_max_bytes=60_000, event_max_bytes=5_000) as intake:
        kinesis.hold()
        outcomes = asyncio.create_task(send_all(intake, views("v", 30, size=3_000)))
        await kinesis.asked("put_records")

        with pytest.raises(BufferFullError):
            await intake.send(view(referrer="r" * 3_000))
        assert not intake.accepting
        kinesis.let_go()
        errors = await outcomes

        fitting = 60_000 // (3_000 + EVENT_OVERHEAD_BYTES)
        assert sum(error is None for error in errors) in (fitting, fitting - 1)
        assert {type(error) for error in errors if error} == {BufferFullError}
        await intake.send(view())


async def test_an_event_over_its_limit_is_refused() -> None:
    async with running(InMemoryKinesis(), event_max_bytes=1_000) as intake:
        with pytest.raises(TooLargeError):
            await intake.send(view(referrer="r" * 1_000))


async def test_nothing_is_taken_before_the_shards_are_known() -> None:
    async with Supervisor() as supervisor:
        intake = Intake(InMemoryKinesis(), tracker_settings(), supervisor)

        with pytest.raises(UnavailableError):
            await intake.send(view())


async def test_shards_that_cannot_be_listed_leave_the_lanes_as_they_are() -> None:
    kinesis = InMemoryKinesis()
    async with running(kinesis) as intake:
        kinesis.fail("list_shards", client_error("LimitExceededException"))

        with pytest.raises(UnavailableError):
            await intake.refresh()

        await intake.send(view())


async def test_a_drain_sends_what_waits_and_takes_no_more() -> None:
    kinesis = InMemoryKinesis()
    async with running(kinesis) as intake:
        kinesis.hold()
        waiting = asyncio.create_task(send_all(intake, views("v", 5)))
        await kinesis.asked("put_records")
        draining = asyncio.create_task(intake.drain())
        await asyncio.sleep(0)

        with pytest.raises(DrainingError):
            await intake.send(view())
        kinesis.let_go()

        assert await draining
        assert await waiting == [None] * 5


async def test_a_drain_ends_in_time_though_kinesis_is_down() -> None:
    kinesis = InMemoryKinesis()
    async with running(kinesis, drain_timeout_ms=50) as intake:
        kinesis.hold()
        waiting = asyncio.create_task(send_all(intake, views("v", 5)))
        await kinesis.asked("put_records")

        assert not await intake.drain()

    assert all(isinstance(error, TrackerError) for error in await waiting)


async def test_a_drain_waits_for_the_lanes_that_a_reshard_replaces() -> None:
    kinesis = InMemoryKinesis(shards=2)
    async with running(kinesis, ack="buffered") as intake:
        kinesis.hold()
        await send_all(intake, views("v", 3))
        await kinesis.asked("put_records")
        kinesis.merge(*kinesis.shard_ids)
        resharding = asyncio.create_task(intake.refresh())
        await kinesis.asked("list_shards", times=3)
        await asyncio.sleep(0)
        draining = asyncio.create_task(intake.drain())
        await asyncio.sleep(0)
        kinesis.let_go()

        assert await draining
        assert of_visitor(kinesis, "v") == [0, 1, 2]
        await resharding


@pytest.mark.parametrize("reshard", ["split", "merge"])
async def test_a_reshard_keeps_order_per_key(reshard: str) -> None:
    kinesis = InMemoryKinesis(shards=2)
    visitors = [f"v{n}" for n in range(16)]
    async with running(kinesis) as intake:
        kinesis.hold()
        sends = []
        for n in range(30):
            if n == 10:
                getattr(kinesis, reshard)(*kinesis.shard_ids[: 1 if reshard == "split" else 2])
                sends.append(asyncio.create_task(intake.refresh()))
            sends += [
                asyncio.create_task(intake.send(view(visitor=each, received_at_ms=n))) for each in visitors
            ]
            await asyncio.sleep(0)
        kinesis.let_go()
        await asyncio.gather(*sends)

        assert {lane.shard.shard_id for lane in intake.lanes} == set(kinesis.open_shard_ids)
    for visitor in visitors:
        assert of_visitor(kinesis, visitor) == list(range(30))


async def test_a_record_that_lands_on_another_shard_makes_the_map_be_read_again() -> None:
    kinesis = InMemoryKinesis()
    async with running(kinesis, shard_refresh_ms=60_000) as intake:
        await kinesis.asked("list_shards", times=2)
        kinesis.split(*kinesis.shard_ids)

        await intake.send(view())

        await kinesis.asked("list_shards", times=3)


async def test_who_waits_in_no_task_is_told_of_each_outcome() -> None:
    kinesis = InMemoryKinesis()
    async with running(kinesis, ack_timeout_ms=100, event_max_bytes=1_000) as intake:
        confirmed, queued, late = (asyncio.get_running_loop().create_future() for _ in range(3))
        intake.post(view(), queued, ack="buffered")
        assert queued.done()
        intake.post(view(), confirmed)
        await confirmed
        assert len(stored(kinesis)) == 2
        kinesis.hold()
        intake.post(view(), late)
        with pytest.raises(NotAcknowledgedError):
            await late
        with pytest.raises(TooLargeError):
            intake.post(view(referrer="r" * 2_000), confirmed)
        kinesis.let_go()
