"""What the two Lambdas take from their environment."""

from typing import Annotated

from msgspec import Meta, field

from schemas.settings import EventStoreName, Name, Positive, RedisSettings, ServiceSettings


class PersistSettings(ServiceSettings, frozen=True, kw_only=True):
    """`persist`: event stream to DynamoDB, totals to the update stream."""

    events_table: Name = field(name="EVENTS_TABLE")
    totals_table: Name = field(name="TOTALS_TABLE")
    update_stream: Name = field(name="UPDATE_STREAM")
    failed_events_bucket: Name = field(name="FAILED_EVENTS_BUCKET")
    event_store: EventStoreName = field(name="EVENT_STORE", default="items")
    """`items`: one for each event. `packed`: one for all that a program got within a batch."""
    resend_window_s: Annotated[int, Meta(ge=1, le=43_200)] = field(name="RESEND_WINDOW_S", default=600)
    """Of the packed store: how long after an event was stored its message id is known. A pack lives a day
    at least."""
    resend_ids_max: Positive = field(name="RESEND_IDS_MAX", default=2_000_000)
    """Of the packed store: the message ids kept in memory between batches. What is not is read again."""


class RefreshSettings(RedisSettings, frozen=True, kw_only=True):
    """`refresh`: update stream to DynamoDB `programs`, then Redis."""

    programs_table: Name = field(name="PROGRAMS_TABLE")
    failed_events_bucket: Name = field(name="FAILED_EVENTS_BUCKET")
    redis_secret: str = field(name="REDIS_SECRET", default="")
    """A secret in Secrets Manager that holds Redis's password: a function's own variables are readable to
    whoever may look at its configuration."""
