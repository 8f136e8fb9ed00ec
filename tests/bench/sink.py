"""`python -m tests.bench.sink PORT MS`: a Kinesis of one shard that confirms every put after a time, and
a DynamoDB that holds one program.

It answers as the Amazon Kinesis Data Streams API reference has ListShards and PutRecords, and the Amazon
DynamoDB API reference GetItem.
"""

import asyncio
import sys
from typing import Any

from aiohttp import web

from schemas.dynamodb import program_item
from tests.factories import program

PROGRAM = program(destination="https://shop.example/landing?c={click_id}")
SHARD = "shardId-000000000000"
_SHARDS = {
    "Shards": [
        {
            "ShardId": SHARD,
            "HashKeyRange": {"StartingHashKey": "0", "EndingHashKey": str(2**128 - 1)},
            "SequenceNumberRange": {"StartingSequenceNumber": "0"},
        }
    ]
}


def sink(delay_s: float) -> web.Application:
    async def answer(request: web.Request) -> web.Response:
        asked: dict[str, Any] = await request.json()
        match request.headers["X-Amz-Target"].partition(".")[2]:
            case "ListShards":
                return _json(_SHARDS)
            case "GetItem":
                return _json({"Item": program_item(PROGRAM)})
        await asyncio.sleep(delay_s)
        confirmed = [{"ShardId": SHARD, "SequenceNumber": "1"} for _ in asked["Records"]]
        return _json({"FailedRecordCount": 0, "Records": confirmed})

    app = web.Application(client_max_size=16 * 1024 * 1024)
    app.router.add_post("/", answer)
    return app


def _json(body: dict[str, Any]) -> web.Response:
    return web.json_response(body, content_type="application/x-amz-json-1.1")


if __name__ == "__main__":
    port, delay_ms = map(int, sys.argv[1:])
    web.run_app(sink(delay_ms / 1000), host="127.0.0.1", port=port, print=None)
