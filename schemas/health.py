"""Health: what is told of those who read the streams, and of what failed, to whoever watches."""

import msgspec

from schemas.programs import Count


class Lag(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How far behind the newest record of a shard a reader of it was at `at_ms`.

    An agent tells it as of its last read. A function is not called where nothing comes: it tells how old the
    oldest record of its last batch was when that was done with.
    """

    reader: str
    stream: str
    shard_id: str
    lag_ms: Count
    at_ms: Count


class Failures(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """How many failures were kept at `at_ms`, to be looked at and replayed; where there are `more`, at least
    so many. A failure is an event, a record, or a batch that was given up."""

    count: Count
    at_ms: Count
    more: bool = False
