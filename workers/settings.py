"""What the worker processes take from their environment."""

from typing import Annotated

from msgspec import Meta, field

from schemas.settings import AwsSettings, Name, Positive, RedisSettings, ServiceSettings

SHORTEST_RECORD_AGE_S = 60
GUARD_WATCHED_MOST = 2_000
"""Of a program and window: an entry of a table holds twice as many, where two shards become one."""


class HostSettings(ServiceSettings, frozen=True, kw_only=True):
    """A Lambda host. The names and ranges are those of Lambda's event source mapping
    (AWS Lambda API reference, CreateEventSourceMapping).
    """

    event_stream: Name = field(name="EVENT_STREAM")
    update_stream: Name = field(name="UPDATE_STREAM")
    leases_table: Name = field(name="LEASES_TABLE")

    batch_size: Annotated[int, Meta(ge=1, le=10_000)] = field(name="LAMBDA_BATCH_SIZE", default=100)
    batching_window_ms: Annotated[int, Meta(ge=0, le=300_000)] = field(
        name="LAMBDA_BATCHING_WINDOW_MS", default=0
    )
    maximum_retry_attempts: Annotated[int, Meta(ge=-1, le=10_000)] = field(
        name="LAMBDA_MAXIMUM_RETRY_ATTEMPTS", default=-1
    )
    """-1: until the record leaves the stream."""
    maximum_record_age_s: Annotated[int, Meta(ge=-1, le=604_800)] = field(
        name="LAMBDA_MAXIMUM_RECORD_AGE_S", default=-1
    )
    """-1: as old as the stream keeps it. Else 60 or more: AWS takes nothing between."""
    bisect_batch_on_function_error: bool = field(name="LAMBDA_BISECT", default=False)
    failure_bucket_or_empty: str = field(name="LAMBDA_FAILURE_BUCKET", default="")
    """Where batches that are given up go, whole. Empty: they are only said."""
    poll_interval_ms: Positive = field(name="LAMBDA_POLL_INTERVAL_MS", default=200)
    """A shard takes five reads a second, shared by all its readers."""
    retry_most_ms: Positive = field(name="LAMBDA_RETRY_MOST_MS", default=10_000)
    """The longest wait between two attempts at the same batch."""
    shard_refresh_ms: Positive = field(name="LAMBDA_SHARD_REFRESH_MS", default=30_000)
    """How often to look for shards that a reshard brought. Where a shard ends, it is at once."""
    metrics_host: Name = field(name="WORKER_METRICS_HOST", default="127.0.0.1")
    metrics_port: Annotated[int, Meta(ge=0, le=65_535)] = field(name="WORKER_METRICS_PORT", default=0)
    """Where Prometheus reads `/metrics`. 0: nowhere."""

    def __post_init__(self) -> None:
        if -1 < self.maximum_record_age_s < SHORTEST_RECORD_AGE_S:
            raise ValueError("LAMBDA_MAXIMUM_RECORD_AGE_S is neither -1 nor at least 60")


class AgentSettings(RedisSettings, frozen=True, kw_only=True):
    """What agents may ask for, as a parameter of this type or in the window of a table.

    A window that is changed begins anew: what is in the old one then is not looked at again.
    """

    guard_window_ms: Positive = field(name="GUARD_WINDOW_MS", default=10_000)
    """In which the clicks of a visitor on a program are counted."""
    guard_high: Positive = field(name="GUARD_HIGH_CLICKS", default=100)
    """So many in a window are a flood."""
    guard_low: Positive = field(name="GUARD_LOW_CLICKS", default=20)
    """So many are still one, where the window before had one."""
    guard_flag_ms: Positive = field(name="GUARD_FLAG_MS", default=60_000)
    """How long behind its window a flag lasts: longer than a window, so that it is renewed in time."""
    guard_watched_max: Annotated[int, Meta(ge=1, le=GUARD_WATCHED_MOST)] = field(
        name="GUARD_WATCHED_MAX", default=500
    )
    """Visitors of one program in one window, on one shard."""
    matcher_window_ms: Positive = field(name="MATCHER_WINDOW_MS", default=1_800_000)
    """How long after a click a conversion is due to it."""
    tally_lateness_ms: Positive = field(name="TALLY_LATENESS_MS", default=300_000)
    """How long behind the newest event a minute is open: longer than a tracker keeps what it cannot put."""

    def __post_init__(self) -> None:
        if self.guard_low > self.guard_high:
            raise ValueError("GUARD_LOW_CLICKS is more than GUARD_HIGH_CLICKS")
        if self.guard_flag_ms <= self.guard_window_ms:
            raise ValueError("GUARD_FLAG_MS is not longer than GUARD_WINDOW_MS")


