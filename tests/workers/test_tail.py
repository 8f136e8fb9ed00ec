"""`tail` as people start it: a process on MiniStack."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from schemas.events import Event, encode_event
from schemas.frames import encode_frame
from schemas.updates import CachePurged, ProgramDeleted, encode_update
from tests.factories import VERSION, click, core_data, view

ROOT = Path(__file__).parents[2]
TIMEOUT_S = 40.0

Tailing = Callable[..., AbstractAsyncContextManager[Process]]


@pytest.fixture
def tailing(ministack: str, stream: str) -> Tailing:
    """Starts `tail`, and lets the test go on once it listens."""
    environment = {
        "PATH": os.environ["PATH"],
        "AWS_ENDPOINT_URL": ministack,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "EVENT_STREAM": stream,
        "UPDATE_STREAM": stream,
    }

    @asynccontextmanager
    async def started(*arguments: str) -> AsyncIterator[Process]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-u", "-m", "workers", "tail", *arguments),
            cwd=ROOT,
            env=environment,
            stdout=PIPE,
            stderr=PIPE,
        )
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await said(process, "what comes from now on")
                yield process
                process.send_signal(signal.SIGTERM)
                assert await process.wait() == 0
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()

    return started


async def said(process: Process, text: str) -> None:
    """Returns once a line on stderr has `text`."""
    assert process.stderr is not None
    while text not in (line := (await process.stderr.readline()).decode()):
        assert line, "it ended without a word of it"


async def shown(process: Process) -> dict[str, Any]:
    assert process.stdout is not None
    line: dict[str, Any] = json.loads(await process.stdout.readline())
    return line


async def put(kinesis: Any, stream: str, data: bytes) -> None:
    await kinesis.put_record(StreamName=stream, Data=data, PartitionKey="k")


def frame(*events: Event) -> bytes:
    return encode_frame([encode_event(event) for event in events])


async def test_events_are_shown_with_the_names_of_their_fields(
    tailing: Tailing, kinesis: Any, stream: str
) -> None:
    event = click(visitor="v", click_id="c")
    async with tailing("event") as process:
        await put(kinesis, stream, frame(event))

        line = await shown(process)
        assert (line["kind"], line["message_id"]) == ("click", str(event.message_id))
        assert line["program"]["program_id"] == "212313"
        assert "reason" not in line


async def test_only_the_program_that_is_asked_for_is_shown(
    tailing: Tailing, kinesis: Any, stream: str
) -> None:
    async with tailing("event", "--program", "mine") as process:
        await put(kinesis, stream, frame(view(), click(program=core_data(program_id="mine")), view()))

        assert (await shown(process))["kind"] == "click"


async def test_updates_are_shown_and_what_is_none_is_said(
    tailing: Tailing, kinesis: Any, stream: str
) -> None:
    async with tailing("update") as process:
        await put(kinesis, stream, b"no update")
        await said(process, "bad_update")
        await put(kinesis, stream, encode_update(CachePurged(version=VERSION)))
        await put(kinesis, stream, encode_update(ProgramDeleted(program_id="p", version=VERSION)))

        assert [(await shown(process))["type"] for _ in range(2)] == ["cache_purged", "program_deleted"]
