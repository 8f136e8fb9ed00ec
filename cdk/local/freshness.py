"""How long a change takes to reach every tracker: from the PUT, and from the message on Redis."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import httpx
import msgspec
from msgspec import Struct

from cdk.local.errors import DemoError
from cdk.local.tasks import alongside
from schemas.invalidations import ProgramInvalidated, decode_invalidation
from schemas.programs import Program, PublicProgram

CHANGE_TIMEOUT_S = 15.0


class Times(Struct, frozen=True):
    """Of one change and one tracker, in milliseconds."""

    after_put_ms: float
    after_publish_ms: float


class Messages(Protocol):
    """A subscription to the channel of invalidations: redis.asyncio's PubSub."""

    async def get_message(self, *, timeout: float) -> Mapping[str, Any] | None: ...  # noqa: ASYNC109


class ProgramAnswer(Struct):
    program: PublicProgram


class Renamer:
    """Renames programs on the first tracker, as anyone may, and watches every tracker's answers."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        messages: Messages,
        trackers: Sequence[str],
        *,
        timeout_s: float = CHANGE_TIMEOUT_S,
    ) -> None:
        self._timeout_s = timeout_s
        self._http = http
        self._messages = messages
        self._trackers = trackers

    async def rename(self, program: PublicProgram, name: str) -> list[Times]:
        """Returns when each tracker answers the new name: one Times for each of them.

        Raises DemoError where that takes `timeout_s`.
        """
        renamed = msgspec.structs.replace(program, name=name)
        path = f"/programs/{program.program_id}"
        try:
            async with asyncio.timeout(self._timeout_s):
                async with alongside(self._watch(path, renamed)) as watching:
                    put_s = await self._put(path, renamed)
        except TimeoutError as error:
            raise DemoError(f"Not every tracker answered the new name of {path} in time.") from error
        published_s, *answered_s = watching.result()
        return [Times(_ms(put_s, seen_s), _ms(published_s, seen_s)) for seen_s in answered_s]

    async def _watch(self, path: str, renamed: PublicProgram) -> list[float]:
        """When the change was published, and when each tracker answered it."""
        return await asyncio.gather(
            self._published(renamed),
            *(self._answers(tracker + path, renamed.name) for tracker in self._trackers),
        )

    async def _put(self, path: str, program: PublicProgram) -> float:
        put_s = time.perf_counter()
        response = await self._http.put(self._trackers[0] + path, content=msgspec.json.encode(program))
        if response.status_code != httpx.codes.ACCEPTED:
            raise DemoError(f"PUT {path} answered {response.status_code}: {response.text[:200]}")
        return put_s

    async def _published(self, renamed: PublicProgram) -> float:
        while True:
            message = await self._messages.get_message(timeout=self._timeout_s)
            if message is not None and message["type"] == "message" and _tells(message["data"], renamed):
                return time.perf_counter()

    async def _answers(self, url: str, name: str) -> float:
        while True:
            response = await self._http.get(url)
            if response.is_success and read_program(response).name == name:
                return time.perf_counter()


def read_program(response: httpx.Response) -> PublicProgram:
    """The program of a GET's answer."""
    return msgspec.json.decode(response.content, type=ProgramAnswer).program


def _tells(data: bytes, renamed: PublicProgram) -> bool:
    match decode_invalidation(data):
        case ProgramInvalidated(program=Program(program_id=renamed.program_id, name=renamed.name)):
            return True
    return False


def _ms(from_s: float, to_s: float) -> float:
    """A tracker may answer before this process has its own copy of the message."""
    return max(0.0, (to_s - from_s) * 1000)
