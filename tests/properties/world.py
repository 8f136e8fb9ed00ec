"""Core data in flight: a Redis in memory with its channel, and trackers that listen to it."""

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

from msgspec.structs import replace
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as NotConnectedError

from schemas.dynamodb import StoredProgram, program_from_item
from schemas.errors import CoreDataUnavailableError, UnavailableError
from schemas.redis import (
    Change,
    HealthChange,
    Record,
    program_change,
    program_key,
    read_program,
    tombstone_change,
)
from tests.lambdas.memory import MemoryDynamoDB, Steps
from tests.tracker.ports import tracker_settings
from tracker.core_data import Level
from tracker.link import Link
from tracker.programs import Cache, Programs

SETTINGS = tracker_settings(program_max_age_ms=5_000)
TABLE = SETTINGS.programs_table
RETRY_S = 0.1
RECORD_TTL_S = 15
"""A short life for records, so that trackers come to trust Redis again within a test."""

Kept = tuple[int, bytes, float]
"""A record's version, its value, and the loop's time when it expires."""
Snapshot = tuple[dict[str, Kept], Counter[str]]


class MemoryRedis:
    """What `refresh` and trackers do to Redis; PUBLISH_IF_NEWER as it is in Lua."""

    def __init__(self, steps: Steps, clock_s: Callable[[], float]) -> None:
        self.lines: list[Line] = []
        self._steps = steps
        self._clock_s = clock_s
        self._records: dict[str, Kept] = {}
        self._sequences: Counter[str] = Counter()

    def publish(self, change: Change) -> None:
        with self._steps.call("publish"):
            self.run_script(change)

    def run_script(self, change: Change) -> None:
        (key, sequence_key), (version, value, _, message) = change
        held = self._held(key)
        if held is not None and held[0] >= version:
            return
        self._records[key] = (version, value, self._clock_s() + RECORD_TTL_S)
        self._sequences[sequence_key] += 1
        for line in self.lines:
            line.carry(b'{"sequence":%d,' % self._sequences[sequence_key] + message[1:])

    def tell(self, change: HealthChange) -> None:
        """Nobody here listens to that."""

    def forget_programs(self) -> None:
        with self._steps.call("forget_programs"):
            self._records = {
                key: kept for key, kept in self._records.items() if not key.startswith("program:")
            }

    def snapshot(self) -> Snapshot:
        return dict(self._records), Counter(self._sequences)

    def restore(self, snapshot: Snapshot) -> None:
        """Holds from now on what it held then."""
        records, sequences = snapshot
        self._records, self._sequences = dict(records), Counter(sequences)

    async def read(self, program_id: str) -> Record | None:
        held = self._held(program_key(program_id))
        return None if held is None else read_program([str(held[0]), held[1]])

    async def fill(self, program_id: str, record: Record) -> None:
        if record.program is None:
            self.run_script(tombstone_change(SETTINGS.redis_channel, program_id, record.version))
        else:
            self.run_script(program_change(SETTINGS.redis_channel, record.program))

    def _held(self, key: str) -> Kept | None:
        held = self._records.get(key)
        return held if held is not None and held[2] > self._clock_s() else None


class Truth:
    """The programs table, read; `down` makes it unavailable."""

    def __init__(self, dynamodb: MemoryDynamoDB) -> None:
        self.down = False
        self._items = dynamodb.tables[TABLE]

    async def read(self, program_id: str) -> Record | None:
        if self.down:
            raise CoreDataUnavailableError("down")
        return self.held(program_id)

    def held(self, program_id: str) -> Record | None:
        stored = self.stored(program_id)
        return None if stored is None else Record(stored.version, stored.program)

    def stored(self, program_id: str) -> StoredProgram | None:
        item = self._items.get((program_id,))
        return None if item is None else program_from_item(item)


class Wire:
    """The way to a level and back: a held wire keeps answers back, and what is to be written, at
    most until the tracker's timeout."""

    def __init__(self, level: Level) -> None:
        self.open = asyncio.Event()
        self.open.set()
        self._level = level

    async def read(self, program_id: str) -> Record | None:
        record = await self._level.read(program_id)
        await self._opened()
        return record

    async def fill(self, program_id: str, record: Record) -> None:
        await self._opened()
        await cast(Cache, self._level).fill(program_id, record)

    async def _opened(self) -> None:
        try:
            async with asyncio.timeout(SETTINGS.core_data_timeout_ms / 1000):
                await self.open.wait()
        except TimeoutError as error:
            raise CoreDataUnavailableError("slow") from error


