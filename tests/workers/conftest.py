"""AWS clients of the suite's stand-in, and a stream and a table of each test's own."""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any
from uuid import uuid4

import pytest
from aiobotocore.session import get_session

from schemas.dynamodb import LEASES_KEY, STATE_KEY, KeySchema
from schemas.matches import MATCHES_KEY
from tests.lambdas.cloud import Cloud, created

CREDENTIALS = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
COMMAND_VARIABLES = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
SHARDS = 2
MANY_SHARDS = 8
FAILOVER_S = 2.0


@pytest.fixture
async def kinesis(ministack: str) -> AsyncIterator[Any]:
    async with _client("kinesis", ministack) as client:
        yield client


@pytest.fixture
async def dynamodb(ministack: str) -> AsyncIterator[Any]:
    async with _client("dynamodb", ministack) as client:
        yield client


@pytest.fixture
async def s3(ministack: str) -> AsyncIterator[Any]:
    async with _client("s3", ministack) as client:
        yield client


@pytest.fixture
def cloud(ministack: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """What both Lambdas and the commands read and change, and the environment that leads there."""
    for name, value in COMMAND_VARIABLES.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", ministack)
    cloud = created()
    yield cloud
    cloud.close()


@pytest.fixture
async def stream(kinesis: Any) -> str:
    """The name of a stream with two shards."""
    name = f"events-{uuid4()}"
    await kinesis.create_stream(StreamName=name, ShardCount=SHARDS)
    return name


@pytest.fixture
async def leases_table(dynamodb: Any) -> str:
    return await _table(dynamodb, "leases", LEASES_KEY)


@pytest.fixture
async def state_table(dynamodb: Any) -> str:
    return await _table(dynamodb, "state", STATE_KEY)


@pytest.fixture
async def matches_table(dynamodb: Any) -> str:
    return await _table(dynamodb, "matches", MATCHES_KEY)


@pytest.fixture
async def bucket(s3: Any) -> str:
    name = f"failed-{uuid4()}"
    await s3.create_bucket(Bucket=name)
    return name


@pytest.fixture
async def shards(kinesis: Any) -> str:
    """The name of a stream with eight shards."""
    name = f"events-{uuid4()}"
    await kinesis.create_stream(StreamName=name, ShardCount=MANY_SHARDS)
    return name


@pytest.fixture
def worker_environment(
    ministack: str, valkey: str, shards: str, leases_table: str, state_table: str, bucket: str
) -> dict[str, str]:
    """Of a worker process on `shards` that takes over within seconds."""
    return {
        "PATH": os.environ["PATH"],
        "AWS_ENDPOINT_URL": ministack,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "EVENT_STREAM": shards,
        "UPDATE_STREAM": f"updates-{uuid4()}",
        "TOUCH_STREAM": "touches",
        "MATCHES_TABLE": "matches",
        "LEASES_TABLE": leases_table,
        "STATE_TABLE": state_table,
        "FAILED_EVENTS_BUCKET": bucket,
        "WORKER_FAILOVER_MS": str(round(FAILOVER_S * 1000)),
        "WORKER_LOOK_INTERVAL_MS": "250",
        "WORKER_POLL_INTERVAL_MS": "250",
        "WORKER_COMMIT_INTERVAL_MS": "100",
        "REDIS_URL": valkey,
        "REDIS_CHANNEL": f"workers-{uuid4()}",
    }


def _client(service: str, endpoint_url: str) -> AbstractAsyncContextManager[Any]:
    client: AbstractAsyncContextManager[Any] = get_session().create_client(
        service, endpoint_url=endpoint_url, **CREDENTIALS
    )
    return client


async def _table(dynamodb: Any, kind: str, key: KeySchema) -> str:
    name = f"{kind}-{uuid4()}"
    keys = [(each, role) for each, role in zip(key, ("HASH", "RANGE"), strict=True) if each is not None]
    await dynamodb.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": each, "KeyType": role} for each, role in keys],
        AttributeDefinitions=[{"AttributeName": each, "AttributeType": "S"} for each, _ in keys],
        BillingMode="PAY_PER_REQUEST",
    )
    return name
