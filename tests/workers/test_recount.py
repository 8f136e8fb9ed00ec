import asyncio
from collections.abc import Callable
from contextlib import suppress

import pytest

from lambdas.batch import Record
from schemas.dynamodb import LaneTotals, lane_from_item, program_item
from schemas.errors import UnavailableError
from schemas.programs import Totals
from tests.factories import click, program, view
from tests.lambdas.memory import Killed, client_error
from tests.lambdas.world import Shard
from tests.workers.aftermath import Aftermath
from workers.lane_audit import GivenUp
from workers.recount import MOST_ATTEMPTS, described

PROGRAM = "212313"
OTHERS = [view() for _ in range(4)]


@pytest.fixture
def world() -> Aftermath:
    return Aftermath()


@pytest.fixture
def shard() -> Shard:
    return Shard()


def short(world: Aftermath, shard: Shard) -> list[Record]:
    """A batch of two lanes that was stored, given up, and left behind by later records of one lane."""
    batch = [shard.frame(view(), click()), shard.frame(view(valid=False)), shard.frame(view(), key="key-1")]
    world.store_only(batch)
    world.deliver([shard.frame(view())])
    return batch


def mark_of(batch: list[Record]) -> GivenUp:
    return {record.lane: record.sequence_number for record in batch}


async def test_what_was_stored_and_left_behind_is_counted_and_relayed(world: Aftermath, shard: Shard) -> None:
    short(world, shard)
    assert world.totals() == Totals(views=1)

    recounted = await world.recount.program(PROGRAM)

    assert (
        world.totals() == world.relayed[PROGRAM] == recounted.totals == Totals(views=2, clicks=1, invalid=1)
    )
    assert recounted.corrected == [f"{shard.shard_id}/key-0"]
    assert recounted.uncounted == 1
    assert described(recounted) == (
        f"program {PROGRAM}: 4 counted, 1 not yet; corrected {shard.shard_id}/key-0"
    )


async def test_nothing_is_corrected_twice(world: Aftermath, shard: Shard) -> None:
    short(world, shard)
    await world.recount.program(PROGRAM)
    before = dict(world.dynamodb.tables["totals"])

    recounted = await world.recount.program(PROGRAM)

    assert recounted.corrected == []
    assert world.dynamodb.tables["totals"] == before


async def test_a_lane_that_counted_too_much_is_corrected(world: Aftermath, shard: Shard) -> None:
    world.deliver([shard.frame(*OTHERS)])
    world.dynamodb.tables["events"].popitem()

    await world.recount.program(PROGRAM)

    assert world.totals() == world.stored == Totals(views=3)


async def test_an_event_that_expired_goes_on_counting(world: Aftermath, shard: Shard) -> None:
    world.deliver([shard.frame(*[view(retention_days=1) for _ in range(4)])])
    for _ in range(2):
        world.dynamodb.tables["events"].popitem()

    recounted = await world.recount.program(PROGRAM)

    assert world.totals() == recounted.totals == Totals(views=4)
    assert recounted.corrected == []


async def test_events_that_all_expired_go_on_counting(world: Aftermath, shard: Shard) -> None:
    item = program_item(program(retention_days=1))
    world.dynamodb.tables["programs"][PROGRAM,] = item
    world.deliver([shard.frame(*OTHERS)])
    world.dynamodb.tables["events"].clear()

    recounted = await world.recount.program(PROGRAM)

    assert world.totals() == recounted.totals == Totals(views=4)


async def test_a_delivery_that_is_stored_and_not_counted_is_left_to_count(
    world: Aftermath, shard: Shard
) -> None:
    batch = [shard.frame(view(), view()), shard.frame(click())]
    world.store_only(batch)

    recounted = await world.recount.program(PROGRAM)

    assert (recounted.corrected, recounted.uncounted) == ([], 3)
    assert world.dynamodb.tables["totals"] == {}
    world.deliver(batch)
    assert world.totals() == Totals(views=2, clicks=1)


async def test_a_lane_that_was_given_up_before_any_count_is_counted(world: Aftermath, shard: Shard) -> None:
    batch = [shard.frame(view(), view()), shard.frame(click(), key="key-1")]
    world.store_only(batch)

    recounted = await world.recount.program(PROGRAM, mark_of(batch))

    assert world.totals() == world.stored == Totals(views=2, clicks=1)
    assert recounted.uncounted == 0
    world.deliver([shard.frame(view()), *batch])
    assert world.totals() == world.stored


