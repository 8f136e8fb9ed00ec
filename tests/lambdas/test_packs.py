"""The packed store: the promises of `persist` under kills, redeliveries and races, and its window."""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from threading import Barrier
from uuid import uuid4

import pytest
from botocore.exceptions import EndpointConnectionError
from msgspec.structs import replace

from lambdas.batch import Record
from lambdas.packs import LOG_KEPT_MS, Packs
from lambdas.persist import decoded
from lambdas.store import Arrival
from schemas.events import Event
from schemas.packs import ITEM_MAX_BYTES, PACK_TARGET_BYTES, Place, pack_item
from schemas.programs import Totals
from tests.factories import NOW_MS, click, conversion, core_data, view
from tests.lambdas.memory import Killed, client_error
from tests.lambdas.test_persist import BUSY_TOTALS, busy_batch
from tests.lambdas.world import Shard, World

DAY_S = 86_400
WINDOW_MS = 600_000


@pytest.fixture
def world() -> World:
    return World("packed")


class Clock:
    def __init__(self) -> None:
        self.now_ms = NOW_MS

    def __call__(self) -> int:
        return self.now_ms


class Store:
    """The packed store alone, under a clock."""

    def __init__(self, world: World, clock: Clock, *, ids_max: int = 1_000) -> None:
        self._packs = Packs(
            world.dynamodb,
            events_table="events",
            totals_table="totals",
            window_ms=WINDOW_MS,
            ids_max=ids_max,
            clock_ms=clock,
        )

    def deliver(self, *records: Record) -> Totals:
        arrivals = [each for record in records for each in decoded(record) if isinstance(each, Arrival)]
        return self._packs.count(arrivals, {}).get("212313", Totals())


def assert_busy_batch_is_counted_once(world: World) -> None:
    assert {program_id: world.totals(program_id) for program_id in BUSY_TOTALS} == BUSY_TOTALS
    assert world.relayed == BUSY_TOTALS
    for program_id, totals in BUSY_TOTALS.items():
        assert len({event.message_id for event in world.packed(program_id)}) == totals.stored
        assert len(world.packed(program_id)) == totals.stored
    assert len(world.failed) == 1


def test_one_count_for_each_message_id_in_a_few_items(world: World, shard: Shard) -> None:
    assert world.persist().apply(busy_batch(shard)) is None

    assert_busy_batch_is_counted_once(world)
    assert len(world.items) == 3


def test_what_is_stored_reads_back_as_it_was_sent(world: World, shard: Shard) -> None:
    events: list[Event] = [view(visitor="v"), click(), conversion(value=Decimal("1.5"))]

    world.deliver([shard.frame(*events)])

    assert world.packed() == events


@pytest.mark.parametrize("warm", [True, False])
def test_a_whole_batch_again_changes_nothing(world: World, shard: Shard, warm: bool) -> None:
    batch = busy_batch(shard)
    persist = world.persist()
    persist.apply(batch)

    assert (persist if warm else world.persist()).apply(batch) is None

    assert_busy_batch_is_counted_once(world)


def steps_of_a_busy_batch() -> list[str]:
    world = World("packed")
    world.persist().apply(busy_batch(Shard()))
    return world.steps.seen


@pytest.mark.parametrize("cut", [0, 1, 2, 3])
@pytest.mark.parametrize("step", range(len(steps_of_a_busy_batch())))
def test_killed_at_any_step_then_bisected(world: World, shard: Shard, step: int, cut: int) -> None:
    batch = busy_batch(shard)
    world.steps.kill_at(step)
    with pytest.raises(Killed):
        world.persist().apply(batch)

    world.steps.hook = lambda step: None
    world.deliver(batch[:cut])
    world.deliver(batch[cut:])

    assert_busy_batch_is_counted_once(world)


@pytest.mark.parametrize("meeting", ["after query", "before put_item", "before put_records"])
def test_the_same_batch_delivered_twice_at_the_same_time(world: World, shard: Shard, meeting: str) -> None:
    batch = [shard.frame(view(), view()), shard.frame(click())]
    both = Barrier(2, timeout=10)
    waits = [meeting] * 2

    def meet(step: str) -> None:
        if step == meeting and waits:
            waits.pop()
            both.wait()

    world.steps.hook = meet
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda _: world.persist().apply(batch), range(2)))

    assert answers == [None, None]
    assert world.totals() == world.relayed["212313"] == Totals(views=2, clicks=1)
    assert len(world.packed()) == 3


@pytest.mark.parametrize("stall", ["after query", "before put_item", "after put_item"])
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


