"""A Kinesis in memory behind HTTP, for processes of their own.

    async with served(kinesis) as url:
        environment = {"AWS_ENDPOINT_URL_KINESIS": url, ...}

It speaks the AWS JSON 1.1 protocol: `X-Amz-Target` names the operation, data is base64, times are seconds.
"""

from base64 import b64decode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import msgspec
from aiohttp import web
from botocore.exceptions import ClientError, ConnectionClosedError

from tests.kinesis import Answer, InMemoryKinesis

HOST = "127.0.0.1"
REQUEST_MAX_BYTES = 16_777_216
"""PutRecords takes 10 MiB, which base64 makes longer."""


@asynccontextmanager
async def served(kinesis: InMemoryKinesis) -> AsyncIterator[str]:
    """Answers until the context is left. Yields the endpoint's URL."""
    app = web.Application(client_max_size=REQUEST_MAX_BYTES)
    app.router.add_post("/", _Door(kinesis).answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, HOST, 0)
    await site.start()
    try:
        yield f"http://{HOST}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


class _Door:
    def __init__(self, kinesis: InMemoryKinesis) -> None:
        self._operations: dict[str, Callable[..., Awaitable[Answer]]] = {
            "DescribeStreamSummary": kinesis.describe_stream_summary,
            "GetRecords": kinesis.get_records,
            "GetShardIterator": kinesis.get_shard_iterator,
            "ListShards": kinesis.list_shards,
            "PutRecords": kinesis.put_records,
        }

    async def answer(self, request: web.Request) -> web.Response:
        operation = self._operations[request.headers["X-Amz-Target"].partition(".")[2]]
        asked = _decoded(msgspec.json.decode(await request.read()))
        try:
            return _response(200, await operation(**asked))
        except ClientError as error:
            return _response(400, {"__type": error.response["Error"]["Code"], "message": str(error)})
        except ConnectionClosedError:
            if request.transport is not None:
                request.transport.close()
            raise


def _decoded(asked: dict[str, Any]) -> dict[str, Any]:
    for record in asked.get("Records", ()):
        record["Data"] = b64decode(record["Data"])
    return asked


def _response(status: int, answer: Answer) -> web.Response:
    return web.Response(
        status=status,
        body=msgspec.json.encode(_timed(answer)),
        content_type="application/x-amz-json-1.1",
    )


def _timed(answer: Any) -> Any:
    """The answer with its moments as numbers; bytes become base64 by themselves."""
    if isinstance(answer, dict):
        return {name: _timed(each) for name, each in answer.items()}
    if isinstance(answer, list):
        return [_timed(each) for each in answer]
    return answer.timestamp() if isinstance(answer, datetime) else answer
