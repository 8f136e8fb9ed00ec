import logging
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Barrier
from uuid import UUID, uuid4

import msgspec
import pytest
from botocore.exceptions import EndpointConnectionError
from hypothesis import given
from hypothesis import strategies as st

from lambdas.batch import Record
from lambdas.reports import Reports
from schemas.dynamodb import Item
from schemas.events import CoreData, Event, encode_event
from schemas.frames import encode_frame
from schemas.health import Lag
from schemas.programs import Totals
from schemas.traces import trace_id
from schemas.updates import FunctionReported, ProgramTotals, decode_update
from tests.factories import NOW_MS, click, conversion, core_data, view
from tests.lambdas.memory import Killed, client_error
from tests.lambdas.world import SETTINGS, Shard, World

ONE_CALL = 25
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
DEPENDENCIES = ["batch_execute_statement", "get_item", "put_item", "query", "put_records"]


def busy_batch(shard: Shard) -> list[Record]:
    """Two programs, two lanes, every kind, resends within a frame and across, more than one call."""
    events: list[Event] = [*(view() for _ in range(ONE_CALL)), click(), conversion(), view(valid=False)]
    other = [view(program=core_data(program_id="212312")) for _ in range(3)]
    return [
        shard.frame(*events, key="key-0"),
        shard.frame(*other, events[0], other[0], other[0], key="key-1"),
        shard.record(b"\xff poison", key="key-0"),
        shard.frame(click(), *events[:3], key="key-0"),
    ]


BUSY_TOTALS = {
    "212313": Totals(views=ONE_CALL, clicks=2, conversions=1, invalid=1),
    "212312": Totals(views=3),
}


def assert_busy_batch_is_counted_once(world: World) -> None:
    assert {program_id: world.totals(program_id) for program_id in BUSY_TOTALS} == BUSY_TOTALS
    assert world.relayed == BUSY_TOTALS
    assert len(world.items) == sum(totals.stored for totals in BUSY_TOTALS.values())
    assert len(world.failed) == 1


def test_one_item_and_one_count_for_each_message_id(world: World, shard: Shard) -> None:
    assert world.persist().apply(busy_batch(shard)) is None

    assert_busy_batch_is_counted_once(world)


def test_a_whole_batch_again_changes_nothing(world: World, shard: Shard) -> None:
    batch = busy_batch(shard)
    world.persist().apply(batch)

    assert world.persist().apply(batch) is None

    assert_busy_batch_is_counted_once(world)


def steps_of_a_busy_batch() -> list[str]:
    world = World()
    world.persist().apply(busy_batch(Shard()))
    return world.steps.seen


@pytest.mark.parametrize("step", range(len(steps_of_a_busy_batch())))
def test_killed_at_any_step_then_retried_whole(world: World, shard: Shard, step: int) -> None:
    batch = busy_batch(shard)
    world.steps.kill_at(step)
    with pytest.raises(Killed):
        world.persist().apply(batch)

    world.steps.hook = lambda step: None
    world.deliver(batch)

    assert_busy_batch_is_counted_once(world)


@pytest.mark.parametrize("cut", [1, 2, 3])
@pytest.mark.parametrize("step", range(0, len(steps_of_a_busy_batch()), 3))
def test_killed_at_any_step_then_bisected(world: World, shard: Shard, step: int, cut: int) -> None:
    batch = busy_batch(shard)
    world.steps.kill_at(step)
    with pytest.raises(Killed):
        world.persist().apply(batch)

    world.steps.hook = lambda step: None
    world.deliver(batch[:cut])
    world.deliver(batch[cut:])

    assert_busy_batch_is_counted_once(world)


@pytest.mark.parametrize(
    "meeting", ["before batch_execute_statement", "after get_item", "before put_records"]
)
def test_the_same_batch_delivered_twice_at_the_same_time(world: World, shard: Shard, meeting: str) -> None:
    batch = [shard.frame(view(), view()), shard.frame(click())]
    both = Barrier(2, timeout=10)

    def meet(step: str) -> None:
        if step == meeting:
            both.wait()

    world.steps.hook = meet
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda _: world.persist().apply(batch), range(2)))

    assert answers == [None, None]
    assert world.totals() == Totals(views=2, clicks=1)
    assert world.relayed["212313"] == Totals(views=2, clicks=1)


