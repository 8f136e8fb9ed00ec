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

PROGRAMS = 20
UPDATES = 200
IN_A_ROW = UPDATES // PROGRAMS
"""Updates of one program, then never again: what a tracker missed is not mended by the next one."""
UPDATES_PER_S = 20
EVENTS_PER_S = 200
DEFAULTS = {each.name: each.default for each in fields(TrackerSettings)}
BOUND_S = DEFAULTS["heartbeat_timeout_ms"] / 1000 + 1.0
LONGEST_BREAK_S = 4.0
LONGEST_PEACE_S = 1.0
UNCHANGED = -1

Applied = Mapping[str, Sequence[tuple[int, float]]]
"""By program, the numbers of the updates that DynamoDB took, and when, in order."""


async def test_staleness(ordeal: Ordeal) -> None:
    """Redis killed, stalled and cut at random, 200 updates.

    20 programs are changed ten times each, one after the other, 20 times a second, while Valkey is killed,
    the way to it stalled, half open and cut, in random order for random times. Every answer of both
    trackers is checked: none may be older than what DynamoDB had taken the heartbeat timeout plus one
    second before, whether the link had healed by then or not.
    """
    ordeal.programs = PROGRAMS
    heard: list[Heard] = []
    async with ordeal.under_load(events_per_s=EVENTS_PER_S, batch_sizes=(1,), hear=heard.append):
        async with asyncio.TaskGroup() as tasks:
            breaking = tasks.create_task(_break_at_random(ordeal.system))
            await _update(ordeal.system, ordeal.program_ids)
            breaking.cancel()
        await ordeal.system.cables.redis.heal()
        await asyncio.sleep(LONGEST_BREAK_S)
        await _until_applied(ordeal.system, ordeal.program_ids[-1])
        await asyncio.sleep(BOUND_S)
    applied = _applied(ordeal.system.witness.applied_s, ordeal.program_ids)
    oldest_s = max(_staleness_s(each, applied[each.program_id]) for each in heard)
    ordeal.notes.append(f"{len(heard):,} answers were checked; the oldest was {oldest_s:.1f} s behind.")
    assert oldest_s <= BOUND_S
    last = {(each.tracker, each.program_id): _number(each) for each in heard}
    assert sorted(last.values()) == sorted([*range(IN_A_ROW - 1, UPDATES, IN_A_ROW)] * 2)


async def _update(system: System, program_ids: Sequence[str]) -> None:
    """Names a program with the number of the update."""
    loop = asyncio.get_running_loop()
    due_s = loop.time()
    async with ClientSession() as session:
        for number in range(UPDATES):
            tracker, program_id = system.file.trackers[number % 2], program_ids[number // IN_A_ROW]
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
        await asyncio.sleep(random.uniform(0.2, LONGEST_PEACE_S))


async def _until_applied(system: System, program_id: str) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(20):
            while (program_id, str(UPDATES - 1)) not in system.witness.applied_s:  # noqa: ASYNC110
                await asyncio.sleep(0.1)


def _applied(taken_s: Mapping[tuple[str, str], float], program_ids: Sequence[str]) -> Applied:
    return {
        program_id: sorted(
            (int(name), at_s)
            for (each, name), at_s in taken_s.items()
            if each == program_id and name.isdigit()
        )
        for program_id in program_ids
    }


def _number(heard: Heard) -> int:
    return int(heard.name) if heard.name.isdigit() else UNCHANGED


def _staleness_s(heard: Heard, applied: Sequence[tuple[int, float]]) -> float:
    """How long before the request something newer than its answer had been taken."""
    newer = applied[bisect_left(applied, (_number(heard) + 1, 0.0)) :]
    return max(0.0, heard.started_s - min((at_s for _, at_s in newer), default=time.monotonic()))
