from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis import Redis
from redis.client import PubSub

from schemas.health import Failures, Lag
from schemas.invalidations import (
    CacheInvalidated,
    FailuresCounted,
    Invalidation,
    ProgramInvalidated,
    ReaderReported,
    TotalsPublished,
    decode_invalidation,
)
from schemas.programs import MAX_SAFE_INTEGER, Program, Totals
from schemas.redis import (
    FAILURES_FIELD,
    HEALTH_TTL_S,
    HEALTH_WINDOW_MS,
    PROGRAM_KEYS,
    PUBLISH_HEALTH,
    PUBLISH_IF_NEWER,
    RECORD_FIELDS,
    RECORD_TTL_S,
    Change,
    HealthChange,
    Record,
    failures_change,
    health_channel,
    health_key,
    health_keys,
    lag_change,
    program_change,
    program_key,
    purge_change,
    read_health,
    read_program,
    read_totals,
    sequence_key,
    tombstone_change,
    totals_change,
    totals_channel,
    totals_key,
)
from tests.factories import NOW_MS, VERSION, program, totals

CHANNEL = "programs"
TOTALS_CHANNEL = "programs:totals"
DATABASE = 15
WAIT_S = 5
END = b"end"

Heard = Callable[[], list[Invalidation]]


@pytest.fixture(scope="module")
def connection(valkey: str) -> Iterator[Redis]:
    with Redis.from_url(valkey, db=DATABASE) as connection:
        yield connection


@pytest.fixture
def redis(connection: Redis) -> Redis:
    connection.flushdb()
    return connection


@contextmanager
def listening(redis: Redis, channel: str) -> Iterator[Heard]:
    """Yields what returns the messages published on `channel` since the last call."""
    with PubSub(redis.connection_pool) as subscription:
        subscription.subscribe(channel)
        assert subscription.get_message(timeout=WAIT_S)["type"] == "subscribe"
        yield lambda: list(_until_end(redis, subscription, channel))


def _until_end(redis: Redis, subscription: Any, channel: str) -> Iterator[Invalidation]:
    redis.publish(channel, END)
    while (data := subscription.get_message(timeout=WAIT_S)["data"]) != END:
        yield decode_invalidation(data)


def apply(redis: Redis, change: Change) -> bool:
    return bool(redis.eval(PUBLISH_IF_NEWER, len(change.keys), *change.keys, *change.args))


def held_program(redis: Redis, program_id: str = "212313") -> Record | None:
    fields: Any = redis.hmget(program_key(program_id), list(RECORD_FIELDS))
    return read_program(fields)


def held_totals(redis: Redis, program_id: str = "212313") -> Totals | None:
    value: Any = redis.hget(totals_key(program_id), "value")
    return read_totals(value)


def test_golden_change_of_a_program() -> None:
    value = (
        b'{"name":"program2","customerId":9124,"customerName":"Customer2","checksum":"124","active":true,'
        b'"startsAtMs":null,"endsAtMs":null,"budget":null,"destination":null,"privacy":"truncate",'
        b'"fallback":null,"origins":null,"ack":null,"keyVersion":0,"retentionDays":null,"ratePerS":null,'
        b'"ratePerAddressPerS":null,'
        b'"programId":"212313","version":1760000000000000,"budgetSpent":false,'
        b'"writtenVersion":null,"floodedUntilMs":null,"flagged":null}'
    )

    assert program_change(CHANNEL, program()) == Change(
        keys=("program:212313", "sequence:programs"),
        args=(
            1_760_000_000_000_000,
            value,
            "programs",
            b'{"type":"program","programId":"212313","version":1760000000000000,"program":' + value + b"}",
        ),
    )


def test_golden_change_to_a_tombstone() -> None:
    assert tombstone_change(CHANNEL, "212313", VERSION) == Change(
        keys=("program:212313", "sequence:programs"),
        args=(
            1_760_000_000_000_000,
            b"",
            "programs",
            b'{"type":"program","programId":"212313","version":1760000000000000,"program":null}',
        ),
    )


