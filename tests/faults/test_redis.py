"""Redis that dies, comes back empty, or freezes."""

import asyncio
import signal

from aiohttp import ClientSession
from redis.asyncio import Redis

from schemas.redis import program_key
from tests.faults.ordeal import Ordeal, put_program

FROZEN_S = 10


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


async def _changes_arrive(ordeal: Ordeal) -> None:
    async with ClientSession() as session:
        for tracker in ordeal.system.file.trackers:
            await put_program(session, tracker, ordeal.program_ids[0], name="changed")
