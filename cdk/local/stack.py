"""The whole system on this machine: what is started, in which order, and what stops it."""

import asyncio
import shutil
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path

import httpx
from botocore.exceptions import BotoCoreError, ClientError
from redis.exceptions import RedisError

import cdk
from cdk.config import LOCAL
from cdk.local.console import Say
from cdk.local.errors import StartError
from cdk.local.plan import Directories, Plan, plan_run
from cdk.local.resources import create_resources
from cdk.local.services import answers, ministack, redis_client, valkey
from cdk.local.settings import LocalSettings
from cdk.local.stack_file import StackFile, claim, stack_file, write_stack_file
from cdk.local.supervisor import Part, Supervisor
from cdk.local.welcome import fill_command

ROOT = Path(cdk.__path__[0]).parent
TRACKER_STOP_TIMEOUT_S = 15.0
HOST_STOP_TIMEOUT_S = 10.0
WORKERS_STOP_TIMEOUT_S = 15.0


@asynccontextmanager
async def running_stack(
    settings: LocalSettings, *, run_dir: Path, given: Mapping[str, str], say: Say
) -> AsyncIterator[StackFile]:
    """The stack, ready, with `stack.json` written; leaving stops all of it.

    Raises LocalError or SettingsError, with everything already started stopped again.
    """
    with claim(run_dir), ExitStack() as stack:
        plan = plan_run(settings, LOCAL, run_dir=run_dir, given=given)
        plan.directories.create()
        if settings.keep:
            stack.enter_context(_kept_state(plan.directories, say))
        kept = Supervisor(plan.directories.logs, say, most_restart_s=settings.restart_most_s)
        async with _client() as client, kept as supervisor:
            await _start(plan, supervisor, client, say)
            supervisor.watch(lambda pids: write_stack_file(run_dir, stack_file(plan, pids)))
            yield stack_file(plan, supervisor.pids)


@contextmanager
def _kept_state(directories: Directories, say: Say) -> Iterator[None]:
    """MiniStack keeps what it held at its last clean stop, Redis every write: after a run that was cut
    off, a Redis ahead of the tables would pass on what they no longer know."""
    in_use = directories.state / "in-use"
    if in_use.exists():
        say("The last run with KEEP=1 was cut off: its tables and streams are as of the clean stop before.")
        shutil.rmtree(directories.kept_redis)
        directories.create()
    in_use.touch()
    try:
        yield
    finally:
        in_use.unlink()


async def _start(plan: Plan, supervisor: Supervisor, client: httpx.AsyncClient, say: Say) -> None:
    stand_ins = [valkey(plan), ministack(plan, client, recover=partial(_recover, plan, say))]
    hosts = [
        _lambda_host("refresh", plan.environments.refresh()),
        _lambda_host("persist", plan.environments.persist()),
    ]
    workers = _workers(plan.environments.workers())
    trackers = [_tracker(plan, number, client) for number in range(1, len(plan.tracker_ports) + 1)]
    await supervisor.start(stand_ins)
    try:
        await _create_resources(plan)
    except (BotoCoreError, ClientError) as error:
        raise StartError(f"The tables and streams could not be made: {error}") from error
    await supervisor.start([*hosts, workers], trackers)


async def _create_resources(plan: Plan) -> None:
    await asyncio.to_thread(create_resources, plan.config, endpoint_url=plan.addresses.aws_url)


def _tracker(plan: Plan, number: int, client: httpx.AsyncClient) -> Part:
    url = plan.tracker_urls[number - 1]
    return Part(
        name=f"tracker-{number}",
        command=(sys.executable, "-m", "tracker"),
        environment=plan.environments.tracker(plan.tracker_ports[number - 1]),
        directory=ROOT,
        ready=lambda: answers(client, f"{url}/health/ready"),
        stop_timeout_s=TRACKER_STOP_TIMEOUT_S,
    )


def _lambda_host(name: str, environment: dict[str, str]) -> Part:
    """Ready as soon as it runs: it waits for its stream by itself."""
    return Part(
        name=name,
        command=(sys.executable, "-m", "workers", "lambda", name),
        environment=environment,
        directory=ROOT,
        ready=_at_once,
        stop_timeout_s=HOST_STOP_TIMEOUT_S,
    )


def _workers(environment: dict[str, str]) -> Part:
    """All agents in one process. Ready as soon as it runs, as a host is."""
    return Part(
        name="workers",
        command=(sys.executable, "-m", "workers", "worker"),
        environment=environment,
        directory=ROOT,
        ready=_at_once,
        stop_timeout_s=WORKERS_STOP_TIMEOUT_S,
    )


async def _at_once() -> bool:
    return True


async def _recover(plan: Plan, say: Say) -> None:
    """MiniStack came back without what it held. Redis, a cache of that, starts empty with it."""
    try:
        await _create_resources(plan)
        async with redis_client(plan.addresses.redis_url) as redis:
            await redis.flushall()
    except (OSError, BotoCoreError, ClientError, RedisError) as error:
        say(f"ministack is not usable after its restart: {error}")
    else:
        fill = fill_command(plan.tracker_urls[0], plan.settings)
        say(f"ministack is back; {_lost(plan)}. Load the sample programs again: {fill}")


def _lost(plan: Plan) -> str:
    if plan.settings.keep:
        return "everything since its last clean stop is lost"
    return "everything in its tables and streams is lost"


def _client() -> httpx.AsyncClient:
    return httpx.AsyncClient(trust_env=False, verify=False)
