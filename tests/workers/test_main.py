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
from uuid import uuid4

import pytest

from schemas.dynamodb import LEASES_KEY
from schemas.failures import DiscardedBatch, decode_failure
from tests.workers.ports import SHARD
from workers.__main__ import main

ROOT = Path(__file__).parents[2]
TIMEOUT_S = 30
LONG_S = 60

Start = Callable[..., AbstractAsyncContextManager[Process]]


@pytest.fixture
def start(tmp_path: Path, ministack: str, stream: str, leases_table: str) -> Start:
    """Starts `python -m workers lambda persist` on the handler of tests/workers/handler.py."""
    bundle = tmp_path / "lambdas"
    bundle.mkdir()
    (bundle / "__init__.py").touch()
    (bundle / "persist.py").write_text("from tests.workers.handler import handler as handler\n")
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "AWS_ENDPOINT_URL": ministack,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
        "EVENT_STREAM": stream,
        "UPDATE_STREAM": "updates",
        "LEASES_TABLE": leases_table,
        "LAMBDA_POLL_INTERVAL_MS": "20",
    }

    @asynccontextmanager
    async def started(**variables: str) -> AsyncIterator[Process]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "workers", "lambda", "persist"),
            cwd=tmp_path,
            env=environment | variables,
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

    return started


async def next_print(process: Process) -> dict[str, list[str]]:
    assert process.stdout is not None
    line = await process.stdout.readline()
    printed: dict[str, list[str]] = json.loads(line)
    return printed


async def logged(process: Process, text: str) -> str:
    """The next line on stderr with `text`."""
    assert process.stderr is not None
    while line := (await process.stderr.readline()).decode():
        if text in line:
            return line.strip()
    raise AssertionError(f"it ended without saying {text!r}")


async def put(kinesis: Any, stream: str, data: str) -> str:
    answer = await kinesis.put_record(
        StreamName=stream, Data=data.encode(), PartitionKey="key", ExplicitHashKey="0"
    )
    return str(answer["SequenceNumber"])


async def position(dynamodb: Any, table: str, stream: str) -> str | None:
    key = {LEASES_KEY.partition: {"S": f"persist/{stream}/{SHARD}"}}
    answer = await dynamodb.get_item(TableName=table, Key=key, ConsistentRead=True)
    return str(answer["Item"]["checkpoint"]["S"]) if "Item" in answer else None


async def test_sigterm_lets_the_invocation_in_hand_end_saves_the_position_and_exits_0(
    start: Start, kinesis: Any, dynamodb: Any, stream: str, leases_table: str
) -> None:
    async with start(HANDLER_HOLDS_S="0.5") as process:
        ready = await logged(process, "reads")
        number = await put(kinesis, stream, "a")
        assert await next_print(process) == {"begun": ["a"]}

        process.send_signal(signal.SIGTERM)

        assert await next_print(process) == {"ended": ["a"]}
        assert await process.wait() == 0

    assert ready.endswith(f"persist reads {stream}: 2 shards")
    assert await position(dynamodb, leases_table, stream) == number


async def test_a_killed_host_delivers_again_what_was_in_hand_and_nothing_before_it(
    start: Start, kinesis: Any, dynamodb: Any, stream: str, leases_table: str
) -> None:
    first = await put(kinesis, stream, "a")
    async with start() as process:
        assert [await next_print(process) for _ in range(2)] == [{"begun": ["a"]}, {"ended": ["a"]}]
        process.send_signal(signal.SIGTERM)
        await process.wait()
    second = await put(kinesis, stream, "b")
    async with start(HANDLER_HOLDS_S=str(LONG_S)) as process:
        assert await next_print(process) == {"begun": ["b"]}
        process.kill()
        await process.wait()
    assert await position(dynamodb, leases_table, stream) == first

    async with start() as process:
        assert [await next_print(process) for _ in range(2)] == [{"begun": ["b"]}, {"ended": ["b"]}]
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 0

    assert await position(dynamodb, leases_table, stream) == second


