"""What the two Lambdas take from their environment."""

from msgspec import field

from schemas.settings import Name, RedisSettings, ServiceSettings


class PersistSettings(ServiceSettings, frozen=True, kw_only=True):
    """`persist`: event stream to DynamoDB, totals to the update stream."""

    events_table: Name = field(name="EVENTS_TABLE")
    totals_table: Name = field(name="TOTALS_TABLE")
    update_stream: Name = field(name="UPDATE_STREAM")
    failed_events_bucket: Name = field(name="FAILED_EVENTS_BUCKET")


class RefreshSettings(RedisSettings, frozen=True, kw_only=True):
    """`refresh`: update stream to DynamoDB `programs`, then Redis."""

    programs_table: Name = field(name="PROGRAMS_TABLE")
    failed_events_bucket: Name = field(name="FAILED_EVENTS_BUCKET")
    redis_secret: str = field(name="REDIS_SECRET", default="")
    """A secret in Secrets Manager that holds Redis's password: a function's own variables are readable to
    whoever may look at its configuration."""
