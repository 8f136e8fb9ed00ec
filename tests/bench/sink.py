"""`python -m tests.bench.sink PORT MS [SHARDS]`: a Kinesis that confirms every put after a time, and a
DynamoDB that holds every program. It does no more than the protocol asks, so that it is no bottleneck.

It answers as the Amazon Kinesis Data Streams API reference has ListShards, PutRecord and PutRecords, and
the Amazon DynamoDB API reference GetItem, PutItem, Query and BatchExecuteStatement: every insert finds its
key free, and no program has lanes yet.
"""

import asyncio
import json
import re
import sys
from typing import Any, cast

import httptools
import uvloop

from schemas.dynamodb import program_item
from tests.factories import program

PROGRAM = program(destination="https://shop.example/landing?c={click_id}")
_HASH_KEYS = 2**128
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.1\r\nContent-Length: %d\r\n\r\n"
_HASH = re.compile(rb'"ExplicitHashKey": ?"(\d+)"')
_STATEMENT = b'"Statement":'
_LANE = b'"lane"'
_KEY = re.compile(rb'"Key": ?\{"program_id": ?\{"S": ?"([^"]+)"')


class Shards:
    """Open shards that share the range of hash keys alike."""

    def __init__(self, count: int) -> None:
        starts = [number * _HASH_KEYS // count for number in range(count + 1)]
        self._ids = {str(start).encode(): f"shardId-{n:012}" for n, start in enumerate(starts[:-1])}
        self.listed = [_shard(f"shardId-{n:012}", starts[n], starts[n + 1] - 1) for n in range(count)]

    def confirmation(self, hash_key: bytes) -> dict[str, str]:
        return {"ShardId": self._ids[hash_key], "SequenceNumber": "1"}


class Sink(asyncio.Protocol):
    """One connection. Requests on it are not pipelined: AWS's clients wait for an answer."""

    def __init__(self, shards: Shards, delay_s: float) -> None:
        self._shards = shards
        self._delay_s = delay_s
        self._parser = httptools.HttpRequestParser(self)
        self._target = b""
        self._body = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"x-amz-target":
            self._target = value.partition(b".")[2]

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        body, self._body = self._body, b""
        match self._target:
            case b"ListShards":
                self._answer({"Shards": self._shards.listed})
            case b"GetItem":
                self._answer({} if _LANE in body else {"Item": _item(body)})
            case b"PutItem":
                self._answer({})
            case b"Query":
                self._answer({"Items": [], "Count": 0, "ScannedCount": 0})
            case b"BatchExecuteStatement":
                self._answer({"Responses": [{"TableName": "events"}] * body.count(_STATEMENT)})
            case b"PutRecord":
                self._confirm(self._shards.confirmation(b"0"))
            case b"PutRecords":
                hashes = _HASH.findall(body) or [b"0"] * body.count(b'"PartitionKey"')
                confirmed = [self._shards.confirmation(key) for key in hashes]
                self._confirm({"FailedRecordCount": 0, "Records": confirmed})

    def _confirm(self, answer: dict[str, Any]) -> None:
        if self._delay_s:
            asyncio.get_running_loop().call_later(self._delay_s, self._answer, answer)
        else:
            self._answer(answer)

    def _answer(self, answer: dict[str, Any]) -> None:
        body = json.dumps(answer).encode()
        self._transport.write(_HEAD % len(body) + body)


def _shard(shard_id: str, start: int, end: int) -> dict[str, Any]:
    return {
        "ShardId": shard_id,
        "HashKeyRange": {"StartingHashKey": str(start), "EndingHashKey": str(end)},
        "SequenceNumberRange": {"StartingSequenceNumber": "0"},
    }


def _item(body: bytes) -> dict[str, Any]:
    found = _KEY.search(body)
    assert found, body
    return program_item(PROGRAM) | {"program_id": {"S": found[1].decode()}}


async def serve(port: int, *, delay_s: float, shards: int) -> None:
    """Until it is ended."""
    known = Shards(shards)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Sink(known, delay_s), "127.0.0.1", port, backlog=512)
    await server.serve_forever()


if __name__ == "__main__":
    port, delay_ms, *count = map(int, sys.argv[1:])
    uvloop.run(serve(port, delay_s=delay_ms / 1000, shards=count[0] if count else 1))
