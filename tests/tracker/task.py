"""A tracker task as it runs in production: a process of its own, on real services."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx

from cdk.config import Config, Index, Stream, Table
from cdk.local.ports import free_ports
from cdk.local.resources import CREDENTIALS, aws_client, create_resources
from schemas.dynamodb import (
    EVENTS_KEY,
    LEASES_KEY,
    PLACES_INDEX,
    PLACES_KEY,
    PROGRAMS_KEY,
    TOTALS_KEY,
    program_item,
)
from schemas.events import Event
from schemas.frames import decode_frame
from schemas.settings import to_environment
from tests.factories import program
from tracker.settings import TrackerSettings

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 30
INTERVAL_S = 0.02


class Task:
    """A running task that knows the sample program 212313, and what it put on the event stream."""

    def __init__(self, settings: TrackerSettings, client: httpx.AsyncClient, kinesis: Any, log: Path) -> None:
        self.settings = settings
        self.client = client
        self._kinesis = kinesis
        self._log = log

    @property
    def url(self) -> str:
        return f"http://{self.settings.host}:{self.settings.port}"

    def log(self) -> str:
        return self._log.read_text()

    def stored_ids(self) -> list[UUID]:
        """The message ids on the event stream, in order, repetitions included."""
        return [event.message_id for event in self.stored_events()]

    def stored_events(self) -> Iterator[Event]:
        """What is on the event stream, in order, repetitions included."""
        stream = self.settings.event_stream
        for shard in self._kinesis.list_shards(StreamName=stream)["Shards"]:
            start = {"ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
            iterator = self._kinesis.get_shard_iterator(StreamName=stream, **start)["ShardIterator"]
            while records := (page := self._kinesis.get_records(ShardIterator=iterator))["Records"]:
                for record in records:
                    yield from decode_frame(record["Data"]).events
                iterator = page["NextShardIterator"]


@asynccontextmanager
async def running_task(folder: Path, *, redis_url: str, aws_url: str, **fields: Any) -> AsyncIterator[Task]:
    """A task with streams and tables of its own, ready to take events; `fields` are settings."""
    config = _config(str(uuid4()))
    (port,) = free_ports(1)
    settings = _settings(config, port=port, redis_url=redis_url, fields=fields)
    await asyncio.to_thread(_create, config, aws_url)
    log = folder / f"tracker-{port}.log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tracker"),
            env=os.environ | CREDENTIALS | {"AWS_ENDPOINT_URL": aws_url} | to_environment(settings),
            cwd=ROOT,
            stdout=output,
            stderr=output,
        )
    try:
        with closing(aws_client("kinesis", endpoint_url=aws_url, region=config.region)) as kinesis:
            async with httpx.AsyncClient(base_url=f"http://{settings.host}:{port}", timeout=20) as client:
                await eventually(lambda: _ready(client))
                yield Task(settings, client, kinesis, log)
    finally:
        process.terminate()
        await process.wait()


async def eventually(probe: Callable[[], Awaitable[bool]]) -> None:
    """Returns once `probe` says so."""
    deadline_s = time.monotonic() + TIMEOUT_S
    while not await probe():
        assert time.monotonic() < deadline_s, f"not so within {TIMEOUT_S} s"
        await asyncio.sleep(INTERVAL_S)


async def _ready(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/health/ready")).status_code == 200
    except httpx.TransportError:
        return False


def _create(config: Config, aws_url: str) -> None:
    create_resources(config, endpoint_url=aws_url)
    with closing(aws_client("dynamodb", endpoint_url=aws_url, region=config.region)) as dynamodb:
        dynamodb.put_item(TableName=config.programs.name, Item=program_item(program()))


def _config(name: str) -> Config:
    return Config(
        events=Table(f"events-{name}", EVENTS_KEY, index=Index(PLACES_INDEX, PLACES_KEY)),
        totals=Table(f"totals-{name}", TOTALS_KEY),
        programs=Table(f"programs-{name}", PROGRAMS_KEY),
        leases=Table(f"leases-{name}", LEASES_KEY),
        event_stream=Stream(name=f"events-{name}", shards=2),
        update_stream=Stream(name=f"updates-{name}"),
        failed_events_bucket=f"failed-{name}",
        redis_channel=f"programs-{name}",
    )


def _settings(config: Config, *, port: int, redis_url: str, fields: dict[str, Any]) -> TrackerSettings:
    return TrackerSettings(
        port=port,
        redis_url_or_empty=redis_url,
        redis_channel=config.redis_channel,
        event_stream=config.event_stream.name,
        update_stream=config.update_stream.name,
        events_table=config.events.name,
        programs_table=config.programs.name,
        totals_table=config.totals.name,
        drain_delay_ms=0,
        **fields,
    )
