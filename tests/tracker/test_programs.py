"""L1: what is served, when it is read again, and what an outage changes."""

import asyncio

import pytest

from schemas.errors import CoreDataUnavailableError, ProgramNotFoundError
from schemas.redis import RECORD_TTL_S, Record
from tests.factories import VERSION, program
from tests.tracker.ports import Clock, FakeLevel, tracker_settings
from tracker.programs import PURGE, Programs

ID = "212313"
SETTINGS = tracker_settings(programs_max=3)
DISTRUST_MS = 2 * 1000 * RECORD_TTL_S
OLD = Record(VERSION, program(name="old"))
NEW = Record(VERSION + 1, program(name="new", version=VERSION + 1))


class Bench:
    """Programs over two levels in memory."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.cache = FakeLevel()
        self.truth = FakeLevel()
        self.programs = Programs(self.cache, self.truth, SETTINGS, clock)

    async def name(self, program_id: str = ID) -> str:
        return (await self.programs.get(program_id)).name


@pytest.fixture
def bench(clock: Clock) -> Bench:
    bench = Bench(clock)
    bench.programs.link_up()
    clock.now_ms += DISTRUST_MS
    bench.truth.records[ID] = OLD
    return bench


async def test_a_program_is_read_from_the_truth_once_and_fills_the_cache(bench: Bench) -> None:
    names = [await bench.name() for _ in range(3)]

    assert names == ["old"] * 3
    assert bench.truth.reads == 1
    assert bench.cache.records[ID] == OLD


async def test_the_cache_answers_before_the_truth(bench: Bench) -> None:
    bench.cache.records[ID] = NEW

    assert await bench.name() == "new"
    assert bench.truth.reads == 0


@pytest.mark.parametrize("gap", ["link_up", "message_missed"])
async def test_after_a_gap_the_cache_is_passed_over_until_what_it_held_has_expired(
    bench: Bench, gap: str
) -> None:
    bench.truth.records["other"] = NEW
    bench.cache.records = {ID: OLD, "other": OLD}

    getattr(bench.programs, gap)()
    bench.clock.now_ms += DISTRUST_MS - 1
    during = await bench.name("other")
    bench.clock.now_ms += 1
    after = await bench.name()

    assert (during, after) == ("new", "old")
    assert bench.cache.records["other"] == NEW


async def test_many_that_ask_at_once_share_one_read(bench: Bench) -> None:
    bench.truth.answering.clear()
    asking = [asyncio.create_task(bench.name()) for _ in range(20)]
    await asyncio.sleep(0)

    bench.truth.answering.set()

    assert await asyncio.gather(*asking) == ["old"] * 20
    assert bench.truth.reads == 1


async def test_one_who_stops_waiting_does_not_end_the_read_of_others(bench: Bench) -> None:
    bench.truth.answering.clear()
    leaving = asyncio.create_task(bench.name())
    staying = asyncio.create_task(bench.name())
    await bench.truth.asked.wait()

    leaving.cancel()
    bench.truth.answering.set()

    assert await staying == "old"


async def test_an_unknown_program_is_remembered_as_unknown_for_a_short_while(bench: Bench) -> None:
    for _ in range(3):
        with pytest.raises(ProgramNotFoundError):
            await bench.name("unknown")
    assert bench.truth.reads == 1

    bench.truth.records["unknown"] = NEW
    bench.clock.now_ms += SETTINGS.absent_max_age_ms

    assert await bench.name("unknown") == "new"


async def test_an_invalidation_ends_an_absence_at_once(bench: Bench) -> None:
    with pytest.raises(ProgramNotFoundError):
        await bench.name("unknown")

    bench.programs.apply("unknown", NEW)

    assert await bench.name("unknown") == "new"


async def test_an_invalidation_replaces_what_is_held_without_a_read(bench: Bench) -> None:
    await bench.name()

    bench.programs.apply(ID, NEW)

    assert await bench.name() == "new"
    assert bench.truth.reads == 1


async def test_an_older_invalidation_changes_nothing(bench: Bench) -> None:
    bench.truth.records[ID] = NEW
    await bench.name()

    bench.programs.apply(ID, OLD)

    assert await bench.name() == "new"


async def test_a_tombstone_takes_the_program_away(bench: Bench) -> None:
    await bench.name()

    bench.programs.apply(ID, Record(VERSION + 1, None))

    with pytest.raises(ProgramNotFoundError):
        await bench.name()


async def test_an_invalidation_that_overtakes_a_read_wins(bench: Bench) -> None:
    bench.truth.answering.clear()
    asking = asyncio.create_task(bench.name())
    await bench.truth.asked.wait()

    bench.programs.apply(ID, NEW)
    bench.truth.answering.set()

    assert await asking == "new"
    assert await bench.name() == "new"


async def test_an_invalidation_that_overtakes_the_read_of_an_absence_wins(bench: Bench) -> None:
    bench.truth.records.clear()
    bench.truth.answering.clear()
    asking = asyncio.create_task(bench.name())
    await bench.truth.asked.wait()

    bench.programs.apply(ID, NEW)
    bench.truth.answering.set()

    assert await asking == "new"


async def test_what_is_not_held_is_not_taken_in_by_an_invalidation(bench: Bench) -> None:
    bench.programs.apply(ID, NEW)

    assert len(bench.programs) == 0


async def test_past_its_age_an_entry_is_served_once_more_while_it_is_read_again(bench: Bench) -> None:
    await bench.name()
    bench.cache.records[ID] = NEW

    bench.clock.now_ms += SETTINGS.program_max_age_ms
    bench.cache.asked.clear()
    served = await bench.name()
    await bench.cache.asked.wait()

    assert served == "old"
    assert await bench.name() == "new"


@pytest.mark.parametrize("gap", ["link_up", "message_missed"])
async def test_after_a_gap_an_entry_is_checked_against_the_truth_before_it_is_served(
    bench: Bench, gap: str
) -> None:
    await bench.name()
    bench.truth.records[ID] = NEW

    getattr(bench.programs, gap)()

    assert await bench.name() == "new"
    assert bench.cache.records[ID] == NEW


async def test_a_gap_during_a_read_makes_its_result_suspect(bench: Bench) -> None:
    bench.truth.answering.clear()
    asking = asyncio.create_task(bench.name())
    await bench.truth.asked.wait()

    bench.programs.message_missed()
    bench.truth.answering.set()
    await asking
    bench.truth.records[ID] = NEW

    assert await bench.name() == "new"


async def test_without_a_link_an_entry_lives_for_a_heartbeat_and_the_cache_is_passed_over(
    bench: Bench,
) -> None:
    await bench.name()
    bench.programs.link_down()
    bench.truth.records[ID] = NEW
    bench.cache.reads = 0

    before = await bench.name()
    bench.clock.now_ms += SETTINGS.heartbeat_ms
    after = await bench.name()

    assert (before, after) == ("old", "new")
    assert bench.cache.reads == 0


async def test_in_an_outage_a_known_program_is_served_and_not_asked_for_at_every_turn(bench: Bench) -> None:
    await bench.name()
    bench.programs.link_down()
    bench.truth.down = True
    bench.clock.now_ms += SETTINGS.heartbeat_ms

    names = [await bench.name() for _ in range(3)]

    assert names == ["old"] * 3
    assert bench.truth.reads == 2


async def test_in_an_outage_an_unknown_program_is_unavailable_never_absent(bench: Bench) -> None:
    with pytest.raises(ProgramNotFoundError):
        await bench.name("unknown")
    bench.programs.link_down()
    bench.truth.down = True
    bench.clock.now_ms += SETTINGS.heartbeat_ms

    with pytest.raises(CoreDataUnavailableError):
        await bench.name("unknown")


async def test_an_absence_in_the_cache_says_nothing_while_the_truth_is_down(bench: Bench) -> None:
    bench.truth.down = True

    with pytest.raises(CoreDataUnavailableError):
        await bench.name()


async def test_the_cache_alone_serves_while_the_truth_is_down(bench: Bench) -> None:
    bench.cache.records[ID] = OLD
    await bench.name()
    bench.truth.down = True

    bench.programs.message_missed()
    bench.cache.records[ID] = NEW

    assert await bench.name() == "new"


async def test_after_an_outage_the_first_answer_past_the_pause_is_checked(bench: Bench) -> None:
    await bench.name()
    bench.truth.down = True
    bench.cache.down = True
    bench.programs.message_missed()
    assert await bench.name() == "old"

    bench.truth.down = False
    bench.truth.records[ID] = NEW
    bench.clock.now_ms += SETTINGS.heartbeat_ms

    assert await bench.name() == "new"


async def test_a_cache_that_lags_never_takes_a_newer_value_back(bench: Bench) -> None:
    await bench.name()
    bench.programs.apply(ID, NEW)
    bench.cache.records[ID] = OLD
    bench.truth.down = True

    bench.cache.asked.clear()
    bench.clock.now_ms += SETTINGS.program_max_age_ms
    await bench.name()
    await bench.cache.asked.wait()

    assert await bench.name() == "new"


async def test_what_the_cache_served_is_checked_a_heartbeat_later(bench: Bench) -> None:
    bench.programs.message_missed()
    bench.cache.records[ID] = OLD
    bench.truth.records[ID] = NEW
    bench.truth.down = True

    served = [await bench.name() for _ in range(3)]
    reads = bench.truth.reads
    bench.truth.down = False
    bench.clock.now_ms += SETTINGS.heartbeat_ms

    assert (served, reads) == (["old"] * 3, 1)
    assert await bench.name() == "new"


async def test_an_invalidation_after_a_gap_is_no_proof_that_nothing_newer_was_missed(bench: Bench) -> None:
    await bench.name()
    bench.programs.message_missed()
    bench.truth.records[ID] = Record(VERSION + 2, program(name="newest", version=VERSION + 2))

    bench.programs.apply(ID, NEW)

    assert await bench.name() == "newest"


async def test_a_purge_forgets_every_program(bench: Bench) -> None:
    await bench.name()

    bench.programs.purge(VERSION)

    assert len(bench.programs) == 0
    assert await bench.name() == "old"


async def test_the_least_recently_used_program_leaves_first(bench: Bench) -> None:
    for program_id in ("a", "b", "c", "d"):
        bench.truth.records[program_id] = OLD
    for program_id in ("a", "b", "c", "a", "d"):
        await bench.name(program_id)
    reads = bench.truth.reads

    await bench.name("a")
    assert bench.truth.reads == reads
    assert len(bench.programs) == SETTINGS.programs_max

    bench.cache.records.clear()
    await bench.name("b")
    assert bench.truth.reads == reads + 1


@pytest.mark.parametrize("version", [VERSION + 1, VERSION + 2])
async def test_who_waits_for_a_version_learns_of_it_or_of_a_newer_one(bench: Bench, version: int) -> None:
    applied = bench.programs.applied(ID, VERSION + 1)

    bench.programs.apply(ID, OLD)
    assert not applied.done()
    bench.programs.apply(ID, Record(version, program(version=version)))

    assert applied.done()


async def test_who_waits_for_a_version_is_not_told_by_a_fact_that_moved_it(bench: Bench) -> None:
    applied = bench.programs.applied(ID, VERSION + 1)

    bench.programs.apply(ID, Record(VERSION + 1, program(version=VERSION + 1, written_version=VERSION)))
    assert not applied.done()
    bench.programs.apply(ID, Record(VERSION + 2, program(version=VERSION + 2, written_version=VERSION + 1)))

    assert applied.done()


async def test_who_waits_for_a_purge_learns_of_it(bench: Bench) -> None:
    applied = bench.programs.applied(PURGE, VERSION)

    bench.programs.purge(VERSION)

    assert applied.done()


async def test_closing_ends_reads_under_way(bench: Bench) -> None:
    bench.truth.answering.clear()
    asking = asyncio.create_task(bench.name())
    await bench.truth.asked.wait()

    await bench.programs.close()

    with pytest.raises(asyncio.CancelledError):
        await asking


async def test_core_data_is_fresh_while_linked_and_stale_from_when_the_link_was_last_heard(
    bench: Bench,
) -> None:
    fresh = bench.programs.staleness_ms
    bench.programs.link_down(silent_ms=300)
    bench.clock.now_ms += 100
    bench.programs.link_down()
    stale = bench.programs.staleness_ms
    bench.programs.link_up()

    assert (fresh, stale, bench.programs.staleness_ms) == (0, 400, 0)


async def test_core_data_is_stale_until_a_first_link(clock: Clock) -> None:
    bench = Bench(clock)
    clock.now_ms += 100

    assert bench.programs.staleness_ms == 100


async def test_a_link_that_is_back_makes_nothing_fresh_that_cannot_be_checked(bench: Bench) -> None:
    await bench.name()
    bench.programs.link_down()
    bench.programs.link_up()
    bench.truth.down = bench.cache.down = True
    bench.clock.now_ms += 100

    await bench.name()
    stale = bench.programs.staleness_ms
    bench.truth.down = False
    bench.clock.now_ms += SETTINGS.heartbeat_ms
    await bench.name()

    assert (stale, bench.programs.staleness_ms) == (100, 0)
    assert bench.programs.stale_answers == 1
