"""The follower, over a real Valkey: what it makes of messages and of what it reads, and its bounds."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar
from uuid import uuid4

import pytest
from msgspec.structs import replace
from redis.asyncio import Redis

from schemas.errors import CoreDataUnavailableError
from schemas.health import Failures, Lag
from schemas.invalidations import TaskReported, encode_invalidation
from schemas.minutes import MINUTE_MS, Minute, minute_of
from schemas.programs import Program, PublicProgram, Totals
from schemas.redis import (
    PUBLISH_HEALTH,
    PUBLISH_IF_MORE,
    PUBLISH_IF_NEWER,
    Change,
    HealthChange,
    failures_change,
    health_key,
    lag_change,
    minute_change,
    minute_key,
    program_change,
    tasks_channel,
    tombstone_change,
    totals_change,
)
from tests.factories import NOW_MS, program
from tests.tracker.ports import Clock, tracker_settings
from tracker.catalog import Page
from tracker.live.board import Board
from tracker.live.entries import Gone, ReaderRow, State, Task
from tracker.live.follower import TASK_SILENT_MS, Follower
from tracker.live.health import SILENT_MS
from tracker.live.news import News
from tracker.settings import TrackerSettings
from workers.runtime.backoff import backoff_s
from workers.runtime.supervisor import Supervisor

WAIT_S = 5
START_MS = minute_of(NOW_MS)
READERS = {"persist": 120, "tally": 80}

Value = TypeVar("Value")


class FakeCatalog:
    """Two programs on a page."""

    def __init__(self, *programs: Program) -> None:
        self.programs = list(programs)
        self.totals = Totals(views=1)
        self.down = False
        self.listed = 0

    async def page(self, *, limit: int, cursor: str | None) -> Page:
        if self.down:
            raise CoreDataUnavailableError("down")
        self.listed += cursor is None
        start = int(cursor or 0)
        after = start + 2
        return Page(self.programs[start:after], str(after) if after < len(self.programs) else None)

    async def read_all(self, program_ids: Sequence[str]) -> list[Totals]:
        return [self.totals] * len(program_ids)


class World:
    """A follower of a channel of its own, and what it has put on its board."""

    def __init__(self, redis: Redis, settings: TrackerSettings, catalog: FakeCatalog) -> None:
        self.redis = redis
        self.settings = settings
        self.catalog = catalog
        self.clock = Clock()
        self.board = Board()
        self.follower = Follower(
            redis, catalog, catalog, settings, self.board, task="this", clock_ms=self.clock
        )

    @property
    def channel(self) -> str:
        return self.settings.redis_channel

    @property
    def state(self) -> State:
        state = self.board.get(("state",))
        assert isinstance(state, State)
        return state

    def entries(self, kind: type[Value]) -> list[Value]:
        everything = self.board.since(0, until=self.board.revision)
        return [each.value for each in everything if isinstance(each.value, kind)]

    def row(self, *key: str | int) -> Any:
        row: Any = self.board.get(key)
        return row and tuple(getattr(row, name) for name in row.__struct_fields__)

    async def until(self, probe: Callable[[], object]) -> None:
        """Returns once `probe` says so; looks again with every change of the board."""
        async with asyncio.timeout(WAIT_S):
            while not probe():
                self.board.changed.clear()
                await self.board.changed.wait()

    async def publish(self, change: Change) -> None:
        assert await self.redis.register_script(PUBLISH_IF_NEWER)(keys=change.keys, args=change.args) == 1

    async def count(self, part: str, minute: Minute, *, start_ms: int = START_MS) -> None:
        change = minute_change(self.channel, "212313", start_ms, part, minute)
        assert await self.redis.register_script(PUBLISH_IF_MORE)(keys=change.keys, args=change.args) == 1

    async def tell(self, change: HealthChange) -> None:
        await self.redis.register_script(PUBLISH_HEALTH)(keys=change.keys, args=change.args)

    async def lag(self, reader: str, lag_ms: int, *, at_ms: int = NOW_MS) -> None:
        lag = Lag(reader=reader, stream="events", shard_id="s", lag_ms=lag_ms, at_ms=at_ms)
        await self.tell(lag_change(self.channel, lag))

    async def report(self, task: str, applied: int) -> None:
        told = TaskReported(task=task, applied=applied, staleness_ms=5)
        await self.redis.publish(tasks_channel(self.channel), encode_invalidation(told))


@pytest.fixture
async def redis(valkey: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(valkey) as redis:
        yield redis
        await redis.flushall()


@asynccontextmanager
async def following(redis: Redis, *programs: Program, **fields: int) -> AsyncIterator[World]:
    settings = tracker_settings(
        redis_channel=f"channel-{uuid4()}", heartbeat_ms=50, heartbeat_timeout_ms=200, **fields
    )
    world = World(redis, settings, FakeCatalog(*programs))
    async with running(world):
        await world.until(lambda: world.state.linked and not world.state.reading)
        yield world


@asynccontextmanager
async def running(world: World) -> AsyncIterator[None]:
    async with Supervisor(backoff=lambda: backoff_s(first_s=0.01, most_s=0.01)) as supervisor:
        for name, actor in world.follower.actors().items():
            supervisor.start(name, actor)
        yield


async def test_it_reads_every_program_with_its_totals(redis: Redis) -> None:
    programs = [program(program_id=f"p{number}") for number in range(5)]
    async with following(redis, *programs) as world:
        assert world.entries(PublicProgram) == [each.public for each in programs]
        assert [world.row("totals", f"p{number}") for number in range(5)] == [
            (f"p{number}", 1, 0, 0, 0) for number in range(5)
        ]


async def test_a_change_is_put_there_and_told(redis: Redis) -> None:
    before = program()
    after = replace(before, version=(NOW_MS - 30) * 1_000, name="renamed")
    async with following(redis, replace(before, version=1)) as world:
        await world.publish(program_change(world.channel, after))
        await world.until(lambda: world.entries(News))

        assert world.entries(PublicProgram) == [after.public]
        (told,) = world.entries(News)
        assert (told.program_id, told.delay_ms, told.fields, told.applied) == ("212313", 30, ("name",), 1)


async def test_flagged_visitors_are_not_told(redis: Redis) -> None:
    before = program(version=1)
    after = replace(before, version=(NOW_MS - 30) * 1_000, flagged={"visitor-1": NOW_MS})
    async with following(redis, before) as world:
        await world.publish(program_change(world.channel, after))
        await world.until(lambda: world.entries(News))

        assert world.entries(PublicProgram) == [after.public]
        assert [each.fields for each in world.entries(News)] == [("flagged",)]


async def test_the_same_version_again_is_no_news(redis: Redis) -> None:
    async with following(redis, program()) as world:
        await world.publish(program_change(world.channel, program()))
        await world.publish(totals_change(world.channel, "212313", Totals(views=7)))
        await world.until(lambda: world.row("totals", "212313") == ("212313", 7, 0, 0, 0))

        assert world.entries(News) == []


async def test_a_deleted_program_is_said_to_be_gone(redis: Redis) -> None:
    async with following(redis, program(version=1)) as world:
        await world.publish(tombstone_change(world.channel, "212313", NOW_MS * 1_000))
        await world.until(lambda: world.entries(Gone))

        assert world.entries(PublicProgram) == []
        assert [each.kind for each in world.entries(News)] == ["deleted"]


async def test_totals_never_shrink(redis: Redis) -> None:
    async with following(redis, program()) as world:
        await world.publish(totals_change(world.channel, "212313", Totals(views=3, clicks=4)))
        await redis.delete("totals:212313")
        await world.publish(totals_change(world.channel, "212313", Totals(views=5)))
        await world.until(lambda: world.row("totals", "212313") == ("212313", 5, 4, 0, 0))


async def test_minutes_are_read_and_followed_and_their_parts_added_up(redis: Redis) -> None:
    before_ms = START_MS - MINUTE_MS
    async with following(redis, program()) as world:
        await world.count("a", Minute(views=1, visitors=1))
        await world.count("b", Minute(views=2, clicks=1), start_ms=before_ms)
        await world.count("a", Minute(views=3, visitors=2), start_ms=before_ms)
        whole = ("212313", before_ms, 5, 1, 0, 0, 2)
        await world.until(lambda: world.row("minutes", "212313", before_ms) == whole)
        assert world.row("minutes", "212313", START_MS) == ("212313", START_MS, 1, 0, 0, 0, 1)

    async with following(redis, program()) as later:
        assert later.row("minutes", "212313", before_ms) == whole


async def test_what_is_no_minute_is_passed_over(redis: Redis) -> None:
    await redis.hset(minute_key(START_MS), "212313/a", "hello")
    async with following(redis, program()) as world:
        assert world.row("minutes", "212313", START_MS) is None


async def test_minutes_are_forgotten_after_their_time(redis: Redis) -> None:
    async with following(redis, program()) as world:
        await world.count("a", Minute(views=1))
        await world.until(lambda: world.row("minutes", "212313", START_MS))

        world.clock.now_ms += 16 * MINUTE_MS
        world.follower.tidy()

        assert world.row("minutes", "212313", START_MS) is None


async def test_tasks_are_told_with_what_they_have_applied_and_forgotten_when_they_fall_silent(
    redis: Redis,
) -> None:
    async with following(redis, program(version=1)) as world:
        await world.publish(program_change(world.channel, program(version=NOW_MS * 1_000)))
        await world.report("a", 1)
        await world.report("b", 0)
        await world.until(lambda: len(world.entries(Task)) == 2)

        assert [(each.task, each.applied, each.seen_ms) for each in world.entries(Task)] == [
            ("a", 1, NOW_MS),
            ("b", 0, NOW_MS),
        ]
        assert [each.tasks for each in world.entries(News)] == [1]
        world.clock.now_ms += TASK_SILENT_MS + 1
        world.follower.tidy()
        assert world.entries(Task) == []


async def test_how_far_behind_readers_are_is_read_and_followed_and_forgotten_after_its_time(
    redis: Redis,
) -> None:
    async with following(redis) as world:
        assert world.board.get(("failures",)) is None
        await world.lag("persist", 120)
        await world.lag("tally", 80)
        await world.lag("tally", 90, at_ms=NOW_MS - 1)
        await world.tell(failures_change(world.channel, Failures(count=3, at_ms=NOW_MS)))
        await world.until(lambda: world.board.get(("failures",)))

        rows = [ReaderRow(name, "events", "s", lag_ms, NOW_MS) for name, lag_ms in READERS.items()]
        assert world.entries(ReaderRow) == rows
        world.clock.now_ms += SILENT_MS + 1
        world.follower.tidy()
        assert world.entries(ReaderRow) == []

    async with following(redis) as later:
        assert later.entries(Failures) == [Failures(count=3, at_ms=NOW_MS)]
        assert {row.reader for row in later.entries(ReaderRow)} == set(READERS)


async def test_what_tells_of_no_health_is_passed_over(redis: Redis) -> None:
    await redis.hset(health_key(NOW_MS), "reader/a/b/c", "hello")
    async with following(redis) as world:
        assert world.entries(ReaderRow) == []


async def test_a_missed_message_means_reading_again(redis: Redis) -> None:
    async with following(redis, program(version=1)) as world:
        await world.publish(program_change(world.channel, program(version=2)))
        await world.until(lambda: world.entries(PublicProgram) == [program(version=2).public])
        await redis.incr(f"sequence:{world.channel}")
        world.catalog.programs = [program(version=2), program(program_id="missed")]

        await world.publish(program_change(world.channel, program(version=3)))
        await world.until(lambda: len(world.entries(PublicProgram)) == 2)

        assert {each.program_id: each.version for each in world.entries(PublicProgram)}["212313"] == 3


async def test_a_lost_link_is_said_and_what_happened_meanwhile_is_found(redis: Redis) -> None:
    async with following(redis, program(program_id="gone"), program(program_id="kept")) as world:
        world.catalog.programs = [program(program_id="kept"), program(program_id="new")]
        world.catalog.totals = Totals(views=9)
        world.clock.now_ms += 1_000

        await redis.client_kill_filter(_type="pubsub")
        await world.until(lambda: world.state.since_ms == world.clock.now_ms)
        await world.until(lambda: world.state.linked and not world.state.reading)

        assert {each.program_id for each in world.entries(PublicProgram)} == {"kept", "new"}
        assert [each.program_id for each in world.entries(Gone)] == ["gone"]
        assert world.row("totals", "kept") == ("kept", 9, 0, 0, 0)
        assert world.state.since_ms == world.clock.now_ms


async def test_without_dynamodb_it_goes_on_being_told_and_reads_when_that_is_back(redis: Redis) -> None:
    settings = tracker_settings(redis_channel=f"channel-{uuid4()}", heartbeat_ms=50, heartbeat_timeout_ms=200)
    world = World(redis, settings, FakeCatalog(program()))
    world.catalog.down = True
    async with running(world):
        await world.until(lambda: world.state.linked)
        await world.publish(totals_change(world.channel, "212313", Totals(views=7)))
        await world.until(lambda: world.row("totals", "212313"))
        assert world.follower.reading

        world.catalog.down = False
        await world.until(lambda: not world.state.reading)

        assert world.entries(PublicProgram) == [program().public]


async def test_more_programs_than_are_kept_are_said_to_be_more(redis: Redis) -> None:
    programs = [program(program_id=f"p{number}") for number in range(5)]
    async with following(redis, *programs, live_programs_max=3) as world:
        await world.publish(totals_change(world.channel, "p4", Totals(views=7)))
        await world.publish(totals_change(world.channel, "p0", Totals(views=8)))
        await world.until(lambda: world.row("totals", "p0") == ("p0", 8, 0, 0, 0))

        assert [each.program_id for each in world.entries(PublicProgram)] == ["p0", "p1", "p2"]
        assert world.row("totals", "p4") is None
        assert world.state.full
