"""Health: how far behind a worker's agents are, and how much failed, told on Redis to whoever watches."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from schemas.errors import UnavailableError
from schemas.health import Failures, Lag
from schemas.invalidations import FailuresCounted
from schemas.metrics import WORKER_FAILURES, Reading
from schemas.redis import (
    FAILURES_FIELD,
    PUBLISH_HEALTH,
    HealthChange,
    failures_change,
    health_keys,
    lag_change,
    read_health,
)
from workers.listing import ListingS3, listed
from workers.runtime.clock import Clock
from workers.runtime.progress import Progress
from workers.runtime.source import AWS_ERRORS
from workers.settings import WorkerSettings


class Health:
    """Of one worker. Run `report` and `count` under a supervisor: they raise UnavailableError."""

    def __init__(
        self,
        redis: Redis,
        s3: ListingS3,
        progress: Progress,
        settings: WorkerSettings,
        clock: Clock,
    ) -> None:
        self._redis = redis
        self._s3 = s3
        self._progress = progress
        self._settings = settings
        self._clock = clock
        self._publish = redis.register_script(PUBLISH_HEALTH)
        self._failures: Failures | None = None

    def readings(self) -> Iterator[Reading]:
        """Of every metric that a worker has."""
        yield from self._progress.readings()
        if self._failures is not None:
            yield Reading(WORKER_FAILURES, self._failures.count)

    async def report(self) -> None:
        """Tells how far behind the agents are, until cancelled."""
        while True:
            await self._sleep(self._settings.report_ms)
            await self._tell(lag_change(self._settings.redis_channel, lag) for lag in self._lags())

    async def count(self) -> None:
        """Counts failures and tells, until cancelled; where another worker did just now, takes its word."""
        while True:
            told = await self._told()
            if told is None or self._clock.now_ms() - told.at_ms >= self._settings.failures_ms:
                told = await self._counted()
                await self._tell([failures_change(self._settings.redis_channel, told)])
            self._failures = told
            await self._sleep(self._settings.failures_ms)

    def _lags(self) -> Iterator[Lag]:
        for place, last in self._progress.last_reads().items():
            yield Lag(**place._asdict(), **last._asdict())

    async def _counted(self) -> Failures:
        most, count = self._settings.failures_max, 0
        at_ms = self._clock.now_ms()
        try:
            async for _ in listed(self._s3, [self._settings.failed_events_bucket]):
                if count == most:
                    return Failures(count=count, at_ms=at_ms, more=True)
                count += 1
        except AWS_ERRORS as error:
            raise UnavailableError(f"S3: {str(error) or type(error).__name__}") from error
        return Failures(count=count, at_ms=at_ms)

    async def _told(self) -> Failures | None:
        """What was last told, by whichever worker."""
        for key in reversed(health_keys(self._clock.now_ms())):
            with _reaching_redis():
                value: Any = await self._redis.hget(key, FAILURES_FIELD)
            if value is not None:
                return _read(value)
        return None

    async def _tell(self, changes: Iterable[HealthChange]) -> None:
        with _reaching_redis():
            async with self._redis.pipeline(transaction=False) as calls:
                for change in changes:
                    await self._publish(keys=change.keys, args=change.args, client=calls)
                await calls.execute()

    async def _sleep(self, ms: int) -> None:
        await self._clock.sleep_until(self._clock.now_ms() + ms)


def _read(value: bytes) -> Failures | None:
    try:
        told = read_health(value)
    except msgspec.MsgspecError:
        return None
    return told.failures if isinstance(told, FailuresCounted) else None


@contextmanager
def _reaching_redis() -> Iterator[None]:
    """What Redis raises comes out as UnavailableError."""
    try:
        yield
    except (RedisError, OSError, TimeoutError) as error:
        raise UnavailableError(f"Redis: {str(error) or type(error).__name__}") from error
