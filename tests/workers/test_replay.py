from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lambdas.batch import Record
from schemas.errors import PoisonError
from schemas.events import Event, encode_event
from schemas.failures import DiscardedBatch, FailedRecord, decode_failure, encode_failed
from schemas.frames import decode_frame, encode_frame
from schemas.programs import Totals
from schemas.updates import ProgramChanged, encode_update
from tests.factories import NOW_MS, click, conversion, core_data, program, view
from tests.lambdas.memory import Killed
from tests.lambdas.world import Shard
from tests.workers.aftermath import STREAMS, Aftermath
from workers.restore import KEYLESS, furthest, marks, restored

PROGRAM = "212313"
POISON = b"\x7fnot a frame"


@pytest.fixture
def world() -> Aftermath:
    return Aftermath()


@pytest.fixture
def shard() -> Shard:
    return Shard()


def failed(payload: bytes, **fields: object) -> FailedRecord:
    names: dict[str, object] = {
        "stream": "stream",
        "shard_id": "shardId-000000000000",
        "sequence_number": "7",
    }
    why: dict[str, object] = {"reason": "bad_frame", "detail": "too new", "failed_at_ms": NOW_MS}
    key: dict[str, object] = {"partition_key": "key-0"}
    return FailedRecord(payload=payload, **(names | why | key | fields))  # type: ignore[arg-type]


def set_aside(world: Aftermath, *records: FailedRecord) -> None:
    world.bucket.objects |= {record.key: encode_failed(record) for record in records}


def frame(*events: Event) -> bytes:
    return encode_frame([encode_event(event) for event in events])


def test_a_whole_frame_goes_back_as_it_was() -> None:
    data = frame(view(), click())

    stream, (entry,) = restored(failed(data), STREAMS)

    assert (stream, entry["Data"], entry["PartitionKey"]) == ("stream", data, "key-0")


def test_a_single_event_goes_back_in_a_frame_of_one() -> None:
    event = view()

    _, (entry,) = restored(failed(encode_event(event), index=3), STREAMS)

    assert decode_frame(entry["Data"]).events == [event]


def test_an_update_goes_back_as_it_was() -> None:
    data = encode_update(ProgramChanged(program=program()))

    assert restored(failed(data, stream="updates"), STREAMS).entries[0]["Data"] == data


def test_what_had_no_partition_key_gets_one() -> None:
    assert restored(failed(frame(view()), partition_key=None), STREAMS).entries[0]["PartitionKey"] == KEYLESS


def test_a_frame_of_which_one_event_can_be_read_goes_back() -> None:
    data = encode_frame([encode_event(view()), b"\xc0"])

    assert restored(failed(data), STREAMS).entries[0]["Data"] == data


@pytest.mark.parametrize(
    "still_failing",
    [
        failed(POISON),
        failed(encode_frame([b"\xc0"])),
        failed(b"\xc0", index=0),
        failed(encode_event(conversion(value=Decimal("1E+999"))), index=0),
        failed(b"no update", stream="updates"),
        failed(frame(view()), stream="elsewhere"),
    ],
    ids=["frame", "frame of nothing", "event", "value", "update", "stream"],
)
def test_what_would_only_fail_again_is_refused(still_failing: FailedRecord) -> None:
    with pytest.raises(PoisonError):
        restored(still_failing, STREAMS)


def discarded(world: Aftermath) -> DiscardedBatch:
    (body,) = world.bucket.objects.values()
    batch = decode_failure(body)
    assert isinstance(batch, DiscardedBatch)
    return batch


def test_a_discarded_batch_goes_back_whole_poison_and_all(world: Aftermath, shard: Shard) -> None:
    batch = [shard.frame(view()), shard.record(POISON), shard.frame(click(), key=None)]
    world.give_up(batch)

    entries = restored(discarded(world), STREAMS).entries

    assert [(entry["Data"], entry["PartitionKey"]) for entry in entries] == [
        (record.data, record.partition_key or KEYLESS) for record in batch
    ]