@pytest.mark.parametrize("stall", ["after query", "before put_item", "after put_item"])
def test_a_resend_that_is_stored_from_another_shard_meanwhile(world: World, shard: Shard, stall: str) -> None:
    event = view()
    elsewhere = Shard(1)

    def overtake(step: str) -> None:
        if step == stall:
            world.steps.hook = lambda step: None
            world.deliver([elsewhere.frame(event, click())])

    world.steps.hook = overtake
    world.deliver([shard.frame(event, view())])

    assert world.totals() == world.relayed["212313"] == Totals(views=2, clicks=1)
    assert len(world.packed()) == 3


@pytest.mark.parametrize("warm", [True, False])
def test_a_resend_counts_once_wherever_it_arrives(world: World, shard: Shard, warm: bool) -> None:
    event = view()
    persists = [world.persist()] * 3 if warm else [world.persist() for _ in range(3)]

    persists[0].apply([shard.frame(event, event), shard.frame(event, key="key-1")])
    persists[1].apply([shard.frame(event)])
    persists[2].apply([Shard(1).frame(event)])

    assert world.totals() == Totals(views=1)
    assert world.packed() == [event]


def test_who_knew_an_older_log_learns_what_others_stored(world: World, shard: Shard) -> None:
    here, there = world.persist(), world.persist()
    elsewhere, event = Shard(1), view()
    here.apply([shard.frame(view())])
    there.apply([elsewhere.frame(view())])

    here.apply([shard.frame(event)])
    there.apply([elsewhere.frame(event, click())])

    assert world.totals() == world.relayed["212313"] == Totals(views=3, clicks=1)


def test_one_message_id_of_two_programs_is_two_events(world: World, shard: Shard) -> None:
    event = view()
    same_id = view(message_id=event.message_id, program=core_data(program_id="212312"))

    world.deliver([shard.frame(event, same_id)])

    assert world.totals("212313") == world.totals("212312") == Totals(views=1)


def test_records_of_a_lane_are_ordered_as_numbers(world: World) -> None:
    shard = Shard(first=99)

    for _ in range(3):
        world.deliver([shard.frame(view())])

    assert world.totals() == Totals(views=3)


def test_within_the_window_a_resend_is_recognised_and_past_it_not(world: World) -> None:
    clock, event = Clock(), view()
    shard, elsewhere = Shard(), Shard(1)
    store = Store(world, clock)
    store.deliver(shard.frame(event))

    clock.now_ms += WINDOW_MS - 1
    assert store.deliver(elsewhere.frame(event)) == Totals(views=1)
    clock.now_ms += 1
    assert store.deliver(elsewhere.frame(event)) == Totals(views=2)
    assert Store(world, clock).deliver(shard.frame(event)) == Totals(views=2)


@pytest.mark.parametrize("warm", [True, False])
def test_a_record_that_is_delivered_again_counts_nothing_however_late(world: World, warm: bool) -> None:
    clock, shard, event = Clock(), Shard(), view()
    store = Store(world, clock)
    batch = [shard.frame(event), shard.frame(event)]
    store.deliver(*batch)

    clock.now_ms += 6 * DAY_S * 1_000

    assert (store if warm else Store(world, clock)).deliver(*batch) == Totals(views=1)
    assert world.packed() == [event]


def test_resends_alone_move_the_fence_too(world: World, shard: Shard) -> None:
    clock, event = Clock(), view()
    store = Store(world, clock)
    first, resent = shard.frame(event), shard.frame(event)
    store.deliver(first)
    store.deliver(resent)

    clock.now_ms += 2 * WINDOW_MS

    assert store.deliver(resent) == Totals(views=1)


def test_a_log_that_was_not_looked_at_for_long_is_read_again(world: World, shard: Shard) -> None:
    clock = Clock()
    store, other = Store(world, clock), Store(world, clock)
    store.deliver(shard.frame(view()))
    other.deliver(Shard(1).frame(view()))
    expired = world.packs()[1]
    clock.now_ms += LOG_KEPT_MS + 1
    del world.dynamodb.tables["events"]["212313#packs", f"{expired.number:012}"]

    assert store.deliver(shard.frame(view())) == Totals(views=3)
    assert [pack.number for pack in world.packs()] == [1, 3]


def test_old_packs_may_expire(world: World, shard: Shard) -> None:
    world.deliver([shard.frame(view()), shard.frame(click())])
    world.dynamodb.tables["events"].clear()

    world.deliver([shard.frame(conversion())])

    assert world.totals() == world.relayed["212313"] == Totals(views=1, clicks=1, conversions=1)


def test_a_head_that_was_never_written_is_made_up_for(world: World, shard: Shard) -> None:
    batch = [shard.frame(view()), shard.frame(click())]
    world.deliver(batch)
    world.dynamodb.tables["totals"].clear()

    world.deliver(batch)

    assert world.totals() == Totals(views=1, clicks=1)


def test_a_newer_head_stays(world: World, shard: Shard) -> None:
    slow = world.persist()

    def overtake(step: str) -> None:
        if step == "after put_item":
            world.steps.hook = lambda step: None
            world.deliver([Shard(1).frame(view(), view())])

    world.steps.hook = overtake
    slow.apply([shard.frame(view())])

    assert world.totals() == Totals(views=3)


