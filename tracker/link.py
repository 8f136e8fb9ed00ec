"""The link: this task's subscription to invalidations, and proof that it is alive.

Pub/sub is fire and forget, and a half-open connection looks like a quiet one. So the link pings
on its own connection whenever nothing came for a heartbeat; when not even the answer to that came
for the heartbeat timeout, the link counts as lost.
"""

import asyncio
import logging
from typing import Any, Protocol

from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from schemas.errors import UNREADABLE, UnavailableError
from schemas.invalidations import (
    CacheInvalidated,
    Invalidation,
    ProgramInvalidated,
    decode_invalidation,
)
from schemas.redis import Record
from tracker.settings import TrackerSettings

log = logging.getLogger(__name__)


class Subscriber(Protocol):
    """What the link tells: see tracker.programs.Programs."""

    def apply(self, program_id: str, record: Record) -> None: ...

    def purge(self, version: int) -> None: ...

    def link_up(self) -> None: ...

    def link_down(self, *, silent_ms: int = 0) -> None: ...

    def message_missed(self) -> None: ...


class Link:
    """Follows the channel and hands on what it says. Run it under a supervisor."""

    def __init__(self, redis: Redis, subscriber: Subscriber, settings: TrackerSettings) -> None:
        self._redis = redis
        self._subscriber = subscriber
        self._settings = settings
        self._sequence: int | None = None
        self._heard_s = 0.0

    async def run(self) -> None:
        """Subscribes and follows until the link is lost; then raises UnavailableError."""
        loop = asyncio.get_running_loop()
        self._heard_s = loop.time()
        try:
            async with self._redis.pubsub() as pubsub:
                async with asyncio.timeout(self._settings.heartbeat_timeout_ms / 1000):
                    await pubsub.subscribe(self._settings.redis_channel)
                await self._follow(pubsub)
        except (RedisError, OSError, TimeoutError) as error:
            raise UnavailableError(f"Redis: {str(error) or type(error).__name__}") from error
        finally:
            self._subscriber.link_down(silent_ms=int((loop.time() - self._heard_s) * 1000))

    async def _follow(self, pubsub: PubSub) -> None:
        heartbeat_s = self._settings.heartbeat_ms / 1000
        loop = asyncio.get_running_loop()
        while True:
            message = await pubsub.get_message(timeout=heartbeat_s)
            silent_s = loop.time() - self._heard_s
            if message is not None:
                self._heard_s = loop.time()
                self._hear(message)
            elif silent_s >= self._settings.heartbeat_timeout_ms / 1000:
                raise ConnectionError(f"nothing heard on the link for {silent_s:.1f} s")
            else:
                await pubsub.ping()

    def _hear(self, message: dict[str, Any]) -> None:
        match message["type"]:
            case "subscribe":
                log.info("linked to channel %s", self._settings.redis_channel)
                self._sequence = None
                self._subscriber.link_up()
            case "message":
                self._take(message["data"])

    def _take(self, data: bytes) -> None:
        try:
            invalidation = decode_invalidation(data)
        except UNREADABLE as error:
            log.warning("a message on %s is no invalidation: %s", self._settings.redis_channel, error)
            return
        if self._sequence is not None and invalidation.sequence != self._sequence + 1:
            log.warning("message %d follows %d", invalidation.sequence, self._sequence)
            self._subscriber.message_missed()
        self._sequence = invalidation.sequence
        self._hand_on(invalidation)

    def _hand_on(self, invalidation: Invalidation) -> None:
        match invalidation:
            case ProgramInvalidated(program_id=program_id, version=version, program=program):
                self._subscriber.apply(program_id, Record(version, program))
            case CacheInvalidated(version=version):
                self._subscriber.purge(version)
