"""The real stack, as its users start it, with something that can break on each way between its parts."""

import asyncio
import os
import signal
import sys
import time
from asyncio.subprocess import STDOUT, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from pathlib import Path

from aiohttp import ClientError, ClientSession

from cdk.local.ports import free_ports
from cdk.local.stack_file import StackFile, read_stack_file
from schemas.settings import EventStoreName
from tests.cable import HOST, Cable, cable
from tests.faults.aws_proxy import AwsProxy, aws_proxy
from tests.faults.books import Books
from tests.faults.witness import Witness

ROOT = Path(__file__).resolve().parents[2]
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0
RESTART_TIMEOUT_S = 30.0
POLL_S = 0.02
BUFFER_MAX_BYTES = 16 * 1024 * 1024
SETTINGS = {"TRACKER_BUFFER_MAX_BYTES": str(BUFFER_MAX_BYTES), "RESTART_MAX_S": "1"}
"""What is killed again and again is back within a second: time is for the faults, not for waiting."""


class Breakable:
    """The stand-ins, and what stands between them and the system: a proxy, then a cable to it."""

    def __init__(self, redis: Cable, kinesis: Cable, dynamodb: Cable) -> None:
        self.redis = redis
        self.kinesis = kinesis
        self.dynamodb = dynamodb

    async def heal(self) -> None:
        for each in (self.redis, self.kinesis, self.dynamodb):
            await each.heal()


class System:
    """A running stack: its processes, its books, and every way to break it."""

    def __init__(
        self,
        run_dir: Path,
        event_store: EventStoreName,
        *,
        cables: Breakable,
        kinesis: AwsProxy,
        dynamodb: AwsProxy,
        witness: Witness,
    ) -> None:
        self.run_dir = run_dir
        self.event_store = event_store
        self.cables = cables
        self.kinesis = kinesis
        self.dynamodb = dynamodb
        self.witness = witness
        self.file = self.read_file()
        self.books = Books(self.file)

    def read_file(self) -> StackFile:
        """`stack.json` as it is now: `pids` change."""
        found = read_stack_file(self.run_dir)
        assert found is not None, "the stack has stopped"
        return found

    def pid(self, name: str) -> int:
        return self.read_file().pids[name]

    def signal(self, name: str, number: signal.Signals) -> int:
        """Signals a part of the stack. Returns the process that got it."""
        pid = self.pid(name)
        os.kill(pid, number)
        return pid

    def kill(self, name: str) -> None:
        self.signal(name, signal.SIGKILL)

    async def kill_and_wait(self, *names: str) -> None:
        """Kills parts at once, and returns when the stack has started each again."""
        old = {name: self.signal(name, signal.SIGKILL) for name in names}
        for name, pid in old.items():
            await self.until_replaced(name, pid)

    async def until_replaced(self, name: str, pid: int) -> None:
        await until(lambda: self.pid(name) != pid, timeout_s=RESTART_TIMEOUT_S)

    async def until_ready(self) -> None:
        """Every tracker takes events."""
        async with ClientSession() as session:
            for url in self.file.trackers:
                await eventually(partial(_answers, session, f"{url}/health/ready"), timeout_s=START_TIMEOUT_S)

    def console(self) -> str:
        return (self.run_dir / "console.log").read_text()


async def until(probe: Callable[[], bool], *, timeout_s: float) -> None:
    """Returns once `probe` says so. Fails after `timeout_s`."""
    deadline_s = time.monotonic() + timeout_s
    while not probe():
        assert time.monotonic() < deadline_s, f"not so within {timeout_s} s"
        await asyncio.sleep(POLL_S)


async def eventually(probe: Callable[[], Awaitable[bool]], *, timeout_s: float) -> None:
    """The same where the answer has to be waited for."""
    async with asyncio.timeout(timeout_s):
        while not await probe():  # noqa: ASYNC110
            await asyncio.sleep(POLL_S)


@asynccontextmanager
async def running_system(run_dir: Path, *, event_store: EventStoreName) -> AsyncIterator[System]:
    """A system whose Redis, Kinesis and DynamoDB are reached through what can break."""
    redis_port, aws_port, *ports = free_ports(5)
    aws_url, witness = f"http://{HOST}:{aws_port}", Witness()
    async with AsyncExitStack() as stack:
        kinesis, kinesis_url = await stack.enter_async_context(aws_proxy(aws_url, witness.see))
        dynamodb, dynamodb_url = await stack.enter_async_context(aws_proxy(aws_url, witness.see))
        targets = (f"redis://{HOST}:{redis_port}", kinesis_url, dynamodb_url)
        cables = Breakable(
            *[
                await stack.enter_async_context(cable(target, port=port))
                for target, port in zip(targets, ports, strict=True)
            ]
        )
        settings = SETTINGS | {
            "VALKEY_PORT": str(redis_port),
            "MINISTACK_PORT": str(aws_port),
            "REDIS_VIA": cables.redis.url,
            "KINESIS_VIA": cables.kinesis.url,
            "DYNAMODB_VIA": cables.dynamodb.url,
            "EVENT_STORE": event_store,
        }
        await stack.enter_async_context(_process(run_dir, settings))
        system = System(
            run_dir, event_store, cables=cables, kinesis=kinesis, dynamodb=dynamodb, witness=witness
        )
        stack.callback(system.books.close)
        yield system


@asynccontextmanager
async def _process(run_dir: Path, settings: dict[str, str]) -> AsyncIterator[Process]:
    command = [sys.executable, "-m", "cdk.local", "run", "--port", "0", "--run-dir", str(run_dir)]
    with (run_dir / "console.log").open("wb") as console:
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=ROOT,
            env=os.environ | settings,
            stdout=console,
            stderr=STDOUT,
            start_new_session=True,
        )
    try:
        await until(
            lambda: process.returncode is not None or read_stack_file(run_dir) is not None,
            timeout_s=START_TIMEOUT_S,
        )
        assert process.returncode is None, (run_dir / "console.log").read_text()
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGINT)
        async with asyncio.timeout(STOP_TIMEOUT_S):
            await process.wait()


async def _answers(session: ClientSession, url: str) -> bool:
    try:
        async with session.get(url) as response:
            return response.status == 200
    except ClientError:
        return False
