"""What workers tell of themselves and of what failed, over a real Valkey."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from msgspec.structs import replace
from redis.asyncio import Redis

from schemas.errors import UnavailableError
from schemas.health import Failures, Lag
from schemas.invalidations import FailuresCounted, HealthReported, ReaderReported, decode_invalidation
from schemas.metrics import WORKER_FAILURES
from schemas.redis import health_channel
from tests.factories import NOW_MS
from tests.workers.test_outlets import NOBODY
from workers.health import Health
from workers.outlets import redis_client
from workers.runtime.clock import ManualClock
from workers.runtime.progress import Place, Progress
from workers.settings import WorkerSettings

WAIT_S = 5
SETTINGS = WorkerSettings(
    event_stream="events",
    update_stream="updates",
    leases_table="leases",
    touch_stream="touches",
    state_table="state",
    matches_table="matches",
    failed_events_bucket="failed",
    redis_channel="health",
)
PLACE = Place("tally", "events", "shardId-0")


class Bucket:
    """So many objects, three on a page."""

    def __init__(self, count: int) -> None:
        self.count = count

    async def list_objects_v2(self, **request: Any) -> dict[str, Any]:
        start = int(request.get("ContinuationToken", 0))
        keys = [{"Key": str(number)} for number in range(start, min(start + 3, self.count))]
        return {"Contents": keys, "IsTruncated": start + 3 < self.count, "NextContinuationToken": start + 3}


class HeldClock(ManualClock):
    """Who sleeps waits until it is woken, at the time that it meant."""

    def __init__(self) -> None:
        super().__init__(NOW_MS)
        self.asleep = asyncio.Event()
        self._woken = asyncio.Event()

    async def sleep_until(self, at_ms: int) -> None:
        self.asleep.set()
        await self._woken.wait()
        self._woken.clear()
        self.set(at_ms)

    async def woken(self) -> None:
        """Returns once whoever sleeps has had its turn and sleeps again."""
        await self.next_sleep()
        self._woken.set()
        await self.next_sleep()

    async def next_sleep(self) -> None:
        async with asyncio.timeout(WAIT_S):
            await self.asleep.wait()
        self.asleep.clear()


@pytest.fixture
async def redis(valkey: str) -> AsyncIterator[Redis]:
    async with redis_client(valkey) as client:
        await client.flushall()
        yield client


def make_health(
    redis: Redis, clock: ManualClock, *, failures: int = 0, progress: Progress | None = None, **fields: int
) -> Health:
    return Health(redis, Bucket(failures), progress or Progress(), replace(SETTINGS, **fields), clock)


@asynccontextmanager
async def running(work: Any) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


@asynccontextmanager
async def listening(redis: Redis) -> AsyncIterator[Any]:
    async with redis.pubsub() as pubsub:
        await pubsub.subscribe(health_channel(SETTINGS.redis_channel))
        await pubsub.get_message(timeout=WAIT_S)
        yield pubsub


async def heard(pubsub: Any) -> HealthReported:
    message = await pubsub.get_message(timeout=WAIT_S)
    told = decode_invalidation(message["data"])
    assert isinstance(told, HealthReported)
    return told


async def test_each_place_that_is_read_is_told_with_when_it_was(redis: Redis) -> None:
    clock, progress = HeldClock(), Progress(lambda: NOW_MS - 300)
    with progress.following(PLACE) as told:
        told(10, 1_200)
        async with (
            listening(redis) as pubsub,
            running(make_health(redis, clock, progress=progress).report()),
        ):
            await clock.woken()

            lag = Lag(reader="tally", stream="events", shard_id="shardId-0", lag_ms=1_200, at_ms=NOW_MS - 300)
            assert await heard(pubsub) == ReaderReported(lag=lag)
            assert clock.now_ms() == NOW_MS + SETTINGS.report_ms


async def test_failures_are_counted_and_are_a_metric(redis: Redis) -> None:
    clock = HeldClock()
    health = make_health(redis, clock, failures=7)
    assert list(health.readings()) == []

    async with listening(redis) as pubsub, running(health.count()):
        assert await heard(pubsub) == FailuresCounted(failures=Failures(count=7, at_ms=NOW_MS))
        await clock.next_sleep()

    assert [(each.metric, each.value) for each in health.readings()] == [(WORKER_FAILURES, 7)]


@pytest.mark.parametrize(("failures", "told"), [(5, Failures(count=5, at_ms=NOW_MS)), (6, None)])
async def test_no_more_are_counted_than_it_may(redis: Redis, failures: int, told: Failures | None) -> None:
    health = make_health(redis, HeldClock(), failures=failures, failures_max=5)

    async with listening(redis) as pubsub, running(health.count()):
        expected = told or Failures(count=5, at_ms=NOW_MS, more=True)
        assert await heard(pubsub) == FailuresCounted(failures=expected)


async def test_the_word_of_a_worker_that_counted_just_now_is_taken(redis: Redis) -> None:
    first, other = HeldClock(), HeldClock()
    async with running(make_health(redis, first, failures=7).count()):
        await first.next_sleep()
    later = make_health(redis, other, failures=8)

    async with running(later.count()):
        await other.next_sleep()
        assert [each.value for each in later.readings()] == [7]
        other.asleep.set()
        await other.woken()
        assert [each.value for each in later.readings()] == [8]


async def test_a_redis_that_is_away_is_unavailable() -> None:
    async with redis_client(NOBODY) as redis:
        with pytest.raises(UnavailableError, match="Redis"):
            await make_health(redis, HeldClock()).count()
