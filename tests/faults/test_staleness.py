"""How old core data can be while the way to Redis breaks, and Redis with it."""

import asyncio
import random
import time
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from contextlib import suppress

from aiohttp import ClientSession
from msgspec.structs import fields

from tests.faults.load import Heard
from tests.faults.ordeal import Ordeal, put_program
from tests.faults.stack import System
from tracker.settings import TrackerSettings

UPDATES = 200
UPDATES_PER_S = 20
EVENTS_PER_S = 100
DEFAULTS = {each.name: each.default for each in fields(TrackerSettings)}
BOUND_S = DEFAULTS["heartbeat_timeout_ms"] / 1000 + 1.0
LONGEST_BREAK_S = 6.0


async def test_staleness(ordeal: Ordeal) -> None:
    """Redis killed, stalled and cut at random, 200 updates.

    A program is changed 200 times, 20 times a second, while Valkey is killed, the way to it stalled, half
    open and cut, in random order for random times. Every answer of both trackers is checked: none may be
    older than what DynamoDB had taken the heartbeat timeout plus one second before, whether the link had
    healed by then or not.
    """
    heard: list[Heard] = []
    program_id = ordeal.program_ids[0]
    async with ordeal.under_load(events_per_s=EVENTS_PER_S, batch_sizes=(1,), hear=heard.append):
        async with asyncio.TaskGroup() as tasks:
            breaking = tasks.create_task(_break_at_random(ordeal.system))
            await _update(ordeal.system, program_id)
            breaking.cancel()
        await ordeal.system.cables.redis.heal()
        await asyncio.sleep(LONGEST_BREAK_S)
        await _until_applied(ordeal.system, program_id)
        await asyncio.sleep(BOUND_S)
    applied_s = _applied_s(ordeal.system.witness.applied_s, program_id)
    mine = [each for each in heard if each.program_id == program_id and each.name.isdigit()]
    oldest_s = max(_staleness_s(each, applied_s) for each in mine)
    last = {each.tracker: int(each.name) for each in mine}
    ordeal.notes.append(f"{len(mine)} answers were checked; the oldest was {oldest_s:.1f} s behind.")
    assert oldest_s <= BOUND_S
    assert set(last.values()) == {UPDATES - 1}


async def _update(system: System, program_id: str) -> None:
    """Names the program with the number of the update."""
    loop = asyncio.get_running_loop()
    due_s = loop.time()
    async with ClientSession() as session:
        for number in range(UPDATES):
            tracker = system.file.trackers[number % 2]
            assert await put_program(session, tracker, program_id, name=str(number), wait=False) == 202
            due_s += 1 / UPDATES_PER_S
            await asyncio.sleep(due_s - loop.time())


async def _break_at_random(system: System) -> None:
    redis = system.cables.redis
    while True:
        match random.choice(("kill", "stall", "half open", "cut")):
            case "kill":
                await system.kill_and_wait("valkey")
            case "stall":
                redis.stall()
            case "half open":
                redis.half_open()
            case "cut":
                await redis.cut()
        await asyncio.sleep(random.uniform(0.2, LONGEST_BREAK_S))
        await redis.heal()
        await asyncio.sleep(random.uniform(0.2, 1.5))


async def _until_applied(system: System, program_id: str) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(20):
            while (program_id, str(UPDATES - 1)) not in system.witness.applied_s:  # noqa: ASYNC110
                await asyncio.sleep(0.1)


def _applied_s(taken_s: Mapping[tuple[str, str], float], program_id: str) -> list[tuple[int, float]]:
    """The numbers that DynamoDB took, and when, in order."""
    names = {name: at_s for (each, name), at_s in taken_s.items() if each == program_id and name.isdigit()}
    return sorted((int(name), at_s) for name, at_s in names.items())


def _staleness_s(heard: Heard, applied_s: Sequence[tuple[int, float]]) -> float:
    """How long before the request something newer than its answer had been taken."""
    newer = applied_s[bisect_left(applied_s, (int(heard.name) + 1, 0.0)) :]
    return max(0.0, heard.started_s - min((at_s for _, at_s in newer), default=time.monotonic()))
