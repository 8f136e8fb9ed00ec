"""Runs an agent in memory, with a clock that the test turns.

async with test_context(tally) as context:
    await context.put(click(), view())
    assert context.tables["totals"]["212313"] == 2
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Generic, TypeVar

from workers.runtime.agents import Agent
from workers.runtime.clock import ManualClock
from workers.runtime.leaks import note_tasks
from workers.runtime.positions import Position
from workers.runtime.run import AgentRun, Retries
from workers.runtime.state import State
from workers.runtime.stream import Item, Origin, Pace, Stream
from workers.runtime.table import Entries

T = TypeVar("T")

SHARD = "shardId-000000000000"


class TestContext(Generic[T]):
    """One agent on one shard. Each event is committed as soon as it is done with."""

    __test__ = False

    def __init__(
        self, agent: Agent[T], settings: object, *, now_ms: int, attempts: int, idle_ms: int
    ) -> None:
        self.clock = ManualClock(now_ms)
        self.sent: defaultdict[str, list[Any]] = defaultdict(list)
        """What went out, by the name of the sink."""
        self.failed: list[tuple[T, Exception]] = []
        """What the agent failed on for good, and with what."""
        self._agent = agent
        self._state = State()
        self._feed: _Feed[T] = _Feed(self.clock)
        call = agent.bound(self._state, {name: self._outlet(name) for name in agent.sinks}, settings)
        pace = Pace(commit_interval_ms=0, idle_ms=idle_ms if agent.topic.follows_clock else None)
        stream = Stream(self._feed, self._state, _commit, self.clock, pace, position=Position())
        retries = Retries(attempts=attempts, first_s=0, most_s=0)
        self._run = AgentRun(agent.name, call, stream, self._state, self, retries=retries, clock=self.clock)
        self._records = 0

    @property
    def tables(self) -> dict[str, Any]:
        """The agent's tables by name, as it sees them."""
        return dict(self._state.views)

    @property
    def entries(self) -> dict[str, Entries]:
        """The same, as they would be committed."""
        return dict(self._state.tables)

    async def put(self, *events: T) -> None:
        """Returns once the agent is done with them, or waits for more to fill a batch.

        The clock goes to the time of each event that is ahead of it. Raises what ended the agent.
        """
        for event in events:
            at_ms = self._agent.topic.at_ms(event) if self._agent.topic.at_ms else self.clock.now_ms()
            self.clock.set(at_ms)
            self._feed.add(
                Item(event, at_ms, Position(str(self._records)), Origin(SHARD, "0", self._records))
            )
            self._records += 1
        await self._feed.settled(self._task)

    async def advance(self, by_ms: int) -> None:
        """Turns the clock: batches that waited long enough go, windows that are over close."""
        self.clock.set(self.clock.now_ms() + by_ms)
        await self._feed.settled(self._task)

    async def keep(self, item: Item[T], error: Exception) -> None:
        self.failed.append((item.event, error))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        note_tasks()
        self._task = asyncio.create_task(self._run.run(), name=self._agent.name)
        try:
            await self._feed.settled(self._task)
            yield
            self._feed.stop()
            await self._task
        finally:
            self._task.cancel()
            await asyncio.wait([self._task])

    def _outlet(self, name: str) -> "_Outlet":
        return _Outlet(self.sent[name])


@asynccontextmanager
async def test_context(
    agent: Agent[T],
    *,
    now_ms: int = 0,
    attempts: int = 1,
    idle_ms: int = 0,
    settings: object = None,
) -> AsyncIterator[TestContext[T]]:
    """Runs `agent` until the context is left; then its stream ends. Raises what ended the agent.

    Where no settings are given, it gets those of an empty environment.
    """
    if settings is None and agent.settings_type is not None:
        settings = agent.settings_type()
    context = TestContext(agent, settings, now_ms=now_ms, attempts=attempts, idle_ms=idle_ms)
    async with context.running():
        yield context


test_context.__test__ = False  # type: ignore[attr-defined]


class _Outlet:
    def __init__(self, sent: list[Any]) -> None:
        self._sent = sent

    async def __call__(self, results: Sequence[Any], /) -> None:
        self._sent.extend(results)


class _Feed(Generic[T]):
    """Hands out what is put; knows when the agent waits for more."""

    stopped = False
    end = None
    caught_up = True

    def __init__(self, clock: ManualClock) -> None:
        self.ended = False
        self._clock = clock
        self._items: deque[Item[T]] = deque()
        self._until_ms: int | None = None
        self._asked = asyncio.Event()
        self._wake = asyncio.Event()

    def add(self, item: Item[T]) -> None:
        self._items.append(item)

    async def next(self, until_ms: int | None) -> Item[T] | None:
        if not self._has_news(until_ms):
            self._until_ms = until_ms
            self._wake.clear()
            self._asked.set()
            await self._wake.wait()
        return self._items.popleft() if self._items else None

    def stop(self) -> None:
        self.ended = True
        self._wake.set()

    async def settled(self, task: "asyncio.Task[None]") -> None:
        """Returns once the agent waits for something that is not there. Raises what ended it."""
        while True:
            asked = asyncio.ensure_future(self._asked.wait())
            await asyncio.wait([asked, task], return_when=asyncio.FIRST_COMPLETED)
            asked.cancel()
            if task.done():
                return task.result()
            if not self._has_news(self._until_ms):
                return
            self._asked.clear()
            self._wake.set()

    def _has_news(self, until_ms: int | None) -> bool:
        is_late = until_ms is not None and until_ms <= self._clock.now_ms()
        return bool(self._items) or self.ended or is_late


async def _commit(position: Position, state: State) -> None:
    """Nothing is lost that could be committed."""
