"""Lets Prometheus read a worker's metrics: HTTP enough for a GET, on a port of its own."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

from schemas.exposition import CONTENT_TYPE, exposition
from schemas.metrics import Reading

HEAD_MAX_BYTES = 16_384
READ_TIMEOUT_S = 3.0
_ANSWER = "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {size}\r\nconnection: close\r\n\r\n"


@asynccontextmanager
async def scraped(host: str, port: int, readings: Callable[[], Iterable[Reading]]) -> AsyncIterator[None]:
    """Answers `GET /metrics` with what `readings` says, and any other request 404. Port 0: no one."""
    if not port:
        yield
        return

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(READ_TIMEOUT_S):
                head = await reader.readuntil(b"\r\n\r\n")
        except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            head = b""
        is_ours = head.startswith((b"GET /metrics ", b"GET /metrics?"))
        writer.write(_answer("200 OK", exposition(readings())) if is_ours else _answer("404 Not Found", ""))
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(answer, host, port, limit=HEAD_MAX_BYTES):
        yield


def _answer(status: str, text: str) -> bytes:
    body = text.encode()
    return _ANSWER.format(status=status, kind=CONTENT_TYPE, size=len(body)).encode() + body
