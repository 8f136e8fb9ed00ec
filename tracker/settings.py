"""What a tracker task takes from its environment."""

from typing import Annotated

from msgspec import Meta, field

from schemas.programs import Acknowledgement
from schemas.settings import EventStoreName, Name, NotNegative, Port, Positive, RedisSettings


class TrackerSettings(RedisSettings, frozen=True, kw_only=True):
    """One tracker process. Every limit of it is here, with its default."""

    event_stream: Name = field(name="EVENT_STREAM")
    update_stream: Name = field(name="UPDATE_STREAM")
    events_table: Name = field(name="EVENTS_TABLE")
    programs_table: Name = field(name="PROGRAMS_TABLE")
    totals_table: Name = field(name="TOTALS_TABLE")
    event_store: EventStoreName = field(name="EVENT_STORE", default="items")
    """As `persist` stores events; what was stored as items before is found behind packs."""

    host: Name = field(name="HOST", default="127.0.0.1")
    port: Port = field(name="PORT", default=8080)
    admin_token: str = field(name="ADMIN_TOKEN", default="")
    """Asked of every call that changes something, unless empty."""
    ack: Acknowledgement = field(name="TRACKER_ACK", default="durable")
    secret: Annotated[str, Meta(min_length=32)] = field(name="TRACKER_SECRET", default="")
    """What keys are derived from: the salts of visitors' hashes, the programs' keys. The same for every
    task. Without it each task makes up salts of its own, and nothing signed is taken."""
    postback_window_s: Positive = field(name="TRACKER_POSTBACK_WINDOW_S", default=300)
    """How far from now a postback's timestamp may be: for how long one that was overheard can be sent
    again, and how wrong a partner's clock may be."""
    proxy_hops: Annotated[int, Meta(ge=0, le=10)] = field(name="TRACKER_PROXY_HOPS", default=0)
    """Proxies of ours that a request passes, each of which appends to X-Forwarded-For."""
    visitor_cookie: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}\Z")] = field(
        name="TRACKER_VISITOR_COOKIE", default="visitor"
    )
    visitor_cookie_max_age_s: Positive = field(name="TRACKER_VISITOR_COOKIE_MAX_AGE_S", default=31_536_000)
    rate_per_address_per_s: Positive | None = field(name="TRACKER_RATE_PER_ADDRESS_PER_S", default=None)
    """Events per second of one client address, of whatever programs; None is no limit."""
    limited_addresses_max: Positive = field(name="TRACKER_LIMITED_ADDRESSES_MAX", default=100_000)
    """Client addresses whose rates are known at a time."""
    user_agents_max: Positive = field(name="TRACKER_USER_AGENTS_MAX", default=4_096)
    """User agents that are remembered, up to some 1.5 KB each."""

    request_max_bytes: Positive = field(name="TRACKER_REQUEST_MAX_BYTES", default=2_097_152)
    header_max_bytes: Annotated[int, Meta(ge=512, le=16_384)] = field(
        name="TRACKER_HEADER_MAX_BYTES", default=16_384
    )
    """A request's line and headers; Sanic reads no more than 16 KiB whatever it is told."""
    request_timeout_ms: Positive = field(name="TRACKER_REQUEST_TIMEOUT_MS", default=10_000)
    """From a request's first byte to its last: what a slow client has."""
    keep_alive_timeout_ms: Positive = field(name="TRACKER_KEEP_ALIVE_TIMEOUT_MS", default=120_000)
    """How long a connection may be idle. Longer than the load balancer keeps it, or the load balancer
    sends a request into a connection that is being closed."""
    batch_max_items: Positive = field(name="TRACKER_BATCH_MAX_ITEMS", default=10_000)
    event_max_bytes: Annotated[int, Meta(ge=512, le=262_144)] = field(
        name="TRACKER_EVENT_MAX_BYTES", default=16_384
    )
    """One encoded event; well under a DynamoDB item's 400 KB and a Kinesis record's 1 MiB."""
    buffer_max_bytes: Positive = field(name="TRACKER_BUFFER_MAX_BYTES", default=67_108_864)
    """Events accepted and not yet confirmed, over all lanes."""
    keys_per_shard: Annotated[int, Meta(ge=1, le=10)] = field(name="TRACKER_KEYS_PER_SHARD", default=1)
    """Partition keys of one lane, and so records in one put. Lambda keeps order per key, at most ten
    at a time (parallelization factor)."""
    ack_timeout_ms: Positive = field(name="TRACKER_ACK_TIMEOUT_MS", default=5_000)
    put_timeout_ms: Positive = field(name="TRACKER_PUT_TIMEOUT_MS", default=3_000)
    shard_refresh_ms: Positive = field(name="TRACKER_SHARD_REFRESH_MS", default=30_000)
    drain_delay_ms: NotNegative = field(name="TRACKER_DRAIN_DELAY_MS", default=500)
    """How long a stopping task still serves, while readiness fails and every answer asks its client to
    connect elsewhere. With the two timeouts it must stay under the container's stop timeout."""
    drain_timeout_ms: Positive = field(name="TRACKER_DRAIN_TIMEOUT_MS", default=8_000)

    programs_max: Positive = field(name="TRACKER_PROGRAMS_MAX", default=100_000)
    program_max_age_ms: Positive = field(name="TRACKER_PROGRAM_MAX_AGE_MS", default=600_000)
    absent_max_age_ms: NotNegative = field(name="TRACKER_ABSENT_MAX_AGE_MS", default=2_000)
    """How long an unknown program is remembered as unknown, unless an invalidation says otherwise."""
    core_data_timeout_ms: Positive = field(name="TRACKER_CORE_DATA_TIMEOUT_MS", default=500)
    """One read of Redis or of DynamoDB."""
    stored_timeout_ms: Positive = field(name="TRACKER_STORED_TIMEOUT_MS", default=5_000)
    """One read of stored events, of which a page takes many: a person waits for it, no event."""
    heartbeat_ms: Positive = field(name="TRACKER_HEARTBEAT_MS", default=1_000)
    heartbeat_timeout_ms: Positive = field(name="TRACKER_HEARTBEAT_TIMEOUT_MS", default=3_000)
    apply_timeout_ms: Positive = field(name="TRACKER_APPLY_TIMEOUT_MS", default=10_000)
    """How long `?wait=true`, fill and purge wait for a change to come back."""

    report_ms: Positive = field(name="TRACKER_REPORT_MS", default=1_000)
    """How often a task says on Redis how it is, when it has not just applied a change."""
    live_watchers_max: Positive = field(name="TRACKER_LIVE_WATCHERS_MAX", default=100)
    """Who may read /live/stream of this task at a time."""
    live_programs_max: Positive = field(name="TRACKER_LIVE_PROGRAMS_MAX", default=10_000)
    """Programs that are watched. Busy ones take some 17 KB each, while somebody watches."""
    live_interval_ms: Positive = field(name="TRACKER_LIVE_INTERVAL_MS", default=250)
    """Between two events of the live stream: what changes meanwhile is in one."""
    live_heartbeat_ms: Positive = field(name="TRACKER_LIVE_HEARTBEAT_MS", default=10_000)
    """How often a live stream without news says that it is there."""
    live_unsent_max_bytes: Annotated[int, Meta(ge=16_384)] = field(
        name="TRACKER_LIVE_UNSENT_MAX_BYTES", default=262_144
    )
    """What one reader may be behind in what was written to it; the rest is not written yet."""
    live_send_timeout_ms: Positive = field(name="TRACKER_LIVE_SEND_TIMEOUT_MS", default=10_000)
    """A reader that takes longer for that is dropped."""
    live_linger_ms: NotNegative = field(name="TRACKER_LIVE_LINGER_MS", default=30_000)
    """How long after the last reader what is watched is still kept, for one that comes back."""
