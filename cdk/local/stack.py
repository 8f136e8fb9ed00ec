"""The whole system on this machine: what is started, in which order, and what stops it."""

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import httpx
from botocore.exceptions import BotoCoreError, ClientError
from redis.exceptions import RedisError

import cdk
from cdk.config import LOCAL
from cdk.local.console import Say
from cdk.local.plan import Plan, plan_run
from cdk.local.resources import create_resources
from cdk.local.services import answers, ministack, redis_client, valkey
from cdk.local.settings import LocalSettings
from cdk.local.stack_file import StackFile, claim, stack_file, write_stack_file
from cdk.local.supervisor import Part, Supervisor
from cdk.local.welcome import fill_command

ROOT = Path(cdk.__path__[0]).parent
TRACKER_STOP_TIMEOUT_S = 15.0
HOST_STOP_TIMEOUT_S = 10.0


@asynccontextmanager
async def running_stack(
    settings: LocalSettings, *, run_dir: Path, given: Mapping[str, str], say: Say
) -> AsyncIterator[StackFile]:
    """The stack, ready, with `stack.json` written; leaving stops all of it.

    Raises LocalError or SettingsError, with everything already started stopped again.
    """
    with claim(run_dir):
        plan = plan_run(settings, LOCAL, run_dir=run_dir, given=given)
        plan.directories.create()
        async with _client() as client, Supervisor(plan.directories.logs, say) as supervisor:
            await _start(plan, supervisor, client, say)
            supervisor.watch(lambda pids: write_stack_file(run_dir, stack_file(plan, pids)))
            yield stack_file(plan, supervisor.pids)


async def _start(plan: Plan, supervisor: Supervisor, client: httpx.AsyncClient, say: Say) -> None:
    recover = partial(_recover, plan, say)
    await supervisor.start([valkey(plan), ministack(plan, client, recover=recover)])
    await asyncio.to_thread(create_resources, plan.config, endpoint_url=plan.addresses.aws_url)
    await supervisor.start(
        [
            _lambda_host("refresh", plan.environments.refresh()),
            _lambda_host("persist", plan.environments.persist()),
        ],
        [_tracker(plan, number, client) for number in range(1, len(plan.tracker_ports) + 1)],
    )


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


async def _at_once() -> bool:
    return True


async def _recover(plan: Plan, say: Say) -> None:
    """MiniStack came back without what it held. Redis, a cache of that, starts empty with it."""
    try:
        await asyncio.to_thread(create_resources, plan.config, endpoint_url=plan.addresses.aws_url)
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
