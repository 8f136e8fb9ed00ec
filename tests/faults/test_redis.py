"""Redis that dies, comes back empty or older than it was, or freezes."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from urllib.parse import urlsplit

from aiohttp import ClientSession
from redis.asyncio import Redis

from schemas.redis import program_key
from tests.faults.load import LOST, REFUSED, Heard
from tests.faults.ordeal import Ordeal, put_program
from tests.faults.stack import System, eventually

FROZEN_S = 10
REPLICATED_TIMEOUT_S = 20


async def test_valkey_killed(ordeal: Ordeal) -> None:
    """Valkey killed, and back empty.

    Valkey gets SIGKILL under load and starts again without a key. Trackers go on from memory and DynamoDB,
    and what they read there fills Redis again; so does the next change.
    """
    async with ordeal.under_load():
        await ordeal.system.kill_and_wait("valkey")
        await asyncio.sleep(5)
    await _changes_arrive(ordeal)
    async with Redis.from_url(ordeal.system.file.redis_url) as redis:
        assert await redis.exists(*map(program_key, ordeal.program_ids)) == len(ordeal.program_ids)


async def test_valkey_frozen(ordeal: Ordeal) -> None:
    """Valkey frozen for 10 s.

    Valkey gets SIGSTOP: connections stay open and nothing is answered. Trackers find out by the heartbeat,
    and go on from memory and DynamoDB. Then SIGCONT.
    """
    async with ordeal.under_load():
        ordeal.system.signal("valkey", signal.SIGSTOP)
        try:
            await asyncio.sleep(FROZEN_S)
        finally:
            ordeal.system.signal("valkey", signal.SIGCONT)
    await _changes_arrive(ordeal)


async def test_valkey_fails_over(ordeal: Ordeal, valkey: str) -> None:
    """Valkey fails over to a replica that lags.

    A program is changed, and Valkey is lost before its replica has heard of that: connections break, and
    the name leads to the replica. No tracker goes back behind the change, not even one that gets SIGKILL
    then and starts with an empty memory. The next change goes through the replica to both.
    """
    system, program_id = ordeal.system, ordeal.program_ids[0]
    ordeal.errors = frozenset({REFUSED, LOST})
    heard: list[Heard] = []
    async with ordeal.under_load(hear=heard.append), Redis.from_url(valkey) as replica:
        await _copy(system.file.redis_url, replica, program_key(program_id))
        async with ClientSession() as session:
            await put_program(session, system.file.trackers[0], program_id, name="ahead")
        async with _failed_over(system, valkey):
            failed_over_s = time.monotonic()
            await system.kill_and_wait("tracker-1")
            await system.until_ready()
            await _changes_arrive(ordeal)
    later = {each.name for each in heard if each.program_id == program_id and each.started_s > failed_over_s}
    assert later == {"ahead", "changed"}


@asynccontextmanager
async def _failed_over(system: System, replica: str) -> AsyncIterator[None]:
    await _turn(system, replica)
    try:
        yield
    finally:
        await _turn(system, system.file.redis_url)


async def _turn(system: System, target: str) -> None:
    await system.cables.redis.cut()
    system.cables.redis.lead_to(target)
    await system.cables.redis.heal()


async def _copy(primary: str, replica: Redis, key: str) -> None:
    """Replicates until the replica holds `key`, and no longer."""
    parts = urlsplit(primary)
    await replica.replicaof(parts.hostname, parts.port)
    await eventually(partial(_holds, replica, key), timeout_s=REPLICATED_TIMEOUT_S)
    await replica.replicaof("NO", "ONE")


async def _holds(redis: Redis, key: str) -> bool:
    return bool(await redis.exists(key))


async def _changes_arrive(ordeal: Ordeal) -> None:
    async with ClientSession() as session:
        for tracker in ordeal.system.file.trackers:
            await put_program(session, tracker, ordeal.program_ids[0], name="changed")