def test_golden_change_of_totals() -> None:
    value = b'{"views":5,"clicks":3,"conversions":2,"invalid":1}'

    assert totals_change(CHANNEL, "212313", totals()) == Change(
        keys=("totals:212313", "sequence:programs:totals"),
        args=(
            11,
            value,
            "programs:totals",
            b'{"type":"totals","programId":"212313","totals":' + value + b"}",
        ),
    )


def test_golden_purge() -> None:
    assert purge_change(CHANNEL, VERSION) == Change(
        keys=("purged", "sequence:programs"),
        args=(
            1_760_000_000_000_000,
            b"",
            "programs",
            b'{"type":"purge","version":1760000000000000}',
        ),
    )


def test_golden_change_of_a_lag() -> None:
    lag = Lag(reader="tally", stream="events", shard_id="shardId-0", lag_ms=120, at_ms=NOW_MS)

    assert lag_change(CHANNEL, lag) == (
        ("health:1759999800000",),
        (
            "reader/tally/events/shardId-0",
            b'{"type":"reader","lag":{"reader":"tally","stream":"events","shardId":"shardId-0","lagMs":120,'
            b'"atMs":1760000000000}}',
            "programs:health",
        ),
    )


def test_what_is_known_of_health_is_in_the_last_two_windows() -> None:
    before, now = health_keys(NOW_MS)

    assert now == health_key(NOW_MS)
    assert before == health_key(NOW_MS - HEALTH_WINDOW_MS) != now


def test_health_is_kept_as_it_is_told_and_expires(redis: Redis) -> None:
    lag = Lag(reader="tally", stream="events", shard_id="shardId-0", lag_ms=120, at_ms=NOW_MS)
    failures = Failures(count=3, at_ms=NOW_MS)

    with listening(redis, health_channel(CHANNEL)) as heard:
        tell(redis, lag_change(CHANNEL, lag))
        tell(redis, failures_change(CHANNEL, failures))

        assert heard() == [ReaderReported(lag=lag), FailuresCounted(failures=failures)]

    key = health_key(NOW_MS)
    held: Any = redis.hgetall(key)
    assert [read_health(value) for value in held.values()] == [
        ReaderReported(lag=lag),
        FailuresCounted(failures=failures),
    ]
    assert FAILURES_FIELD.encode() in held
    assert 0 < redis.ttl(key) <= HEALTH_TTL_S


def test_what_is_no_health_is_refused() -> None:
    with pytest.raises(msgspec.MsgspecError):
        read_health(b'{"type":"purge","version":1}')


def tell(redis: Redis, change: HealthChange) -> None:
    redis.register_script(PUBLISH_HEALTH)(keys=change.keys, args=change.args)


def test_read_program_of_golden_fields() -> None:
    value = msgspec.json.encode(program())

    assert read_program([b"1760000000000000", value]) == Record(VERSION, program())
    assert read_program([b"1760000000000000", value[:-1] + b',"new":[1]}']) == Record(VERSION, program())
    assert read_program([b"1760000000000000", b""]) == Record(VERSION, None)
    assert read_program([None, None]) is None


@pytest.mark.parametrize(
    "fields",
    [
        [b"now", b""],
        [b"1", b"{"],
        [b"1", b"[]"],
        [b"1", b'{"programId":"212313"}'],
        [b"1", b'{"programId":"\xff\xfe"}'],
    ],
)
def test_a_record_nobody_wrote_raises_a_named_error(fields: list[bytes | None]) -> None:
    with pytest.raises((msgspec.MsgspecError, ValueError)):
        read_program(fields)


def test_read_totals_of_golden_bytes() -> None:
    assert read_totals(b'{"views":5,"clicks":3,"conversions":2,"invalid":1,"new":0}') == totals()
    assert read_totals(b"{}") == Totals()
    assert read_totals(None) is None


def test_a_newer_version_replaces_the_record_and_is_published(redis: Redis) -> None:
    older, newer = program(version=1), program(version=2, active=False)

    with listening(redis, CHANNEL) as heard:
        applied = [apply(redis, program_change(CHANNEL, value)) for value in (older, newer)]

        assert applied == [True, True]
        assert held_program(redis) == Record(2, newer)
        assert heard() == [
            ProgramInvalidated(program_id="212313", version=1, program=older, sequence=1),
            ProgramInvalidated(program_id="212313", version=2, program=newer, sequence=2),
        ]


