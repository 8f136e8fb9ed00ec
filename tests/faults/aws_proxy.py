"""An HTTP proxy in front of one AWS service. It reads the calls, and makes them fail as AWS does."""

import asyncio
from base64 import b64decode
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import cached_property
from typing import Any

import msgspec
from aiohttp import ClientError, ClientSession, TCPConnector, web

DROPPED = {"connection", "content-length", "content-encoding", "transfer-encoding", "host"}
JSON = {"content-type": "application/x-amz-json-1.1"}

Json = dict[str, Any]


class Call:
    """One request of the JSON protocol, `X-Amz-Target: {service version}.{operation}`."""

    def __init__(self, operation: str, body: bytes) -> None:
        self.operation = operation
        self.body = body

    @cached_property
    def request(self) -> Json:
        asked: Json = msgspec.json.decode(self.body)
        return asked

    @property
    def subject(self) -> str:
        """The table or stream that the call names, as far as it names one."""
        return str(self.request.get("TableName") or self.request.get("StreamName") or "")

    @property
    def records(self) -> list[bytes]:
        """The data of a PutRecords."""
        return [b64decode(record["Data"]) for record in self.request["Records"]]

    def with_only(self, field: str, places: list[int]) -> "Call":
        """The same call with these items of a list alone."""
        kept = [self.request[field][place] for place in places]
        return Call(self.operation, msgspec.json.encode({**self.request, field: kept}))


class Reply:
    """What is answered."""

    def __init__(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.status = status
        self.body = body
        self.headers = headers or JSON

    @cached_property
    def answer(self) -> Json:
        answer: Json = msgspec.json.decode(self.body)
        return answer


class LostError(Exception):
    """The connection breaks instead of an answer."""


Forward = Callable[[Call], Awaitable[Reply]]
Fault = Callable[[Call, Forward], Awaitable[Reply]]
"""Answers a call instead of the service; may forward it, before or after what it does."""

See = Callable[[Call, Reply], None]


class AwsProxy:
    """Forwards every call to `target`, through the faults that it suffers at the time."""

    def __init__(self, target: str, session: ClientSession, see: See) -> None:
        self._target = target
        self._session = session
        self._see = see
        self._faults: list[Fault] = []
        self._struck = 0
        """How many calls were not answered as the service answered them."""

    @contextmanager
    def suffering(self, fault: Fault) -> Iterator[None]:
        """Every call from now to the end goes to `fault`, which must change the answer of one at least."""
        self._faults.append(fault)
        struck_before = self._struck
        try:
            yield
        finally:
            self._faults.remove(fault)
        assert self._struck > struck_before, "the fault met no call"

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        _, _, operation = request.headers.get("X-Amz-Target", "").rpartition(".")
        headers = {name: value for name, value in request.headers.items() if name.lower() not in DROPPED}
        call = Call(operation, await request.read())
        try:
            reply = await self._answer(call, headers)
        except (LostError, ClientError, OSError):
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=500)
        return web.Response(status=reply.status, body=reply.body, headers=reply.headers)

    async def _answer(self, call: Call, headers: dict[str, str]) -> Reply:
        replies: list[Reply] = []

        async def forward(call: Call) -> Reply:
            async with self._session.post(self._target, data=call.body, headers=headers) as response:
                kept = {
                    name: value for name, value in response.headers.items() if name.lower() not in DROPPED
                }
                reply = Reply(response.status, await response.read(), kept)
            self._see(call, reply)
            replies.append(reply)
            return reply

        way: Forward = forward
        for fault in self._faults:
            way = _through(fault, way)
        reply = None
        try:
            reply = await way(call)
            return reply
        finally:
            self._struck += reply not in replies


@asynccontextmanager
async def aws_proxy(target: str, see: See) -> AsyncIterator[tuple[AwsProxy, str]]:
    """A proxy and its URL."""
    async with ClientSession(connector=TCPConnector(limit=0), auto_decompress=True) as session:
        proxy = AwsProxy(target, session, see)
        server = web.Server(proxy.handle)
        listener = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
        try:
            yield proxy, f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        finally:
            listener.close()
            await server.shutdown(1)


def _through(fault: Fault, forward: Forward) -> Forward:
    return lambda call: fault(call, forward)
