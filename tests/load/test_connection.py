"""Against a server that says, at each request, exactly the bytes that it is told to."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import pytest

from tests.load.connection import Answer, Client, Server
from tests.load.events import Message

MESSAGE = Message("POST /events", b"[]")
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CLOSING = b"HTTP/1.1 503 Busy\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class Script:
    """What to answer, a request after the other, each in pieces; None closes the connection."""

    def __init__(self, *answers: list[bytes | None]) -> None:
        self.answers = iter(answers)
        self.heard: list[bytes] = []
        self.connections = 0


class Scripted(asyncio.Protocol):
    def __init__(self, script: Script) -> None:
        self._script = script
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._script.connections += 1
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._script.heard.append(data)
        for piece in next(self._script.answers, []):
            if piece is None:
                self._transport.close()
            else:
                self._transport.write(piece)


@asynccontextmanager
async def client_of(script: Script, *, timeout_s: float = 5.0) -> AsyncIterator[Client]:
    server = await asyncio.get_running_loop().create_server(lambda: Scripted(script), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    client = Client([Server(f"http://127.0.0.1:{port}")], timeout_s=timeout_s)
    try:
        yield client
    finally:
        client.close()
        server.close()


async def test_a_connection_is_kept_from_one_request_to_the_next() -> None:
    script = Script([OK], [OK])
    async with client_of(script) as client:
        assert [await client.ask(turn, MESSAGE) for turn in range(2)] == [Answer(200, b"ok")] * 2

    assert script.connections == 1
    assert script.heard[0].startswith(b"POST /events HTTP/1.1\r\nHost: 127.0.0.1:")
    assert script.heard[0].endswith(b"Content-Length: 2\r\n\r\n[]")


async def test_an_answer_may_come_in_pieces_in_chunks_and_after_another() -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n"
    script = Script([bytes([each]) for each in OK], [chunked], [b"HTTP/1.1 100 Continue\r\n\r\n", OK])
    async with client_of(script) as client:
        assert [await client.ask(turn, MESSAGE) for turn in range(3)] == [Answer(200, b"ok")] * 3


async def test_one_that_the_tracker_closes_is_opened_again() -> None:
    script = Script([CLOSING, None], [OK])
    async with client_of(script) as client:
        assert (await client.ask(0, MESSAGE)).status == 503
        assert (await client.ask(0, MESSAGE)).status == 200

    assert script.connections == 2


@pytest.mark.parametrize("answer", [[None], [b"HTTP/1.1 200 OK\r\nContent-Le", None], [b"\x15\x03\x03"]])
async def test_what_is_no_answer_is_an_error_and_the_next_request_a_new_connection(
    answer: list[bytes | None],
) -> None:
    script = Script(answer, [OK])
    async with client_of(script) as client:
        with pytest.raises(ConnectionError):
            await client.ask(0, MESSAGE)
        assert await client.ask(0, MESSAGE) == Answer(200, b"ok")


async def test_an_answer_that_does_not_come_is_a_timeout() -> None:
    script = Script([])
    async with client_of(script, timeout_s=0.05) as client:
        with pytest.raises(TimeoutError):
            await client.ask(0, MESSAGE)