def test_the_marks_of_a_batch_are_its_last_records_by_program_and_lane(
    world: Aftermath, shard: Shard
) -> None:
    other = view(program=core_data(program_id="212312"))
    batch = [shard.frame(view()), shard.frame(view(), other), shard.frame(other, key="key-1")]
    world.give_up([*batch, shard.record(POISON)])

    first, second = f"{shard.shard_id}/key-0", f"{shard.shard_id}/key-1"
    assert marks(discarded(world)) == {
        PROGRAM: {first: batch[1].sequence_number},
        "212312": {first: batch[1].sequence_number, second: batch[2].sequence_number},
    }


def test_of_marks_the_furthest_counts() -> None:
    left, right = {"p": {"a": "9", "b": "3"}}, {"p": {"a": "10"}, "q": {"a": "1"}}

    assert furthest([left, right]) == furthest([right, left]) == {"p": {"a": "10", "b": "3"}, "q": {"a": "1"}}


async def test_poison_that_can_be_read_now_is_stored_and_counted_once(world: Aftermath) -> None:
    set_aside(
        world, failed(frame(view(), click())), failed(encode_event(view()), sequence_number="8", index=2)
    )

    assert await world.replay() == (2, 0)
    world.deliver_arrived()

    assert world.totals() == world.relayed[PROGRAM] == world.stored == Totals(views=2, clicks=1)
    assert world.bucket.objects == {}


async def test_replaying_twice_changes_nothing(world: Aftermath) -> None:
    set_aside(world, failed(frame(view(), click())))
    objects = dict(world.bucket.objects)
    await world.replay()

    assert await world.replay() == (0, 0)
    world.bucket.objects |= objects
    assert await world.replay() == (1, 0)
    world.deliver_arrived()

    assert len(world.streams.arrived) == 2
    assert world.totals() == world.stored == Totals(views=1, clicks=1)


async def test_what_would_fail_again_is_kept_and_said(world: Aftermath) -> None:
    set_aside(world, failed(POISON), failed(frame(view()), sequence_number="8"))
    world.bucket.objects["elsewhere/readme.txt"] = b"a note"

    assert await world.replay() == (1, 2)

    assert set(world.bucket.objects) == {failed(POISON).key, "elsewhere/readme.txt"}
    assert sum("is kept: " in line for line in world.said) == 2


async def test_only_what_begins_with_the_prefix_is_replayed(world: Aftermath) -> None:
    update = encode_update(ProgramChanged(program=program()))
    set_aside(world, failed(frame(view())), failed(update, stream="updates"))

    assert await world.replay(prefix="updates/") == (1, 0)

    assert list(world.bucket.objects) == [failed(frame()).key]
    assert world.updates.records == [update]


async def test_a_preview_says_all_and_does_nothing(world: Aftermath, shard: Shard) -> None:
    set_aside(world, failed(frame(view())), failed(POISON, sequence_number="8"))
    world.give_up([shard.frame(view())])
    before = dict(world.bucket.objects)

    assert await world.replaying().preview(["failed"]) == (2, 1)

    assert (world.bucket.objects, world.streams.arrived) == (before, [])
    assert len(world.said) == 3


async def test_a_batch_of_updates_goes_back_and_nothing_is_recounted(world: Aftermath) -> None:
    updates = Shard()
    data = encode_update(ProgramChanged(program=program()))
    world.give_up([updates.record(data, key=PROGRAM)], stream="updates")

    assert await world.replay() == (1, 0)

    assert world.updates.records == [data]
    assert "query" not in " ".join(world.steps.seen)


async def test_a_batch_given_up_between_store_and_count_is_counted(world: Aftermath, shard: Shard) -> None:
    batch = [shard.frame(view(), click()), shard.frame(view(), key="key-1")]
    world.store_only(batch)
    world.give_up(batch)
    world.deliver([shard.frame(view())])

    await world.replay()
    world.deliver_arrived()

    assert world.totals() == world.relayed[PROGRAM] == world.stored == Totals(views=3, clicks=1)


