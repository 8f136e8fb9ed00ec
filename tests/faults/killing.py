"""Kills a Lambda host at an exact moment: before a call arrives, or after it is done."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

from redis.asyncio import Redis

from schemas.redis import totals_key
from tests.faults.aws_faults import Matches
from tests.faults.aws_proxy import AwsProxy, Fault
from tests.faults.ordeal import Ordeal
from tests.faults.stack import System, eventually, until

MOMENT_TIMEOUT_S = 20.0

Moment = Callable[[Matches, Callable[[], None]], Fault]
"""`before` or `after`, of tests.faults.aws_faults."""


@asynccontextmanager
async def killing(
    system: System, name: str, proxy: AwsProxy, moment: Moment, matches: Matches
) -> AsyncIterator[None]:
    """Kills the host at the first such moment from now on, and returns when it has been replaced."""
    pid = system.pid(name)
    fault: Fault = moment(matches, lambda: os.kill(pid, signal.SIGKILL))
    with proxy.suffering(fault):
        yield
        await until(lambda: system.pid(name) != pid, timeout_s=MOMENT_TIMEOUT_S)


async def totals_arrive(ordeal: Ordeal) -> None:
    """What was counted is what Redis says, for whoever follows it."""
    system = ordeal.system
    async with Redis.from_url(system.file.redis_url) as redis:
        for program_id in ordeal.program_ids:
            totals = await asyncio.to_thread(system.books.totals, program_id)
            await eventually(
                partial(_totals_are, redis, program_id, totals.stored), timeout_s=MOMENT_TIMEOUT_S
            )


async def _totals_are(redis: Redis, program_id: str, stored: int) -> bool:
    return await redis.hget(totals_key(program_id), "version") == str(stored).encode()
