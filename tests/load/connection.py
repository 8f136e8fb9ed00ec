"""HTTP/1.1 on a connection that is kept: no more of it than a load needs, to be no bottleneck itself."""

import asyncio
import ssl
from contextlib import suppress
from typing import NamedTuple, cast
from urllib.parse import urlsplit

from httptools import HttpParserError, HttpResponseParser

from tests.load.events import Message

USER_AGENT = "reactive-tracker-load"


class Answer(NamedTuple):
    status: int
    body: bytes


class Connection(asyncio.Protocol):
    """To one tracker. A request at a time; after an error it is of no more use."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport
        self._answer: asyncio.Future[Answer] | None = None
        self._parser = HttpResponseParser(self)
        self._body: list[bytes] = []
        self._ends = False
        self.open = True

    async def ask(self, request: bytes) -> Answer:
        """Raises ConnectionError."""
        if not self.open:
            raise ConnectionResetError("closed by the tracker")
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def close(self) -> None:
        self.open = False
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except HttpParserError as error:
            self._fail(ConnectionAbortedError(f"not HTTP: {error}"))

    def connection_lost(self, error: Exception | None) -> None:
        self._fail(ConnectionResetError("closed by the tracker"))

    def on_message_begin(self) -> None:
        self._body = []

    def on_body(self, data: bytes) -> None:
        self._body.append(data)

    def on_message_complete(self) -> None:
        """A 1xx comes before the answer."""
        status = self._parser.get_status_code()
        if status < 200:
            return
        self.open = self._parser.should_keep_alive()
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(Answer(status, b"".join(self._body)))

    def _fail(self, error: ConnectionError) -> None:
        self.open = False
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)


class Server:
    """A tracker by its base URL: how to reach it, and what a request to it looks like."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host = parts.hostname or ""
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._port = parts.port or (443 if self._tls else 80)
        self._head = f" HTTP/1.1\r\nHost: {parts.netloc}\r\nUser-Agent: {USER_AGENT}\r\n"

    async def connect(self) -> Connection:
        """Raises OSError."""
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(Connection, self._host, self._port, ssl=self._tls)
        return connection

    def encode(self, message: Message) -> bytes:
        head = message.line + self._head
        if message.body:
            head += f"Content-Type: application/json\r\nContent-Length: {len(message.body)}\r\n"
        return f"{head}\r\n".encode() + message.body


class Client:
    """Asks one tracker or another, over connections that it keeps: one request at a time."""

    def __init__(self, servers: list[Server], *, timeout_s: float) -> None:
        self._servers = servers
        self._timeout_s = timeout_s
        self._connections: dict[int, Connection] = {}

    async def ask(self, turn: int, message: Message) -> Answer:
        """Of the trackers, in turn. Raises OSError, TimeoutError."""
        place = turn % len(self._servers)
        try:
            async with asyncio.timeout(self._timeout_s):
                connection = await self._connection(place)
                return await connection.ask(self._servers[place].encode(message))
        except (OSError, TimeoutError):
            self._drop(place)
            raise

    def close(self) -> None:
        for place in list(self._connections):
            self._drop(place)

    async def _connection(self, place: int) -> Connection:
        known = self._connections.get(place)
        if known is not None and known.open:
            return known
        self._drop(place)
        self._connections[place] = await self._servers[place].connect()
        return self._connections[place]

    def _drop(self, place: int) -> None:
        with suppress(KeyError):
            self._connections.pop(place).close()