@pytest.mark.parametrize("version", [1, 2])
def test_an_equal_or_older_version_is_refused_and_publishes_nothing(redis: Redis, version: int) -> None:
    held = program(version=2)
    late = program(version=version, name="late")
    apply(redis, program_change(CHANNEL, held))

    with listening(redis, CHANNEL) as heard:
        applied = apply(redis, program_change(CHANNEL, late))

        assert not applied
        assert held_program(redis) == Record(2, held)
        assert heard() == []
        assert redis.get(sequence_key(CHANNEL)) == b"1"


def test_a_tombstone_holds_against_what_is_older_and_yields_to_what_is_newer(redis: Redis) -> None:
    revived = program(version=4)

    with listening(redis, CHANNEL) as heard:
        applied = [
            apply(redis, program_change(CHANNEL, program(version=1))),
            apply(redis, tombstone_change(CHANNEL, "212313", 3)),
            apply(redis, program_change(CHANNEL, program(version=2))),
            apply(redis, program_change(CHANNEL, program(version=3))),
        ]
        buried = held_program(redis)
        applied_newer = apply(redis, program_change(CHANNEL, revived))

        assert applied == [True, True, False, False]
        assert buried == Record(3, None)
        assert applied_newer
        assert held_program(redis) == Record(4, revived)
        assert [message.sequence for message in heard()] == [1, 2, 3]


def test_a_tombstone_alone_is_a_record(redis: Redis) -> None:
    apply(redis, tombstone_change(CHANNEL, "212313", 1))

    assert held_program(redis) == Record(1, None)
    assert held_program(redis, "212314") is None


def test_version_zero_is_newer_than_nothing(redis: Redis) -> None:
    change = program_change(CHANNEL, program(version=0))

    assert [apply(redis, change), apply(redis, change)] == [True, False]
    assert held_program(redis) == Record(0, program(version=0))


@pytest.mark.parametrize("held", range(MAX_SAFE_INTEGER - 3, MAX_SAFE_INTEGER))
def test_versions_near_the_largest_safe_integer_compare_exactly(redis: Redis, held: int) -> None:
    apply(redis, program_change(CHANNEL, program(version=held)))

    applied = [
        apply(redis, program_change(CHANNEL, program(version=version)))
        for version in (held - 1, held, held + 1)
    ]

    assert applied == [False, False, True]
    assert held_program(redis) == Record(held + 1, program(version=held + 1))


def test_versions_of_unequal_length_compare_as_numbers(redis: Redis) -> None:
    applied = [apply(redis, program_change(CHANNEL, program(version=version))) for version in (9, 10, 9)]

    assert applied == [True, True, False]


def test_the_sequence_counts_the_messages_of_its_channel(redis: Redis) -> None:
    with listening(redis, CHANNEL) as heard, listening(redis, "other") as heard_other:
        for version in range(1, 13):
            apply(redis, program_change(CHANNEL, program(version=version)))
        apply(redis, program_change("other", program(program_id="212314", version=1)))

        assert [message.sequence for message in heard()] == list(range(1, 13))
        assert [message.sequence for message in heard_other()] == [1]
        assert redis.get(sequence_key(CHANNEL)) == b"12"
        assert redis.get(sequence_key("other")) == b"1"


def test_every_record_expires_and_no_sequence_does(redis: Redis) -> None:
    changes = [
        program_change(CHANNEL, program()),
        totals_change(CHANNEL, "212313", totals()),
        purge_change(CHANNEL, VERSION),
    ]

    for change in changes:
        apply(redis, change)

    assert all(0 < int(redis.ttl(change.keys[0])) <= RECORD_TTL_S for change in changes)
    assert all(redis.ttl(change.keys[1]) == -1 for change in changes)


