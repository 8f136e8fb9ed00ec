"""The link, over a real Valkey: what it hears, and how it learns that it is deaf."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest
from redis.asyncio import Redis

from schemas.errors import UnavailableError
from schemas.redis import PUBLISH_IF_NEWER, Change, Record, program_change, purge_change, tombstone_change
from tests.factories import VERSION, program
from tests.tracker.ports import tracker_settings
from tracker.link import Link
from tracker.settings import TrackerSettings

WAIT_S = 5


class Ear:
    """Remembers what a link tells, in order."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[object] = asyncio.Queue()
        self.silent_ms = 0

    def apply(self, program_id: str, record: Record) -> None:
        self.heard.put_nowait((program_id, record))

    def purge(self, version: int) -> None:
        self.heard.put_nowait(("purge", version))

    def link_up(self) -> None:
        self.heard.put_nowait("up")

    def link_down(self, *, silent_ms: int = 0) -> None:
        self.silent_ms = silent_ms
        self.heard.put_nowait("down")

    def message_missed(self) -> None:
        self.heard.put_nowait("missed")

    async def next(self) -> object:
        async with asyncio.timeout(WAIT_S):
            return await self.heard.get()


@pytest.fixture
def settings() -> TrackerSettings:
    return tracker_settings(redis_channel=f"channel-{uuid4()}", heartbeat_ms=50, heartbeat_timeout_ms=200)


@pytest.fixture
async def redis(valkey: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(valkey) as redis:
        yield redis


@asynccontextmanager
async def linked(redis: Redis, settings: TrackerSettings) -> AsyncIterator[tuple[Ear, asyncio.Task[None]]]:
    ear = Ear()
    task = asyncio.create_task(Link(redis, ear, settings).run())
    assert await ear.next() == "up"
    yield ear, task
    task.cancel()
    await asyncio.wait([task])


async def publish(redis: Redis, change: Change) -> None:
    assert await redis.register_script(PUBLISH_IF_NEWER)(keys=change.keys, args=change.args) == 1


async def test_it_hands_on_changes_deletions_and_purges(redis: Redis, settings: TrackerSettings) -> None:
    program_id = str(uuid4())
    changed = program(program_id=program_id)
    channel = settings.redis_channel
    async with linked(redis, settings) as (ear, _):
        await publish(redis, program_change(channel, changed))
        await publish(redis, tombstone_change(channel, program_id, VERSION + 1))
        await redis.delete("purged")
        await publish(redis, purge_change(channel, VERSION))

        assert await ear.next() == (program_id, Record(VERSION, changed))
        assert await ear.next() == (program_id, Record(VERSION + 1, None))
        assert await ear.next() == ("purge", VERSION)


async def test_what_is_applied_is_told_by_its_number_from_what_was_there_before_on(
    redis: Redis, settings: TrackerSettings
) -> None:
    applied: asyncio.Queue[int] = asyncio.Queue()
    await redis.set(f"sequence:{settings.redis_channel}", 7)
    task = asyncio.create_task(Link(redis, Ear(), settings, applied=applied.put_nowait).run())
    async with asyncio.timeout(WAIT_S):
        before = await applied.get()
        await publish(redis, program_change(settings.redis_channel, program(program_id=str(uuid4()))))
        after = await applied.get()
    task.cancel()
    await asyncio.wait([task])

    assert (before, after) == (7, 8)


async def test_a_gap_in_the_sequence_is_said_before_the_message_after_it(
    redis: Redis, settings: TrackerSettings
) -> None:
    first, second = (program(program_id=str(uuid4())) for _ in range(2))
    channel = settings.redis_channel
    async with linked(redis, settings) as (ear, _):
        await publish(redis, program_change(channel, first))
        await redis.incr(f"sequence:{channel}")
        await publish(redis, program_change(channel, second))

        heard = [await ear.next() for _ in range(3)]

    assert heard[0] == (first.program_id, Record(VERSION, first))
    assert heard[1:] == ["missed", (second.program_id, Record(VERSION, second))]


async def test_what_is_no_invalidation_is_passed_over(redis: Redis, settings: TrackerSettings) -> None:
    changed = program(program_id=str(uuid4()))
    async with linked(redis, settings) as (ear, _):
        await redis.publish(settings.redis_channel, "hello")
        await publish(redis, program_change(settings.redis_channel, changed))

        assert await ear.next() == (changed.program_id, Record(VERSION, changed))


async def test_a_quiet_link_stays_up(redis: Redis, settings: TrackerSettings) -> None:
    async with linked(redis, settings) as (ear, task):
        await asyncio.wait([task], timeout=3 * settings.heartbeat_timeout_ms / 1000)

        assert not task.done()
        assert ear.heard.empty()


async def test_a_killed_connection_is_a_lost_link(redis: Redis, settings: TrackerSettings) -> None:
    async with linked(redis, settings) as (ear, task):
        await redis.client_kill_filter(_type="pubsub")

        assert await ear.next() == "down"
        with pytest.raises(UnavailableError):
            await task


async def test_a_server_that_stalls_is_a_lost_link(redis: Redis, settings: TrackerSettings) -> None:
    async with linked(redis, settings) as (ear, task):
        await redis.client_pause(5 * settings.heartbeat_timeout_ms)

        assert await ear.next() == "down"
        assert ear.silent_ms >= settings.heartbeat_timeout_ms
        with pytest.raises(UnavailableError):
            await task
        await redis.ping()
