"""What is on the board, in the form in which /live/stream tells it.

There may be a hundred thousand rows of numbers: the garbage collector need not look at them, or events would
wait while it does.
"""

import msgspec

from schemas.health import Lag
from schemas.minutes import Minute
from schemas.programs import Totals


class Gone(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A program that was deleted, in place of its core data."""

    program_id: str
    version: int
    gone: bool = True


class TotalsRow(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What is stored for a program so far."""

    program_id: str
    views: int
    clicks: int
    conversions: int
    invalid: int


class MinuteRow(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What came in for a program in one minute."""

    program_id: str
    start_ms: int
    views: int
    clicks: int
    conversions: int
    invalid: int
    visitors: int


class Task(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A tracker task as it said at `seen_ms`: see schemas.invalidations.TaskReported."""

    task: str
    applied: int
    staleness_ms: int
    buffered_bytes: int
    seen_ms: int
    acknowledged: int = 0


class ReaderRow(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How far behind a reader of a shard is, as of `at_ms`: see schemas.health.Lag."""

    reader: str
    stream: str
    shard_id: str
    lag_ms: int
    at_ms: int


class State(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How much to make of the rest, and of which task it is.

    `linked` to Redis since then, or not; `reading` while what is shown may still be behind; `full` where
    there are more programs than are kept.
    """

    task: str
    linked: bool
    since_ms: int
    reading: bool
    full: bool


def totals_row(program_id: str, totals: Totals) -> TotalsRow:
    return TotalsRow(program_id, totals.views, totals.clicks, totals.conversions, totals.invalid)


def minute_row(program_id: str, start_ms: int, minute: Minute) -> MinuteRow:
    return MinuteRow(
        program_id,
        start_ms,
        minute.views,
        minute.clicks,
        minute.conversions,
        minute.invalid,
        minute.visitors,
    )


def reader_row(lag: Lag) -> ReaderRow:
    return ReaderRow(lag.reader, lag.stream, lag.shard_id, lag.lag_ms, lag.at_ms)
