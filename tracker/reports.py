"""Reports: what this task says of itself to whoever watches, and which changes it has applied."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from redis.asyncio import Redis
from redis.exceptions import RedisError

from schemas.errors import UnavailableError
from schemas.invalidations import TaskReported, encode_invalidation
from schemas.redis import tasks_channel
from tracker.settings import TrackerSettings

REST_S = 0.05
"""Between two reports at least, however many changes come."""


class Health(NamedTuple):
    """How the task is now."""

    staleness_ms: int
    buffered_bytes: int
    acknowledged: int


class Reports:
    """Publishes a report now and then, and at once when a change was applied. Nothing is stored.

    Says nothing before the task is linked for the first time. Run it under a supervisor.
    """

    def __init__(
        self, redis: Redis, health: Callable[[], Health], settings: TrackerSettings, *, task: str
    ) -> None:
        self._redis = redis
        self._task = task
        self._health = health
        self._settings = settings
        self._applied: int | None = None
        self._news = asyncio.Event()

    def applied(self, sequence: int) -> None:
        """Changes up to this number of the channel of invalidations are in this task's answers."""
        self._applied = sequence
        self._news.set()

    async def run(self) -> None:
        """Reports until cancelled. Raises UnavailableError where Redis does not take it."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._settings.report_ms / 1000):
                    await self._news.wait()
            self._news.clear()
            if self._applied is not None:
                await self._publish(self._applied)
            await asyncio.sleep(REST_S)

    async def _publish(self, applied: int) -> None:
        report = TaskReported(task=self._task, applied=applied, **self._health()._asdict())
        try:
            async with asyncio.timeout(self._settings.core_data_timeout_ms / 1000):
                await self._redis.publish(
                    tasks_channel(self._settings.redis_channel), encode_invalidation(report)
                )
        except (RedisError, OSError, TimeoutError) as error:
            raise UnavailableError(f"Redis: {str(error) or type(error).__name__}") from error