class WorkerSettings(AgentSettings, frozen=True, kw_only=True):
    """A worker of stream agents."""

    event_stream: Name = field(name="EVENT_STREAM")
    update_stream: Name = field(name="UPDATE_STREAM")
    leases_table: Name = field(name="LEASES_TABLE")
    touch_stream: Name = field(name="TOUCH_STREAM")
    state_table: Name = field(name="STATE_TABLE")
    matches_table: Name = field(name="MATCHES_TABLE")
    failed_events_bucket: Name = field(name="FAILED_EVENTS_BUCKET")

    failover_ms: Positive = field(name="WORKER_FAILOVER_MS", default=10_000)
    """After so long of silence a worker's shards are taken over. It renews them three times in that, and a
    call that does not come back within half of it is made again."""
    look_interval_ms: Positive = field(name="WORKER_LOOK_INTERVAL_MS", default=1_000)
    """The longest that a shard which a worker let go of is free. A look reads the leases of others, two for a
    read unit; what its owner let stand still is taken when its time is over, without waiting for a look."""
    poll_interval_ms: Positive = field(name="WORKER_POLL_INTERVAL_MS", default=1_000)
    """A shard takes five reads a second, shared by all its readers."""
    shard_refresh_ms: Positive = field(name="WORKER_SHARD_REFRESH_MS", default=30_000)
    """How often to look for shards that a reshard brought. Where a shard ends, it is at once."""
    prefetch_bytes: Positive = field(name="WORKER_PREFETCH_BYTES", default=4_194_304)
    """Of each shard and agent: no more is read while so much waits. One read may bring 10 MiB."""
    flush_interval_ms: Positive = field(name="WORKER_FLUSH_INTERVAL_MS", default=500)
    """The longest that a result waits to be sent, and so to be seen."""
    commit_interval_ms: Positive = field(name="WORKER_COMMIT_INTERVAL_MS", default=5_000)
    """The longest that what is done waits for its commit: what a kill repeats, and what a commit costs."""
    log_min_bytes: Positive = field(name="WORKER_LOG_MIN_BYTES", default=1_048_576)
    """Of each shard and agent: a log of state is left to grow to this, or else to twice what it tells."""
    idle_ms: Positive = field(name="WORKER_IDLE_MS", default=5_000)
    """On a shard without events, event time follows the clock so far behind."""
    event_attempts: Positive = field(name="WORKER_EVENT_ATTEMPTS", default=3)
    """How often an agent is given an event that it fails on."""
    retry_most_ms: Positive = field(name="WORKER_RETRY_MOST_MS", default=10_000)
    """The longest wait between two attempts at an event or a commit."""
    stall_ms: Positive = field(name="WORKER_STALL_MS", default=30_000)
    """An agent that has not asked for its next event for so long is said to hang."""
    stop_timeout_ms: Positive = field(name="WORKER_STOP_TIMEOUT_MS", default=8_000)
    """How long a shard that is let go of may take for the event in hand and the commit."""
    report_ms: Positive = field(name="WORKER_REPORT_MS", default=2_000)
    """How often a worker says on Redis how far behind its agents are."""
    failures_ms: Positive = field(name="WORKER_FAILURES_MS", default=60_000)
    """How often failures are counted, by whichever worker is first."""
    failures_max: Positive = field(name="WORKER_FAILURES_MAX", default=10_000)
    """Where there are more failures they are not counted on."""
    health_port: Annotated[int, Meta(ge=0, le=65_535)] = field(name="WORKER_HEALTH_PORT", default=0)
    """Where `--check` asks, on this machine alone. 0: nowhere."""
    metrics_host: Name = field(name="WORKER_METRICS_HOST", default="127.0.0.1")
    metrics_port: Annotated[int, Meta(ge=0, le=65_535)] = field(name="WORKER_METRICS_PORT", default=0)
    """Where Prometheus reads `/metrics`. 0: nowhere."""


class TailSettings(AwsSettings, frozen=True, kw_only=True):
    """`tail`: one of the streams."""

    event_stream: Name = field(name="EVENT_STREAM")
    update_stream: Name = field(name="UPDATE_STREAM")


class LeasesSettings(AwsSettings, frozen=True, kw_only=True):
    """`leases`: the table, and the streams that it names."""

    leases_table: Name = field(name="LEASES_TABLE")


class RecountSettings(AwsSettings, frozen=True, kw_only=True):
    """`recount`: events table and totals table, the totals to the update stream."""

    update_stream: Name = field(name="UPDATE_STREAM")
    events_table: Name = field(name="EVENTS_TABLE")
    totals_table: Name = field(name="TOTALS_TABLE")
    programs_table: Name = field(name="PROGRAMS_TABLE")


class ReplaySettings(RecountSettings, frozen=True, kw_only=True):
    """`replay`: what failed, from its buckets back to its stream; and what `recount` takes."""

    event_stream: Name = field(name="EVENT_STREAM")
    failed_events_bucket: Name = field(name="FAILED_EVENTS_BUCKET")
    failure_bucket_or_empty: str = field(name="LAMBDA_FAILURE_BUCKET", default="")

    @property
    def buckets(self) -> list[str]:
        """Each bucket once."""
        given = (self.failed_events_bucket, self.failure_bucket_or_empty)
        return list(dict.fromkeys(bucket for bucket in given if bucket))