async def test_a_batch_given_up_before_anything_was_stored_is_stored_and_counted(
    world: Aftermath, shard: Shard
) -> None:
    world.give_up([shard.frame(view(), click())])
    world.deliver([shard.frame(view())])

    await world.replay()
    world.deliver_arrived()

    assert world.totals() == world.stored == Totals(views=2, clicks=1)


@pytest.mark.parametrize("arrives", ["before delete_object", "before query", "after query"])
async def test_what_was_put_back_may_be_delivered_at_any_time(
    world: Aftermath, shard: Shard, arrives: str
) -> None:
    batch = [shard.frame(view(), click()), shard.frame(view())]
    world.kill(batch, "before batch_execute_statement")
    world.store_only(batch[:1])
    world.give_up(batch)

    def deliver(step: str) -> None:
        if step == arrives:
            world.steps.hook = lambda step: None
            world.deliver_arrived()

    world.steps.hook = deliver
    await world.replay()
    world.steps.hook = lambda step: None
    world.deliver_arrived()

    assert world.totals() == world.stored == Totals(views=2, clicks=1)


EVENTS: list[Callable[..., Event]] = [view, click, conversion]
IDS = [view().message_id for _ in range(10)]
frames = st.lists(st.tuples(st.sampled_from(IDS), st.sampled_from(EVENTS), st.booleans()), max_size=4)
batches = st.lists(
    st.lists(st.tuples(frames, st.sampled_from(["0", "1"])), min_size=1, max_size=3), max_size=5
)


@settings(max_examples=200)
@given(sent=batches, data=st.data())
async def test_totals_equal_distinct_ids_whatever_is_killed_given_up_replayed_and_recounted(
    sent: list[list[tuple[list[tuple[object, Callable[..., Event], bool]], str]]], data: st.DataObject
) -> None:
    world, shard = Aftermath(), Shard()
    for number, batch in enumerate(sent):
        records = [
            shard.frame(*(kind(message_id=id_, valid=valid) for id_, kind, valid in events), key=key)
            for events, key in batch
        ]
        deliver_or_give_up(world, records, data, number)
        await killed_after(world, data.draw(st.none() | st.integers(0, 60), label=f"replay {number}"))
        if data.draw(st.booleans(), label=f"recount {number}"):
            await world.recount.program(PROGRAM)

    await world.replay()
    world.deliver_arrived()

    assert world.bucket.objects == {}
    assert world.stored_ids == {id_ for batch in sent for events, _ in batch for id_, _, _ in events}
    assert world.totals() == world.stored
    assert (await world.recount.program(PROGRAM)).corrected == []


def deliver_or_give_up(world: Aftermath, records: list[Record], data: st.DataObject, number: int) -> None:
    for step in data.draw(st.lists(st.integers(0, 20), max_size=2), label=f"kills of {number}"):
        world.steps.kill_at(step)
        with suppress(Killed):
            world.persist().apply(records)
        world.steps.hook = lambda step: None
    given_up = data.draw(st.integers(0, len(records)), label=f"given up of {number}")
    world.deliver(records[: len(records) - given_up])
    if given_up:
        world.give_up(records[-given_up:])


async def killed_after(world: Aftermath, steps: int | None) -> None:
    """A replay that is killed at a step, or none at all."""
    if steps is not None:
        world.steps.kill_at(steps)
        with suppress(Killed):
            await world.replay()
        world.steps.hook = lambda step: None


def test_the_event_of_a_program_that_is_none_is_refused() -> None:
    event = view(program=core_data(program_id="a b"))

    with pytest.raises(PoisonError):
        restored(failed(encode_event(event), index=0), STREAMS)


def test_a_batch_without_its_records_is_refused() -> None:
    world, shard = Aftermath(), Shard()
    world.give_up([shard.frame(view())])
    pointer = msgspec.structs.replace(discarded(world), payload="")

    with pytest.raises(msgspec.MsgspecError):
        restored(pointer, STREAMS)