@pytest.mark.parametrize("stall", ["after batch_execute_statement", "after get_item", "before put_item"])
def test_a_batch_that_stalls_while_its_retry_and_the_next_one_pass(
    world: World, shard: Shard, stall: str
) -> None:
    batch = [shard.frame(view(), view()), shard.frame(click())]
    following = [shard.frame(view()), shard.frame(conversion())]

    def overtake(step: str) -> None:
        if step == stall:
            world.steps.hook = lambda step: None
            world.deliver(batch)
            world.deliver(following)

    world.steps.hook = overtake
    assert world.persist().apply(batch) is None

    assert world.totals() == world.relayed["212313"] == Totals(views=3, clicks=1, conversions=1)


def test_a_resend_counts_once_wherever_it_arrives(world: World, shard: Shard) -> None:
    event = view()
    elsewhere = Shard(1)

    world.deliver([shard.frame(event, event), shard.frame(event, key="key-1")])
    world.deliver([shard.frame(event)])
    world.deliver([elsewhere.frame(event)])

    assert world.totals() == Totals(views=1)
    assert world.stored_ids == {event.message_id}


def test_one_message_id_of_two_programs_is_two_events(world: World, shard: Shard) -> None:
    event = view()
    same_id = view(message_id=event.message_id, program=core_data(program_id="212312"))

    world.deliver([shard.frame(event, same_id)])

    assert world.totals("212313") == world.totals("212312") == Totals(views=1)


def test_a_resend_as_another_kind_counts_as_what_was_stored(world: World, shard: Shard) -> None:
    event = view()
    changed = click(message_id=event.message_id)

    world.deliver([shard.frame(event), shard.frame(changed, event)])

    assert world.totals() == Totals(views=1)


def test_lanes_and_shards_add_up(world: World, shard: Shard) -> None:
    other = Shard(1)

    for number in range(4):
        world.deliver([shard.frame(view(), key=f"key-{number}"), shard.frame(click(), key="key-0")])
        world.deliver([other.frame(conversion(), key=f"key-{number}")])

    assert len(world.dynamodb.tables["totals"]) == 8
    assert world.totals() == world.relayed["212313"] == Totals(views=4, clicks=4, conversions=4)


def test_a_record_without_a_partition_key_is_counted(world: World, shard: Shard) -> None:
    world.deliver([shard.frame(view(), key=None)])

    assert world.totals() == Totals(views=1)


def test_records_of_a_lane_are_ordered_as_numbers(world: World) -> None:
    shard = Shard(first=99)

    world.deliver([shard.frame(view())])
    world.deliver([shard.frame(view())])
    world.deliver([shard.frame(view())])

    assert world.totals() == Totals(views=3)


def test_a_frame_that_is_none_is_set_aside_and_its_neighbours_pass(world: World, shard: Shard) -> None:
    poison = shard.record(b"\x7fnot a frame", key="key-5")
    batch = [shard.frame(view()), poison, shard.frame(view())]

    assert world.persist().apply(batch) is None

    (failed,) = world.failed.values()
    assert (failed.stream, failed.shard_id, failed.sequence_number, failed.partition_key) == (
        "stream",
        poison.shard_id,
        poison.sequence_number,
        "key-5",
    )
    assert (failed.index, failed.payload, failed.reason) == (None, poison.data, "bad_frame")
    assert world.totals() == Totals(views=2)


class Install(msgspec.Struct, tag="install", array_like=True):
    """A kind of event that only a later version knows."""

    message_id: UUID
    program: CoreData


def test_an_event_that_is_none_is_set_aside_and_its_frame_passes(world: World, shard: Shard) -> None:
    later = msgspec.msgpack.encode(Install(uuid4(), core_data()))
    data = encode_frame([encode_event(view()), later, encode_event(click())])

    assert world.persist().apply([shard.record(data)]) is None

    ((key, failed),) = world.failed.items()
    assert key.endswith("-1.json")
    assert (failed.index, failed.payload, failed.reason) == (1, later, "bad_event")
    assert world.totals() == Totals(views=1, clicks=1)


