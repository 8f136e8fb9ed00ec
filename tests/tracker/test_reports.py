"""Reports: a task says how it is, now and then and after each change."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import pytest
from redis.asyncio import Redis

from schemas.errors import UnavailableError
from schemas.invalidations import TaskReported, decode_invalidation
from schemas.redis import tasks_channel
from tests.tracker.ports import tracker_settings
from tracker.reports import Health, Reports
from tracker.settings import TrackerSettings

WAIT_S = 5


@pytest.fixture
async def redis(valkey: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(valkey) as redis:
        yield redis


def with_settings(**fields: int) -> TrackerSettings:
    return tracker_settings(redis_channel=f"channel-{uuid4()}", **fields)


def reports_of(redis: Redis, settings: TrackerSettings) -> Reports:
    return Reports(
        redis, lambda: Health(staleness_ms=3, buffered_bytes=4, acknowledged=5), settings, task="a"
    )


@asynccontextmanager
async def reporting(redis: Redis, settings: TrackerSettings) -> AsyncIterator[tuple[Reports, Any]]:
    reports = reports_of(redis, settings)
    async with redis.pubsub(ignore_subscribe_messages=True) as pubsub:
        await pubsub.subscribe(tasks_channel(settings.redis_channel))
        await pubsub.get_message(timeout=WAIT_S)
        task = asyncio.create_task(reports.run())
        yield reports, pubsub
        task.cancel()
        await asyncio.wait([task])


async def heard(pubsub: Any) -> TaskReported:
    async with asyncio.timeout(WAIT_S):
        while (message := await pubsub.get_message(timeout=WAIT_S)) is None:
            pass
    told = decode_invalidation(message["data"])
    assert isinstance(told, TaskReported)
    return told


async def test_a_change_that_was_applied_is_reported_at_once_and_once(redis: Redis) -> None:
    async with reporting(redis, with_settings(report_ms=600_000)) as (reports, pubsub):
        reports.applied(7)
        assert await heard(pubsub) == TaskReported(
            task="a", applied=7, staleness_ms=3, buffered_bytes=4, acknowledged=5
        )

        for number in range(8, 100):
            reports.applied(number)
        assert (await heard(pubsub)).applied == 99


async def test_a_task_to_which_nothing_happens_says_so_again_and_again(redis: Redis) -> None:
    async with reporting(redis, with_settings(report_ms=10)) as (reports, pubsub):
        reports.applied(7)

        assert [(await heard(pubsub)).applied for _ in range(3)] == [7, 7, 7]


async def test_before_it_is_linked_it_says_nothing(redis: Redis) -> None:
    async with reporting(redis, with_settings(report_ms=10)) as (_, pubsub):
        assert await pubsub.get_message(timeout=0.2) is None


async def test_without_redis_it_fails_and_says_why() -> None:
    async with Redis(port=1) as nowhere:
        reports = reports_of(nowhere, with_settings(report_ms=10))
        reports.applied(1)

        with pytest.raises(UnavailableError, match="Redis"):
            await reports.run()
