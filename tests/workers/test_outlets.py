from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from redis.asyncio import Redis

from schemas.errors import UnavailableError
from schemas.invalidations import MinutePublished, decode_invalidation
from schemas.matches import match_from_item
from schemas.minutes import Minute
from schemas.redis import minute_key, minutes_channel, read_minute
from schemas.updates import ConversionMatched
from tests.factories import NOW_MS
from tests.schemas.test_matches import make_match
from workers.outlets import CHANGES_PER_CALL, PUTS_AT_ONCE, MatchesOutlet, MinutesOutlet, redis_client

CHANNEL = "outlets"
NOBODY = "redis://127.0.0.1:1"


@pytest.fixture
async def redis(valkey: str) -> AsyncIterator[Redis]:
    async with redis_client(valkey) as client:
        await client.flushall()
        yield client


def counted(views: int, *, program_id: str = "212313", part: str = "part") -> MinutePublished:
    return MinutePublished(program_id=program_id, start_ms=NOW_MS, part=part, minute=Minute(views=views))


async def held(redis: Redis) -> dict[tuple[str, str], int]:
    fields: dict[Any, Any] = await redis.hgetall(minute_key(NOW_MS))
    minutes = [read_minute(field, value) for field, value in fields.items()]
    return {(program_id, part): minute.views for program_id, part, minute in minutes}


async def published(redis: Redis, batches: Sequence[Sequence[MinutePublished]]) -> list[MinutePublished]:
    """What a subscriber hears while these are sent."""
    outlet = MinutesOutlet(redis, channel=CHANNEL)
    async with redis.pubsub(ignore_subscribe_messages=True) as listening:
        await listening.subscribe(minutes_channel(CHANNEL))
        await listening.get_message(timeout=1)
        for batch in batches:
            await outlet(batch)
        heard = []
        while (message := await listening.get_message(timeout=0.2)) is not None:
            heard.append(decode_invalidation(message["data"]))
    return [each for each in heard if isinstance(each, MinutePublished)]


async def test_of_each_part_the_last_is_published_once(redis: Redis) -> None:
    heard = await published(redis, [[counted(1), counted(2), counted(7, part="other")]])

    assert [msgspec.structs.replace(each, sequence=0) for each in heard] == [
        counted(2),
        counted(7, part="other"),
    ]
    assert await held(redis) == {("212313", "part"): 2, ("212313", "other"): 7}


async def test_what_is_sent_again_or_is_older_changes_nothing(redis: Redis) -> None:
    heard = await published(redis, [[counted(5)], [counted(5)], [counted(4)]])

    assert len(heard) == 1
    assert await held(redis) == {("212313", "part"): 5}


async def test_more_parts_than_go_in_a_call_all_arrive(redis: Redis) -> None:
    many = [counted(1, program_id=f"program-{number}") for number in range(2 * CHANGES_PER_CALL + 1)]

    await MinutesOutlet(redis, channel=CHANNEL)(many)

    assert len(await held(redis)) == len(many)


async def test_a_redis_that_is_away_is_unavailable() -> None:
    async with redis_client(NOBODY) as redis:
        with pytest.raises(UnavailableError, match="Redis"):
            await MinutesOutlet(redis, channel=CHANNEL)([counted(1)])


async def test_of_a_conversion_the_latest_click_is_stored_in_whatever_order_they_come(
    dynamodb: Any, matches_table: str
) -> None:
    first, last = (make_match(clicked_at_ms=at_ms, click=uuid4()) for at_ms in (1, 2))
    outlet = MatchesOutlet(dynamodb, matches_table)

    await outlet([first, last])
    await outlet([last, first])

    assert await stored(dynamodb, matches_table) == [last]


async def test_more_matches_than_go_at_once_are_all_stored(dynamodb: Any, matches_table: str) -> None:
    many = [make_match(conversion=uuid4()) for _ in range(2 * PUTS_AT_ONCE + 1)]

    await MatchesOutlet(dynamodb, matches_table)(many)

    found = await stored(dynamodb, matches_table)
    assert {match.conversion for match in found} == {match.conversion for match in many}


async def test_a_table_that_does_not_answer_is_unavailable(dynamodb: Any) -> None:
    with pytest.raises(UnavailableError, match="nowhere"):
        await MatchesOutlet(dynamodb, "nowhere")([make_match()])


async def stored(dynamodb: Any, table: str) -> list[ConversionMatched]:
    answer = await dynamodb.scan(TableName=table, ConsistentRead=True)
    return [match_from_item(item) for item in answer["Items"]]
