"""What lives in Redis: versioned records, channels, and the one script that changes them.

    program:{id}          hash  version, value   a Program as JSON; value "" is a tombstone
    totals:{id}           hash  version, value   Totals as JSON; version is `Totals.stored`
    purged                hash  version, value   the last purge
    minute:{start ms}     hash  "{id}/{part}"    a Minute as JSON: what one part has counted
    health:{start ms}     hash   "reader/{reader}/{stream}/{shard}", "failures"
                                                 what was last said within HEALTH_WINDOW_MS, as it was told
    sequence:{channel}    integer                the number of the last message on the channel

    REDIS_CHANNEL             program and purge invalidations
    REDIS_CHANNEL:totals      totals
    REDIS_CHANNEL:minutes     minutes
    REDIS_CHANNEL:tasks       how each tracker task is; never stored
    REDIS_CHANNEL:health      how far behind readers of streams are, and how much failed

Redis is a cache: all of it may vanish and is rebuilt from DynamoDB. And it may come back older than
it was, when a replica that lags takes over. So a record expires: RECORD_TTL_S after such an event
everything in Redis was written after it.
"""

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import msgspec

from schemas.errors import UNREADABLE
from schemas.health import Failures, Lag
from schemas.invalidations import (
    CacheInvalidated,
    FailuresCounted,
    HealthReported,
    Invalidation,
    MinutePublished,
    ProgramInvalidated,
    ReaderReported,
    TotalsPublished,
    decode_invalidation,
    encode_invalidation,
)
from schemas.minutes import Minute
from schemas.programs import Program, Totals

PROGRAM_KEYS = "program:*"
"""Matches every program key and no other."""
RECORD_FIELDS = ("version", "value")
FAILURES_FIELD = "failures"

RECORD_TTL_S = 3_600
MINUTE_TTL_S = 3_600
"""How long a minute is kept after it last changed."""
HEALTH_WINDOW_MS = 600_000
HEALTH_TTL_S = 1_800
"""How long a window is kept after something was last said in it. The last two tell what is known."""

PUBLISH_IF_NEWER = f"""
local held = redis.call('HGET', KEYS[1], 'version')
if held and tonumber(held) >= tonumber(ARGV[1]) then
    return 0
end
redis.call('HSET', KEYS[1], 'version', ARGV[1], 'value', ARGV[2])
redis.call('EXPIRE', KEYS[1], {RECORD_TTL_S})
local sequence = redis.call('INCR', KEYS[2])
redis.call('PUBLISH', ARGV[3], '{{"sequence":' .. sequence .. ',' .. string.sub(ARGV[4], 2))
return 1
"""
"""Compare and set by version, bump the channel's sequence, publish: all or nothing.

KEYS: record, sequence. ARGV: version, value, channel, message (a non-empty JSON object).
Returns 1 when the record was replaced and the message published, 0 when it held this or newer.
"""

PUBLISH_IF_MORE = f"""
local held = redis.call('HGET', KEYS[1], ARGV[1])
if held then
    local minute = cjson.decode(held)
    if minute.views + minute.clicks + minute.conversions + minute.invalid >= tonumber(ARGV[2]) then
        return 0
    end
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
redis.call('EXPIRE', KEYS[1], {MINUTE_TTL_S})
local sequence = redis.call('INCR', KEYS[2])
redis.call('PUBLISH', ARGV[4], '{{"sequence":' .. sequence .. ',' .. string.sub(ARGV[5], 2))
return 1
"""
"""Set a part of a minute that counted more events than the one held, bump the channel's sequence, publish.

KEYS: minute, sequence. ARGV: field, number of events, value, channel, message (a non-empty JSON object).
Returns 1 when the part was replaced and the message published, 0 when it held as many or more.
"""

PUBLISH_HEALTH = f"""
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('EXPIRE', KEYS[1], {HEALTH_TTL_S})
redis.call('PUBLISH', ARGV[3], ARGV[2])
return 1
"""
"""Set what is last said of health, publish.

KEYS: health. ARGV: field, message, channel.
"""

_encode = msgspec.json.encode
_programs = msgspec.json.Decoder(Program)
_totals = msgspec.json.Decoder(Totals)
_minutes = msgspec.json.Decoder(Minute)

Value = TypeVar("Value")


class Change(NamedTuple):
    """The keys and arguments of one PUBLISH_IF_NEWER call."""

    keys: tuple[str, str]
    args: tuple[int, bytes, str, bytes]


class MinuteChange(NamedTuple):
    """The keys and arguments of one PUBLISH_IF_MORE call."""

    keys: tuple[str, str]
    args: tuple[str, int, bytes, str, bytes]


class HealthChange(NamedTuple):
    """The keys and arguments of one PUBLISH_HEALTH call."""

    keys: tuple[str]
    args: tuple[str, bytes, str]


class Record(NamedTuple):
    """A versioned program as read back; `program` is None for a tombstone."""

    version: int
    program: Program | None


def program_key(program_id: str) -> str:
    return f"program:{program_id}"


def totals_key(program_id: str) -> str:
    return f"totals:{program_id}"


