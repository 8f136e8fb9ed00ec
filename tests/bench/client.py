"""`python -m tests.bench.client ORDER`: a client in a process of its own; prints what it saw as JSON.

Closed, it sends a connection's next request when the last one was answered: as many as the other side
takes. Open, it sends at a rate whether or not those before were answered, and a request took from when
it was due, so that a stall is not left out.
"""

import asyncio
import sys
import time
from collections import Counter, deque
from collections.abc import Callable
from itertools import cycle
from typing import cast

import msgspec
import uvloop
from msgspec.structs import replace

from tests.bench.order import Order, Seen, latencies
from tests.bench.puts import read_puts
from tests.bench.requests import KINDS
from tests.bench.usage import usage

TICK_S = 0.001
WARM_UP_S = 0.3
SLACK_S = 10
"""How long answers may take after the last request."""
PROBE_EVERY_S = 0.005

Landed = Callable[["Connection", int], None]


class Connection(asyncio.Protocol):
    """Sends one request at a time; calls `landed` with each answer's status. That of tests.load waits for
    an answer in a task, which would take as much of this machine as what is measured."""

    def __init__(self, landed: Landed) -> None:
        self._landed = landed
        self._buffer = b""
        self.sent_s = 0.0
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def send(self, request: bytes, *, due_s: float) -> None:
        self.sent_s = due_s
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if _is_whole(self._buffer):
            status, self._buffer = int(self._buffer[9:12]), b""
            self._landed(self, status)

    def close(self) -> None:
        self._transport.close()


class Load:
    """One round's requests and their fates."""

    def __init__(self, order: Order) -> None:
        self._order = order
        pool = list(KINDS[order.kind](order.programs))
        self._pool = iter(pool) if order.once else cycle(pool)
        self._took_s: list[float] = []
        self._statuses: Counter[str] = Counter()
        self._free: list[Connection] = []
        self._due_s: deque[float] = deque()
        self._idle = asyncio.Event()
        self._stopped = False

    async def run(self) -> Seen:
        connections, put_before = await self._connect(), read_puts(self._order.port)
        probe = await Probe.open(self._order) if self._order.probe else None
        self._free = list(connections)
        begin = self._drive()
        if not self._order.once:
            await asyncio.sleep(WARM_UP_S)
        self._took_s.clear()
        self._statuses.clear()
        before, begin_s = usage(self._order.pid), time.perf_counter()
        await self._sleep(begin)
        after, seconds = usage(self._order.pid), time.perf_counter() - begin_s
        seen = Seen(
            requests=sum(self._statuses.values()),
            seconds=seconds,
            cpu_s=after.cpu_s - before.cpu_s,
            system_s=after.system_s - before.system_s,
            rss_mb=after.rss_mb,
            statuses=dict(self._statuses),
            latency_ms=latencies(self._took_s),
            lag_ms=latencies(probe.took_s) if probe else None,
        )
        await self._finish(connections)
        put = read_puts(self._order.port)
        return replace(seen, puts=put - put_before) if put and put_before else seen

    async def _connect(self) -> list[Connection]:
        loop = asyncio.get_running_loop()
        made = []
        for _ in range(self._order.connections):
            _, connection = await loop.create_connection(
                lambda: Connection(self._landed), "127.0.0.1", self._order.port
            )
            made.append(connection)
        return made

    def _drive(self) -> "asyncio.Task[None]":
        return asyncio.ensure_future(self._tick() if self._order.rate else self._flood())

    async def _sleep(self, begin: "asyncio.Task[None]") -> None:
        if self._order.once:
            await begin
        else:
            await asyncio.sleep(self._order.seconds)

    async def _flood(self) -> None:
        free, self._free = self._free, []
        for connection in free:
            self._send(connection, time.perf_counter())
        if self._order.once:
            await self._idle.wait()

    async def _tick(self) -> None:
        rate, begin_s, sent = self._order.rate or 1.0, time.perf_counter(), 0
        while not self._stopped:
            due = int((time.perf_counter() - begin_s) * rate)
            for number in range(sent, due):
                self._ask(begin_s + number / rate)
            sent = due
            await asyncio.sleep(TICK_S)

    def _ask(self, due_s: float) -> None:
        if self._free:
            self._send(self._free.pop(), due_s)
        else:
            self._due_s.append(due_s)

    def _landed(self, connection: Connection, status: int) -> None:
        now_s = time.perf_counter()
        self._took_s.append(now_s - connection.sent_s)
        self._statuses[str(status)] += 1
        if self._due_s:
            self._send(connection, self._due_s.popleft())
        elif self._stopped or self._order.rate:
            self._rest(connection)
        else:
            self._send(connection, now_s)

    def _send(self, connection: Connection, due_s: float) -> None:
        request = next(self._pool, None)
        if request is None:
            self._rest(connection)
        else:
            connection.send(request, due_s=due_s)

    def _rest(self, connection: Connection) -> None:
        self._free.append(connection)
        if len(self._free) == self._order.connections:
            self._idle.set()

    async def _finish(self, connections: list[Connection]) -> None:
        """Every request is answered, or the round is void. Raises TimeoutError."""
        self._stopped = True
        self._idle.clear()
        self._due_s.clear()
        async with asyncio.timeout(SLACK_S):
            if len(self._free) < len(connections):
                await self._idle.wait()
        for connection in connections:
            connection.close()


class Probe:
    """Asks now and then, on a connection of its own."""

    def __init__(self) -> None:
        self.took_s: list[float] = []
        self._request = next(iter(KINDS["health"](1)))

    @classmethod
    async def open(cls, order: Order) -> "Probe":
        probe, loop = cls(), asyncio.get_running_loop()
        _, connection = await loop.create_connection(
            lambda: Connection(probe._landed), "127.0.0.1", order.port
        )
        probe._ask(connection)
        return probe

    def _ask(self, connection: Connection) -> None:
        connection.send(self._request, due_s=time.perf_counter())

    def _landed(self, connection: Connection, status: int) -> None:
        self.took_s.append(time.perf_counter() - connection.sent_s)
        asyncio.get_running_loop().call_later(PROBE_EVERY_S, self._ask, connection)


def _is_whole(answer: bytes) -> bool:
    head, end, body = answer.partition(b"\r\n\r\n")
    if not end:
        return False
    _, named, rest = head.lower().partition(b"\r\ncontent-length:")
    return not named or len(body) >= int(rest.partition(b"\r\n")[0])


if __name__ == "__main__":
    order = msgspec.json.decode(sys.argv[1], type=Order)
    print(msgspec.json.encode(uvloop.run(Load(order).run())).decode())