def is_text(item: Item, attribute: str, text: str) -> bool:
    return attribute in item and item[attribute]["S"] == text


def test_an_event_that_the_table_refuses_is_set_aside_at_its_place(world: World, shard: Shard) -> None:
    refused = view(referrer="too large")
    world.dynamodb.refusal = lambda item: (
        "ValidationError" if is_text(item, "referrer", "too large") else None
    )
    data = encode_frame([b"\xc0", encode_event(view()), encode_event(refused), encode_event(view())])

    assert world.persist().apply([shard.record(data)]) is None

    assert {failed.index: failed.payload for failed in world.failed.values()} == {
        0: b"\xc0",
        2: encode_event(refused),
    }
    assert {failed.reason for failed in world.failed.values()} == {"bad_event"}
    assert world.totals() == Totals(views=2)


def test_a_trace_is_followed_into_the_log_and_the_record_of_a_failure(
    world: World, shard: Shard, caplog: pytest.LogCaptureFixture
) -> None:
    world.dynamodb.refusal = lambda item: (
        "ValidationError" if is_text(item, "referrer", "too large") else None
    )
    stored = view(traceparent=TRACEPARENT)
    refused = view(referrer="too large", traceparent=TRACEPARENT)

    with caplog.at_level(logging.DEBUG, "lambdas"):
        assert world.persist().apply([shard.frame(stored, refused)]) is None

    (failed,) = world.failed.values()
    assert failed.traceparent == TRACEPARENT
    traced = {each.getMessage().split()[0]: each for each in caplog.records if hasattr(each, "trace_id")}
    assert {getattr(each, "trace_id", None) for each in traced.values()} == {trace_id(TRACEPARENT)}
    assert getattr(traced["stored"], "message_id", None) == str(stored.message_id)
    assert "set" in traced


def test_a_program_id_that_is_none_is_set_aside(world: World, shard: Shard) -> None:
    batch = [shard.frame(view(program=core_data(program_id=id_)), view()) for id_ in ("", "a b", "x" * 65)]

    assert world.persist().apply(batch) is None

    assert [failed.index for failed in world.failed.values()] == [0, 0, 0]
    assert world.totals() == Totals(views=3)


def test_poison_that_cannot_be_set_aside_is_the_answer(world: World, shard: Shard) -> None:
    batch = [shard.frame(view()), shard.record(b"poison"), shard.frame(view())]
    world.steps.faults["put_object"].append(client_error("SlowDown"))

    assert world.persist().apply(batch) == batch[1]

    assert world.totals() == Totals(views=1)
    world.deliver(batch[1:])
    assert world.totals() == Totals(views=2)
    assert len(world.failed) == 1


def test_the_answer_to_throttling_is_the_first_record_not_stored(world: World, shard: Shard) -> None:
    throttled = view(visitor="hot")
    batch = [shard.frame(view(), view()), shard.frame(view(), throttled), shard.frame(view())]
    world.dynamodb.refusal = lambda item: "ThrottlingError" if is_text(item, "visitor", "hot") else None

    assert world.persist().apply(batch) == batch[1]

    assert world.totals() == world.relayed["212313"] == Totals(views=2)
    world.dynamodb.refusal = lambda item: None
    world.deliver(batch[1:])
    assert world.totals() == world.relayed["212313"] == Totals(views=5)


def test_of_many_records_not_stored_the_answer_is_the_first(world: World, shard: Shard) -> None:
    batch = [shard.frame(view()), *(shard.frame(view(visitor="hot")) for _ in range(3))]
    world.dynamodb.refusal = lambda item: "ThrottlingError" if is_text(item, "visitor", "hot") else None

    assert world.persist().apply(batch) == batch[1]


def test_a_resend_of_a_throttled_event_waits_for_it(world: World, shard: Shard) -> None:
    event = view(visitor="hot")
    batch = [shard.frame(event), shard.frame(event)]
    refusals = ["ThrottlingError"] * 3
    world.dynamodb.refusal = lambda item: refusals.pop() if refusals else None

    assert world.persist().apply(batch) == batch[0]

    world.deliver(batch)
    assert world.totals() == Totals(views=1)


