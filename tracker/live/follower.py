"""The follower: keeps a board of programs, totals and minutes true while somebody watches.

It subscribes first and reads then, so nothing falls between the two; where both say something, the newer
version, the larger totals and the larger part of a minute win. A new subscription or a missed message
means reading again. All that is kept is bounded.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

import msgspec
from msgspec.structs import replace
from redis.asyncio import Redis
from redis.exceptions import RedisError

from schemas.errors import UnavailableError
from schemas.invalidations import (
    CacheInvalidated,
    FailuresCounted,
    Invalidation,
    MinutePublished,
    ProgramInvalidated,
    ReaderReported,
    TaskReported,
    TotalsPublished,
)
from schemas.minutes import Minute
from schemas.programs import Program, Totals
from schemas.redis import (
    health_channel,
    health_keys,
    minute_key,
    minutes_channel,
    read_health,
    read_minute,
    tasks_channel,
    totals_channel,
)
from tracker.catalog import Page
from tracker.live.board import Board
from tracker.live.entries import Gone, State, Task, minute_row, totals_row
from tracker.live.health import HealthDesk
from tracker.live.news import NewsDesk
from tracker.live.recent import RecentMinutes, starts
from tracker.settings import TrackerSettings
from tracker.subscription import Subscription

PAGE = 100
"""Programs that are read at a time, and parts of minutes: no event waits long behind them."""
TASKS_MAX = 1_000
TASK_SILENT_MS = 60_000
"""After so long a task that says nothing is forgotten."""

log = logging.getLogger(__name__)


class Catalog(Protocol):
    """Lists programs: see tracker.catalog.Catalog."""

    async def page(self, *, limit: int, cursor: str | None) -> Page: ...


class TotalsReader(Protocol):
    """Reads totals: see tracker.totals.TotalsReader."""

    async def read_all(self, program_ids: Sequence[str]) -> list[Totals]: ...


class Follower:
    """The one writer of a board. Its `actors` run under a supervisor."""

    def __init__(
        self,
        redis: Redis,
        catalog: Catalog,
        totals: TotalsReader,
        settings: TrackerSettings,
        board: Board,
        *,
        task: str,
        clock_ms: Callable[[], int],
    ) -> None:
        self._board = board
        self._redis = redis
        self._catalog = catalog
        self._reader = totals
        self._settings = settings
        self._clock_ms = clock_ms
        self._news = NewsDesk(board)
        self._health = HealthDesk(board)
        self._minutes = RecentMinutes()
        self._programs: dict[str, Program | Gone | None] = {}
        self._totals: dict[str, Totals] = {}
        self._seen_ms: dict[str, int] = {}
        self._behind = asyncio.Event()
        self._state = State(task=task, linked=False, since_ms=clock_ms(), reading=True, full=False)
        board.put(("state",), self._state)

    @property
    def reading(self) -> bool:
        """Whether the board may still be behind."""
        return self._state.reading

    def actors(self) -> Mapping[str, Callable[[], Awaitable[None]]]:
        """What keeps the board true, by name."""
        channel = self._settings.redis_channel
        beside = (totals_channel, minutes_channel, tasks_channel, health_channel)
        channels = [channel, *(name(channel) for name in beside)]
        subscription = Subscription(self._redis, channels, self, self._settings)
        return {"live subscription": subscription.run, "live reading": self.read}

    def subscribed(self, channel: str, sequence: int) -> None:
        if not self._state.linked:
            self._set_state(linked=True, since_ms=self._clock_ms())
        self._fall_behind()

    def missed(self, channel: str) -> None:
        self._fall_behind()

    def lost(self, *, silent_ms: int) -> None:
        if self._state.linked:
            self._set_state(linked=False, since_ms=self._clock_ms() - silent_ms)
        self._news.lost()
        for task in list(self._seen_ms):
            self._forget(task)

    def heard(self, channel: str, invalidation: Invalidation) -> None:
        match invalidation:
            case ProgramInvalidated():
                self._take_change(invalidation)
            case CacheInvalidated():
                self._news.purge(invalidation, self._clock_ms())
            case TotalsPublished(program_id=program_id, totals=totals):
                self._take_totals(program_id, totals)
            case MinutePublished(program_id=program_id, start_ms=start_ms, part=part, minute=minute):
                self._take_minute(program_id, start_ms, part, minute)
            case TaskReported():
                self._take_report(invalidation)
            case ReaderReported(lag=lag):
                self._health.lag(lag)
            case FailuresCounted(failures=failures):
                self._health.failures(failures)

    async def read(self) -> None:
        """Reads all there is, each time that something may have been missed. Raises UnavailableError."""
        while True:
            await self._behind.wait()
            self._behind.clear()
            try:
                await self._read_health()
                await self._read_minutes()
                await self._read_programs()
            except UnavailableError:
                if self._state.linked:  # else the next subscription says so
                    self._behind.set()
                raise
            if not self._behind.is_set():
                self._set_state(reading=False)

    def tidy(self) -> None:
        """Forgets minutes, tasks and readers that have had their time."""
        now_ms = self._clock_ms()
        self._health.tidy(now_ms)
        for program_id, start_ms in self._minutes.expire(now_ms=now_ms):
            self._board.drop(("minutes", program_id, start_ms))
        for task, seen_ms in list(self._seen_ms.items()):
            if now_ms - seen_ms > TASK_SILENT_MS:
                self._forget(task)

    def _take_change(self, told: ProgramInvalidated) -> None:
        held = self._programs.get(told.program_id)
        after = told.program or Gone(program_id=told.program_id, version=told.version)
        if self._take_program(after):
            self._news.program(told, held if isinstance(held, Program) else None, self._clock_ms())

    def _take_program(self, program: Program | Gone) -> bool:
        """Whether it was news."""
        if not self._admits(program.program_id):
            return False
        held = self._programs[program.program_id]
        if held is not None and held.version >= program.version:
            return False
        self._programs[program.program_id] = program
        shown = program.public if isinstance(program, Program) else program
        self._board.put(("programs", program.program_id), shown)
        return True

    def _take_totals(self, program_id: str, totals: Totals) -> None:
        if self._admits(program_id):
            most = totals.at_least(self._totals.get(program_id, totals))
            self._totals[program_id] = most
            self._board.put(("totals", program_id), totals_row(program_id, most))

    def _take_minute(self, program_id: str, start_ms: int, part: str, minute: Minute) -> None:
        if not self._admits(program_id):
            return
        whole = self._minutes.take(program_id, start_ms, part, minute, now_ms=self._clock_ms())
        if whole is not None:
            self._board.put(("minutes", program_id, start_ms), minute_row(program_id, start_ms, whole))

    def _take_report(self, told: TaskReported) -> None:
        if told.task not in self._seen_ms and len(self._seen_ms) >= TASKS_MAX:
            return
        now_ms = self._seen_ms[told.task] = self._clock_ms()
        report = Task(
            task=told.task,
            applied=told.applied,
            staleness_ms=told.staleness_ms,
            buffered_bytes=told.buffered_bytes,
            seen_ms=now_ms,
            acknowledged=told.acknowledged,
        )
        self._board.put(("tasks", told.task), report)
        self._news.reported(told, now_ms)

    def _forget(self, task: str) -> None:
        del self._seen_ms[task]
        self._board.drop(("tasks", task))

    def _admits(self, program_id: str) -> bool:
        if program_id in self._programs:
            return True
        if len(self._programs) >= self._settings.live_programs_max:
            self._set_state(full=True)
            return False
        self._programs[program_id] = None
        return True

    def _fall_behind(self) -> None:
        self._set_state(reading=True)
        self._behind.set()

    def _set_state(self, **fields: Any) -> None:
        self._state = replace(self._state, **fields)
        self._board.put(("state",), self._state)

    async def _read_programs(self) -> None:
        held_before, found = set(self._programs), set[str]()
        cursor: str | None = None
        while True:
            page = await self._catalog.page(limit=PAGE, cursor=cursor)
            found.update(program.program_id for program in page.programs)
            await self._take_page([program for program in page.programs if self._admits(program.program_id)])
            cursor = page.cursor
            if cursor is None:
                return self._miss(held_before - found)

    async def _take_page(self, programs: list[Program]) -> None:
        totals = await self._reader.read_all([program.program_id for program in programs])
        for program, counted in zip(programs, totals, strict=True):
            self._take_program(program)
            self._take_totals(program.program_id, counted)

    def _miss(self, program_ids: set[str]) -> None:
        """They were deleted, and nothing was heard of it."""
        for program_id in program_ids:
            held = self._programs[program_id]
            if isinstance(held, Program):
                self._take_program(Gone(program_id=program_id, version=held.version + 1))

    async def _read_health(self) -> None:
        for key in health_keys(self._clock_ms()):
            fields = await self._asked(self._redis.hgetall(key))
            for value in fields.values():
                self._take_health(key, value)

    def _take_health(self, key: str, value: bytes) -> None:
        try:
            self.heard(key, read_health(value))
        except msgspec.MsgspecError as error:
            log.warning("a field of %s tells of no health: %s", key, error)

    async def _read_minutes(self) -> None:
        for start_ms in starts(self._clock_ms()):
            cursor = -1
            while cursor != 0:
                cursor = await self._read_parts(start_ms, max(0, cursor))

    async def _read_parts(self, start_ms: int, cursor: int) -> int:
        after, fields = await self._asked(self._redis.hscan(minute_key(start_ms), cursor, count=PAGE))
        for field, value in fields.items():
            self._take_part(start_ms, field, value)
        return int(after)

    async def _asked(self, call: Awaitable[Any] | Any) -> Any:
        try:
            async with asyncio.timeout(self._settings.core_data_timeout_ms / 1000):
                return await call
        except (RedisError, OSError, TimeoutError) as error:
            raise UnavailableError(f"Redis: {str(error) or type(error).__name__}") from error

    def _take_part(self, start_ms: int, field: bytes, value: bytes) -> None:
        try:
            program_id, part, minute = read_minute(field, value)
        except msgspec.MsgspecError as error:
            log.warning("a field of %s is no minute: %s", minute_key(start_ms), error)
            return
        self._take_minute(program_id, start_ms, part, minute)
