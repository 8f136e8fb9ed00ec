"""Where the agents' results go, beside the streams."""

from collections.abc import Iterator, Sequence

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from schemas.errors import UnavailableError
from schemas.invalidations import MinutePublished
from schemas.redis import PUBLISH_IF_MORE, minute_change

REDIS_TIMEOUT_S = 2.0
CHANGES_PER_CALL = 500
"""Redis serves nobody else meanwhile."""


class MinutesOutlet:
    """Publishes minutes in Redis, of each part only the last. What Redis knows already changes nothing."""

    def __init__(self, redis: Redis, *, channel: str) -> None:
        self._redis = redis
        self._channel = channel
        self._publish_if_more = redis.register_script(PUBLISH_IF_MORE)

    async def __call__(self, results: Sequence[MinutePublished], /) -> None:
        last = {(each.program_id, each.start_ms, each.part): each for each in results}
        try:
            for some in _slices(list(last.values())):
                await self._publish(some)
        except (RedisError, OSError, TimeoutError) as error:
            raise UnavailableError(f"Redis: {str(error) or type(error).__name__}") from error

    async def _publish(self, minutes: Sequence[MinutePublished]) -> None:
        async with self._redis.pipeline(transaction=False) as calls:
            for each in minutes:
                change = minute_change(self._channel, each.program_id, each.start_ms, each.part, each.minute)
                await self._publish_if_more(keys=change.keys, args=change.args, client=calls)
            await calls.execute()


def redis_client(url: str) -> Redis:
    """A client that tries once: whoever calls it has a backoff of its own."""
    return Redis.from_url(
        url,
        retry=Retry(NoBackoff(), 0),
        socket_timeout=REDIS_TIMEOUT_S,
        socket_connect_timeout=REDIS_TIMEOUT_S,
    )


def _slices(minutes: Sequence[MinutePublished]) -> Iterator[Sequence[MinutePublished]]:
    for start in range(0, len(minutes), CHANGES_PER_CALL):
        yield minutes[start : start + CHANGES_PER_CALL]
