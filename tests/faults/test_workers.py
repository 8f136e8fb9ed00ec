"""Stream workers that die."""

import asyncio
from functools import partial
from typing import Any

from redis.asyncio import Redis

from schemas.minutes import Minute
from schemas.programs import Totals
from schemas.redis import read_minute
from tests.faults.ordeal import Ordeal
from tests.faults.stack import eventually

TIMES = 3
COUNTED_TIMEOUT_S = 30


async def test_workers_killed_three_times(ordeal: Ordeal) -> None:
    """Workers killed three times.

    The stream workers get SIGKILL under load, three times, and are started again. In the end the minutes
    that they count for the live page come to what the totals say: no event is missing there, and none is
    counted twice.
    """
    system = ordeal.system
    async with ordeal.under_load():
        for _ in range(TIMES):
            await system.kill_and_wait("workers")
            await asyncio.sleep(2)
    async with Redis.from_url(system.file.redis_url) as redis:
        for program_id in ordeal.program_ids:
            totals = await asyncio.to_thread(system.books.totals, program_id)
            await eventually(partial(_counts, redis, program_id, totals), timeout_s=COUNTED_TIMEOUT_S)
            assert _totals(await _minutes(redis, program_id)) == totals


async def _counts(redis: Redis, program_id: str, totals: Totals) -> bool:
    return (await _minutes(redis, program_id)).events >= totals.stored


def _totals(minute: Minute) -> Totals:
    return Totals(
        views=minute.views, clicks=minute.clicks, conversions=minute.conversions, invalid=minute.invalid
    )


async def _minutes(redis: Redis, program_id: str) -> Minute:
    """What Redis says came in for the program, over all minutes and parts."""
    total = Minute()
    async for key in redis.scan_iter(match="minute:*"):
        fields: dict[Any, Any] = await redis.hgetall(key)
        for field, value in fields.items():
            found, _, minute = read_minute(field, value)
            total += minute if found == program_id else Minute()
    return total
