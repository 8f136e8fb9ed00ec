"""Programs: this task's copy of core data (L1), kept true by invalidations.

L1, here in memory -> L2, Redis -> L3, DynamoDB, the truth. Versions decide what is newer, never
arrival.

    linked        an entry is served as it is; past `program_max_age_ms` it is read again behind
                  the answer
    after a gap   (a new subscription, a missed message, a purge) every entry is checked against the
                  truth before it is served; and Redis, which may have come back older than it was,
                  is passed over until whatever it held then has expired
    not linked    Redis is passed over, and every entry older than a heartbeat is checked
    no truth      Redis serves, for a heartbeat at a time

An entry that no level can check is served as it is; an outage never turns into an absence. Such
answers are counted, and `staleness_ms` says since when there can be any.
"""

import asyncio
import logging
from collections import Counter, OrderedDict
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from schemas.errors import CoreDataUnavailableError, ProgramNotFoundError
from schemas.metrics import INVALIDATION_DELAY, Histogram
from schemas.programs import Program
from schemas.redis import RECORD_TTL_S, Record
from tracker.core_data import Level
from tracker.settings import TrackerSettings

PURGE = ""
"""What `applied` takes instead of a program id to wait for a purge."""

_ABSENT = Record(0, None)
_UNCHECKED = -1

log = logging.getLogger(__name__)


class Cache(Level, Protocol):
    """A level that forgets, and is filled again from the truth."""

    async def fill(self, program_id: str, record: Record) -> None:
        """Puts `record` there unless something newer is. Raises CoreDataUnavailableError."""


class Entry:
    """A record in memory: when it was last known to be true, and after how many gaps."""

    __slots__ = ("checked_ms", "gaps", "record", "spared_until_ms")

    def __init__(self, record: Record, *, checked_ms: int, gaps: int) -> None:
        self.record = record
        self.checked_ms = checked_ms
        self.gaps = gaps
        self.spared_until_ms = 0
        """A check just failed: not tried again before."""