def totals_channel(channel: str) -> str:
    """The channel of totals, beside the channel of invalidations."""
    return f"{channel}:totals"


def minute_key(start_ms: int) -> str:
    return f"minute:{start_ms}"


def minutes_channel(channel: str) -> str:
    """The channel of minutes, beside the channel of invalidations."""
    return f"{channel}:minutes"


def tasks_channel(channel: str) -> str:
    """The channel of what tracker tasks say of themselves, beside the channel of invalidations."""
    return f"{channel}:tasks"


def health_key(at_ms: int) -> str:
    return f"health:{at_ms - at_ms % HEALTH_WINDOW_MS}"


def health_keys(now_ms: int) -> tuple[str, str]:
    """Where what is known now was said, the older first."""
    return health_key(now_ms - HEALTH_WINDOW_MS), health_key(now_ms)


def health_channel(channel: str) -> str:
    """The channel of health, beside the channel of invalidations."""
    return f"{channel}:health"


def sequence_key(channel: str) -> str:
    return f"sequence:{channel}"


def program_change(channel: str, program: Program) -> Change:
    """Makes `program` the record and tells every subscriber."""
    message = ProgramInvalidated(program_id=program.program_id, version=program.version, program=program)
    key = program_key(program.program_id)
    return _change(key, channel, program.version, _encode(program), message)


def tombstone_change(channel: str, program_id: str, version: int) -> Change:
    """Makes the record a tombstone and tells every subscriber."""
    message = ProgramInvalidated(program_id=program_id, version=version, program=None)
    return _change(program_key(program_id), channel, version, b"", message)


def totals_change(channel: str, program_id: str, totals: Totals) -> Change:
    """Makes `totals` the record, published on the totals channel of `channel`."""
    message = TotalsPublished(program_id=program_id, totals=totals)
    key = totals_key(program_id)
    return _change(key, totals_channel(channel), totals.stored, _encode(totals), message)


def minute_change(channel: str, program_id: str, start_ms: int, part: str, minute: Minute) -> MinuteChange:
    """Makes `minute` what the part has counted, published on the channel of minutes of `channel`."""
    message = MinutePublished(program_id=program_id, start_ms=start_ms, part=part, minute=minute)
    minutes = minutes_channel(channel)
    return MinuteChange(
        (minute_key(start_ms), sequence_key(minutes)),
        (f"{program_id}/{part}", minute.events, _encode(minute), minutes, encode_invalidation(message)),
    )


def lag_change(channel: str, lag: Lag) -> HealthChange:
    """Tells how far behind a reader is, on the channel of health of `channel`."""
    field = f"reader/{lag.reader}/{lag.stream}/{lag.shard_id}"
    return _health_change(channel, field, lag.at_ms, ReaderReported(lag=lag))


def failures_change(channel: str, failures: Failures) -> HealthChange:
    """Tells how many failures are kept, on the channel of health of `channel`."""
    return _health_change(channel, FAILURES_FIELD, failures.at_ms, FailuresCounted(failures=failures))


def purge_change(channel: str, version: int) -> Change:
    """Tells every subscriber once, however often this purge is applied."""
    return _change("purged", channel, version, b"", CacheInvalidated(version=version))


def read_program(fields: Sequence[bytes | str | None]) -> Record | None:
    """The record of an `HMGET program:{id} version value`; None when the key is not there.

    Raises msgspec.MsgspecError or ValueError for a value this version did not write.
    """
    version, value = fields
    if version is None or value is None:
        return None
    return Record(int(version), _decoded(_programs, value) if value else None)


def read_totals(value: bytes | str | None) -> Totals | None:
    """The totals of an `HGET totals:{id} value`; None when the key is not there.

    Raises msgspec.MsgspecError for a value this version did not write.
    """
    return None if value is None else _decoded(_totals, value)


def read_minute(field: bytes, value: bytes) -> tuple[str, str, Minute]:
    """A program id, a part of its minute, and what that has counted: of one field of `minute:{start ms}`.

    Raises msgspec.MsgspecError for a value this version did not write.
    """
    program_id, _, part = field.decode().partition("/")
    return program_id, part, _decoded(_minutes, value)


def read_health(value: bytes | str) -> HealthReported:
    """What a field of `health:{start ms}` says.

    Raises msgspec.MsgspecError for a value this version did not write.
    """
    told = decode_invalidation(value)
    if not isinstance(told, HealthReported):
        raise msgspec.ValidationError(f"{type(told).__name__} is nothing about health")
    return told


def _decoded(decoder: msgspec.json.Decoder[Value], value: bytes | str) -> Value:
    try:
        return decoder.decode(value)
    except UNREADABLE as error:
        raise msgspec.DecodeError(str(error)) from error


def _change(key: str, channel: str, version: int, value: bytes, message: Invalidation) -> Change:
    body = encode_invalidation(message)
    return Change((key, sequence_key(channel)), (version, value, channel, body))


def _health_change(channel: str, field: str, at_ms: int, message: HealthReported) -> HealthChange:
    return HealthChange((health_key(at_ms),), (field, encode_invalidation(message), health_channel(channel)))
