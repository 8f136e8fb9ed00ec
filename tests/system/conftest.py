"""The real stack, on free ports, as its users start it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import boto3
import httpx
import pytest
from redis import Redis

from cdk.local.stack_file import StackFile, read_stack_file
from schemas.dynamodb import Item, events_key, sum_of_lanes
from schemas.programs import Totals

ROOT = Path(__file__).resolve().parents[2]
START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 30
INTERVAL_S = 0.01

T = TypeVar("T")


class Stack:
    """A running stack: its process, its addresses, and clients for them that close with `clients`."""

    def __init__(self, process: "subprocess.Popen[bytes]", run_dir: Path, clients: ExitStack) -> None:
        self.process = process
        self.run_dir = run_dir
        self.file = self.read_file()
        self.trackers = [
            clients.enter_context(httpx.Client(base_url=url, timeout=20)) for url in self.file.trackers
        ]
        self.dynamodb = clients.enter_context(closing(aws_client(self.file, "dynamodb")))
        self.kinesis = clients.enter_context(closing(aws_client(self.file, "kinesis")))
        self.redis = clients.enter_context(Redis.from_url(self.file.redis_url))

    def read_file(self) -> StackFile:
        """`stack.json` as it is now: `pids` change."""
        found = read_stack_file(self.run_dir)
        assert found is not None
        return found

    def stored(self, program_id: str, message_id: UUID | str) -> Item:
        """The event's item, empty while it is not in the table."""
        answer = self.dynamodb.get_item(
            TableName=self.file.events_table,
            Key=events_key(program_id, UUID(str(message_id))),
            ConsistentRead=True,
        )
        item: Item = answer.get("Item", {})
        return item

    def totals(self, program_id: str) -> Totals:
        answer = self.dynamodb.query(
            TableName=self.file.totals_table,
            KeyConditionExpression="program_id = :id",
            ExpressionAttributeValues={":id": {"S": program_id}},
            ConsistentRead=True,
        )
        return sum_of_lanes(answer["Items"])


def aws_client(file: StackFile, service: str) -> Any:
    return boto3.client(
        service,
        region_name=file.region,
        endpoint_url=file.aws_endpoint_url,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


def until(probe: Callable[[], T], *, timeout_s: float) -> T:
    """What `probe` gives once that is truthy. Fails after `timeout_s`."""
    deadline_s = time.monotonic() + timeout_s
    while not (found := probe()):
        assert time.monotonic() < deadline_s, f"not so within {timeout_s} s"
        time.sleep(INTERVAL_S)
    return found


@contextmanager
def running_stack(run_dir: Path, **variables: str) -> Iterator[Stack]:
    """A stack that is ready, with a process group of its own as in a terminal."""
    command = [sys.executable, "-m", "cdk.local", "run", "--port", "0", "--run-dir", str(run_dir)]
    with (run_dir / "console.log").open("wb") as console:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ | variables,
            stdout=console,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        until(lambda: process.poll() is not None or read_stack_file(run_dir), timeout_s=START_TIMEOUT_S)
        assert process.poll() is None, (run_dir / "console.log").read_text()
        with ExitStack() as clients:
            yield Stack(process, run_dir, clients)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
        process.wait(STOP_TIMEOUT_S)


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One stack for all tests that leave it as it was; the sample programs are filled in."""
    with running_stack(tmp_path_factory.mktemp("stack")) as stack:
        assert stack.trackers[0].get("/cache/fill").status_code == 200
        yield stack


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.system)