def steps_of_a_recount() -> list[str]:
    world, shard = Aftermath(), Shard()
    batch = short(world, shard)
    first = len(world.steps.seen)
    asyncio.run(_recounted(world, batch))
    return world.steps.seen[first:]


async def _recounted(world: Aftermath, batch: list[Record]) -> None:
    await world.recount.program(PROGRAM, mark_of(batch))


def at_step(world: Aftermath, number: int, act: Callable[[], None]) -> None:
    """Acts once, at the step of that number, counted from here on."""
    first = len(world.steps.seen)

    def hook(step: str) -> None:
        if len(world.steps.seen) == first + number + 1:
            world.steps.hook = lambda step: None
            act()

    world.steps.hook = hook


@pytest.mark.parametrize("marked", [False, True], ids=["fence", "given up"])
@pytest.mark.parametrize("step", range(0, len(steps_of_a_recount()), 2))
async def test_exact_while_other_records_are_counted_at_any_step(
    world: Aftermath, shard: Shard, step: int, marked: bool
) -> None:
    batch = short(world, shard)
    others = [shard.frame(*OTHERS), shard.frame(click(), key="key-1"), Shard(5).frame(view())]
    at_step(world, step, lambda: world.deliver(others))

    await world.recount.program(PROGRAM, mark_of(batch) if marked else {})
    world.steps.hook = lambda step: None
    recounted = await world.recount.program(PROGRAM)

    assert recounted.totals.stored + recounted.uncounted == world.stored.stored
    assert not marked or (recounted.uncounted, recounted.corrected) == (0, [])


@pytest.mark.parametrize("step", range(len(steps_of_a_recount())))
async def test_killed_at_any_step_and_run_again(world: Aftermath, shard: Shard, step: int) -> None:
    batch = short(world, shard)
    world.steps.kill_at(step)
    with suppress(Killed):
        await world.recount.program(PROGRAM, mark_of(batch))

    world.steps.hook = lambda step: None
    await world.recount.program(PROGRAM, mark_of(batch))

    assert world.totals() == world.stored == world.relayed[PROGRAM]


async def test_two_recounts_at_once_correct_once(world: Aftermath, shard: Shard) -> None:
    batch = short(world, shard)

    await asyncio.gather(*(world.recount.program(PROGRAM, mark_of(batch)) for _ in range(3)))

    assert world.totals() == world.stored == world.relayed[PROGRAM]


async def test_a_correction_survives_a_count_that_read_the_lane_before_it(
    world: Aftermath, shard: Shard
) -> None:
    short(world, shard)
    uncorrected = dict(world.dynamodb.tables["totals"])
    await world.recount.program(PROGRAM)
    corrected = dict(world.dynamodb.tables["totals"])
    world.dynamodb.tables["totals"] = uncorrected

    def correct(step: str) -> None:
        if step == "after get_item":
            world.steps.hook = lambda step: None
            world.dynamodb.tables["totals"] = corrected

    world.steps.hook = correct
    world.deliver([shard.frame(view())])

    (lane,) = world.dynamodb.tables["totals"].values()
    assert lane_from_item(lane).totals == Totals(views=3, clicks=1, invalid=1)


async def test_a_lane_that_never_stands_still_is_an_outage(world: Aftermath, shard: Shard) -> None:
    short(world, shard)
    (held,) = world.dynamodb.tables["totals"].values()
    contended = client_error("ConditionalCheckFailedException", item=held)
    world.steps.faults["put_item"] += [contended] * MOST_ATTEMPTS * 5

    with pytest.raises(UnavailableError, match="contended"):
        await world.recount.program(PROGRAM)


async def test_every_program_is_known(world: Aftermath) -> None:
    ids = [f"program-{number}" for number in range(5)]
    for id_ in ids:
        world.dynamodb.tables["programs"][(id_,)] = program_item(program(program_id=id_))

    assert [each async for each in world.recount.programs()] == ids


def test_a_corrected_lane_says_so(world: Aftermath, shard: Shard) -> None:
    batch = short(world, shard)

    asyncio.run(_recounted(world, batch))

    lanes = {lane_from_item(item) for item in world.dynamodb.tables["totals"].values()}
    assert {lane.corrections for lane in lanes} == {1}
    assert LaneTotals(batch[2].sequence_number, Totals(views=1), 1) in lanes