class Line:
    """A subscriber's connection: messages travel in order until they arrive or it is cut.

    The part of redis.asyncio that a Link takes, client and pub/sub in one.
    """

    def __init__(self) -> None:
        self.up = True
        self.stalled = False
        self._travelling: deque[bytes] = deque()
        self._inbox: asyncio.Queue[dict[str, Any] | Exception] = asyncio.Queue()

    def carry(self, message: bytes) -> None:
        if self.up:
            self._travelling.append(message)

    def arrive(self, count: int) -> None:
        """The next messages reach the subscriber, unless the line is stalled."""
        while self._travelling and count and not self.stalled:
            self._inbox.put_nowait({"type": "message", "data": self._travelling.popleft()})
            count -= 1

    def cut(self) -> None:
        """What travels is lost, and the subscriber sees the end of the connection."""
        self.up = False
        self._travelling.clear()
        self._inbox.put_nowait(NotConnectedError("cut"))

    def fail_over(self) -> None:
        """The connection is lost, and the next one finds another server."""
        self.cut()
        self.up = True

    def lose(self) -> None:
        """What travels is dropped on the way, and only the sequence numbers show it."""
        self._travelling.clear()

    def stall(self) -> None:
        """Nothing arrives any more, and nothing says so."""
        self.stalled = True

    def replace(self) -> None:
        """The client connects again by itself: all that the subscriber sees is a confirmation."""
        self.up, self.stalled = True, False
        self._travelling.clear()
        self._inbox.put_nowait({"type": "subscribe"})

    def pubsub(self) -> "Line":
        return self

    async def __aenter__(self) -> "Line":
        return self

    async def __aexit__(self, *error: object) -> None:
        self._travelling.clear()

    async def subscribe(self, channel: str) -> None:
        if not self.up:
            raise NotConnectedError("cut")
        self._inbox = asyncio.Queue()
        if not self.stalled:
            self._inbox.put_nowait({"type": "subscribe"})

    async def get_message(self, timeout: float) -> dict[str, Any] | None:  # noqa: ASYNC109 as in redis-py
        try:
            async with asyncio.timeout(timeout):
                message = await self._inbox.get()
        except TimeoutError:
            return None
        if isinstance(message, Exception):
            raise message
        return message

    async def ping(self) -> None:
        if self.up and not self.stalled:
            self._inbox.put_nowait({"type": "pong"})


class Node:
    """One tracker task's memory of programs, with its link; `answers` is all it ever said."""

    def __init__(
        self, redis: MemoryRedis, truth: Truth, clock_ms: Callable[[], int], *, programs_max: int
    ) -> None:
        self.line = Line()
        redis.lines.append(self.line)
        self.cache, self.truth = Wire(redis), Wire(truth)
        settings = replace(SETTINGS, programs_max=programs_max)
        self.programs = Programs(self.cache, self.truth, settings, clock_ms, record_ttl_s=RECORD_TTL_S)
        self.answers: list[tuple[str, Record]] = []
        self._link = Link(cast(Redis, self.line), self.programs, SETTINGS)
        self._following = asyncio.create_task(self._follow())
        self._asking: set[asyncio.Task[None]] = set()

    def ask(self, program_id: str) -> None:
        task = asyncio.create_task(self._ask(program_id))
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    @property
    def open(self) -> tuple[asyncio.Event, asyncio.Event]:
        return self.cache.open, self.truth.open

    def heal(self) -> None:
        """Both levels answer at once, and the line carries again, with what it lost still lost."""
        for wire in (self.cache, self.truth):
            wire.open.set()
        self.line.up, self.line.stalled = True, False

    async def close(self) -> None:
        self._following.cancel()
        await self.programs.close()
        await asyncio.gather(self._following, *self._asking, return_exceptions=True)

    async def _ask(self, program_id: str) -> None:
        with suppress(CoreDataUnavailableError):
            self.answers.append((program_id, await self.programs.record(program_id)))

    async def _follow(self) -> None:
        while True:
            with suppress(UnavailableError):
                await self._link.run()
            await asyncio.sleep(RETRY_S)
