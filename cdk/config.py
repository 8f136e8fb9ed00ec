"""What the system is made of: its tables and streams, and how the Lambdas read the streams.

The AWS stacks and the local stack both build from these values, so that neither drifts.
"""

from typing import Annotated

from msgspec import Meta, Struct

from schemas.dynamodb import (
    EVENTS_KEY,
    EXPIRES_AT,
    LEASES_KEY,
    PLACES_INDEX,
    PLACES_KEY,
    PROGRAMS_KEY,
    STATE_KEY,
    TOTALS_KEY,
    KeySchema,
)
from schemas.matches import MATCHES_KEY


class Index(Struct, frozen=True):
    """A second order of a table's items, with all that is in them; of those alone that have its key."""

    name: str
    key: KeySchema


class Table(Struct, frozen=True):
    """A DynamoDB table, billed per request. Items go at the epoch second of `expires_at`, if it is named."""

    name: str
    key: KeySchema
    expires_at: str | None = None
    index: Index | None = None


class Stream(Struct, frozen=True, kw_only=True):
    """A Kinesis stream. Its retention bounds how long a consumer may be down without loss."""

    name: str
    shards: int = 1
    retention_hours: int = 24


class EventSource(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """How Lambda reads a stream (AWS Lambda API reference, CreateEventSourceMapping)."""

    batch_size: Annotated[int, Meta(ge=1, le=10_000)] = 100
    """In records. A hundred frames of 24 KB, as base64, stay under the 6 MB of an invocation."""
    batching_window_ms: Annotated[int, Meta(ge=0, le=300_000)] = 0
    parallelization_factor: Annotated[int, Meta(ge=1, le=10)] = 1
    """Batches of one shard at a time. A host on this machine takes one."""
    bisect: bool = True
    maximum_record_age_s: Annotated[int, Meta(ge=-1, le=604_800)] = -1
    maximum_retry_attempts: Annotated[int, Meta(ge=-1, le=10_000)] = -1
    """-1: until the record leaves the stream. The handlers set aside what can never be applied, so a
    retry only ever waits for a dependency, and giving up would lose events."""


class Config(Struct, frozen=True, kw_only=True):
    """One deployment of the system."""

    region: str = "us-east-1"
    events: Table = Table("tracker-events", EVENTS_KEY, EXPIRES_AT, Index(PLACES_INDEX, PLACES_KEY))
    totals: Table = Table("tracker-totals", TOTALS_KEY)
    programs: Table = Table("tracker-programs", PROGRAMS_KEY)
    leases: Table = Table("tracker-leases", LEASES_KEY)
    state: Table = Table("tracker-state", STATE_KEY)
    matches: Table = Table("tracker-matches", MATCHES_KEY, EXPIRES_AT)
    event_stream: Stream = Stream(name="tracker-events")
    update_stream: Stream = Stream(name="tracker-updates")
    touch_stream: Stream = Stream(name="tracker-touches")
    persist_source: EventSource = EventSource()
    refresh_source: EventSource = EventSource()
    failed_events_bucket: str = "tracker-failed-events"
    redis_channel: str = "programs"

    @property
    def tables(self) -> tuple[Table, ...]:
        return (self.events, self.totals, self.programs, self.leases, self.state, self.matches)

    @property
    def streams(self) -> tuple[Stream, ...]:
        return (self.event_stream, self.update_stream, self.touch_stream)


# Two shards are the fewest with lanes, order per shard and totals over shards; updates are few, and one
# shard keeps them in one order.
LOCAL = Config(event_stream=Stream(name="tracker-events", shards=2))
