"""A TCP connection that can break in every way, to put between a process and a service it needs."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

HOST = "127.0.0.1"


class Cable:
    """Carries bytes to `target` and back, until told otherwise; `heal` undoes whatever was done."""

    def __init__(self, target: str, *, port: int = 0) -> None:
        self._parts = urlsplit(target)
        self._port = port
        self._ends: set[asyncio.StreamWriter] = set()
        self._there, self._back = _Way(), _Way()
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        """`target`, reached through the cable."""
        return self._parts._replace(netloc=f"{HOST}:{self._port}").geturl()

    async def lay(self) -> None:
        """Listens, where it listened before."""
        self._server = await asyncio.start_server(
            self._connect, HOST, self._port, family=socket.AF_INET, reuse_address=True
        )
        self._port = self._server.sockets[0].getsockname()[1]

    def lead_to(self, target: str) -> None:
        """New connections go there, as where another machine takes over a name."""
        self._parts = urlsplit(target)

    async def cut(self) -> None:
        """Connections break and new ones are refused."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self._there.open()
        self._back.open()
        await self.snap()

    async def snap(self) -> None:
        """Connections break; new ones are carried."""
        for end in list(self._ends):
            end.transport.abort()
        await asyncio.sleep(0)

    def stall(self) -> None:
        """Connections stay and take bytes, but carry none: a peer that froze, a route that is gone."""
        self._there.close()
        self._back.close()

    def half_open(self) -> None:
        """Bytes get there, answers do not come back."""
        self._back.close()

    def delay(self, seconds: float) -> None:
        """Each way takes so long."""
        self._there.delay_s = self._back.delay_s = seconds

    async def heal(self) -> None:
        """Carries again, as from the first; bytes that were held up go on, as TCP would send them."""
        self.delay(0)
        self._there.open()
        self._back.open()
        if self._server is None:
            await self.lay()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._ends.add(writer)
        try:
            await self._carry_on(reader, writer)
        except OSError:
            pass
        finally:
            self._ends.discard(writer)
            writer.transport.abort()

    async def _carry_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection(self._parts.hostname, self._parts.port)
        self._ends.add(there_writer)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._there.carry(reader, there_writer))
                both.create_task(self._back.carry(there_reader, writer))
        except* OSError:
            pass
        finally:
            self._ends.discard(there_writer)
            there_writer.transport.abort()


class _Way:
    """One direction of every connection."""

    def __init__(self) -> None:
        self.delay_s = 0.0
        self._passable = asyncio.Event()
        self._passable.set()

    def open(self) -> None:
        self._passable.set()

    def close(self) -> None:
        self._passable.clear()

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            if self.delay_s:
                await asyncio.sleep(self.delay_s)
            await self._passable.wait()
            writer.write(data)
            await writer.drain()
        raise ConnectionResetError("one end has closed")


@asynccontextmanager
async def cable(target: str, *, port: int = 0) -> AsyncIterator[Cable]:
    """A cable that is cut at the end at the latest."""
    laid = Cable(target, port=port)
    await laid.lay()
    try:
        yield laid
    finally:
        with suppress(OSError):
            await laid.cut()
