"""A TCP connection that can be cut, to put between a process and a service it needs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit


class Cable:
    """Carries bytes to `target` until it is cut; then connections break and new ones are refused."""

    def __init__(self, target: str) -> None:
        self._parts = urlsplit(target)
        self._ends: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server

    @property
    def url(self) -> str:
        """`target`, reached through the cable."""
        host, port = self._server.sockets[0].getsockname()
        return self._parts._replace(netloc=f"{host}:{port}").geturl()

    async def lay(self) -> None:
        self._server = await asyncio.start_server(self._connect, "127.0.0.1", 0)

    async def cut(self) -> None:
        self._server.close()
        for end in list(self._ends):
            end.transport.abort()
        await asyncio.sleep(0)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection(self._parts.hostname, self._parts.port)
        ends = {writer, there_writer}
        self._ends |= ends
        try:
            await asyncio.gather(_carry(reader, there_writer), _carry(there_reader, writer))
        except OSError:
            pass
        finally:
            self._ends -= ends
            for end in ends:
                end.transport.abort()


@asynccontextmanager
async def cable(target: str) -> AsyncIterator[Cable]:
    """A cable that is cut at the end at the latest."""
    laid = Cable(target)
    await laid.lay()
    try:
        yield laid
    finally:
        await laid.cut()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()
    raise ConnectionResetError("one end has closed")
