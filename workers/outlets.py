"""Where the agents' results go, beside the streams."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any, Protocol, TypeVar

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from schemas.errors import UnavailableError
from schemas.invalidations import MinutePublished
from schemas.matches import LATER_CLICK, match_item
from schemas.redis import PUBLISH_IF_MORE, minute_change
from schemas.updates import ConversionMatched
from workers.runtime.lease_table import LOST, attribute, code_of, unavailable
from workers.runtime.source import AWS_ERRORS

REDIS_TIMEOUT_S = 2.0
CHANGES_PER_CALL = 500
"""Redis serves nobody else meanwhile."""
PUTS_AT_ONCE = 25

T = TypeVar("T")


class Matches(Protocol):
    """What storing matches asks of a DynamoDB client."""

    async def put_item(self, **request: Any) -> dict[str, Any]: ...


class MatchesOutlet:
    """Stores matches, of each conversion that with the latest click, in whatever order they come."""

    def __init__(self, dynamodb: Matches, table: str) -> None:
        self._dynamodb = dynamodb
        self._table = table

    async def __call__(self, results: Sequence[ConversionMatched], /) -> None:
        for some in _slices(results, PUTS_AT_ONCE):
            await asyncio.gather(*(self._put(each) for each in some))

    async def _put(self, match: ConversionMatched) -> None:
        try:
            await self._dynamodb.put_item(
                TableName=self._table,
                Item=match_item(match),
                ConditionExpression=LATER_CLICK,
                ExpressionAttributeValues={":clicked_at_ms": attribute(match.clicked_at_ms)},
            )
        except AWS_ERRORS as error:
            if code_of(error) != LOST:
                raise unavailable(self._table, error) from error


class MinutesOutlet:
    """Publishes minutes in Redis, of each part only the last. What Redis knows already changes nothing."""

    def __init__(self, redis: Redis, *, channel: str) -> None:
        self._redis = redis
        self._channel = channel
        self._publish_if_more = redis.register_script(PUBLISH_IF_MORE)

    async def __call__(self, results: Sequence[MinutePublished], /) -> None:
        last = {(each.program_id, each.start_ms, each.part): each for each in results}
        try:
            for some in _slices(list(last.values()), CHANGES_PER_CALL):
                await self._publish(some)
        except (RedisError, OSError, TimeoutError) as error:
            raise UnavailableError(f"Redis: {str(error) or type(error).__name__}") from error

    async def _publish(self, minutes: Sequence[MinutePublished]) -> None:
        async with self._redis.pipeline(transaction=False) as calls:
            for each in minutes:
                change = minute_change(self._channel, each.program_id, each.start_ms, each.part, each.minute)
                await self._publish_if_more(keys=change.keys, args=change.args, client=calls)
            await calls.execute()


async def lines_outlet(results: Sequence[str], /) -> None:
    """Prints each result as a line: for whoever tries an agent out, and for a container's log."""
    for result in results:
        print(result, flush=True)


def redis_client(url: str) -> Redis:
    """A client that tries once: whoever calls it has a backoff of its own."""
    return Redis.from_url(
        url,
        retry=Retry(NoBackoff(), 0),
        socket_timeout=REDIS_TIMEOUT_S,
        socket_connect_timeout=REDIS_TIMEOUT_S,
    )


def _slices(results: Sequence[T], length: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(results), length):
        yield results[start : start + length]