@pytest.mark.parametrize("operation", DEPENDENCIES)
@pytest.mark.parametrize(
    "error",
    [client_error("InternalServerError"), EndpointConnectionError(endpoint_url="http://aws")],
    ids=["refusing", "unreachable"],
)
def test_a_dependency_that_is_down_fails_the_whole_batch(
    world: World, shard: Shard, operation: str, error: Exception
) -> None:
    batch = [shard.frame(view()), shard.frame(click())]
    world.steps.faults[operation].append(error)

    assert world.persist().apply(batch) == batch[0]

    world.deliver(batch)
    assert world.totals() == world.relayed["212313"] == Totals(views=1, clicks=1)


def test_a_retry_after_counting_still_relays(world: World, shard: Shard) -> None:
    batch = [shard.frame(view())]
    world.updates.throttled = [2, 2, 2]

    assert world.persist().apply(batch) == batch[0]
    assert world.totals() == Totals(views=1)
    assert world.relayed == {}

    assert world.persist().apply(batch) is None
    assert world.relayed == {"212313": Totals(views=1)}


def test_a_bug_is_not_taken_for_an_outage(world: World, shard: Shard) -> None:
    world.steps.faults["query"].append(KeyError("a bug"))

    with pytest.raises(KeyError):
        world.persist().apply([shard.frame(view())])


def test_only_programs_in_the_batch_are_touched(world: World, shard: Shard) -> None:
    world.deliver([shard.frame(view(program=core_data(program_id="212312")))])
    before = len(world.updates.records)

    world.deliver([shard.frame(view())])

    told = [decode_update(data) for data in world.updates.records[before:]]
    assert [each.program_id for each in told if isinstance(each, ProgramTotals)] == ["212313"]


def test_a_batch_says_how_far_behind_it_is(world: World, shard: Shard) -> None:
    persist = world.persist()
    persist.reports = Reports(SETTINGS, "persist", clock_ms=lambda: NOW_MS + 1_500)

    assert persist.apply([shard.frame(view()), shard.record(b"\x7fpoison")]) is None

    told = decode_update(world.updates.records[-1])
    lag = Lag(reader="persist", stream="stream", shard_id=shard.shard_id, lag_ms=1_500, at_ms=NOW_MS + 1_500)
    assert told == FunctionReported(lag=lag)


EVENTS: list[Callable[..., Event]] = [view, click, conversion]
frames = st.lists(
    st.lists(st.tuples(st.integers(0, 11), st.sampled_from(EVENTS), st.booleans()), max_size=4),
    min_size=1,
    max_size=6,
)
ids = [uuid4() for _ in range(12)]


@given(frames=frames, data=st.data())
def test_totals_equal_distinct_ids_whatever_is_killed_and_repeated(
    frames: list[list[tuple[int, Callable[..., Event], bool]]], data: st.DataObject
) -> None:
    world, shard = World(), Shard()
    events = [
        [kind(message_id=ids[number], valid=valid) for number, kind, valid in frame] for frame in frames
    ]
    batch = [
        shard.frame(*frame, key=data.draw(st.sampled_from(["key-0", "key-1"]), label="key"))
        for frame in events
    ]
    for step in data.draw(st.lists(st.integers(0, 30), max_size=4), label="kills"):
        world.steps.kill_at(step)
        with suppress(Killed):
            world.persist().apply(batch)
        world.steps.hook = lambda step: None

    cut = data.draw(st.integers(0, len(batch)), label="cut")
    world.deliver(batch[:cut])
    world.deliver(batch[cut:])

    assert world.stored_ids == {event.message_id for frame in events for event in frame}
    assert world.totals() == _counted(world.items)
    assert world.relayed.get("212313", Totals()) == _counted(world.items)


def _counted(items: list[Item]) -> Totals:
    counts = Counter(f"{item['kind']['S']!s}s" if item["valid"]["BOOL"] else "invalid" for item in items)
    return Totals(**counts)
