"""`refresh` as Lambda runs it, against Valkey and a stand-in for DynamoDB and S3."""

import socket
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis
from redis.client import PubSub
from redis.exceptions import RedisError

from lambdas import refresh
from lambdas.batch import decode_batch
from lambdas.calls import aws_client
from lambdas.refresh import KEYS_PER_SCAN, RedisCache, Refresh, redis_client
from schemas.dynamodb import program_item, tombstone_item
from schemas.invalidations import (
    CacheInvalidated,
    Invalidation,
    ProgramInvalidated,
    TotalsPublished,
    decode_invalidation,
)
from schemas.programs import Totals
from schemas.redis import (
    RECORD_FIELDS,
    Change,
    Record,
    program_key,
    read_program,
    read_totals,
    totals_channel,
    totals_key,
)
from schemas.updates import (
    CachePurged,
    ProgramChanged,
    ProgramDeleted,
    ProgramTotals,
    Update,
    encode_update,
)
from tests.factories import applied, program
from tests.lambdas.cloud import SHARD_ID, Cloud, delivered
from tests.lambdas.memory import Killed

APPLIED: dict[str, Any] = {"batchItemFailures": []}
ID = "212313"
OLD, NEW = (applied(program(version=version, name=f"version {version}")) for version in (1, 2))

Handler = Callable[..., Any]


@pytest.fixture
def handler(cloud: Cloud, redis: Redis, valkey: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Handler]:
    """The handler in a new Lambda environment, called with updates."""
    monkeypatch.setenv("REDIS_URL", valkey)
    refresh.compose.cache_clear()
    yield lambda *updates: refresh.handler(batch(*map(encode_update, updates)), None)
    refresh.compose.cache_clear()


def batch(*payloads: bytes) -> dict[str, Any]:
    return {"Records": [delivered("updates", next(sequence_numbers), data) for data in payloads]}


sequence_numbers = map(str, count(10**56))


def cached(redis: Redis, program_id: str = ID) -> Record | None:
    return read_program(redis.hmget(program_key(program_id), list(RECORD_FIELDS)))


def cached_totals(redis: Redis, program_id: str = ID) -> Totals | None:
    return read_totals(redis.hget(totals_key(program_id), "value"))


def heard(subscriber: PubSub) -> list[Invalidation]:
    """What has been published since it was last heard."""
    messages = iter(lambda: subscriber.get_message(timeout=0.1), None)
    return [decode_invalidation(each["data"]) for each in messages if each["type"] == "message"]


@pytest.fixture
def subscriber(cloud: Cloud, redis: Redis) -> Iterator[PubSub]:
    """Hears programs and purges."""
    with redis.pubsub() as pubsub:  # type: ignore[no-untyped-call]
        pubsub.subscribe(cloud.refresh.redis_channel)
        assert pubsub.get_message(timeout=5) is not None
        yield pubsub


def test_a_change_is_stored_cached_and_published(
    cloud: Cloud, handler: Handler, redis: Redis, subscriber: PubSub
) -> None:
    assert handler(ProgramChanged(program=NEW)) == APPLIED

    assert cloud.program(ID) == program_item(NEW)
    assert cached(redis) == Record(2, NEW)
    assert heard(subscriber) == [ProgramInvalidated(program_id=ID, version=2, program=NEW, sequence=1)]


def test_older_and_equal_changes_do_nothing(
    cloud: Cloud, handler: Handler, redis: Redis, subscriber: PubSub
) -> None:
    handler(ProgramChanged(program=NEW))
    heard(subscriber)

    assert handler(ProgramChanged(program=OLD), ProgramChanged(program=NEW)) == APPLIED

    assert cloud.program(ID) == program_item(NEW)
    assert cached(redis) == Record(2, NEW)
    assert heard(subscriber) == []


def test_a_late_change_does_not_revive_a_deleted_program(
    cloud: Cloud, handler: Handler, redis: Redis
) -> None:
    handler(ProgramChanged(program=OLD), ProgramDeleted(program_id=ID, version=2))

    assert handler(ProgramChanged(program=OLD)) == APPLIED

    assert cloud.program(ID) == tombstone_item(ID, 2, written_version=2)
    assert cached(redis) == Record(2, None)


def test_an_older_change_brings_the_newest_back_to_an_emptied_redis(handler: Handler, redis: Redis) -> None:
    handler(ProgramChanged(program=NEW))
    redis.flushall()
    redis.script_flush()

    assert handler(ProgramChanged(program=OLD)) == APPLIED

    assert cached(redis) == Record(2, NEW)


def test_killed_between_dynamodb_and_redis_then_retried(
    cloud: Cloud, handler: Handler, redis: Redis, subscriber: PubSub
) -> None:
    class KillingCache(RedisCache):
        def publish(self, change: Change) -> None:
            raise Killed

    killed = Refresh(dynamodb=cloud.dynamodb, cache=KillingCache(redis), s3=cloud.s3, settings=cloud.refresh)
    with pytest.raises(Killed):
        killed.apply(decode_batch(batch(encode_update(ProgramChanged(program=NEW)))))
    assert cloud.program(ID) == program_item(NEW)

    assert handler(ProgramChanged(program=NEW)) == APPLIED

    assert cached(redis) == Record(2, NEW)
    assert len(heard(subscriber)) == 1


