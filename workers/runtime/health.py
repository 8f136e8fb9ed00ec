"""Tells a container's health check, on a port of this machine alone, whether the worker is well.

An event loop that an agent blocks answers nobody: that is not well either.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

HOST = "127.0.0.1"
WELL = "well"
ANSWER_TIMEOUT_S = 3.0


@asynccontextmanager
async def answering(port: int, condition: Callable[[], str]) -> AsyncIterator[None]:
    """Answers each connection with what `condition` says, WELL or what is wrong. Port 0: no one."""
    if not port:
        yield
        return

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(condition().encode())
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(answer, HOST, port):
        yield


async def asked(port: int) -> str:
    """What the worker at `port` answers, or why it does not."""
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            reader, writer = await asyncio.open_connection(HOST, port)
            answer = await reader.read()
            writer.close()
    except TimeoutError:
        return f"no answer in {ANSWER_TIMEOUT_S:.0f} s: something blocks the event loop"
    except OSError as error:
        return f"no worker at port {port}: {error}"
    return answer.decode()
