"""Invalidations: what `refresh` publishes on Redis once a change is applied.

Each is one JSON object. Redis itself puts the channel's `sequence` number in front while it
publishes (see schemas/redis.py), so a subscriber that sees a gap knows that it missed something.
Only what is said of health has none: the next one says all of it again.
"""

import msgspec

from schemas.errors import UNREADABLE
from schemas.health import Failures, Lag
from schemas.minutes import Minute
from schemas.programs import Count, Program, ProgramId, Totals, Version


class ProgramInvalidated(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, tag="program"
):
    """The program's new value as of `version`; None when it was deleted."""

    program_id: ProgramId
    version: Version
    program: Program | None
    sequence: int = 0


class CacheInvalidated(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, tag="purge"
):
    """Every program held in memory is to be forgotten."""

    version: Version
    sequence: int = 0


class TotalsPublished(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, tag="totals"
):
    """What is stored for a program so far. Published on the totals channel."""

    program_id: ProgramId
    totals: Totals
    sequence: int = 0


class MinutePublished(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, tag="minute"
):
    """What one part of a program's minute has counted so far. Published on the channel of minutes."""

    program_id: ProgramId
    start_ms: Count
    part: str
    minute: Minute
    sequence: int = 0


class TaskReported(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, tag="task"):
    """How a tracker task is. Published on the channel of tasks, now and then and after each change.

    `applied` is the sequence number, on the channel of invalidations, of the last one that the task has
    applied: it has every one before. `staleness_ms` is 0 while its core data is fresh. So many events has
    Kinesis `acknowledged` to it since it started.
    """

    task: str
    applied: Count
    staleness_ms: Count = 0
    buffered_bytes: Count = 0
    sequence: int = 0
    acknowledged: Count = 0


class ReaderReported(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, tag="reader"
):
    """How far behind an agent or a function is on a shard. Published on the channel of health."""

    lag: Lag
    sequence: int = 0


class FailuresCounted(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, tag="failures"
):
    """How many failures are kept. Published on the channel of health, now and then."""

    failures: Failures
    sequence: int = 0


HealthReported = ReaderReported | FailuresCounted
"""What the channel of health tells."""

Invalidation = (
    ProgramInvalidated
    | CacheInvalidated
    | TotalsPublished
    | MinutePublished
    | TaskReported
    | ReaderReported
    | FailuresCounted
)

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Invalidation] = msgspec.json.Decoder(Invalidation)


def encode_invalidation(invalidation: Invalidation) -> bytes:
    """The message as handed to the script: without a sequence number, which Redis adds."""
    return _encoder.encode(invalidation)


def decode_invalidation(data: bytes | str) -> Invalidation:
    """A message as received. Raises msgspec.MsgspecError for anything else on the channel."""
    try:
        return _decoder.decode(data)
    except UNREADABLE as error:
        raise msgspec.DecodeError(str(error)) from error
