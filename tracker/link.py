"""The link: this task's subscription to changes of core data."""

from collections.abc import Callable
from typing import Protocol

from redis.asyncio import Redis

from schemas.invalidations import CacheInvalidated, Invalidation, ProgramInvalidated
from schemas.redis import Record
from tracker.settings import TrackerSettings
from tracker.subscription import Subscription


class Subscriber(Protocol):
    """What the link tells: see tracker.programs.Programs."""

    def apply(self, program_id: str, record: Record) -> None: ...

    def purge(self, version: int) -> None: ...

    def link_up(self) -> None: ...

    def link_down(self, *, silent_ms: int = 0) -> None: ...

    def message_missed(self) -> None: ...


def _ignore(sequence: int) -> None:
    pass


class Link:
    """Follows the channel of invalidations and hands on what it says. Run it under a supervisor.

    `applied` is told the number of each message once it has been handed on; and, once subscribed, of the
    last one before: what is held from before that is not served unchecked any more.
    """

    def __init__(
        self,
        redis: Redis,
        subscriber: Subscriber,
        settings: TrackerSettings,
        *,
        applied: Callable[[int], None] = _ignore,
    ) -> None:
        self._subscription = Subscription(redis, [settings.redis_channel], self, settings)
        self._subscriber = subscriber
        self._applied = applied

    async def run(self) -> None:
        """Subscribes and follows until the link is lost; then raises UnavailableError."""
        await self._subscription.run()

    def subscribed(self, channel: str, sequence: int) -> None:
        self._subscriber.link_up()
        self._applied(sequence)

    def heard(self, channel: str, invalidation: Invalidation) -> None:
        match invalidation:
            case ProgramInvalidated(program_id=program_id, version=version, program=program):
                self._subscriber.apply(program_id, Record(version, program))
            case CacheInvalidated(version=version):
                self._subscriber.purge(version)
        self._applied(invalidation.sequence)

    def missed(self, channel: str) -> None:
        self._subscriber.message_missed()

    def lost(self, *, silent_ms: int) -> None:
        self._subscriber.link_down(silent_ms=silent_ms)
