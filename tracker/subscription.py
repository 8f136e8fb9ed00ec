"""A subscription: what is said on some channels of Redis, and proof that they are heard.

Pub/sub is fire and forget, and a half-open connection looks like a quiet one. So a subscription pings on
its own connection whenever nothing came for a heartbeat; when not even the answer to that came for the
heartbeat timeout, it counts as lost.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any, Protocol

from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from schemas.errors import UNREADABLE, UnavailableError
from schemas.invalidations import Invalidation, decode_invalidation
from schemas.redis import sequence_key
from tracker.settings import TrackerSettings

log = logging.getLogger(__name__)


class Listener(Protocol):
    """What a subscription tells, in order."""

    def subscribed(self, channel: str, sequence: int) -> None:
        """Messages arrive from now on, those up to `sequence` before. Again after each interruption."""

    def heard(self, channel: str, invalidation: Invalidation) -> None:
        """One of them."""

    def missed(self, channel: str) -> None:
        """One did not arrive. Said before the one after it is heard."""

    def lost(self, *, silent_ms: int) -> None:
        """None may arrive, and none may have for `silent_ms`."""


class Subscription:
    """Follows channels and tells a listener. Run it under a supervisor."""

    def __init__(
        self, redis: Redis, channels: Sequence[str], listener: Listener, settings: TrackerSettings
    ) -> None:
        self._redis = redis
        self._channels = channels
        self._listener = listener
        self._settings = settings
        self._sequences: dict[str, int | None] = {}
        self._before: dict[str, int] = {}
        self._heard_s = 0.0

    async def run(self) -> None:
        """Subscribes and follows until the connection is lost; then raises UnavailableError."""
        loop = asyncio.get_running_loop()
        self._heard_s = loop.time()
        try:
            async with self._redis.pubsub() as pubsub:
                async with asyncio.timeout(self._settings.heartbeat_timeout_ms / 1000):
                    await self._read_sequences()
                    await pubsub.subscribe(*self._channels)
                await self._follow(pubsub)
        except (RedisError, OSError, TimeoutError, ValueError) as error:
            raise UnavailableError(f"Redis: {str(error) or type(error).__name__}") from error
        finally:
            self._listener.lost(silent_ms=int((loop.time() - self._heard_s) * 1000))

    async def _read_sequences(self) -> None:
        """Before subscribing: what comes after these numbers is heard, or is missed and said so."""
        held = await self._redis.mget([sequence_key(channel) for channel in self._channels])
        self._before = {
            channel: int(number or 0) for channel, number in zip(self._channels, held, strict=True)
        }

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
                channel = message["channel"].decode()
                log.info("linked to channel %s", channel)
                self._sequences[channel] = None
                self._listener.subscribed(channel, self._before[channel])
            case "message":
                self._take(message["channel"].decode(), message["data"])

    def _take(self, channel: str, data: bytes) -> None:
        try:
            invalidation = decode_invalidation(data)
        except UNREADABLE as error:
            log.warning("a message on %s is no invalidation: %s", channel, error)
            return
        before = self._sequences[channel]
        if before is not None and invalidation.sequence != before + 1:
            log.warning("message %d of %s follows %d", invalidation.sequence, channel, before)
            self._listener.missed(channel)
        self._sequences[channel] = invalidation.sequence or None
        self._listener.heard(channel, invalidation)
