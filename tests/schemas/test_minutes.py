from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis import Redis
from redis.client import PubSub

from schemas.invalidations import MinutePublished, decode_invalidation
from schemas.minutes import MINUTE_MS, Minute, minute_of
from schemas.redis import PUBLISH_IF_MORE, minute_change, minute_key, minutes_channel, read_minute

CHANNEL = "programs"
START_MS = 1_760_000_040_000
FIRST = Minute(views=1, visitors=1)
MORE = Minute(views=2, clicks=1, conversions=3, invalid=4, visitors=2)


@pytest.fixture(scope="module")
def redis(valkey: str) -> Iterator[Redis]:
    with Redis.from_url(valkey) as client:
        client.delete(minute_key(START_MS))
        yield client
        client.flushall()


def publish(redis: Redis, part: str, minute: Minute) -> bool:
    change = minute_change(CHANNEL, "212313", START_MS, part, minute)
    return bool(redis.eval(PUBLISH_IF_MORE, len(change.keys), *change.keys, *change.args))


def held(redis: Redis) -> dict[str, Minute]:
    fields: Any = redis.hgetall(minute_key(START_MS))
    return {part: minute for _, part, minute in (read_minute(*each) for each in fields.items())}


@given(st.integers(0, 2**53))
def test_a_minute_holds_the_moment_it_is_of(at_ms: int) -> None:
    start_ms = minute_of(at_ms)

    assert start_ms % MINUTE_MS == 0
    assert start_ms <= at_ms < start_ms + MINUTE_MS


def test_what_each_part_has_counted_last_is_held_and_published(redis: Redis) -> None:
    with PubSub(redis.connection_pool, ignore_subscribe_messages=True) as subscription:
        subscription.subscribe(minutes_channel(CHANNEL))
        subscription.get_message(timeout=1)

        taken = [publish(redis, *each) for each in (("a", FIRST), ("b", FIRST), ("a", MORE))]
        refused = [publish(redis, *each) for each in (("a", FIRST), ("a", MORE))]
        messages = [subscription.get_message(timeout=1) for _ in range(3)]

    assert (taken, refused) == ([True] * 3, [False] * 2)
    assert held(redis) == {"a": MORE, "b": FIRST}
    assert redis.ttl(minute_key(START_MS)) > 0
    heard = [decode_invalidation(message["data"]) for message in messages if message]
    assert heard == [
        MinutePublished(program_id="212313", start_ms=START_MS, part=part, minute=minute, sequence=number)
        for number, (part, minute) in enumerate([("a", FIRST), ("b", FIRST), ("a", MORE)], start=1)
    ]


def test_parts_add_up() -> None:
    total = Minute(views=3, clicks=1, conversions=3, invalid=4, visitors=3)

    assert total == FIRST + MORE
    assert total.events == 11