class Programs:
    """Answers what a program is now. The only owner of L1; one event loop."""

    def __init__(
        self,
        cache: Cache,
        truth: Level,
        settings: TrackerSettings,
        clock_ms: Callable[[], int],
        *,
        record_ttl_s: int = RECORD_TTL_S,
    ) -> None:
        self._cache = cache
        self._truth = truth
        self._settings = settings
        self._clock_ms = clock_ms
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        self._reads: dict[str, asyncio.Task[Entry]] = {}
        self._overtaking: dict[str, Record] = {}
        self._waiting: dict[str, dict[asyncio.Future[None], int]] = {}
        self._linked = False
        self._gaps = 0
        self._distrust_ms = 2 * 1000 * record_ttl_s  # twice: what was on its way expires a little later
        self._trusted_from_ms = 0
        self._stale_since_ms = clock_ms()
        self._unchecked_until_ms = 0
        self._stale_answers = 0
        self._hits = 0
        self._read_from: Counter[tuple[str]] = Counter()
        self.delays = Histogram(INVALIDATION_DELAY)
        """From a change of what is held until it is applied."""

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def linked(self) -> bool:
        """Whether invalidations arrive."""
        return self._linked

    @property
    def staleness_ms(self) -> int:
        """How long ago core data was last known to be fresh: 0 while it is, and never less than how
        much older than the truth an answer can be now."""
        return 0 if self._is_fresh() else max(0, self._clock_ms() - self._stale_since_ms)

    @property
    def stale_answers(self) -> int:
        """How often an entry was served that no level could check."""
        return self._stale_answers

    @property
    def reads(self) -> Counter[tuple[str]]:
        """How often which level was read: `memory`, `redis`, `dynamodb`, or `none` where none answered."""
        return self._read_from + Counter({("memory",): self._hits})

    async def get(self, program_id: str) -> Program:
        """The program, as new as promised above.

        Raises ProgramNotFoundError where core data has none, CoreDataUnavailableError where no
        level answers and memory holds none.
        """
        program = (await self.record(program_id)).program
        if program is None:
            raise ProgramNotFoundError(f"program {program_id} is not known")
        return program

    async def record(self, program_id: str) -> Record:
        """The same with its version: a tombstone's, or 0 where nothing was ever known.

        Raises CoreDataUnavailableError.
        """
        entry = self._served(program_id)
        if entry is None:
            entry = await self._checked(program_id, self._entries.get(program_id))
            self._stale_answers += bool(entry.spared_until_ms)
        return entry.record

    def held(self, program_id: str) -> Program | None:
        """The program where memory holds one that is served as it is; ask `get` where it is None."""
        entry = self._served(program_id)
        return entry.record.program if entry else None

    def apply(self, program_id: str, record: Record) -> None:
        """Takes an invalidation. An older version changes nothing; what is not held is not taken in."""
        if program_id in self._reads:
            self._overtaking[program_id] = _newest(record, self._overtaking.get(program_id))
        entry = self._entries.get(program_id)
        if entry is not None and record.version >= entry.record.version:
            self._time(entry.record, record)
            self._keep(program_id, record, entry.gaps)
        self._wake(program_id, _written_version(record))

    def purge(self, version: int) -> None:
        """Forgets every program."""
        self._entries.clear()
        self._gap()
        self._wake(PURGE, version)

    def link_up(self) -> None:
        """Invalidations arrive from now on; any number may have been missed before."""
        self._gap()
        self._linked = True

    def link_down(self, *, silent_ms: int = 0) -> None:
        """Invalidations may not arrive, and may not have for `silent_ms`."""
        self._stale_from(self._clock_ms() - silent_ms)
        self._linked = False

    def message_missed(self) -> None:
        """An invalidation did not arrive."""
        self._gap()

    def applied(self, program_id: str, version: int) -> "asyncio.Future[None]":
        """Done once an invalidation came that holds a writer's change of this or a newer version: a fact
        moves the version, too. Ask before sending the change."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(program_id, {})[future] = version
        future.add_done_callback(lambda done: self._forget(program_id, done))
        return future

    async def close(self) -> None:
        """Gives up reads under way."""
        for read in list(self._reads.values()):
            read.cancel()
        await asyncio.gather(*self._reads.values(), return_exceptions=True)

    def _time(self, held: Record, record: Record) -> None:
        """Of a change alone: what a reader put back into Redis is as old as it is."""
        if record.version > held.version and held is not _ABSENT:
            asked_ms = record.version / 1000  # versions are microseconds
            self.delays.observe(max(0.0, self._clock_ms() - asked_ms) / 1000)

    def _is_fresh(self) -> bool:
        return self._linked and self._clock_ms() >= self._unchecked_until_ms

    def _stale_from(self, now_ms: int) -> None:
        if self._is_fresh():
            self._stale_since_ms = now_ms

    def _gap(self) -> None:
        self._gaps += 1
        self._stale_from(self._clock_ms())
        self._trusted_from_ms = self._clock_ms() + self._distrust_ms

    def _served(self, program_id: str) -> Entry | None:
        entry = self._entries.get(program_id)
        if entry is None or not self._servable(program_id, entry):
            return None
        self._hits += 1
        self._entries.move_to_end(program_id)
        self._stale_answers += bool(entry.spared_until_ms)
        return entry

    def _servable(self, program_id: str, entry: Entry) -> bool:
        now_ms = self._clock_ms()
        if now_ms < entry.spared_until_ms:
            return True
        age_ms = now_ms - entry.checked_ms
        if not self._linked:
            return age_ms < self._settings.heartbeat_ms
        if entry.gaps != self._gaps:
            return False
        if entry.record is _ABSENT:
            return age_ms < self._settings.absent_max_age_ms
        if age_ms >= self._settings.program_max_age_ms:
            self._reading(program_id)
        return True

    async def _checked(self, program_id: str, held: Entry | None) -> Entry:
        try:
            return await asyncio.shield(self._reading(program_id))
        except CoreDataUnavailableError:
            if held is None or held.record.program is None:
                raise
            return self._spare(held)

    def _reading(self, program_id: str) -> "asyncio.Task[Entry]":
        """The one read of this program under way."""
        read = self._reads.get(program_id)
        if read is None:
            read = asyncio.create_task(self._read(program_id))
            self._reads[program_id] = read
            read.add_done_callback(lambda done: self._landed(program_id, done))
        return read

    def _landed(self, program_id: str, read: "asyncio.Task[Entry]") -> None:
        del self._reads[program_id]
        self._overtaking.pop(program_id, None)
        if not read.cancelled() and (error := read.exception()) is not None:
            self._read_from[("none",)] += 1
            log.debug("program %s was not read: %s", program_id, error)

    async def _read(self, program_id: str) -> Entry:
        gaps = self._gaps
        if self._linked and self._clock_ms() >= self._trusted_from_ms:
            with suppress(CoreDataUnavailableError):
                if (record := await self._cache.read(program_id)) is not None:
                    self._read_from[("redis",)] += 1
                    return self._take(program_id, record, gaps)
        try:
            record = await self._truth.read(program_id)
        except CoreDataUnavailableError:
            return await self._read_cache_alone(program_id)
        self._read_from[("dynamodb",)] += 1
        if record is not None and self._linked:
            with suppress(CoreDataUnavailableError):
                await self._cache.fill(program_id, record)
        return self._take(program_id, record, gaps)

    async def _read_cache_alone(self, program_id: str) -> Entry:
        """What serves without the truth, for a heartbeat; an absence there says nothing."""
        record = await self._cache.read(program_id) if self._linked else None
        if record is None:
            raise CoreDataUnavailableError("DynamoDB does not answer, and Redis has no copy")
        self._read_from[("redis",)] += 1
        return self._spare(self._take(program_id, record, _UNCHECKED))

    def _spare(self, entry: Entry) -> Entry:
        entry.spared_until_ms = self._clock_ms() + self._settings.heartbeat_ms
        self._unchecked_until_ms = entry.spared_until_ms
        return entry

    def _take(self, program_id: str, read: Record | None, gaps: int) -> Entry:
        """Keeps the newest of what was read, what overtook the read, and what is held."""
        overtaking = self._overtaking.get(program_id)
        if read is None:
            return self._keep(program_id, overtaking or _ABSENT, gaps)
        held = self._entries.get(program_id)
        return self._keep(program_id, _newest(read, overtaking, held.record if held else None), gaps)

    def _keep(self, program_id: str, record: Record, gaps: int) -> Entry:
        entry = Entry(record, checked_ms=self._clock_ms(), gaps=gaps)
        self._entries[program_id] = entry
        self._entries.move_to_end(program_id)
        if len(self._entries) > self._settings.programs_max:
            self._entries.popitem(last=False)
        return entry

    def _wake(self, program_id: str, version: int) -> None:
        for future, wanted in list(self._waiting.get(program_id, {}).items()):
            if version >= wanted and not future.done():
                future.set_result(None)

    def _forget(self, program_id: str, future: "asyncio.Future[None]") -> None:
        waiting = self._waiting[program_id]
        del waiting[future]
        if not waiting:
            del self._waiting[program_id]


def _newest(record: Record, *others: Record | None) -> Record:
    return max((record, *(other for other in others if other)), key=lambda each: each.version)


def _written_version(record: Record) -> int:
    written = record.program.written_version if record.program else None
    return record.version if written is None else written
