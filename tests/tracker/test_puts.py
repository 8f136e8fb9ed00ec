"""Puts that go past AWS's client are what the client would have sent, and fail as it fails."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import msgspec
import pytest
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from aiohttp import web
from aiohttp.test_utils import TestServer
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError

from tracker.puts import direct

PUT = {
    "StreamName": "events",
    "Records": [{"Data": bytes(range(256)), "PartitionKey": "0", "ExplicitHashKey": str(2**127)}],
}
THROTTLED = "ProvisionedThroughputExceededException"
CONFIRMED = {"FailedRecordCount": 0, "Records": [{"ShardId": "shardId-000000000000", "SequenceNumber": "1"}]}


class Asked(NamedTuple):
    path: str
    headers: dict[str, str]
    body: Any


class Stand:
    """A Kinesis that notes what it is asked and answers what it is told to."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.status = 200
        self.body = msgspec.json.encode(CONFIRMED)

    async def answer(self, request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.asked.append(Asked(request.path, headers, await request.json()))
        return web.Response(status=self.status, body=self.body)


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("ACCESS_KEY_ID", "AKID"), ("SECRET_ACCESS_KEY", "secret"), ("SESSION_TOKEN", "t")):
        monkeypatch.setenv(f"AWS_{name}", value)


@asynccontextmanager
async def kinesis(url: str, *, timeout_s: float = 5.0) -> AsyncIterator[tuple[Any, Any]]:
    """AWS's client, and ours."""
    session = get_session()
    config = AioConfig(retries={"total_max_attempts": 1})
    async with (
        session.create_client("kinesis", region_name="eu-west-1", endpoint_url=url, config=config) as client,
        direct(client, session, timeout_s=timeout_s) as ours,
    ):
        yield client, ours


@asynccontextmanager
async def standing() -> AsyncIterator[tuple[Stand, str]]:
    stand, app = Stand(), web.Application()
    app.router.add_post("/", stand.answer)
    async with TestServer(app) as server:
        yield stand, str(server.make_url("")).rstrip("/")


@pytest.mark.usefixtures("keys")
async def test_a_put_is_what_the_client_of_aws_would_have_sent() -> None:
    async with standing() as (stand, url), kinesis(url) as (client, ours):
        theirs_answer = await client.put_records(**PUT)
        ours_answer = await ours.put_records(**PUT)

    theirs, mine = stand.asked
    assert ours_answer == CONFIRMED
    assert ours_answer["Records"] == theirs_answer["Records"]
    assert (mine.path, mine.body) == (theirs.path, theirs.body)
    for name in ("x-amz-target", "content-type", "host", "x-amz-security-token"):
        assert mine.headers[name] == theirs.headers[name]
    assert _scope(mine) == _scope(theirs)


@pytest.mark.usefixtures("keys")
@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (400, b'{"__type":"ProvisionedThroughputExceededException","message":"slow"}', THROTTLED),
        (400, b'{"__type":"com.amazonaws.kinesis#ResourceNotFoundException"}', "ResourceNotFoundException"),
        (503, b"<html>", "503"),
        (200, b"<html>", "200"),
    ],
)
async def test_a_refusal_is_the_error_that_the_client_raises(status: int, body: bytes, code: str) -> None:
    async with standing() as (stand, url), kinesis(url) as (_, ours):
        stand.status, stand.body = status, body

        with pytest.raises(ClientError) as raised:
            await ours.put_records(**PUT)

    assert raised.value.response["Error"]["Code"] == code


@pytest.mark.usefixtures("keys")
async def test_where_nobody_listens_it_is_the_error_of_the_client() -> None:
    async with standing() as (_, url):
        pass
    async with kinesis(url) as (_, ours):
        with pytest.raises(EndpointConnectionError):
            await ours.put_records(**PUT)


async def test_without_keys_there_is_no_put(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    async with kinesis("http://127.0.0.1:1") as (_, ours):
        with pytest.raises(NoCredentialsError):
            await ours.put_records(**PUT)


def _scope(asked: Asked) -> str:
    """Of the signature, all but the signature."""
    return re.sub("Signature=[0-9a-f]+", "", asked.headers["authorization"])