def test_a_purge_is_published_once_per_version(redis: Redis) -> None:
    with listening(redis, CHANNEL) as heard:
        applied = [apply(redis, purge_change(CHANNEL, version)) for version in (5, 5, 4, 6, 5, 6)]

        assert applied == [True, False, False, True, False, False]
        assert heard() == [CacheInvalidated(version=5, sequence=1), CacheInvalidated(version=6, sequence=2)]


def test_totals_have_a_channel_and_a_sequence_of_their_own(redis: Redis) -> None:
    few, more = totals(views=5), totals(views=6)

    with listening(redis, CHANNEL) as heard, listening(redis, totals_channel(CHANNEL)) as heard_totals:
        apply(redis, program_change(CHANNEL, program()))
        applied = [apply(redis, totals_change(CHANNEL, "212313", counted)) for counted in (few, more, few)]

        assert applied == [True, True, False]
        assert held_totals(redis) == more
        assert [type(message) for message in heard()] == [ProgramInvalidated]
        assert heard_totals() == [
            TotalsPublished(program_id="212313", totals=few, sequence=1),
            TotalsPublished(program_id="212313", totals=more, sequence=2),
        ]


def test_text_survives_the_script(redis: Redis) -> None:
    awkward = program(version=1, name='"Ünïcødé" \\ {}[]% \u2028 \x00 \'', customer_name="%1 %s\r\n")

    with listening(redis, CHANNEL) as heard:
        apply(redis, program_change(CHANNEL, awkward))

        assert held_program(redis) == Record(1, awkward)
        assert heard() == [ProgramInvalidated(program_id="212313", version=1, program=awkward, sequence=1)]


def test_program_keys_match_programs_and_nothing_else(redis: Redis) -> None:
    apply(redis, program_change(CHANNEL, program(program_id="purged")))
    apply(redis, tombstone_change(CHANNEL, "212314", 1))
    apply(redis, totals_change(CHANNEL, "212313", totals()))
    apply(redis, purge_change(CHANNEL, 1))

    keys: Any = redis.keys(PROGRAM_KEYS)

    assert sorted(keys) == [b"program:212314", b"program:purged"]


versioned: st.SearchStrategy[dict[int, Program | None]] = st.dictionaries(
    st.integers(0, 20) | st.integers(MAX_SAFE_INTEGER - 20, MAX_SAFE_INTEGER),
    st.none() | st.builds(program, active=st.booleans(), budget_spent=st.booleans()),
    min_size=1,
    max_size=6,
)


@given(versioned, st.data())
def test_any_order_and_repetition_ends_in_the_newest_record(
    connection: Redis, values: dict[int, Program | None], data: st.DataObject
) -> None:
    connection.flushdb()
    changes = {version: _change(version, value) for version, value in values.items()}
    extra = data.draw(st.lists(st.sampled_from(sorted(changes)), max_size=6))
    order = data.draw(st.permutations([*changes, *extra]))

    with listening(connection, CHANNEL) as heard:
        applied = [version for version in order if apply(connection, changes[version])]
        messages = heard()

    newest = max(values)
    held = values[newest]
    assert held_program(connection) == Record(newest, held and msgspec.structs.replace(held, version=newest))
    assert [message.sequence for message in messages] == list(range(1, len(applied) + 1))
    assert all(earlier < later for earlier, later in pairwise(applied))
    assert applied[-1] == newest


@given(st.lists(st.builds(Totals, views=st.integers(0, 9), invalid=st.integers(0, 9)), min_size=1), st.data())
def test_any_order_of_growing_totals_ends_in_the_last(
    connection: Redis, steps: list[Totals], data: st.DataObject
) -> None:
    connection.flushdb()
    grown = [sum(steps[: count + 1], Totals()) for count in range(len(steps))]

    for counted in data.draw(st.permutations(grown)):
        apply(connection, totals_change(CHANNEL, "212313", counted))

    assert held_totals(connection) == grown[-1]


def _change(version: int, value: Program | None) -> Change:
    if value is None:
        return tombstone_change(CHANNEL, "212313", version)
    return program_change(CHANNEL, msgspec.structs.replace(value, version=version))