async def test_a_host_waits_for_its_stream_and_says_so(start: Start, kinesis: Any) -> None:
    stream = f"events-{uuid4()}"

    async with start(EVENT_STREAM=stream) as process:
        assert "starts again" in await logged(process, f"stream {stream}: ")
        await kinesis.create_stream(StreamName=stream, ShardCount=1)
        await put(kinesis, stream, "a")

        assert await next_print(process) == {"begun": ["a"]}


async def test_a_host_waits_for_its_endpoint_says_so_and_stops_on_sigterm(start: Start) -> None:
    async with start(AWS_ENDPOINT_URL_KINESIS="http://127.0.0.1:1") as process:
        assert "starts again" in await logged(process, "Could not connect")

        process.send_signal(signal.SIGTERM)

        assert await process.wait() == 0


async def test_children_of_a_real_split_are_delivered(start: Start, kinesis: Any, stream: str) -> None:
    async with start() as process:
        await logged(process, "reads")
        await kinesis.split_shard(StreamName=stream, ShardToSplit=SHARD, NewStartingHashKey="1000")
        await logged(process, f"{SHARD} no longer exists")
        await put(kinesis, stream, "child")

        assert await next_print(process) == {"begun": ["child"]}


async def test_a_batch_that_is_given_up_is_kept_in_a_bucket_and_the_next_one_goes_on(
    start: Start, kinesis: Any, s3: Any, stream: str
) -> None:
    bucket = f"failures-{uuid4()}"
    await s3.create_bucket(Bucket=bucket)
    variables = {"LAMBDA_FAILURE_BUCKET": bucket, "LAMBDA_MAXIMUM_RETRY_ATTEMPTS": "1"}
    failed = await put(kinesis, stream, "bad")

    async with start(HANDLER_FAILS_ON="bad", LAMBDA_BATCH_SIZE="1", **variables) as process:
        assert [await next_print(process) for _ in range(2)] == [{"begun": ["bad"]}] * 2
        await put(kinesis, stream, "good")
        assert await next_print(process) == {"begun": ["good"]}

    (listed,) = (await s3.list_objects_v2(Bucket=bucket, Prefix="aws/lambda/"))["Contents"]
    body = await (await s3.get_object(Bucket=bucket, Key=listed["Key"]))["Body"].read()
    discarded = decode_failure(body)
    assert isinstance(discarded, DiscardedBatch)
    assert discarded.stream == stream
    assert [(each.kinesis.sequence_number, each.kinesis.data) for each in discarded.invocation.records] == [
        (failed, b"bad")
    ]
    assert discarded.request_context.approximate_invoke_count == 2


def test_settings_that_do_not_do_are_one_line_and_exit_2(capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["lambda", "persist"], {"EVENT_STREAM": "events", "LAMBDA_BATCH_SIZE": "0"})

    said = capsys.readouterr().err
    assert status == 2
    assert said.count("\n") == 1
    for variable in ("UPDATE_STREAM", "LEASES_TABLE", "LAMBDA_BATCH_SIZE"):
        assert variable in said


@pytest.mark.parametrize("age_s", ["0", "59", "604801"])
def test_a_maximum_age_that_aws_does_not_take_is_refused(
    age_s: str, capsys: pytest.CaptureFixture[str]
) -> None:
    names = {"EVENT_STREAM": "events", "UPDATE_STREAM": "updates", "LEASES_TABLE": "leases"}

    assert main(["lambda", "persist"], names | {"LAMBDA_MAXIMUM_RECORD_AGE_S": age_s}) == 2
    assert "LAMBDA_MAXIMUM_RECORD_AGE_S" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["recount", "replay"])
def test_a_command_says_what_it_is_not_told(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command], {"EVENT_STREAM": "events"}) == 2
    assert "TOTALS_TABLE is not set" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["lambda"], ["lambda", "anything"]], ids=str)
def test_a_command_that_is_not_there_exits_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(arguments, {})

    assert exit_.value.code == 2
    assert "usage: python -m workers" in capsys.readouterr().err
