"""Runs an agent on one shard: what it fails on is tried again, then kept aside, and the rest goes on."""

import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Generic, Protocol, TypeVar

import msgspec

from schemas.errors import AgentError, UnavailableError
from schemas.logs import about
from workers.runtime.backoff import backoff_s
from workers.runtime.clock import Clock
from workers.runtime.leaks import leaving_nothing
from workers.runtime.state import State
from workers.runtime.stream import Item, Named, Stream, nameless

T = TypeVar("T")

log = logging.getLogger(__name__)


class Retries(msgspec.Struct, frozen=True, kw_only=True):
    """How often an event is tried in all, and the waits between."""

    attempts: int = 3
    first_s: float = 0.1
    most_s: float = 10.0


class Failures(Protocol[T]):
    """Where events go that an agent fails on for good."""

    async def keep(self, item: Item[T], error: Exception) -> None:
        """Returns once it is kept. Raises UnavailableError, and is then called again."""


class AgentRun(Generic[T]):
    """One agent on one shard.

    1. An event that the agent raises on leaves nothing behind, and the agent is called anew for it. Of
       a batch each event then comes alone.
    2. After so many attempts it goes to the failures, and only then is it passed over.
    3. UnavailableError is no fault of the event's: it is tried for as long as that takes.
    4. What is raised without an event in hand is the agent's own failure, and comes out of `run`.
    """

    def __init__(
        self,
        name: str,
        call: Callable[[Stream[T]], Awaitable[None]],
        stream: Stream[T],
        state: State,
        failures: Failures[T],
        *,
        retries: Retries,
        clock: Clock,
        named: Callable[[T], Named] = nameless,
    ) -> None:
        self._name = name
        self._call = call
        self._stream = stream
        self._state = state
        self._failures = failures
        self._retries = retries
        self._clock = clock
        self._named = named
        self._attempts = 0
        self._last: Item[T] | None = None
        self._waits = self._backoff()

    async def run(self) -> None:
        """Returns when the stream has ended, and all is committed.

        Raises LeaseLostError, AgentError for an agent that returns before that, and what the agent
        raises before its first event.
        """
        while (error := await self._called()) is not None:
            self._state.roll_back()
            if self._stream.failure is not None:
                raise self._stream.failure
            if not self._stream.in_hand:
                raise error
            await self._again(error)
        await self._stream.finish()

    async def watch(self, stall_ms: int) -> None:
        """Says, again and again, that the agent has not come back for its next event for so long."""
        while True:
            await self._sleep(stall_ms / 1000)
            since_ms = self._stream.busy_since_ms
            if since_ms is not None and self._clock.now_ms() - since_ms >= stall_ms:
                held = _where(self._stream.in_hand) if self._stream.in_hand else "no event"
                log.warning("%s has asked for nothing for %d ms, with %s in hand", self._name, stall_ms, held)

    async def _called(self) -> Exception | None:
        try:
            with leaving_nothing(self._name):
                await self._call(self._stream)
        except Exception as error:
            return error
        if self._stream.ended:
            return None
        return AgentError(f"{self._name} returned before its stream ended")

    async def _again(self, error: Exception) -> None:
        items = self._stream.in_hand
        if len(items) == 1 and not isinstance(error, UnavailableError):
            self._count(items[0])
            if self._attempts >= self._retries.attempts:
                return await self._pass_over(items[0], error)
        wait_s = next(self._waits)
        text = "%s failed on %s, next attempt in %.1f s: %r"
        log.warning(text, self._name, _where(items), wait_s, error, extra=self._about(items))
        self._stream.hand_again()
        await self._sleep(wait_s)

    def _count(self, item: Item[T]) -> None:
        if item is not self._last:
            self._last, self._attempts, self._waits = item, 0, self._backoff()
        self._attempts += 1

    async def _pass_over(self, item: Item[T], error: Exception) -> None:
        log.error("%s gives up on %s", self._name, _where([item]), exc_info=error, extra=self._about([item]))
        for wait_s in self._backoff():
            try:
                await self._failures.keep(item, error)
            except UnavailableError as unavailable:
                log.error("%s waits until its failed events are kept: %s", self._name, unavailable)
                await self._sleep(wait_s)
            else:
                return await self._stream.done()

    def _about(self, items: Sequence[Item[T]]) -> dict[str, str]:
        return about(*self._named(items[0].event)) if len(items) == 1 else {}

    async def _sleep(self, wait_s: float) -> None:
        await self._clock.sleep_until(self._clock.now_ms() + round(wait_s * 1000))

    def _backoff(self) -> Iterator[float]:
        return backoff_s(first_s=self._retries.first_s, most_s=self._retries.most_s)


def _where(items: Sequence[Item[T]]) -> str:
    shard_id, sequence_number, place = items[0].origin
    return f"{len(items)} events of {shard_id} from {sequence_number}/{place} on"
