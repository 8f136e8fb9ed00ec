"""AWS clients of the suite's stand-in, and a stream and a table of each test's own."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any
from uuid import uuid4

import pytest
from aiobotocore.session import get_session

from schemas.dynamodb import LEASES_KEY
from tests.lambdas.cloud import Cloud, created

CREDENTIALS = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
COMMAND_VARIABLES = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
SHARDS = 2


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
    name = f"leases-{uuid4()}"
    await dynamodb.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": LEASES_KEY.partition, "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": LEASES_KEY.partition, "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    return name


def _client(service: str, endpoint_url: str) -> AbstractAsyncContextManager[Any]:
    client: AbstractAsyncContextManager[Any] = get_session().create_client(
        service, endpoint_url=endpoint_url, **CREDENTIALS
    )
    return client
