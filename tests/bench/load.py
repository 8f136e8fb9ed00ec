"""Requests at a steady rate, whether or not those before them were answered: an open load."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

CONNECTIONS = 64
SLACK_S = 30
"""After the last request was due, how long its answer may take."""


class Connection:
    """One connection that is kept, for answers without a body."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def get(self, path: str) -> int:
        """The status of the answer."""
        self._writer.write(f"GET {path} HTTP/1.1\r\nHost: bench\r\nUser-Agent: bench\r\n\r\n".encode())
        head = await self._reader.readuntil(b"\r\n\r\n")
        return int(head.split(b" ", 2)[1])

    def close(self) -> None:
        self._writer.close()


@asynccontextmanager
async def connections(port: int) -> AsyncIterator["asyncio.Queue[Connection]"]:
    free: asyncio.Queue[Connection] = asyncio.Queue()
    opened = [Connection(*await asyncio.open_connection("127.0.0.1", port)) for _ in range(CONNECTIONS)]
    for connection in opened:
        free.put_nowait(connection)
    yield free
    for connection in opened:
        connection.close()


async def latencies_ms(port: int, path: str, *, rate: int, count: int, status: int) -> list[float]:
    """What each of `count` requests took, from when it was due: one that had to wait for a free
    connection took longer, so that a stall is not left out.

    Raises AssertionError for another status, TimeoutError.
    """
    ends = asyncio.timeout(count / rate + SLACK_S)
    async with ends, connections(port) as free, asyncio.TaskGroup() as group:
        begin_s = time.perf_counter() + 0.1
        asked = []
        for number in range(count):
            due_s = begin_s + number / rate
            await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
            asked.append(group.create_task(_one(free, path, due_s=due_s, status=status)))
    return [task.result() for task in asked]


async def _one(free: "asyncio.Queue[Connection]", path: str, *, due_s: float, status: int) -> float:
    connection = await free.get()
    got = await connection.get(path)
    took_ms = (time.perf_counter() - due_s) * 1000
    free.put_nowait(connection)
    assert got == status, f"{path} was answered {got}"
    return took_ms


async def until_open(port: int, *, timeout_s: float) -> None:
    """Raises TimeoutError where nothing listens in time."""
    async with asyncio.timeout(timeout_s):
        while True:
            with suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            await asyncio.sleep(0.05)
