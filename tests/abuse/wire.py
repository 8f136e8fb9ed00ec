"""HTTP spoken byte by byte, for what no client library says."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, Protocol
from urllib.parse import urlsplit

import httpx

from tests.tracker.server import ID, Tracker

PROBLEM = "application/problem+json"
TIMEOUT_S = 10
NORMAL = f"GET /event/{ID} HTTP/1.1\r\nHost: tracker\r\n\r\n".encode()


class Served(Protocol):
    """A tracker that listens: see tests.tracker.server.Tracker and tests.tracker.task.Task."""

    client: httpx.AsyncClient


class Answer(NamedTuple):
    """An answer as it came: its status, its headers by lower-case name, its body."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Wire:
    """One connection to a tracker."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        """Sends what the other side still takes."""
        try:
            self.writer.write(data)
            await self.writer.drain()
        except ConnectionError:
            return

    async def answer(self) -> Answer:
        """The next answer. Raises IncompleteReadError where the connection ends before it."""
        async with asyncio.timeout(TIMEOUT_S):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            status, *lines = head[:-4].split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in lines)
            body = await self.reader.readexactly(int(headers["content-length"]))
        return Answer(int(status.split()[1]), headers, body)

    async def ask(self, data: bytes) -> Answer:
        await self.send(data)
        return await self.answer()

    async def ended(self) -> bytes:
        """Waits until the other side closes; what it still said."""
        async with asyncio.timeout(TIMEOUT_S):
            try:
                return await self.reader.read()
            except ConnectionError:
                return b""


@asynccontextmanager
async def wire(tracker: Served, *, read_limit_bytes: int = 65_536) -> AsyncIterator[Wire]:
    """A connection that takes in about `read_limit_bytes` and then only what is read."""
    parts = urlsplit(str(tracker.client.base_url))
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port, limit=read_limit_bytes)
    try:
        yield Wire(reader, writer)
    finally:
        writer.transport.abort()


async def ask(tracker: Served, data: bytes) -> Answer:
    """The answer to `data` on a connection of its own."""
    async with wire(tracker) as line:
        return await line.ask(data)


def request(
    *headers: str | bytes, method: str = "GET", path: str = f"/event/{ID}", body: bytes = b""
) -> bytes:
    """A request with a Host, and these header lines as they are."""
    lines = [f"{method} {path} HTTP/1.1", "Host: tracker", *headers]
    head = b"\r\n".join(line.encode() if isinstance(line, str) else line for line in lines)
    return head + b"\r\n\r\n" + body


def post(
    body: bytes, *headers: str | bytes, path: str = "/events", content_type: str = "application/json"
) -> bytes:
    """A POST with the length of its body."""
    own = (f"Content-Length: {len(body)}", f"Content-Type: {content_type}")
    return request(*own, *headers, method="POST", path=path, body=body)


def assert_problem(answer: Answer, status: int, reason: str) -> None:
    assert (answer.status, answer.json["reason"]) == (status, reason)
    assert answer.headers["content-type"] == PROBLEM
    assert answer.json["status"] == status


async def assert_serves(tracker: Tracker) -> None:
    """A well-behaved client is answered as ever, and its event is sent."""
    answer = await ask(tracker, NORMAL)
    assert (answer.status, answer.json["valid"]) == (200, True)
    assert answer.json["messageId"] == str(tracker.intake.events[-1].message_id)
