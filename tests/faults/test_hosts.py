"""Lambda hosts that die between DynamoDB and Redis, again and again, or run twice at once."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import msgspec
from aiohttp import ClientSession
from redis.asyncio import Redis

from cdk.config import LOCAL
from schemas.programs import Program
from schemas.redis import program_key
from tests.faults.aws_faults import after
from tests.faults.aws_proxy import Call
from tests.faults.killing import MOMENT_TIMEOUT_S, killing, totals_arrive
from tests.faults.ordeal import Ordeal, put_program
from tests.faults.stack import ROOT, System, eventually
from tests.faults.stores import in_both_stores

TIMES = 3
TOGETHER_S = 12


async def test_refresh_killed_between_dynamodb_and_redis(ordeal: Ordeal) -> None:
    """Refresh killed between DynamoDB and Redis.

    Three times a program is changed, and the refresh host gets SIGKILL at the moment that DynamoDB has the
    change and Redis has not. Each change still reaches Redis and both trackers.
    """
    system, program_id = ordeal.system, ordeal.program_ids[0]
    async with ordeal.under_load(), ClientSession() as session:
        for number in range(TIMES):
            async with killing(system, "refresh", system.dynamodb, after, _is_change):
                tracker = system.file.trackers[number % 2]
                await put_program(session, tracker, program_id, name=f"change {number}", wait=False)
            await _until_everywhere(system, session, program_id, f"change {number}")


@in_both_stores
async def test_both_lambda_hosts_killed_repeatedly(ordeal: Ordeal) -> None:
    """Both Lambda hosts killed, five times.

    Five times, whatever they are at, both hosts get SIGKILL at once and are started again.
    """
    async with ordeal.under_load():
        for _ in range(5):
            await ordeal.system.kill_and_wait("persist", "refresh")
            await asyncio.sleep(1.5)
    await totals_arrive(ordeal)


@in_both_stores
async def test_two_hosts_on_the_same_shards(ordeal: Ordeal) -> None:
    """Two persist hosts on the same shards.

    A second persist host reads the same shards from the same positions for 12 s, as happens where one
    that was given up for dead is not. In the middle the first one is killed and started again.
    """
    system = ordeal.system
    async with ordeal.under_load() as load, _second_host(system):
        await asyncio.sleep(TOGETHER_S / 2)
        await system.kill_and_wait("persist")
        await asyncio.sleep(TOGETHER_S / 2)
    if system.event_store == "items":  # the packed store knows before it writes
        assert system.witness.duplicates({entry.message_id for entry in load.sent}) > 0


@asynccontextmanager
async def _second_host(system: System) -> AsyncIterator[None]:
    with (system.run_dir / "second-persist.log").open("wb") as log:
        host = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "workers", "lambda", "persist"),
            cwd=ROOT,
            env=_environment(system.pid("persist")),
            stdout=log,
            stderr=log,
        )
    try:
        yield
        assert host.returncode is None
    finally:
        host.terminate()
        async with asyncio.timeout(MOMENT_TIMEOUT_S):
            await host.wait()


def _environment(pid: int) -> dict[str, str]:
    variables = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    return dict(each.split("=", 1) for each in variables if each)


async def _until_everywhere(system: System, session: ClientSession, program_id: str, name: str) -> None:
    async with Redis.from_url(system.file.redis_url) as redis:
        await eventually(partial(_is_in_redis, redis, program_id, name), timeout_s=MOMENT_TIMEOUT_S)
    for tracker in system.file.trackers:
        await eventually(partial(_is_at, session, tracker, program_id, name), timeout_s=MOMENT_TIMEOUT_S)


async def _is_in_redis(redis: Redis, program_id: str, name: str) -> bool:
    value = await redis.hget(program_key(program_id), "value")
    return value is not None and msgspec.json.decode(value, type=Program).name == name


async def _is_at(session: ClientSession, tracker: str, program_id: str, name: str) -> bool:
    async with session.get(f"{tracker}/programs/{program_id}") as response:
        body = await response.json()
    assert response.status == 200, body
    return bool(body["program"]["name"] == name)


def _is_change(call: Call) -> bool:
    return call.operation == "PutItem" and call.subject == LOCAL.programs.name