def test_what_was_counted_as_items_stays_counted(shard: Shard) -> None:
    world, first = World(), shard.frame(view(), click())
    world.deliver([first])
    world.settings = World("packed").settings

    world.deliver([first, shard.frame(view())])

    assert world.totals() == world.relayed["212313"] == Totals(views=2, clicks=1)


def test_ids_past_the_bound_are_read_again(world: World) -> None:
    clock, shard = Clock(), Shard()
    store = Store(world, clock, ids_max=1)
    event, other = view(), view(program=core_data(program_id="212312"))
    store.deliver(shard.frame(event))
    store.deliver(shard.frame(other))

    assert store.deliver(shard.frame(event)) == Totals(views=1)


def test_a_pack_goes_when_its_last_event_may(world: World, shard: Shard) -> None:
    kept = [view(retention_days=30), view(retention_days=30, received_at_ms=NOW_MS + 5_000)]
    store = Store(world, Clock())

    store.deliver(shard.frame(*kept))
    store.deliver(shard.frame(view()))
    store.deliver(shard.frame(view(retention_days=1, received_at_ms=NOW_MS - 12 * 3_600_000)))

    ends = [pack.expires_at_s for pack in world.packs()]
    assert ends == [NOW_MS // 1_000 + 5 + 30 * DAY_S, None, NOW_MS // 1_000 + DAY_S]


def test_a_pack_is_cut_where_retention_changes(world: World, shard: Shard) -> None:
    days = [None, None, 30, 30, None]

    world.deliver([shard.frame(*(view(retention_days=each) for each in days))])

    assert [pack.expires_at_s is None for pack in world.packs()] == [True, False, True]
    assert world.totals() == Totals(views=5)


def test_packs_stay_within_their_size(world: World, shard: Shard) -> None:
    events = [view(referrer=uuid4().hex * 50) for _ in range(300)]
    large = view(referrer="".join(uuid4().hex for _ in range(10_000)))

    world.deliver([shard.frame(*events, large)])

    *packs, last = world.packs()
    assert len(packs) > 1
    assert all(len(pack.frame) <= PACK_TARGET_BYTES for pack in packs)
    assert PACK_TARGET_BYTES < len(last.frame) < ITEM_MAX_BYTES
    assert world.packed() == [*events, large]


@pytest.mark.parametrize("bad", [{"value": Decimal("NaN")}, {"referrer": "x" * ITEM_MAX_BYTES}])
def test_what_no_pack_can_hold_is_set_aside(world: World, shard: Shard, bad: dict[str, object]) -> None:
    assert world.persist().apply([shard.frame(view(), view(**bad), view())]) is None

    assert [failed.index for failed in world.failed.values()] == [1]
    assert world.totals() == Totals(views=2)


def test_poison_that_cannot_be_set_aside_is_the_answer(world: World, shard: Shard) -> None:
    batch = [shard.frame(view()), shard.frame(view(), view(value=Decimal("NaN"))), shard.frame(view())]
    world.steps.faults["put_object"].append(client_error("SlowDown"))

    assert world.persist().apply(batch) == batch[1]
    world.deliver(batch[1:])

    assert world.totals() == Totals(views=3)
    assert len(world.failed) == 1


@pytest.mark.parametrize("operation", ["put_item", "query", "put_records"])
@pytest.mark.parametrize(
    "error",
    [client_error("ThrottlingException"), EndpointConnectionError(endpoint_url="http://aws")],
    ids=["refusing", "unreachable"],
)
def test_a_dependency_that_is_down_fails_the_whole_batch(
    world: World, shard: Shard, operation: str, error: Exception
) -> None:
    batch = [shard.frame(view()), shard.frame(click())]
    persist = world.persist()
    world.steps.faults[operation].append(error)

    assert persist.apply(batch) == batch[0]

    assert persist.apply(batch) is None
    assert world.totals() == world.relayed["212313"] == Totals(views=1, clicks=1)


def test_a_put_that_landed_and_was_not_answered_is_recognised(world: World, shard: Shard) -> None:
    """The SDK puts again by itself, and finds the number taken."""
    persist = world.persist()
    persist.apply([shard.frame(click())])
    batch, last = [shard.frame(view())], world.packs()[-1]
    landed = pack_item(
        "212313",
        replace(last, number=2, place=Place.of(batch[0].sequence_number, 0), frame=batch[0].data),
    )

    def land(step: str) -> None:
        if step == "before put_item":
            world.steps.hook = lambda step: None
            key = (str(landed["bucket"]["S"]), str(landed["message_id"]["S"]))
            world.dynamodb.tables["events"][key] = landed

    world.steps.hook = land
    assert persist.apply(batch) is None

    assert world.totals() == Totals(views=1, clicks=1)