def test_totals_reach_their_own_channel(
    cloud: Cloud, handler: Handler, redis: Redis, subscriber: PubSub
) -> None:
    subscriber.subscribe(totals_channel(cloud.refresh.redis_channel))

    assert (
        handler(*(ProgramTotals(program_id=ID, totals=Totals(views=each)) for each in (1, 3, 2))) == APPLIED
    )

    assert cached_totals(redis) == Totals(views=3)
    assert heard(subscriber) == [TotalsPublished(program_id=ID, totals=Totals(views=3), sequence=1)]


def test_a_purge_forgets_every_program_and_nothing_else(
    cloud: Cloud, handler: Handler, redis: Redis, subscriber: PubSub
) -> None:
    many = {program_key(f"p{number}"): 1 for number in range(2 * KEYS_PER_SCAN)}
    redis.mset(many)
    handler(ProgramChanged(program=NEW), ProgramTotals(program_id=ID, totals=Totals(views=1)))
    heard(subscriber)

    assert handler(CachePurged(version=7), CachePurged(version=7)) == APPLIED

    assert redis.exists(program_key(ID), *many) == 0
    assert cached_totals(redis) == Totals(views=1)
    assert cloud.program(ID) == program_item(NEW)
    assert heard(subscriber) == [CacheInvalidated(version=7, sequence=2)]


def test_poison_is_set_aside_and_its_neighbours_pass(cloud: Cloud, handler: Handler, redis: Redis) -> None:
    event = batch(b"poison", encode_update(ProgramChanged(program=NEW)))

    assert refresh.handler(event, None) == APPLIED

    ((key, failed),) = cloud.failed().items()
    assert key == f"updates/{SHARD_ID}/{event['Records'][0]['kinesis']['sequenceNumber']}.json"
    assert (failed.reason, failed.payload) == ("bad_update", b"poison")
    assert cached(redis) == Record(2, NEW)


def test_a_redis_that_is_down_is_answered_with_the_first_record(
    cloud: Cloud, handler: Handler, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = batch(*(encode_update(ProgramChanged(program=each)) for each in (OLD, NEW)))
    first = event["Records"][0]["kinesis"]["sequenceNumber"]

    with monkeypatch.context() as outage:
        outage.setenv("REDIS_URL", "redis://127.0.0.1:9")
        assert refresh.handler(event, None) == {"batchItemFailures": [{"itemIdentifier": first}]}

    refresh.compose.cache_clear()
    assert refresh.handler(event, None) == APPLIED
    assert cached(redis) == Record(2, NEW)


def test_the_password_of_redis_comes_from_its_secret(
    cloud: Cloud, handler: Handler, redis: Redis, valkey: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    password, secret = "p:/@", f"redis-{uuid4()}"
    aws_client("secretsmanager", cloud.refresh.region).create_secret(Name=secret, SecretString=password)
    parts = urlsplit(valkey)
    for name, value in {"HOST": parts.hostname, "PORT": parts.port, "SECRET": secret, "URL": ""}.items():
        monkeypatch.setenv(f"REDIS_{name}", str(value))
    redis.config_set("requirepass", password)
    try:
        assert handler(ProgramChanged(program=NEW)) == APPLIED
    finally:
        redis.config_set("requirepass", "")

    assert cached(redis) == Record(2, NEW)


def test_a_redis_that_does_not_answer_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        port = mute.getsockname()[1]
        with redis_client(f"redis://127.0.0.1:{port}", timeout_s=0.05) as client, pytest.raises(RedisError):
            RedisCache(client).forget_programs()


VERSIONS = range(1, 6)


def updates(program_id: str) -> list[Update]:
    return [
        *(
            ProgramChanged(program=program(program_id=program_id, version=version, name=f"v{version}"))
            for version in VERSIONS
        ),
        ProgramDeleted(program_id=program_id, version=3),
        *(ProgramTotals(program_id=program_id, totals=Totals(views=views)) for views in VERSIONS),
    ]


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations([*range(11), *range(0, 11, 2)]), cut=st.integers(0, 16))
def test_any_order_and_repetition_ends_the_same(
    cloud: Cloud, handler: Handler, redis: Redis, order: list[int], cut: int
) -> None:
    program_id = uuid4().hex
    some = [updates(program_id)[number] for number in order]

    assert handler(*some[:cut]) == handler(*some[cut:]) == APPLIED

    newest = applied(program(program_id=program_id, version=5, name="v5"))
    assert cloud.program(program_id) == program_item(newest)
    assert cached(redis, program_id) == Record(5, newest)
    assert cached_totals(redis, program_id) == Totals(views=5)
