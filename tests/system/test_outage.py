"""What a tracker answers when it is cut off: one of its own, behind cables."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from cdk.local.ports import free_ports
from schemas.settings import to_environment
from tests.cable import Cable, cable
from tests.system.conftest import ROOT, START_TIMEOUT_S, STOP_TIMEOUT_S, Stack
from tracker.settings import TrackerSettings

HEARTBEAT_MS = 100
HEARTBEAT_TIMEOUT_MS = 300
ID = "212313"


class CutOff:
    """A tracker of the stack, reached through `client`, and its two sources of core data."""

    def __init__(self, client: httpx.AsyncClient, redis: Cable, dynamodb: Cable) -> None:
        self.client = client
        self.redis = redis
        self.dynamodb = dynamodb

    async def reason(self, program_id: str) -> tuple[int, str | None]:
        answer = await self.client.get(f"/event/{program_id}")
        return answer.status_code, answer.json().get("reason")


@pytest.fixture
async def tracker(stack: Stack) -> AsyncIterator[CutOff]:
    file = stack.file
    (port,) = free_ports(1)
    async with cable(file.redis_url) as redis, cable(file.aws_endpoint_url) as dynamodb:
        settings = TrackerSettings(
            event_stream=file.event_stream,
            update_stream=file.update_stream,
            events_table=file.events_table,
            programs_table=file.programs_table,
            totals_table=file.totals_table,
            redis_url_or_empty=redis.url,
            redis_channel=file.redis_channel,
            port=port,
            heartbeat_ms=HEARTBEAT_MS,
            heartbeat_timeout_ms=HEARTBEAT_TIMEOUT_MS,
        )
        aws = {
            "AWS_ENDPOINT_URL": file.aws_endpoint_url,
            "AWS_ENDPOINT_URL_DYNAMODB": dynamodb.url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
        }
        async with serving(to_environment(settings) | aws, port) as client:
            yield CutOff(client, redis, dynamodb)


@asynccontextmanager
async def serving(variables: dict[str, str], port: int) -> AsyncIterator[httpx.AsyncClient]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tracker", cwd=ROOT, env=os.environ | variables
    )
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
            await ready(client)
            yield client
    finally:
        process.terminate()
        async with asyncio.timeout(STOP_TIMEOUT_S):
            assert await process.wait() == 0


async def ready(client: httpx.AsyncClient) -> None:
    async with asyncio.timeout(START_TIMEOUT_S):
        while True:
            try:
                if (await client.get("/health/ready")).is_success:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.02)


async def test_without_redis_and_dynamodb_the_known_is_answered_and_the_unknown_unavailable(
    tracker: CutOff,
) -> None:
    assert await tracker.reason(ID) == (200, None)
    assert await tracker.reason("unknown") == (404, "program_not_found")

    await tracker.redis.cut()
    await tracker.dynamodb.cut()
    await asyncio.sleep((HEARTBEAT_TIMEOUT_MS + HEARTBEAT_MS) / 1000)

    assert [await tracker.reason(ID) for _ in range(3)] == [(200, None)] * 3
    assert await tracker.reason("unknown") == (503, "core_data_unavailable")
    assert await tracker.reason("never-asked-for") == (503, "core_data_unavailable")
    assert (await tracker.client.get("/health/ready")).status_code == 200


async def test_without_redis_a_change_still_arrives_from_dynamodb(tracker: CutOff, stack: Stack) -> None:
    program_id = "without-redis"
    body = {"name": "first", "customerId": 1, "customerName": "c", "checksum": "1"}
    stack.trackers[0].put(f"/programs/{program_id}?wait=true", json=body)
    assert (await tracker.client.get(f"/event/{program_id}")).json()["programName"] == "first"

    await tracker.redis.cut()
    stack.trackers[0].put(f"/programs/{program_id}?wait=true", json=body | {"name": "second"})
    await asyncio.sleep((HEARTBEAT_TIMEOUT_MS + HEARTBEAT_MS) / 1000)

    assert (await tracker.client.get(f"/event/{program_id}")).json()["programName"] == "second"
