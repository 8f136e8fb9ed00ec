import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
import msgspec
import pytest

from cdk.local.errors import DemoError
from cdk.local.freshness import Renamer, read_program
from schemas.invalidations import CacheInvalidated, Invalidation, ProgramInvalidated, encode_invalidation
from schemas.programs import Program, PublicProgram
from tests.tracker.server import ID, serving

PROGRAM = Program(
    program_id="p1", version=1, name="old", customer_id=1, customer_name="customer", checksum="1"
)


class Trackers:
    """Two trackers and a Redis. The second tracker answers a new name only after `late` further reads."""

    def __init__(self, *, late: int = 0, put_status: int = 202) -> None:
        self.program = PROGRAM
        self._late = late
        self._put_status = put_status
        self._messages: asyncio.Queue[Mapping[str, Any]] = asyncio.Queue()
        self._messages.put_nowait({"type": "subscribe", "data": 1})

    async def handle(self, request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0)
        if request.method == "PUT":
            self._change(msgspec.json.decode(request.content, type=Program))
            return httpx.Response(self._put_status)
        return httpx.Response(200, content=msgspec.json.encode({"program": self._seen_by(request.url.host)}))

    async def get_message(self, *, timeout: float) -> Mapping[str, Any] | None:  # noqa: ASYNC109
        return await self._messages.get()

    def _change(self, program: Program) -> None:
        self.program = program
        self._publish(CacheInvalidated(version=2))
        self._publish(ProgramInvalidated(program_id="p1", version=1, program=PROGRAM))
        self._publish(ProgramInvalidated(program_id="p1", version=2, program=program))

    def _publish(self, message: Invalidation) -> None:
        self._messages.put_nowait({"type": "message", "data": encode_invalidation(message)})

    def _seen_by(self, host: str) -> Program:
        if host == "two" and self.program != PROGRAM and self._late:
            self._late -= 1
            return PROGRAM
        return self.program


@asynccontextmanager
async def make_renamer(trackers: Trackers, *, timeout_s: float = 20.0) -> AsyncIterator[Renamer]:
    async with httpx.AsyncClient(transport=httpx.MockTransport(trackers.handle)) as http:
        yield Renamer(http, trackers, ["http://one", "http://two"], timeout_s=timeout_s)


async def test_each_tracker_is_timed_until_it_answers_the_new_name() -> None:
    trackers = Trackers(late=50)
    async with make_renamer(trackers) as renamer:
        one, two = await renamer.rename(PROGRAM, "new")

    assert trackers.program.name == "new"
    assert 0 < one.after_put_ms < two.after_put_ms
    assert 0 <= one.after_publish_ms <= two.after_publish_ms <= two.after_put_ms


async def test_a_tracker_that_never_learns_ends_the_demo() -> None:
    async with make_renamer(Trackers(late=1_000_000), timeout_s=0.2) as renamer:
        with pytest.raises(DemoError, match="Not every tracker answered"):
            await renamer.rename(PROGRAM, "new")


async def test_a_refused_change_ends_the_demo() -> None:
    async with make_renamer(Trackers(put_status=401), timeout_s=5.0) as renamer:
        with pytest.raises(DemoError, match="PUT /programs/p1 answered 401"):
            await renamer.rename(PROGRAM, "new")


async def test_a_program_is_put_as_it_was_read() -> None:
    async with serving() as tracker:
        tracker.set_program(flagged={"visitor": 1})
        read = read_program(await tracker.client.get(f"/programs/{ID}"))
        put = await tracker.client.put(f"/programs/{ID}", content=msgspec.json.encode(read))

    assert isinstance(read, PublicProgram)
    assert put.status_code == 202
