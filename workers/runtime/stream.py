"""Streams: what an agent reads. To ask for the next event is to be done with the one before.

Per shard, in this order, and again after each:

1. hand out an event; what the agent does to its tables and sinks is kept aside;
2. when the agent asks for the next one, keep what it did, and close the windows that are over;
3. when a result has waited long enough, flush the sinks;
4. when a commit is due, flush the sinks, and then
5. write the tables' changes and the position in one.

A kill at any point leaves the last commit: the events behind it come again, to the state of then. So what
was flushed since goes out again. A commit costs by what it writes, so it comes more rarely.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from functools import partial
from typing import Generic, NamedTuple, Protocol, TypeVar
from uuid import UUID

import msgspec

from schemas.errors import LeaseLostError, UnavailableError
from workers.runtime.backoff import backoff_s
from workers.runtime.clock import Clock
from workers.runtime.leaks import not_the_agents
from workers.runtime.positions import Position
from workers.runtime.sink import Sink
from workers.runtime.state import State

T = TypeVar("T")

FIRST_RETRY_S = 0.1
WINDOW_CHECK_MS = 100
"""How often a stream without events looks whether a window has closed."""

log = logging.getLogger(__name__)


class Origin(NamedTuple):
    """Where an event stands: its shard, its record, and its place in the record."""

    shard_id: str
    sequence_number: str
    place: int


class Named(NamedTuple):
    """What an event is found by in logs, where it has it."""

    message_id: UUID | None = None
    traceparent: str | None = None


def nameless(event: object) -> Named:
    """The name of what has none."""
    return Named()


class Keyed(msgspec.Struct, Generic[T], frozen=True):
    """An event, and one of the keys that it was sent on under (rekey.py)."""

    key: str
    event: T


class Item(NamedTuple, Generic[T]):
    """An event, when it happened, the position of its shard once it is done with, and where it stands."""

    event: T
    at_ms: int
    position: Position
    origin: Origin


class Feed(Protocol[T]):
    """Where the events of a shard come from."""

    @property
    def stopped(self) -> bool:
        """This worker is to let go of the shard: no further event is handed out."""

    @property
    def ended(self) -> bool:
        """There is nothing more: the shard is read to its end, or the feed is stopped."""

    @property
    def end(self) -> Position | None:
        """The position behind a shard that is read to its end; None where the feed ended otherwise."""

    @property
    def caught_up(self) -> bool:
        """Everything that the shard holds has been handed out."""

    async def next(self, until_ms: int | None) -> Item[T] | None:
        """The next event; None once the moment has passed or the feed has ended. Cancelled, it loses none."""


class Commit(Protocol):
    async def __call__(self, position: Position, state: State) -> None:
        """Writes both in one. Raises UnavailableError, and is then called again, or LeaseLostError."""


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """When an agent commits, and when the silence of a shard lets its windows close."""

    flush_interval_ms: int = 500
    """The longest that a result waits to be sent."""
    commit_interval_ms: int = 5_000
    """The longest that what is done waits for its commit."""
    commit_entries: int = 1_000
    """So many changed entries do not wait."""
    idle_ms: int | None = 5_000
    """On a shard without events the watermark follows the clock so far behind; None: not at all."""
    retry_most_ms: int = 10_000
    """The longest wait between two attempts at a commit."""


class Stream(Generic[T]):
    """The events of one shard, in order, each until it is done with or has failed for good."""

    def __init__(
        self, feed: Feed[T], state: State, commit: Commit, clock: Clock, pace: Pace, *, position: Position
    ) -> None:
        self.in_hand: list[Item[T]] = []
        """What the agent was given and is not done with."""
        self.failure: LeaseLostError | None = None
        """Why nothing more can be committed, once that is so."""
        self.busy_since_ms: int | None = clock.now_ms()
        """Since when the agent has not asked for an event; None while it waits for one."""
        self._feed = feed
        self._state = state
        self._commit = commit
        self._clock = clock
        self._pace = pace
        self._position = position
        self._again: deque[Item[T]] = deque()
        self._alone = 0
        self._flush_due_ms: int | None = None
        self._due_ms: int | None = None

    def __aiter__(self) -> AsyncIterator[T]:
        return self

    async def __anext__(self) -> T:
        for event in await self._next(1, 0):
            return event
        raise StopAsyncIteration

    async def take(self, most: int, *, within_ms: int) -> AsyncIterator[list[T]]:
        """Batches of up to `most` events; one that is not full goes `within_ms` after its first event."""
        while batch := await self._next(most, within_ms):
            yield batch

    async def group_by(self, keys: Callable[[T], Iterable[str]], rekeyed: Sink[Keyed[T]]) -> None:
        """Sends every event on under its keys, perhaps none, until the stream ends (rekey.py)."""
        async for event in self:
            for key in keys(event):
                rekeyed.send(Keyed(key, event))

    @property
    def ended(self) -> bool:
        """All events that are to be handed out have been, and are done with."""
        return self._feed.ended and (self._feed.stopped or not self._again) and not self.in_hand

    @property
    def is_settled(self) -> bool:
        """Nothing is in hand, and everything done is committed."""
        return not self.in_hand and not self._again and self._due_ms is None

    def hand_again(self) -> None:
        """What is in hand comes again, one at a time: an event that fails shall fail alone."""
        self._again.extendleft(reversed(self.in_hand))
        self._alone = max(self._alone, len(self.in_hand))
        self.in_hand = []

    async def done(self) -> None:
        """What is in hand is done with. Flushes and commits where that is due. Raises LeaseLostError."""
        for item in self.in_hand:
            self._position = item.position
            self._state.advance(min(item.at_ms, self._clock.now_ms()))
            self._schedule()
        self._alone = max(0, self._alone - len(self.in_hand))
        self.in_hand = []
        self._state.keep()
        await self._catch_up()

    async def finish(self) -> None:
        """Commits all that is done, and the end of the shard where it is reached."""
        await self.done()
        if self._feed.end is not None:
            self._position = self._feed.end
            self._schedule()
        await self.commit()

    async def commit(self) -> None:
        """Returns once everything done is committed. Raises LeaseLostError, now and ever after."""
        if self._due_ms is None and not self._state.is_waiting:
            return
        try:
            await self._insist(self._state.flush)
            await self._insist(partial(self._commit, self._position, self._state))
        except LeaseLostError as error:
            self.failure = error
            raise
        except asyncio.CancelledError:
            self.failure = LeaseLostError("a commit was cut off: nobody knows whether it was written")
            raise
        self._state.committed()
        self._flush_due_ms = self._due_ms = None

    async def _insist(self, step: Callable[[], Awaitable[None]]) -> None:
        """Tries until it succeeds. Raises LeaseLostError."""
        for wait_s in backoff_s(first_s=FIRST_RETRY_S, most_s=self._pace.retry_most_ms / 1000):
            try:
                return await step()
            except LeaseLostError:
                raise
            except UnavailableError as error:
                log.warning("a commit is tried again in %.1f s: %s", wait_s, error)
                await self._clock.sleep_until(self._clock.now_ms() + round(wait_s * 1000))

    async def _catch_up(self) -> None:
        """Commits or else flushes, where that is due."""
        if self._is_over(self._due_ms) or self._state.changed >= self._pace.commit_entries:
            await self.commit()
        elif self._is_over(self._flush_due_ms):
            await self._insist(self._state.flush)
            self._flush_due_ms = None

    async def _next(self, most: int, within_ms: int) -> list[T]:
        self.busy_since_ms = None
        try:
            with not_the_agents():
                return await self._handed_out(most, within_ms)
        finally:
            self.busy_since_ms = self._clock.now_ms()

    async def _handed_out(self, most: int, within_ms: int) -> list[T]:
        if self.failure is not None:
            raise self.failure
        await self.done()
        items: list[Item[T]] = []
        until_ms = None
        try:
            while len(items) < (1 if self._alone else most) and (item := await self._item(until_ms)):
                items.append(item)
                until_ms = until_ms or self._clock.now_ms() + within_ms
        except BaseException:
            self._again.extendleft(reversed(items))
            raise
        self.in_hand = items
        return [item.event for item in items]

    async def _item(self, until_ms: int | None) -> Item[T] | None:
        while not self._again or self._feed.stopped:
            item = await self._feed.next(self._wake_ms(until_ms))
            if item is not None or self._feed.ended:
                return item
            await self._idle(follows_clock=until_ms is None)
            if until_ms is not None and self._clock.now_ms() >= until_ms:
                return None
        return self._again.popleft()

    async def _idle(self, *, follows_clock: bool) -> None:
        """Nothing came: what is due is committed, and the watermark follows the clock.

        It does not while a batch is gathered, which would then be late.
        """
        now_ms = self._clock.now_ms()
        if follows_clock and self._feed.caught_up and self._pace.idle_ms is not None:
            self._state.advance(now_ms - self._pace.idle_ms)
            self._state.keep()
        if self._state.is_waiting:
            self._schedule()
        await self._catch_up()

    def _wake_ms(self, until_ms: int | None) -> int | None:
        moments = (until_ms, self._flush_due_ms, self._due_ms, self._looks_at_ms())
        return min((each for each in moments if each is not None), default=None)

    def _looks_at_ms(self) -> int | None:
        """When the clock may close the next window; again and again once that is past."""
        closes_at_ms = self._state.closes_at_ms
        if closes_at_ms is None or self._pace.idle_ms is None:
            return None
        at_ms, now_ms = closes_at_ms + self._pace.idle_ms, self._clock.now_ms()
        return at_ms if at_ms > now_ms else now_ms + WINDOW_CHECK_MS

    def _schedule(self) -> None:
        """What is done waits for its flush and its commit from now on."""
        now_ms = self._clock.now_ms()
        if self._flush_due_ms is None:
            self._flush_due_ms = now_ms + self._pace.flush_interval_ms
        if self._due_ms is None:
            self._due_ms = now_ms + self._pace.commit_interval_ms

    def _is_over(self, due_ms: int | None) -> bool:
        return due_ms is not None and self._clock.now_ms() >= due_ms
