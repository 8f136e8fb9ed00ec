"""What `make run` and `make demo` take from their environment."""

from typing import Annotated

from msgspec import Meta, Struct, field

from cdk.local.supervisor import MOST_RESTART_S
from schemas.settings import NotNegative

AnyPort = Annotated[int, Meta(ge=0, le=65_535)]


class LocalSettings(Struct, frozen=True, kw_only=True):
    """The local stack as a whole. Settings of its services pass through to them."""

    port: Annotated[int, Meta(ge=0, le=65_534)] = field(name="PORT", default=8080)
    """Of the first tracker; the second takes the next one. 0 picks free ports."""
    keep: bool = field(name="KEEP", default=False)
    """Whether state lasts from one run to the next."""
    demo_events: Annotated[int, Meta(ge=100)] = field(name="DEMO_EVENTS", default=20_000)
    demo_lose: NotNegative = field(name="DEMO_LOSE", default=0)
    """Stored events that the demo removes before its audit, to show that the audit notices."""
    admin_token: str = field(name="ADMIN_TOKEN", default="")
    redis_port: AnyPort = field(name="VALKEY_PORT", default=0)
    aws_port: AnyPort = field(name="MINISTACK_PORT", default=0)
    """Of the stand-ins; 0 picks free ones."""
    restart_most_s: Annotated[float, Meta(gt=0)] = field(name="RESTART_MAX_S", default=MOST_RESTART_S)
    """How long a part that keeps dying waits for its next start, at most."""
    redis_via: str = field(name="REDIS_VIA", default="")
    kinesis_via: str = field(name="KINESIS_VIA", default="")
    dynamodb_via: str = field(name="DYNAMODB_VIA", default="")
    """Where the system finds these three, when something stands between: a proxy that breaks on demand."""
