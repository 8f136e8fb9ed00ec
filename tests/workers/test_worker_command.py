"""`python -m workers worker` as it is started: until all is read, until it is told to stop, and asked."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from cdk.local.ports import free_ports
from schemas.events import encode_event
from schemas.frames import encode_frame
from schemas.leases import Lease, lease_from_row
from schemas.matches import match_from_item
from schemas.minutes import minute_of
from schemas.redis import minute_key, read_minute
from tests.factories import NOW_MS, click, conversion, core_data, view
from tests.workers.fleet import ROOT
from workers.__main__ import main
from workers.outlets import redis_client
from workers.runtime.clock import WallClock
from workers.runtime.health import WELL

TIMEOUT_S = 40.0
LOOK_EVERY_S = 0.05
EVENTS = 50
AGENT = """
from schemas.events import Event
from workers.agents.app import agents, events
from workers.runtime.sink import Sink
from workers.runtime.stream import Stream

@agents.agent(events)
async def echo(stream: Stream[Event], lines: Sink[str]) -> None:
    async for event in stream:
        lines.send(f"{event.program.program_id} {event.visitor}")
"""


@pytest.fixture
def agent(tmp_path: Path) -> str:
    """A file with an agent that says what comes."""
    file = tmp_path / "echo.py"
    file.write_text(AGENT)
    return str(file)


@asynccontextmanager
async def worker(environment: dict[str, str], *arguments: str) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "workers", "worker", *arguments),
        cwd=ROOT,
        env=environment,
        stdout=PIPE,
        stderr=PIPE,
    )
    try:
        async with asyncio.timeout(TIMEOUT_S):
            yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def put_views(kinesis: Any, stream: str) -> list[str]:
    """What the agent is to say of them."""
    program_id = f"command-{uuid4().hex[:8]}"
    events = [
        view(visitor=f"v{number}", program=core_data(program_id=program_id), received_at_ms=NOW_MS)
        for number in range(EVENTS)
    ]
    records = [{"Data": encode_frame([encode_event(each)]), "PartitionKey": each.key} for each in events]
    await kinesis.put_records(StreamName=stream, Records=records)
    return [f"{program_id} {event.visitor}" for event in events]


async def leases(dynamodb: Any, table: str) -> list[Lease]:
    answer = await dynamodb.scan(TableName=table, ConsistentRead=True)
    return [lease_from_row(row) for row in answer["Items"]]


async def checked(environment: dict[str, str]) -> tuple[int, str]:
    async with worker(environment, "--check") as process:
        said, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode().strip()


async def test_a_burst_reads_all_there_is_and_ends_with_its_leases_free(
    worker_environment: dict[str, str], kinesis: Any, dynamodb: Any, shards: str, agent: str
) -> None:
    expected = await put_views(kinesis, shards)

    async with worker(worker_environment, "--from", agent, "--burst") as process:
        said, _ = await process.communicate()

    assert process.returncode == 0
    assert sorted(said.decode().splitlines()) == sorted(expected)
    assert all(each.owner is None for each in await leases(dynamodb, worker_environment["LEASES_TABLE"]))


async def test_a_worker_that_is_told_to_stop_commits_and_lets_go(
    worker_environment: dict[str, str], kinesis: Any, dynamodb: Any, shards: str, agent: str
) -> None:
    async with worker(worker_environment, "--from", agent) as process:
        assert process.stdout is not None
        expected = await put_views(kinesis, shards)
        said = [(await process.stdout.readline()).decode().strip() for _ in expected]
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0

    assert sorted(said) == sorted(expected)
    assert all(each.owner is None for each in await leases(dynamodb, worker_environment["LEASES_TABLE"]))


async def test_all_agents_of_the_system_run_in_one_worker(
    worker_environment: dict[str, str],
    kinesis: Any,
    dynamodb: Any,
    shards: str,
    stream: str,
    matches_table: str,
) -> None:
    environment = worker_environment | {"TOUCH_STREAM": stream, "MATCHES_TABLE": matches_table}
    now_ms = WallClock().now_ms()
    clicked = click(visitor="v", click_id="c", received_at_ms=now_ms)
    bought = conversion(click_id="c", received_at_ms=now_ms)
    await kinesis.create_stream(StreamName=environment["UPDATE_STREAM"], ShardCount=1)
    for event in (clicked, bought):
        record = {"Data": encode_frame([encode_event(event)]), "PartitionKey": event.key}
        await kinesis.put_records(StreamName=shards, Records=[record])

    async with worker(environment), redis_client(environment["REDIS_URL"]) as redis:
        while not (found := (await dynamodb.scan(TableName=matches_table))["Items"]):  # noqa: ASYNC110
            await asyncio.sleep(LOOK_EVERY_S)
        while not (fields := await redis.hgetall(minute_key(minute_of(now_ms)))):  # noqa: ASYNC110
            await asyncio.sleep(LOOK_EVERY_S)
        minutes: dict[Any, Any] = fields

    assert [match_from_item(item).click for item in found] == [clicked.message_id]
    assert {read_minute(*each)[0] for each in minutes.items()} >= {"212313"}


async def test_a_worker_says_whether_it_is_well(worker_environment: dict[str, str], agent: str) -> None:
    (port,) = free_ports(1)
    environment = worker_environment | {"WORKER_HEALTH_PORT": str(port), "LOG_LEVEL": "INFO"}
    assert await checked(environment) == (1, f"no worker at port {port}: {refused(port)}")

    async with worker(environment, "--from", agent) as process:
        assert process.stderr is not None
        while b"works on echo" not in await process.stderr.readline():
            pass
        assert await checked(environment) == (0, WELL)

        os.kill(process.pid, signal.SIGSTOP)
        assert await checked(environment) == (1, "no answer in 3 s: something blocks the event loop")


def refused(port: int) -> str:
    return f"[Errno 111] Connect call failed ('127.0.0.1', {port})"


def test_who_has_no_port_to_ask_at_is_told_so(
    worker_environment: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["worker", "--check"], worker_environment) == 2
    assert "WORKER_HEALTH_PORT is not set" in capsys.readouterr().err


def test_an_agent_that_is_not_there_is_one_line(
    worker_environment: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["worker", "nobody"], worker_environment) == 2
    assert "no agent nobody: there are" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import nowhere", "No module named 'nowhere'"),
        ("async def", "invalid syntax"),
        (AGENT.replace("Stream[Event]", "int"), "stream is no Stream"),
        ("", "none is registered"),
    ],
)
def test_a_file_without_agents_that_can_run_is_one_line(
    code: str,
    reason: str,
    tmp_path: Path,
    worker_environment: dict[str, str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "agent.py"
    file.write_text(code)

    assert main(["worker", "--from", str(file)], worker_environment) == 2

    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert f"{file} holds no agents" in said and reason in said


def test_a_file_that_is_not_there_is_one_line(
    worker_environment: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["worker", "--from", "nowhere.py"], worker_environment) == 2
    assert "No such file" in capsys.readouterr().err
